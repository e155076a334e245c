/** Pieces of a chip, each decoded on as small a window as will do. */

/** @import {Bits, Prompts, Window} from "../types.js" */
import { bounds, rounded } from "../planes.js";
import { extent } from "./prompts.js";

/** Pieces begin and end on cells of the coarsest features. */
export const STRIDE = 32;
/** Side of the first piece: about what training showed the network. */
export const SMALLEST = 256;
/** Least side of the first piece for an object whose size is known. */
export const LEAST = 192;
const STEP = 64;
const ROOM = 24;
const OUTLINE_SHARE = 0.5;
const OPEN_SHARE = 0.02;

/** @param {number} side */
export function padded(side) {
  return Math.ceil(side / STRIDE) * STRIDE;
}

/**
 * Start and length of the cells of one axis nearest around a place.
 * @param {number} middle
 * @param {number} side
 * @param {number} length
 */
export function span(middle, side, length) {
  const last = Math.max(0, padded(length - side));
  const start = Math.min(
    Math.max(0, rounded((middle - side / 2) / STRIDE) * STRIDE),
    last,
  );
  return { start, length: Math.min(side, length - start) };
}

/**
 * Windows around the prompts, each larger than the last, and then all.
 * @param {Prompts} prompts
 * @param {number} rows of the chip
 * @param {number} cols
 * @param {Bits | null} known about where the object is: the first window shows all of it
 * @param {number} least sides of the first window then
 * @returns {Generator<Window>}
 */
export function* pieces(prompts, rows, cols, known, least) {
  let { x0, y0, x1, y1 } = extent(prompts);
  const where = known && bounds(known);
  let width = SMALLEST;
  if (where) {
    [x0, y0] = [Math.min(x0, where.left), Math.min(y0, where.top)];
    [x1, y1] = [Math.max(x1, where.right), Math.max(y1, where.bottom)];
    width = Math.max(Math.ceil((x1 - x0 + 2 * ROOM) / STEP) * STEP, least);
  } else {
    while (width < Math.max(x1 - x0, y1 - y0) / OUTLINE_SHARE) width *= 2;
  }
  let height = where
    ? Math.max(Math.ceil((y1 - y0 + 2 * ROOM) / STEP) * STEP, least)
    : width;
  while (width < cols || height < rows) {
    const down = span((y0 + y1) / 2, height, rows);
    const across = span((x0 + x1) / 2, width, cols);
    yield {
      row: down.start,
      col: across.start,
      height: down.length,
      width: across.length,
    };
    [width, height] = [2 * width, 2 * height];
  }
  yield { row: 0, col: 0, height: rows, width: cols };
}

/**
 * Whether a mask touches a border of its window beyond which the chip goes on.
 * @param {Bits} mask
 * @param {Window} window
 * @param {number} rows of the chip
 * @param {number} cols
 */
export function goesOn(mask, window, rows, cols) {
  const { row, col, height, width } = window;
  const { data } = mask;
  let [total, open] = [0, 0];
  /** @param {boolean} inner @param {number} length @param {(k: number) => number} at */
  const side = (inner, length, at) => {
    if (!inner) return;
    total += length;
    for (let k = 0; k < length; k++) open += data[at(k)];
  };
  side(row > 0, width, (k) => k);
  side(row + height < rows, width, (k) => (height - 1) * width + k);
  side(col > 0, height, (k) => k * width);
  side(col + width < cols, height, (k) => k * width + width - 1);
  return total > 0 && open > OPEN_SHARE * total;
}
