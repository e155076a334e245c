/** A chip seen from a third further away: of each four pixels, across and down, three are left. */

/** @import {Bits, Plane, Prompts, Rgb} from "../types.js" */
import { bits, cut, plane } from "../planes.js";
import { resized } from "./vision.js";

/** Pixels of the chip, across or down, and of the view, that show the same. */
const [FOUR, THREE] = [4, 3];
/** Pixels of the chip, across and down, for each of the view. */
const TIMES = FOUR / THREE;
/** The first of two of each four pixels that each of three is made of, and quarters of both. */
const SHARES = [
  [0, 3, 1],
  [1, 2, 2],
  [2, 1, 3],
];

/** @param {number} side pixels of the chip */
function reduced(side) {
  return Math.ceil((THREE * side) / FOUR);
}

/**
 * For each row or column of the view, the two of the chip that it is made of, and quarters of both.
 * @param {number} side pixels of the chip
 */
function shares(side) {
  return Array.from({ length: reduced(side) }, (_, place) => {
    const [first, one, other] = SHARES[place % THREE];
    const start = FOUR * Math.floor(place / THREE) + first;
    return [
      [start, one],
      [start + 1, other],
    ];
  });
}

/**
 * A chip as it is seen from a third further away, and where there is data.
 * @param {Rgb} image zero where there is no data
 * @param {Bits} valid
 * @returns {{image: Rgb, valid: Bits}}
 */
export function reducedChip(image, valid) {
  const [down, across] = [shares(valid.rows), shares(valid.cols)];
  const [rows, cols] = [down.length, across.length];
  const data = new Uint8Array(3 * rows * cols);
  const seen = bits(rows, cols);
  for (let v = 0; v < rows; v++) {
    for (let u = 0; u < cols; u++) {
      const sums = [0, 0, 0];
      let count = 0;
      for (const [y, high] of down[v]) {
        if (y >= valid.rows) continue;
        for (const [x, wide] of across[u]) {
          if (x >= valid.cols) continue;
          const from = y * valid.cols + x;
          count += high * wide * valid.data[from];
          for (let c = 0; c < 3; c++) {
            sums[c] += high * wide * image.data[3 * from + c];
          }
        }
      }
      if (!count) continue;
      const at = v * cols + u;
      seen.data[at] = 1;
      for (let c = 0; c < 3; c++) {
        data[3 * at + c] = Math.floor((2 * sums[c] + count) / (2 * count));
      }
    }
  }
  return { image: { rows, cols, data }, valid: seen };
}

/**
 * Clicks on the chip in the pixel frame of the view.
 * @param {Prompts} prompts
 * @returns {Prompts}
 */
export function seenBetween({ points, box }) {
  const moved = points.map(({ x, y, positive }) => ({
    x: x / TIMES,
    y: y / TIMES,
    positive,
  }));
  return { points: moved, box };
}

/**
 * Logits of the chip as those of the view.
 * @param {Plane} logits
 * @returns {Plane}
 */
export function reducedLogits({ rows, cols, data }) {
  const [down, across] = [shares(rows), shares(cols)];
  const found = plane(down.length, across.length);
  for (let v = 0; v < found.rows; v++) {
    for (let u = 0; u < found.cols; u++) {
      let sum = 0;
      for (const [y, high] of down[v]) {
        const from = Math.min(y, rows - 1) * cols;
        for (const [x, wide] of across[u]) {
          sum += high * wide * data[from + Math.min(x, cols - 1)];
        }
      }
      found.data[v * found.cols + u] = sum / FOUR ** 2;
    }
  }
  return found;
}

/**
 * Logits of the view as those of the chip.
 * @param {Plane} logits
 * @param {number} rows
 * @param {number} cols
 * @returns {Plane}
 */
export function enlargedBetween(logits, rows, cols) {
  const [down, across] = [Math.ceil(rows / FOUR), Math.ceil(cols / FOUR)];
  const even = plane(THREE * down, THREE * across);
  for (let y = 0; y < even.rows; y++) {
    for (let x = 0; x < even.cols; x++) {
      const from = Math.min(y, logits.rows - 1) * logits.cols;
      even.data[y * even.cols + x] =
        logits.data[from + Math.min(x, logits.cols - 1)];
    }
  }
  const whole = resized(even, FOUR * down, FOUR * across, "linear");
  return cut(whole, { row: 0, col: 0, height: rows, width: cols });
}
