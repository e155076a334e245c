/** Several clicks are answered with care: refined once more, then seen from the other side, too. */

/** @import {Bits, Plane, Prompts, Rgb} from "../types.js" */
import { clamped, plane } from "../planes.js";

/** Clicks from which on an answer is refined once more. */
export const REFINED = 2;
/** Clicks from which on an answer is the mean of both ways to look. */
export const TURNED = 3;
/** Logits beyond which neither answer has more to say in the mean. */
const SURE = 8;
/** Pixels that a turned prompt keeps from the far borders, which are beyond the chip. */
const LEAST = 1e-3;

/**
 * Values turned by half.
 * @template {Bits | Plane | Rgb} T
 * @param {T} values
 * @param {number} depth values of a pixel
 * @returns {T}
 */
export function turned(values, depth = 1) {
  const data = values.data.slice().reverse();
  for (let at = 0; depth > 1 && at < data.length; at += depth) {
    data.subarray(at, at + depth).reverse();
  }
  return { ...values, data };
}

/**
 * Clicks as they lie on a chip that is turned by half.
 * @param {Prompts} prompts without a box
 * @param {{rows: number, cols: number}} chip
 * @returns {Prompts}
 */
export function turnedPrompts(prompts, { rows, cols }) {
  return {
    points: prompts.points.map(({ x, y, positive }) => ({
      x: Math.min(cols - x, cols - LEAST),
      y: Math.min(rows - y, rows - LEAST),
      positive,
    })),
    box: null,
  };
}

/**
 * The mean of an answer and of one on the chip turned by half.
 * @param {Plane} logits
 * @param {Plane} other
 * @returns {Plane}
 */
export function meanOf(logits, other) {
  const mean = plane(logits.rows, logits.cols);
  const last = mean.data.length - 1;
  for (let at = 0; at <= last; at++) {
    const one = clamped(logits.data[at], -SURE, SURE);
    mean.data[at] = (one + clamped(other.data[last - at], -SURE, SURE)) / 2;
  }
  return mean;
}
