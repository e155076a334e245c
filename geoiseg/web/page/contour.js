/** A ring along pixels' edges becomes one without stairs, as `outline/vectorize/contour.py` does. */

/** @import {Plane} from "./types.js" */
/** @import {Ring} from "./outline.js" */

/** How far from the middle between two centres a vertex may lie, in pixels. */
const LIMIT = 0.35;
/** Share of the way that a vertex goes to where its neighbours want it, and how far those are. */
const RATE = 0.6;
const REACHES = [2, 1];
/** How far the line may move, in pixels, as vertices that it does not need are dropped. */
const SLACK = 0.1;

/**
 * A vertex: the middle of a pixel's side, which may move towards the centres on either hand by
 * `shift` times `right`. For a corner that stays `right` is nothing.
 * @typedef {{x: number, y: number, right: [number, number], shift: number, told: boolean}} Wall
 */

/**
 * The ring's vertices between the centres of pixels, not closed. Rasterising by the centres gives
 * the same pixels as the ring.
 * @param {Ring} ring corners of pixels, the object on the right-hand side
 * @param {Plane} logits above 0 on the object: where they change is where the line lies
 * @param {number} surest the largest of them, whatever its sign
 * @returns {Ring}
 */
export function withoutStairs(ring, logits, surest) {
  return chains(walls(ring, logits, surest)).flatMap(({ line, closed }) => {
    for (const reach of REACHES) settle(line, closed, reach);
    /** @type {Ring} */
    const places = line.map(({ x, y, right, shift }) => [
      x + shift * right[0],
      y + shift * right[1],
    ]);
    return thinned(closed ? [...places, places[0]] : places).slice(0, -1);
  });
}

/**
 * One vertex for every side of a pixel; on the image's frame the corners, which stay.
 * @param {Ring} ring
 * @param {Plane} logits
 * @param {number} surest
 * @returns {Wall[]}
 */
function walls(ring, logits, surest) {
  const { rows, cols } = logits;
  /** @param {number} k */
  const isFramed = (k) => {
    const [[x, y], [X, Y]] = [ring[k], ring[(k + 1) % ring.length]];
    const level = y === Y && (y === 0 || y === rows);
    return level || (x === X && (x === 0 || x === cols));
  };
  /** @type {Wall[]} */
  const found = [];
  ring.forEach(([x, y], k) => {
    const framed = isFramed(k);
    if (framed || isFramed((k || ring.length) - 1))
      found.push({ x, y, right: [0, 0], shift: 0, told: true });
    if (framed) return;
    const [X, Y] = ring[(k + 1) % ring.length];
    const length = Math.abs(X - x) + Math.abs(Y - y);
    const [dx, dy] = [Math.sign(X - x), Math.sign(Y - y)];
    for (let at = 0.5; at < length; at++)
      found.push(wall(x + at * dx, y + at * dy, [-dy, dx], logits, surest));
  });
  return found;
}

/**
 * A side of a pixel, moved to where logits are 0 between the two centres. They tell nothing where
 * they contradict the mask, or say yes and no as surely as any.
 * @param {number} x its middle
 * @param {number} y
 * @param {[number, number]} right towards the centre of the object's pixel
 * @param {Plane} logits
 * @param {number} surest
 * @returns {Wall}
 */
function wall(x, y, right, { cols, data }, surest) {
  /** @param {number} side */
  const at = (side) =>
    data[
      Math.floor(y + side * right[1]) * cols + Math.floor(x + side * right[0])
    ];
  const [inside, outside] = [at(0.5), at(-0.5)];
  const known = inside !== -outside || inside < surest;
  const told = known && inside > 0 && outside < 0;
  const shift = told ? limited(0.5 - inside / (inside - outside)) : 0;
  return { x, y, right, shift, told };
}

/** @param {number} shift */
function limited(shift) {
  return Math.min(Math.max(shift, -LIMIT), LIMIT);
}

/** @param {Wall} wall */
const stays = ({ right }) => !right[0] && !right[1];

/**
 * A ring cut at the corners that stay: each ends a chain and begins the next.
 * @param {Wall[]} ring
 * @returns {{line: Wall[], closed: boolean}[]}
 */
function chains(ring) {
  const first = ring.findIndex(stays);
  if (first < 0) return [{ line: ring, closed: true }];
  const turned = [...ring.slice(first), ...ring.slice(0, first + 1)];
  const found = [];
  let begin = 0;
  for (let k = 1; k < turned.length; k++) {
    if (!stays(turned[k])) continue;
    found.push({ line: turned.slice(begin, k + 1), closed: false });
    begin = k;
  }
  return found;
}

/**
 * Move vertices that nothing is told of, in place, to a cubic through four neighbours; near the
 * ends of a chain, to the line through two.
 * @param {Wall[]} line
 * @param {boolean} closed
 * @param {number} reach how far away the neighbours are
 */
function settle(line, closed, reach) {
  const size = line.length;
  const here = line.map(({ x, y, right, shift }) => [
    x + shift * right[0],
    y + shift * right[1],
  ]);
  line.forEach((one, k) => {
    if (one.told) return;
    /** @param {number} step @param {0 | 1} axis the sum of both neighbours there */
    const both = (step, axis) =>
      here[(k + step) % size][axis] +
      here[(((k - step) % size) + size) % size][axis];
    const room = closed ? Infinity : Math.min(k, size - 1 - k);
    /** @param {0 | 1} axis */
    const wanted = (axis) =>
      room >= 2 * reach
        ? (4 * both(reach, axis) - both(2 * reach, axis)) / 6
        : both(Math.min(room, reach), axis) / 2;
    const [dx, dy] = [wanted(0) - here[k][0], wanted(1) - here[k][1]];
    one.shift = limited(
      one.shift + RATE * (dx * one.right[0] + dy * one.right[1]),
    );
  });
}

/**
 * The vertices that a line needs; the ends stay. Source: Douglas and Peucker (1973), as GEOS does.
 * @param {Ring} line
 * @returns {Ring}
 */
function thinned(line) {
  const kept = new Uint8Array(line.length);
  kept[0] = kept[line.length - 1] = 1;
  const open = [[0, line.length - 1]];
  while (open.length) {
    const [first, last] = /** @type {number[]} */ (open.pop());
    let [farthest, most] = [first, -1];
    for (let k = first + 1; k < last; k++) {
      const away = distance(line[k], line[first], line[last]);
      if (away > most) [farthest, most] = [k, away];
    }
    if (most <= SLACK) continue;
    kept[farthest] = 1;
    open.push([first, farthest], [farthest, last]);
  }
  return line.filter((_, k) => kept[k]);
}

/**
 * How far a place is from a piece of a line.
 * @param {[number, number]} place
 * @param {[number, number]} from
 * @param {[number, number]} to
 */
function distance([x, y], [x0, y0], [x1, y1]) {
  const [dx, dy] = [x1 - x0, y1 - y0];
  const squared = dx * dx + dy * dy;
  const along = squared ? ((x - x0) * dx + (y - y0) * dy) / squared : 0;
  if (along <= 0) return Math.hypot(x - x0, y - y0);
  if (along >= 1) return Math.hypot(x - x1, y - y1);
  const across = ((y0 - y) * dx - (x0 - x) * dy) / squared;
  return Math.abs(across) * Math.sqrt(squared);
}
