/** Where pixels lie, and which of them to look at: levels, chips, frames. */

/** @import {Affine, Bits, Box, Frame, Prompts, Window} from "./types.js" */
import { clamped } from "./planes.js";

/** Side of the network's chips. */
export const CHIP = 512;
const OUTLINE_SHARE = 0.4;
const POINTS_SHARE = 0.5;
const SMALLEST_SIDE = 32;
const MARGIN = 4;
/** Pixels in which the sides of a chip grow that is no square, and its pixels at most. */
const OBLONG_STEP = 64;
const OBLONG_AREA = 1.25 * CHIP * CHIP;
/** What a side of it counts as at least: chips are padded. */
const OBLONG_LEAST = 128;
/** To which steps are rounded before they are counted, lest the last digits decide. */
const DIGITS = 1e6;

/**
 * @param {Affine} t
 * @param {number} x
 * @param {number} y
 * @returns {[number, number]}
 */
export function applied([a, b, c, d, e, f], x, y) {
  return [a * x + b * y + c, d * x + e * y + f];
}

/**
 * @param {Affine} one
 * @param {Affine} other is applied first
 * @returns {Affine}
 */
export function joined([a, b, c, d, e, f], [A, B, C, D, E, F]) {
  return [a * A + b * D, a * B + b * E, a * C + b * F + c,
    d * A + e * D, d * B + e * E, d * C + e * F + f]; // prettier-ignore
}

/** @param {Affine} t @returns {Affine} */
export function inverse([a, b, c, d, e, f]) {
  const area = a * e - b * d;
  return [
    e / area,
    -b / area,
    (b * f - c * e) / area,
    -d / area,
    a / area,
    (c * d - a * f) / area,
  ];
}

/** The pixels of a raster and of each level of its pyramid, which covers the same ground. */
export class Grid {
  /**
   * @param {number} rows
   * @param {number} cols
   * @param {Affine} transform from the pixels of level 0 to the CRS
   */
  constructor(rows, cols, transform) {
    this.rows = rows;
    this.cols = cols;
    this.transform = transform;
    const longest = Math.max(rows, cols);
    /** The coarsest level that is of use: all within 256 pixels. */
    this.topLevel = Math.max(0, Math.ceil(Math.log2(longest / 256)));
    /** The coarsest level that a click can be asked to work at. */
    this.coarsest = Math.max(0, Math.ceil(Math.log2(longest / SMALLEST_SIDE)));
  }

  /** @param {number} level */
  shape(level) {
    const factor = 2 ** level;
    return {
      rows: Math.ceil(this.rows / factor),
      cols: Math.ceil(this.cols / factor),
    };
  }

  /**
   * From the pixels of level 0 to those of a frame.
   * @param {Frame} frame
   * @returns {Affine}
   */
  toFrame({ level, window }) {
    const { rows, cols } = this.shape(level);
    return [cols / this.cols, 0, -window.col, 0, rows / this.rows, -window.row];
  }

  /**
   * From the pixels of a frame to the CRS.
   * @param {Frame} frame
   */
  fromFrame(frame) {
    return joined(this.transform, inverse(this.toFrame(frame)));
  }

  /**
   * Whether the raster goes on at the top, right, bottom and left of a frame.
   * @param {Frame} frame
   */
  openSides({ level, window }) {
    const { rows, cols } = this.shape(level);
    const { row, col, height, width } = window;
    return [row > 0, col + width < cols, row + height < rows, col > 0];
  }

  /**
   * The finest frame, no finer than a level, that holds all prompts well.
   * @param {Prompts} prompts in the pixels of level 0
   * @param {number} lowest
   */
  place(prompts, lowest) {
    const box = this.around(prompts);
    const reach = Math.max(box[2] - box[0], box[3] - box[1]);
    const share = prompts.box ? OUTLINE_SHARE : POINTS_SHARE;
    let level = lowest;
    while (level < this.topLevel && reach / 2 ** level > share * CHIP) {
      const frame = prompts.box ? null : this.oblong(level, box, share);
      if (frame) return frame;
      level++;
    }
    return this.frame(level, box);
  }

  /**
   * A frame of a level that is no square, but has hardly more pixels than one; null where there
   * is none.
   * @param {number} level
   * @param {Box} box in the pixels of level 0, on the raster
   * @param {number} share of the frame's sides that it takes up at most, but where they are the
   *   raster's
   * @returns {Frame | null}
   */
  oblong(level, box, share) {
    const { rows, cols } = this.shape(level);
    const most = [rows, cols];
    const low = [(box[1] * rows) / this.rows, (box[0] * cols) / this.cols];
    const high = [(box[3] * rows) / this.rows, (box[2] * cols) / this.cols];
    let sides = most.map((length, axis) => {
      const needed = Math.max((high[axis] - low[axis]) / share, CHIP / 2);
      return Math.min(
        OBLONG_STEP * Math.ceil(rounded(needed / OBLONG_STEP)),
        length,
      );
    });
    if (area(sides) > OBLONG_AREA) return null;
    for (;;) {
      const grown = longer(sides, most);
      if (!grown) break;
      sides = grown;
    }
    const [row, col] = sides.map((side, axis) => {
      const middle = (low[axis] + high[axis]) / 2;
      const begin = (middle - side / 2) / OBLONG_STEP + 0.5;
      const step = Math.floor(rounded(begin));
      return clamped(OBLONG_STEP * step, 0, most[axis] - side);
    });
    return { level, window: { row, col, height: sides[0], width: sides[1] } };
  }

  /**
   * What the prompts reach over, on the raster.
   * @param {Prompts} prompts
   * @returns {Box}
   */
  around({ points, box }) {
    const xs = points.map(({ x }) => x).concat(box ? [box[0], box[2]] : []);
    const ys = points.map(({ y }) => y).concat(box ? [box[1], box[3]] : []);
    const [onX, onY] = [
      xs.map((x) => clamped(x, 0, this.cols)),
      ys.map((y) => clamped(y, 0, this.rows)),
    ];
    return [
      Math.min(...onX),
      Math.min(...onY),
      Math.max(...onX),
      Math.max(...onY),
    ];
  }

  /**
   * The frame of a level that lies nearest around a box in pixels of level 0.
   * @param {number} level
   * @param {Box} box
   * @returns {Frame}
   */
  frame(level, box) {
    const { rows, cols } = this.shape(level);
    const [sx, sy] = [cols / this.cols, rows / this.rows];
    // The raster's far border may come to lie beyond the level's by rounding.
    const [x0, y0, x1, y1] = [
      Math.min(box[0] * sx, cols),
      Math.min(box[1] * sy, rows),
      Math.min(box[2] * sx, cols),
      Math.min(box[3] * sy, rows),
    ];
    const [row, col] = [
      chipStart((y0 + y1) / 2, rows),
      chipStart((x0 + x1) / 2, cols),
    ];
    const height = Math.min(CHIP, rows - row);
    const width = Math.min(CHIP, cols - col);
    if (x0 >= col && x1 <= col + width && y0 >= row && y1 <= row + height) {
      return { level, window: { row, col, height, width } };
    }
    const [top, left] = [
      Math.max(0, Math.floor(y0)),
      Math.max(0, Math.floor(x0)),
    ];
    const own = {
      row: top,
      col: left,
      height: Math.min(Math.ceil(y1), rows) - top,
      width: Math.min(Math.ceil(x1), cols) - left,
    };
    return { level, window: own };
  }

  /**
   * Whether a frame holds all prompts with a margin where the raster goes on.
   * @param {Frame} frame
   * @param {Prompts} prompts
   */
  holds(frame, prompts) {
    const moved = promptsIn(prompts, this.toFrame(frame));
    const [top, right, bottom, left] = this.openSides(frame);
    const { height, width } = frame.window;
    const corners = moved.points.map(({ x, y }) => [x, y]);
    if (moved.box) {
      corners.push([moved.box[0], moved.box[1]], [moved.box[2], moved.box[3]]);
    }
    return corners.every(
      ([x, y]) =>
        (!left || x >= MARGIN) &&
        (!right || x <= width - MARGIN) &&
        (!top || y >= MARGIN) &&
        (!bottom || y <= height - MARGIN),
    );
  }
}

/**
 * The sides of a frame one step longer, the shorter one if it can be; else null.
 * @param {number[]} sides
 * @param {number[]} most
 */
function longer(sides, most) {
  const shorter = sides[0] <= sides[1] ? [0, 1] : [1, 0];
  for (const axis of shorter) {
    const grown = [...sides];
    grown[axis] = Math.min(sides[axis] + OBLONG_STEP, most[axis]);
    if (grown[axis] > sides[axis] && area(grown) <= OBLONG_AREA) {
      return grown;
    }
  }
  return null;
}

/**
 * The pixels of a frame as they count.
 * @param {number[]} sides
 */
function area(sides) {
  return sides.reduce((all, side) => all * Math.max(side, OBLONG_LEAST), 1);
}

/** @param {number} steps */
function rounded(steps) {
  return Math.round(steps * DIGITS) / DIGITS;
}

/**
 * Where the chip of a lattice with half overlap begins that lies nearest to a place.
 * @param {number} middle
 * @param {number} length of the level
 */
function chipStart(middle, length) {
  const step = CHIP / 2;
  const starts =
    length > CHIP ? Math.max(1, Math.ceil((length - CHIP) / step) + 1) : 1;
  const nearest = Math.floor((middle - CHIP / 2) / step + 0.5);
  const index = Math.max(0, Math.min(starts - 1, nearest));
  return Math.max(0, Math.min(index * step, length - CHIP));
}

/**
 * Prompts moved by a transform without rotation.
 * @param {Prompts} prompts
 * @param {Affine} transform
 * @returns {Prompts}
 */
export function promptsIn({ points, box }, transform) {
  /** @type {Box | null} */
  const moved = box && [
    ...applied(transform, box[0], box[1]),
    ...applied(transform, box[2], box[3]),
  ];
  return {
    points: points.map(({ x, y, positive }) => {
      const [there, down] = applied(transform, x, y);
      return { x: there, y: down, positive };
    }),
    box: moved,
  };
}

/**
 * Prompts clipped to a chip: what sticks out can not be said to the network.
 * @param {Prompts} prompts
 * @param {number} rows
 * @param {number} cols
 * @returns {Prompts}
 */
export function inside({ points, box }, rows, cols) {
  // The far edge itself is no pixel's.
  const [lastX, lastY] = [
    cols * (1 - Number.EPSILON / 2),
    rows * (1 - Number.EPSILON / 2),
  ];
  return {
    points: points.map(({ x, y, positive }) => ({
      x: clamped(x, 0, lastX),
      y: clamped(y, 0, lastY),
      positive,
    })),
    box: box && [
      clamped(box[0], 0, cols),
      clamped(box[1], 0, rows),
      clamped(box[2], 0, cols),
      clamped(box[3], 0, rows),
    ],
  };
}
