/** Prompts of one object: drawn into pixels, moved between frames, and as the graphs take them. */

/** @import {Bits, Box, Plane, Prompts, Window} from "../types.js" */
import { any, bits, clamped, plane, rounded } from "../planes.js";

/** Clicks, the latest of them, that the decoder is shown. */
const MOST_POINTS = 96;

/**
 * What is certainly the object and what certainly is not; no invalid pixel is in any of them.
 * @typedef {{positive: Bits, negative: Bits, box: Bits | null, outline: Bits | null,
 *   previous: Plane | null}} Seeds `previous` are the logits of the last mask
 */

/**
 * @param {Prompts} prompts
 * @param {Bits} valid
 * @param {Plane | null} previous
 * @returns {Seeds}
 */
export function drawSeeds(prompts, valid, previous) {
  const { rows, cols } = valid;
  const [positive, negative] = [bits(rows, cols), bits(rows, cols)];
  for (const point of prompts.points) {
    const at =
      Math.min(Math.trunc(point.y), rows - 1) * cols +
      Math.min(Math.trunc(point.x), cols - 1);
    // Of several clicks on a pixel the last is meant.
    positive.data[at] = point.positive ? valid.data[at] : 0;
    negative.data[at] = point.positive ? 0 : valid.data[at];
  }
  const box = prompts.box && boxed(prompts.box, valid);
  let outline = null;
  if (previous && !box && !any(positive)) {
    outline = bits(rows, cols);
    for (let i = 0; i < valid.data.length; i++) {
      outline.data[i] = previous.data[i] > 0 && valid.data[i] ? 1 : 0;
    }
  }
  return { positive, negative, box, outline, previous };
}

/**
 * Whether nothing says where the object is.
 * @param {Seeds} seeds
 */
export function saysNothing(seeds) {
  const { positive, outline, box } = seeds;
  return !(any(positive) || (outline && any(outline)) || (box && any(box)));
}

/**
 * The valid pixels whose centre lies in a box, of one row and column at least.
 * @param {Box} box
 * @param {Bits} valid
 */
function boxed([x0, y0, x1, y1], valid) {
  const found = bits(valid.rows, valid.cols);
  const [top, bottom] = span(y0, y1, valid.rows);
  const [left, right] = span(x0, x1, valid.cols);
  for (let y = top; y < bottom; y++) {
    for (let x = left; x < right; x++) {
      found.data[y * valid.cols + x] = valid.data[y * valid.cols + x];
    }
  }
  return found;
}

/**
 * @param {number} low
 * @param {number} high
 * @param {number} size
 */
function span(low, high, size) {
  const first = clamped(rounded(low), 0, size - 1);
  return [first, Math.max(Math.min(rounded(high), size), first + 1)];
}

/**
 * The prompts in the frame of a window.
 * @param {Prompts} prompts
 * @param {Window} window
 * @param {number} [times] pixels there for each one here
 * @returns {Prompts}
 */
export function moved(prompts, window, times = 1) {
  const { col, row } = window;
  const { box } = prompts;
  return {
    points: prompts.points.map(({ x, y, positive }) => ({
      x: (x - col) * times,
      y: (y - row) * times,
      positive,
    })),
    box: box && [
      (box[0] - col) * times,
      (box[1] - row) * times,
      (box[2] - col) * times,
      (box[3] - row) * times,
    ],
  };
}

/**
 * The least and greatest position of all that was said.
 * @param {Prompts} prompts
 */
export function extent(prompts) {
  const xs = prompts.points.map((point) => point.x);
  const ys = prompts.points.map((point) => point.y);
  if (prompts.box) {
    xs.push(prompts.box[0], prompts.box[2]);
    ys.push(prompts.box[1], prompts.box[3]);
  }
  return {
    x0: Math.min(...xs),
    y0: Math.min(...ys),
    x1: Math.max(...xs),
    y1: Math.max(...ys),
  };
}

/**
 * Whether all that was said is one click on the object.
 * @param {Prompts} prompts
 */
export function isVague(prompts) {
  return (
    prompts.points.length === 1 && prompts.points[0].positive && !prompts.box
  );
}

/**
 * The decoder's inputs by name, with their shapes.
 * @param {Prompts} prompts
 * @param {Seeds} seeds
 * @param {number} height of the padded piece
 * @param {number} width
 * @returns {Record<string, {data: Float32Array, dims: number[]}>}
 */
export function decoderInputs(prompts, seeds, height, width) {
  const { rows, cols } = seeds.positive;
  const shown = prompts.points
    .filter((point) => liesOnData(point, seeds))
    .slice(-MOST_POINTS)
    .map(({ x, y, positive }) => ({
      x: clamped(x, 0.5, cols - 0.5),
      y: clamped(y, 0.5, rows - 0.5),
      sign: positive ? 1 : -1,
    }));
  if (!shown.length) shown.push({ x: 0, y: 0, sign: 0 });
  const box = new Float32Array(4);
  prompts.box?.forEach(
    (side, k) => (box[k] = clamped(side, 0, k % 2 ? rows : cols)),
  );
  const previous = lastProbability(seeds, height, width);
  return {
    points: {
      data: Float32Array.from(shown.flatMap(({ x, y }) => [x, y])),
      dims: [1, shown.length, 2],
    },
    signs: {
      data: Float32Array.from(shown.map(({ sign }) => sign)),
      dims: [1, shown.length],
    },
    box: { data: box, dims: [1, 4] },
    previous: {
      data: previous ?? new Float32Array((height * width) / 4),
      dims: [1, 1, height / 2, width / 2],
    },
    has_previous: { data: Float32Array.of(previous ? 1 : 0), dims: [1] },
  };
}

/**
 * @param {{x: number, y: number}} point
 * @param {Seeds} seeds
 */
function liesOnData({ x, y }, { positive, negative }) {
  const { rows, cols } = positive;
  if (!(x >= 0 && x <= cols && y >= 0 && y <= rows)) return false;
  const at =
    Math.min(Math.trunc(y), rows - 1) * cols +
    Math.min(Math.trunc(x), cols - 1);
  return Boolean(positive.data[at] || negative.data[at]);
}

/**
 * The probability of the last mask at half resolution, beyond the piece 0; null if there is none.
 * @param {Seeds} seeds
 * @param {number} height
 * @param {number} width
 */
function lastProbability({ previous }, height, width) {
  if (!previous) return null;
  const { rows, cols } = previous;
  const whole = plane(height, width);
  for (let y = 0; y < rows; y++) {
    for (let x = 0; x < cols; x++) {
      const logit = clamped(previous.data[y * cols + x], -30, 30);
      whole.data[y * width + x] = 1 / (1 + Math.exp(-logit));
    }
  }
  const half = new Float32Array((height * width) / 4);
  for (let y = 0; y < height; y += 2) {
    for (let x = 0; x < width; x += 2) {
      const at = y * width + x;
      const sum =
        whole.data[at] +
        whole.data[at + 1] +
        whole.data[at + width] +
        whole.data[at + width + 1];
      half[(y * width) / 4 + x / 2] = sum / 4;
    }
  }
  return half;
}
