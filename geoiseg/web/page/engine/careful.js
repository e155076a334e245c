/** Several clicks are answered with care: by a second look, from the third on from three sides. */

/** @import {Bits, Plane, Prompts, Rgb} from "../types.js" */
import { clamped, plane } from "../planes.js";

/** Clicks from which on there is a second look. */
export const AGAIN = 2;
/** Clicks from which on it is at the chip turned by half and from a third further away. */
export const TURNED = 3;
/** Clicks on the object, the latest, of which it is asked what each alone may mean. */
export const MEANT = 3;
/** Logits beyond which no answer has more to say in the mean. */
const SURE = 8;
/** Pixels by which a turned click that lay where a pixel begins lies before where its own ends. */
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
  /** @param {number} there */
  const moved = (there) =>
    Math.max(there - (there === Math.floor(there) ? LEAST : 0), 0);
  return {
    points: prompts.points.map(({ x, y, positive }) => ({
      x: moved(cols - x),
      y: moved(rows - y),
      positive,
    })),
    box: null,
  };
}

/**
 * Whether a mask holds all clicks on the object, and none beside it.
 * @param {Prompts["points"]} points
 * @param {Plane} logits
 */
export function agree(points, logits) {
  return points.every((one) => at(logits, one) > 0 === one.positive);
}

/**
 * The value of a pixel under a point.
 * @param {Plane | Bits} values
 * @param {{x: number, y: number}} point
 */
export function at({ rows, cols, data }, { x, y }) {
  const row = Math.floor(clamped(y, 0, rows - 1));
  const col = Math.floor(clamped(x, 0, cols - 1));
  return data[row * cols + col];
}

/**
 * The mean of some answers.
 * @param {Plane[]} answers all of the same size
 * @returns {Plane}
 */
export function meanOf(answers) {
  const mean = plane(answers[0].rows, answers[0].cols);
  mean.data.forEach((_, at) => {
    const all = answers.map(({ data }) => clamped(data[at], -SURE, SURE));
    mean.data[at] = all.reduce((sum, one) => sum + one, 0) / all.length;
  });
  return mean;
}
