/** Arrays of rows and columns, and what is done to them without any library. */

/** @import {Bits, Plane, Window} from "./types.js" */

/**
 * The integer nearest to a number, halves to the even one, as Python rounds.
 * @param {number} value
 */
export function rounded(value) {
  const low = Math.floor(value);
  const rest = value - low;
  if (rest !== 0.5) return Math.round(value);
  return low % 2 === 0 ? low : low + 1;
}

/**
 * @param {number} value
 * @param {number} low
 * @param {number} high
 */
export function clamped(value, low, high) {
  return Math.min(Math.max(value, low), high);
}

/**
 * @param {number} rows
 * @param {number} cols
 * @returns {Bits}
 */
export function bits(rows, cols) {
  return { rows, cols, data: new Uint8Array(rows * cols) };
}

/**
 * @param {number} rows
 * @param {number} cols
 * @param {number} [value]
 * @returns {Plane}
 */
export function plane(rows, cols, value = 0) {
  const data = new Float32Array(rows * cols);
  if (value) data.fill(value);
  return { rows, cols, data };
}

/**
 * The pixels above 0.
 * @param {Plane} values
 */
export function above(values) {
  const found = bits(values.rows, values.cols);
  for (let i = 0; i < found.data.length; i++)
    found.data[i] = values.data[i] > 0 ? 1 : 0;
  return found;
}

/**
 * How many are true.
 * @param {Bits} mask
 */
export function count(mask) {
  let sum = 0;
  for (const value of mask.data) sum += value;
  return sum;
}

/** @param {Bits} mask */
export function any(mask) {
  return mask.data.includes(1);
}

/**
 * Whether any value is above 0.
 * @param {Plane} values
 */
export function anyAbove({ data }) {
  for (let i = 0; i < data.length; i++) if (data[i] > 0) return true;
  return false;
}

/**
 * A window of an array with `depth` values a pixel, as a copy.
 * @template {Uint8Array | Float32Array} T
 * @param {{rows: number, cols: number, data: T}} values
 * @param {Window} window lies inside
 * @param {number} [depth]
 * @returns {{rows: number, cols: number, data: T}}
 */
export function cut(values, window, depth = 1) {
  const { row, col, height, width } = window;
  const Kind = /** @type {any} */ (values.data.constructor);
  const data = new Kind(height * width * depth);
  for (let y = 0; y < height; y++) {
    const from = ((row + y) * values.cols + col) * depth;
    data.set(
      values.data.subarray(from, from + width * depth),
      y * width * depth,
    );
  }
  return { rows: height, cols: width, data };
}

/**
 * Write a window of an array, in place.
 * @param {Plane} target
 * @param {Window} window
 * @param {Plane} piece
 */
export function paste(target, window, piece) {
  for (let y = 0; y < window.height; y++) {
    const from = piece.data.subarray(
      y * piece.cols,
      y * piece.cols + window.width,
    );
    target.data.set(from, (window.row + y) * target.cols + window.col);
  }
}

/**
 * The IoU of two masks; 1 where both are empty.
 * @param {Bits} one
 * @param {Bits} other
 */
export function iou(one, other) {
  let both = 0;
  let either = 0;
  for (let i = 0; i < one.data.length; i++) {
    both += one.data[i] & other.data[i];
    either += one.data[i] | other.data[i];
  }
  return either ? both / either : 1;
}

/**
 * Rows and columns where a mask begins and ends; null where it is empty.
 * @param {Bits} mask
 * @returns {{top: number, bottom: number, left: number, right: number} | null}
 */
export function bounds(mask) {
  let top = -1;
  let bottom = 0;
  let left = mask.cols;
  let right = 0;
  for (let y = 0; y < mask.rows; y++) {
    const row = mask.data.subarray(y * mask.cols, (y + 1) * mask.cols);
    const first = row.indexOf(1);
    if (first < 0) continue;
    if (top < 0) top = y;
    bottom = y + 1;
    left = Math.min(left, first);
    right = Math.max(right, row.lastIndexOf(1) + 1);
  }
  return top < 0 ? null : { top, bottom, left, right };
}

/**
 * The connected parts of a mask.
 * @param {Bits} mask
 * @param {4 | 8} neighbours
 * @returns {{labels: Int32Array, areas: number[]}} 0 is what is not in the mask; parts are
 *   counted from 1 in the order of their first pixels
 */
export function parts(mask, neighbours) {
  const found = runs(mask);
  const { from, to } = found;
  const root = joined(found, mask.rows, neighbours === 8 ? 1 : 0);
  const labels = new Int32Array(mask.data.length);
  const areas = [mask.data.length];
  const numbers = new Int32Array(from.length);
  for (let run = 0; run < from.length; run++) {
    // A part's root is the first of its runs, and so has its number by now.
    const number = root[run] === run ? areas.push(0) - 1 : numbers[root[run]];
    numbers[run] = number;
    const length = to[run] - from[run];
    labels.fill(number, from[run], to[run]);
    areas[number] += length;
    areas[0] -= length;
  }
  return { labels, areas };
}

/**
 * The runs of a mask, row by row: where each begins and ends, and the first of each row.
 * @typedef {{from: number[], to: number[], first: Int32Array, cols: number}} Runs
 */
/** @param {Bits} mask @returns {Runs} */
function runs({ rows, cols, data }) {
  const first = new Int32Array(rows + 1);
  /** @type {number[]} */
  const from = [];
  /** @type {number[]} */
  const to = [];
  for (let y = 0; y < rows; y++) {
    const end = (y + 1) * cols;
    for (let at = y * cols; at < end; at++) {
      if (!data[at]) continue;
      from.push(at);
      while (at < end && data[at]) at++;
      to.push(at);
    }
    first[y + 1] = from.length;
  }
  return { from, to, first, cols };
}

/**
 * The first run of each run's part.
 * @param {Runs} runs
 * @param {number} rows
 * @param {number} reach by how many pixels runs of two rows may miss each other and yet touch
 */
function joined({ from, to, first, cols }, rows, reach) {
  const root = new Int32Array(from.length);
  for (let run = 0; run < root.length; run++) root[run] = run;
  /** @param {number} run */
  const rootOf = (run) => {
    while (root[run] !== run) run = root[run] = root[root[run]];
    return run;
  };
  for (let y = 1; y < rows; y++) {
    let above = first[y - 1];
    let run = first[y];
    while (above < first[y] && run < first[y + 1]) {
      const begins = from[above] + cols < to[run] + reach;
      if (begins && from[run] < to[above] + cols + reach) {
        const [one, other] = [rootOf(above), rootOf(run)];
        root[Math.max(one, other)] = Math.min(one, other);
      }
      if (to[above] + cols < to[run]) above++;
      else run++;
    }
  }
  for (let run = 0; run < root.length; run++) root[run] = root[root[run]];
  return root;
}

const SCRATCH = new Float32Array(1);
const SCRATCH_BITS = new Uint32Array(SCRATCH.buffer);

/**
 * Round single precision to what half precision holds, in place; halves to even.
 *
 * Embeddings and the logits of the last step are kept in half precision by geoiseg, so that a
 * click says the same before and after they were stored.
 * @param {Float32Array} values
 */
export function halved(values) {
  const word = new Uint32Array(values.buffer, values.byteOffset, values.length);
  for (let i = 0; i < word.length; i++) {
    const sign = word[i] & 0x80000000;
    const rest = word[i] & 0x7fffffff;
    if (rest >= 0x38800000) {
      // Normal numbers in half precision keep 10 of 23 bits.
      word[i] = sign | ((rest + 0xfff + ((rest >>> 13) & 1)) & 0xffffe000);
    } else {
      SCRATCH_BITS[0] = rest;
      SCRATCH[0] = rounded(SCRATCH[0] * 16777216) / 16777216;
      word[i] = (sign | SCRATCH_BITS[0]) >>> 0;
    }
  }
  return values;
}
