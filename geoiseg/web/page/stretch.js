/** Values as the network and the eye see them: one stretch per raster. */

/** @import {Bits, Rgb} from "./types.js" */
import { clamped, rounded } from "./planes.js";

/** @typedef {{low: number[], high: number[]}} Stretch one or three pairs */
/** @typedef {Uint8Array | Int8Array | Uint16Array | Int16Array | Uint32Array | Int32Array
 *   | Float32Array | Float64Array} Values */

const PERCENTILES = [0.02, 0.98];
const BYTE_SPAN = 96;
const BYTE_TOP = 140;
/** By how much the least number of 16 bits lies below 0. */
const LEAST_SHORT = 1 << 15;

/**
 * The limits that show sampled values well.
 * @param {Values[]} bands values that are data
 * @returns {Stretch}
 */
export function stretchOf(bands) {
  const isBytes = bands[0] instanceof Uint8Array;
  if (!bands[0].length) {
    return {
      low: bands.map(() => 0),
      high: bands.map(() => (isBytes ? 255 : 1)),
    };
  }
  const limits = bands.map((values) => {
    const inOrder = sorted(values);
    return PERCENTILES.map((share) => percentile(inOrder, share));
  });
  const span = Math.max(...limits.map(([low, high]) => high - low));
  const top = Math.max(...limits.map(([, high]) => high));
  if (isBytes && (span === 0 || (span > BYTE_SPAN && top >= BYTE_TOP))) {
    return { low: bands.map(() => 0), high: bands.map(() => 255) };
  }
  // A constant band becomes mid-grey.
  const margins = limits.map(([low, high]) =>
    high > low ? 0 : Math.max(1, Math.abs(low)),
  );
  return {
    low: limits.map(([low], k) => low - margins[k]),
    high: limits.map(([, high], k) => high + margins[k]),
  };
}

/**
 * Values from the least to the greatest; where few are different, they are counted.
 * @param {Values} values
 */
function sorted(values) {
  const found = values.slice();
  if (values.BYTES_PER_ELEMENT > 2) return found.sort();
  const counts = new Uint32Array(LEAST_SHORT + (1 << 16));
  for (let i = 0; i < values.length; i++) counts[values[i] + LEAST_SHORT]++;
  let at = 0;
  for (let k = 0; k < counts.length; k++) {
    if (counts[k]) found.fill(k - LEAST_SHORT, at, at + counts[k]);
    at += counts[k];
  }
  return found;
}

/**
 * @param {Values} inOrder
 * @param {number} share
 */
function percentile(inOrder, share) {
  const place = share * (inOrder.length - 1);
  const [low, high] = [Math.floor(place), Math.ceil(place)];
  return inOrder[low] + (inOrder[high] - inOrder[low]) * (place - low);
}

/**
 * `(y, x, 3)` bytes of one or three bands; 0 where there is no data.
 * @param {Values[]} bands
 * @param {Bits} valid
 * @param {Stretch} stretch
 * @returns {Rgb}
 */
export function stretched(bands, valid, stretch) {
  const planes = bands.map((values, k) =>
    shown(values, stretch.low[k], stretch.high[k]),
  );
  const data = new Uint8Array(3 * valid.data.length);
  for (let i = 0; i < valid.data.length; i++) {
    if (!valid.data[i]) continue;
    for (let c = 0; c < 3; c++)
      data[3 * i + c] = planes[planes.length === 3 ? c : 0][i];
  }
  return { rows: valid.rows, cols: valid.cols, data };
}

/**
 * @param {Values} values
 * @param {number} low
 * @param {number} high
 */
function shown(values, low, high) {
  if (values instanceof Uint8Array) {
    if (low === 0 && high === 255) return values;
    const table = new Uint8Array(256);
    const factor = 255 / (high - low);
    for (let k = 0; k < 256; k++)
      table[k] = clamped(rounded((k - low) * factor), 0, 255);
    return values.map((value) => table[value]);
  }
  // In single precision, as geoiseg does it; wide types lose their offset first.
  const narrow = values.BYTES_PER_ELEMENT < 4 || values instanceof Float32Array;
  const factor = Math.fround(255 / (high - low));
  const [near, found] = [Math.fround(low), new Uint8Array(values.length)];
  for (let i = 0; i < values.length; i++) {
    const over = Math.fround(
      narrow ? Math.fround(values[i]) - near : values[i] - low,
    );
    const scaled = Math.fround(over * factor);
    found[i] = Number.isNaN(scaled) ? 0 : rounded(clamped(scaled, 0, 255));
  }
  return found;
}
