/** A mask becomes a polygon, without stairs or along the pixels' edges. */

/** @import {Affine, Bits, Geometry, Plane} from "./types.js" */
import { withoutStairs } from "./contour.js";
import { applied } from "./grid.js";

/** Steps along the border as x, y: right, down, left, up; the object is on the right-hand side. */
const STEPS = [
  [1, 0],
  [0, 1],
  [-1, 0],
  [0, -1],
];

/**
 * The mask's outline in the CRS; null where it is empty.
 *
 * Parts that touch at a corner alone stay apart, in the order of their first pixels; exteriors run
 * anticlockwise with y upwards, holes clockwise.
 * @param {Bits} mask
 * @param {Affine} transform from the mask's pixels to the CRS
 * @param {Plane | null} logits of the mask's pixels, above 0 on the object: vertices lie where they
 *   are 0 between the centres of pixels. Null for the pixels' edges.
 * @returns {Geometry | null}
 */
export function outline(mask, transform, logits) {
  const rings = traced(mask);
  if (!rings.length) return null;
  const [a, b, , d, e] = transform;
  const isMirrored = a * e - b * d <= 0;
  const surest = logits?.data.reduce(
    (most, one) => Math.max(most, Math.abs(one)),
    0,
  );
  const polygons = grouped(rings, mask).map((polygon) =>
    polygon.map((corners) => {
      const ring = logits
        ? withoutStairs(corners, logits, surest ?? 0)
        : corners;
      const ordered = isMirrored ? [...ring].reverse() : ring;
      return [...ordered, ordered[0]].map(([x, y]) => applied(transform, x, y));
    }),
  );
  return polygons.length === 1
    ? { type: "Polygon", coordinates: polygons[0] }
    : { type: "MultiPolygon", coordinates: polygons };
}

/** @typedef {[number, number][]} Ring places in the pixel frame, not closed */

/**
 * All rings in the order of their first corners, row by row. None passes a corner twice.
 * @param {Bits} mask
 * @returns {Ring[]}
 */
export function traced(mask) {
  const { rows, cols, data } = mask;
  /** @param {number} x @param {number} y */
  const at = (x, y) =>
    x >= 0 && y >= 0 && x < cols && y < rows ? data[y * cols + x] : 0;
  // An upper edge of an object's pixel is walked to the right; one is enough to find a ring.
  const seen = new Uint8Array(rows * cols);
  /** @type {Ring[]} */
  const rings = [];
  for (let y = 0; y < rows; y++) {
    for (let x = 0; x < cols; x++) {
      if (!at(x, y) || at(x, y - 1) || seen[y * cols + x]) continue;
      rings.push(...simple(walked(at, x, y, seen, cols)));
    }
  }
  return rings.map(fromFirst).sort(([[x, y]], [[X, Y]]) => y - Y || x - X);
}

/**
 * The corners where a border turns, from the upper edge of a pixel on.
 * @param {(x: number, y: number) => number} at
 * @param {number} left
 * @param {number} top
 * @param {Uint8Array} seen upper edges that were passed
 * @param {number} cols
 * @returns {Ring}
 */
function walked(at, left, top, seen, cols) {
  /** @type {Ring} */
  const ring = [];
  let [x, y, way] = [left, top, 0];
  do {
    if (way === 0) seen[y * cols + x] = 1;
    [x, y] = [x + STEPS[way][0], y + STEPS[way][1]];
    // Ahead of the walker, on the right-hand side and on the left.
    const [dx, dy] = STEPS[way];
    const right = at(x + (dx - dy - 1) / 2, y + (dx + dy - 1) / 2);
    const leftward = at(x + (dx + dy - 1) / 2, y + (dy - dx - 1) / 2);
    // Pixels that touch at a corner alone do not hang together.
    const turn = !right ? 1 : leftward ? 3 : 0;
    if (turn) ring.push([x, y]);
    way = (way + turn) % 4;
  } while (x !== left || y !== top || way !== 0);
  return ring;
}

/**
 * A walk that passes corners twice, as rings that do not.
 * @param {Ring} walk
 * @returns {Ring[]}
 */
function simple(walk) {
  /** @type {Ring[]} */
  const found = [];
  /** @type {Ring} */
  let open = [];
  /** @type {Map<string, number>} */
  const places = new Map();
  for (const corner of walk) {
    const name = corner.join();
    const before = places.get(name);
    if (before !== undefined) {
      const ring = open.splice(before);
      for (const passed of ring) places.delete(passed.join());
      found.push(ring);
    }
    places.set(name, open.length);
    open.push(corner);
  }
  found.push(open);
  return found.filter((ring) => ring.length > 2);
}

/**
 * A ring that begins at its first corner: the leftmost of its top edge.
 * @param {Ring} ring
 * @returns {Ring}
 */
function fromFirst(ring) {
  let first = 0;
  ring.forEach(([x, y], k) => {
    const [left, top] = ring[first];
    if (y < top || (y === top && x < left)) first = k;
  });
  return [...ring.slice(first), ...ring.slice(0, first)];
}

/** Twice the area within a ring, positive for exteriors. @param {Ring} ring */
function doubleArea(ring) {
  return ring.reduce((sum, [x, y], k) => {
    const [X, Y] = ring[(k + 1) % ring.length];
    return sum + x * Y - X * y;
  }, 0);
}

/**
 * Exteriors with their holes.
 * @param {Ring[]} rings
 * @param {Bits} mask
 * @returns {Ring[][]}
 */
function grouped(rings, mask) {
  const shells = rings
    .filter((ring) => doubleArea(ring) > 0)
    .map((ring) => [ring]);
  const owner = shells.length > 1 ? owners(shells, mask) : null;
  for (const hole of rings) {
    if (doubleArea(hole) > 0) continue;
    // The pixel above a hole's first edge is the object's.
    const [x, y] = hole[0];
    shells[owner ? owner[(y - 1) * mask.cols + x] : 0].push(hole);
  }
  return shells;
}

/**
 * The number of the exterior around each of the mask's pixels.
 * @param {Ring[][]} shells
 * @param {Bits} mask
 */
function owners(shells, { rows, cols, data }) {
  const owner = new Int32Array(rows * cols).fill(-1);
  shells.forEach(([ring], number) => {
    const stack = [ring[0][1] * cols + ring[0][0]];
    while (stack.length) {
      const at = /** @type {number} */ (stack.pop());
      if (owner[at] >= 0 || !data[at]) continue;
      owner[at] = number;
      const x = at % cols;
      if (x > 0) stack.push(at - 1);
      if (x < cols - 1) stack.push(at + 1);
      if (at >= cols) stack.push(at - cols);
      if (at < (rows - 1) * cols) stack.push(at + cols);
    }
  });
  return owner;
}
