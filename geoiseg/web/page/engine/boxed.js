/** A second opinion on what a box means: its object looks unlike what lies around the box. */

/** @import {Bits, Box, Plane} from "../types.js" */
/** @import {Tensor} from "./graphs.js" */
import {
  above,
  bits,
  clamped,
  count,
  parts,
  plane,
  rounded,
} from "../planes.js";
import { blurred, resized } from "./vision.js";

const BINS = 8;
const RING = 0.12;
const NARROWEST = 3;
const FEWEST = 16;
const UNLIKE = 0.35;
/** Contrast of a mask from which on nothing else is tried, and by which another is better. */
export const ENOUGH = 0.3;
export const CLEAR = 0.15;

export class Surroundings {
  /**
   * @param {Bits} inside `(y / 2, x / 2)` valid pixels within the box
   * @param {Plane} likeness `(y / 2, x / 2)` share of the ring in each pixel's colour
   */
  constructor(inside, likeness) {
    this.inside = inside;
    this.likeness = likeness;
  }

  /**
   * How much more the ring is like the rest of the box than like the mask.
   * @param {Plane} logits
   */
  contrast(logits) {
    const { rows, cols } = this.inside;
    const small = resized(logits, rows, cols, "area");
    let [mine, mineSum, rest, restSum] = [0, 0, 0, 0];
    for (let i = 0; i < small.data.length; i++) {
      if (!this.inside.data[i]) continue;
      if (small.data[i] > 0) {
        mine++;
        mineSum += this.likeness.data[i];
      } else {
        rest++;
        restSum += this.likeness.data[i];
      }
    }
    if (mine < FEWEST) return -1;
    return (rest >= FEWEST ? restSum / rest : 0.5) - mineSum / mine;
  }

  /**
   * The largest part of the box that is unlike the ring, as logits of a window.
   * @param {number} rows
   * @param {number} cols
   * @returns {Plane | null}
   */
  oddPart(rows, cols) {
    const odd = bits(this.inside.rows, this.inside.cols);
    for (let i = 0; i < odd.data.length; i++) {
      odd.data[i] =
        this.likeness.data[i] < UNLIKE && this.inside.data[i] ? 1 : 0;
    }
    const dense = blurred({
      rows: odd.rows,
      cols: odd.cols,
      data: Float32Array.from(odd.data),
    });
    for (let i = 0; i < odd.data.length; i++)
      odd.data[i] &= dense.data[i] > 0.6 ? 1 : 0;
    const { labels, areas } = parts(odd, 8);
    let largest = 0;
    for (let k = 1; k < areas.length; k++)
      if (!largest || areas[k] > areas[largest]) largest = k;
    if (!largest || areas[largest] < FEWEST) return null;
    const wanted = plane(rows, cols);
    for (let y = 0; y < rows; y++) {
      for (let x = 0; x < cols; x++) {
        const label = labels[(y >> 1) * odd.cols + (x >> 1)];
        wanted.data[y * cols + x] = label === largest ? 1 : -1;
      }
    }
    return wanted;
  }
}

/**
 * What a box says by what lies around it; null where it fills the piece.
 * @param {Tensor} colour `(1, 3, >= y / 2, >= x / 2)` with contrast evened out
 * @param {Box} box
 * @param {Bits} valid
 */
export function surroundings(colour, box, valid) {
  const [rows, cols] = [Math.ceil(valid.rows / 2), Math.ceil(valid.cols / 2)];
  const [x0, y0, x1, y1] = box.map((side) => rounded(side / 2));
  const width = Math.max(NARROWEST, rounded(RING * Math.max(x1 - x0, y1 - y0)));
  const [inside, ring] = [bits(rows, cols), bits(rows, cols)];
  for (let y = 0; y < rows; y++) {
    for (let x = 0; x < cols; x++) {
      if (!valid.data[2 * y * valid.cols + 2 * x]) continue;
      const at = y * cols + x;
      if (y >= Math.max(0, y0) && y < y1 && x >= Math.max(0, x0) && x < x1)
        inside.data[at] = 1;
      else if (
        y >= y0 - width &&
        y < y1 + width &&
        x >= x0 - width &&
        x < x1 + width
      ) {
        ring.data[at] = 1;
      }
    }
  }
  if (Math.min(count(ring), count(inside)) < FEWEST) return null;
  const codes = coded(colour, ring, inside);
  const [outer, inner] = [histogram(codes, ring), histogram(codes, inside)];
  const likeness = plane(rows, cols);
  for (let i = 0; i < codes.length; i++) {
    const k = codes[i];
    likeness.data[i] = outer[k] / (outer[k] + inner[k] + 1e-6);
  }
  return new Surroundings(inside, likeness);
}

/**
 * The bin of each pixel's colour among those of the ring and the inside.
 * @param {Tensor} colour
 * @param {Bits} ring
 * @param {Bits} inside
 */
function coded(colour, ring, inside) {
  const { rows, cols } = ring;
  const [, , height, width] = colour.dims;
  const codes = new Int32Array(rows * cols);
  for (let c = 0; c < 3; c++) {
    const values = new Float32Array(rows * cols);
    let [n, sum] = [0, 0];
    for (let y = 0; y < rows; y++) {
      for (let x = 0; x < cols; x++) {
        const at = y * cols + x;
        values[at] = colour.data[(c * height + y) * width + x];
        if (ring.data[at] || inside.data[at])
          [n, sum] = [n + 1, sum + values[at]];
      }
    }
    const mean = sum / n;
    let squares = 0;
    for (let i = 0; i < values.length; i++) {
      if (ring.data[i] || inside.data[i]) squares += (values[i] - mean) ** 2;
    }
    const spread = Math.sqrt(squares / n) + 0.02;
    for (let i = 0; i < values.length; i++) {
      const step = clamped(
        (((values[i] - mean) / spread + 2) / 4) * BINS,
        0,
        BINS - 1,
      );
      codes[i] = codes[i] * BINS + Math.trunc(step);
    }
  }
  return codes;
}

/**
 * The share of each colour, evened out over its neighbours.
 * @param {Int32Array} codes
 * @param {Bits} where
 */
function histogram(codes, where) {
  let counts = new Float64Array(BINS ** 3);
  for (let i = 0; i < codes.length; i++) if (where.data[i]) counts[codes[i]]++;
  for (const step of [1, BINS, BINS * BINS]) {
    const smooth = counts.slice();
    for (let i = 0; i < counts.length; i++) {
      const place = Math.floor(i / step) % BINS;
      if (place > 0) smooth[i] += counts[i - step];
      if (place < BINS - 1) smooth[i] += counts[i + step];
    }
    counts = smooth;
  }
  const total = Math.max(
    counts.reduce((sum, value) => sum + value, 0),
    1,
  );
  return counts.map((value) => value / total);
}
