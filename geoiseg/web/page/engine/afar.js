/**
 * A single click is looked at from afar, too, and all that it may mean is weighed: which reading
 * is meant shows in what they have in common, as in what the network expects of each.
 */

/** @import {Bits, Plane, Point, Prompts, Rgb} from "../types.js" */
/** @import {Answer} from "./answers.js" */
import { above, any, bits, clamped, cut, iou, plane } from "../planes.js";
import { depths, resized } from "./vision.js";

/** Pixels of the chip, across and down, for each of the view from afar. */
export const TIMES = 2;
/** Views from afar, each from twice as far as the one before. */
export const VIEWS = 2;
/** Least sides of a chip, or of a view of it, that is looked at from afar. */
export const NARROWEST = 128;
/**
 * Depth of the likeliest reading, in pixels of the view from afar, from which on a click is
 * looked at from further away.
 */
const DEEP = 8;
/** IoU of two masks from which on they say the same. */
const SAME = 0.85;
/** By how much another reading scores less than the answer at least. */
const LESS = 0.01;
/**
 * Log-odds of the IoU to be expected of a reading: a constant, then of the network's own
 * estimate, the mean probability, the logarithm of the depth, how deep the click lies as a share
 * of that, and the mean IoU with all readings.
 */
const WEIGHTS = [-5.05, 1.02, 3.11, -0.26, 1.37, 3.06];
/** The same where a click was looked at from further away, too. */
const FURTHER_WEIGHTS = [-2.2, 0.82, 0.42, -0.51, 1.44, 3.92];

/**
 * What a click may mean, how many pixels of the chip each of the view has, across and down, and whether
 * its outline lies where colours change already.
 * @typedef {{logits: Plane, score: number, times: number, isSharp?: boolean}} Reading
 */

/**
 * A chip as it is seen from afar, and where there is data.
 * @param {Rgb} image zero where there is no data
 * @param {Bits} valid
 * @returns {{image: Rgb, valid: Bits}}
 */
export function halvedChip(image, valid) {
  const rows = Math.ceil(valid.rows / TIMES);
  const cols = Math.ceil(valid.cols / TIMES);
  const data = new Uint8Array(3 * rows * cols);
  const seen = bits(rows, cols);
  for (let y = 0; y < rows; y++) {
    for (let x = 0; x < cols; x++) {
      const sums = [0, 0, 0];
      let count = 0;
      for (let v = 2 * y; v < Math.min(2 * y + 2, valid.rows); v++) {
        for (let u = 2 * x; u < Math.min(2 * x + 2, valid.cols); u++) {
          const at = v * valid.cols + u;
          count += valid.data[at];
          for (let c = 0; c < 3; c++) sums[c] += image.data[3 * at + c];
        }
      }
      if (!count) continue;
      const at = y * cols + x;
      seen.data[at] = 1;
      for (let c = 0; c < 3; c++) {
        data[3 * at + c] = Math.floor((2 * sums[c] + count) / (2 * count));
      }
    }
  }
  return { image: { rows, cols, data }, valid: seen };
}

/**
 * Clicks on the chip in the pixel frame of the view from afar.
 * @param {Prompts} prompts
 * @returns {Prompts}
 */
export function seenFromAfar({ points, box }) {
  const moved = points.map(({ x, y, positive }) => ({
    x: x / TIMES,
    y: y / TIMES,
    positive,
  }));
  return { points: moved, box };
}

/**
 * Logits of the view from afar as those of the chip.
 * @param {Plane} logits
 * @param {number} rows
 * @param {number} cols
 * @returns {Plane}
 */
export function enlargedLogits(logits, rows, cols) {
  const whole = resized(
    logits,
    logits.rows * TIMES,
    logits.cols * TIMES,
    "linear",
  );
  return cut(whole, { row: 0, col: 0, height: rows, width: cols });
}

/**
 * The answer, and behind it the other readings that differ from it.
 * @param {Answer} first
 * @param {Answer[]} others
 * @returns {Reading[]}
 */
export function withOthers(first, others) {
  /** @type {Reading[]} */
  const kept = [{ ...first, times: 1 }];
  if (!others.length) return kept;
  const seen = [above(first.logits)];
  for (const { logits, score } of sortedByScore(others)) {
    const mask = above(logits);
    if (!any(mask) || seen.some((before) => iou(mask, before) >= SAME)) {
      continue;
    }
    const told = Math.max(Math.min(score, first.score - LESS), 0);
    kept.push({ logits, score: told, times: 1 });
    seen.push(mask);
  }
  return kept;
}

/**
 * The reading that is likeliest meant, with the IoU to be expected; null where none holds anything.
 * @param {Reading[]} readings all of one click
 * @param {Point} click
 * @param {(reading: Reading) => boolean} may whether one may be meant, by all else that is known
 * @returns {(Reading & {depth: number}) | null} depth in pixels of the view from afar
 */
export function likeliest(readings, click, may = () => true) {
  const held = readings.filter(({ logits }) => any(above(logits)));
  const weights = readings.some(({ times }) => times > TIMES)
    ? FURTHER_WEIGHTS
    : WEIGHTS;
  const small = held.map(({ logits }) => shrunk(logits));
  const masks = small.map(above);
  /** @type {(Reading & {depth: number}) | null} */
  let best = null;
  held.forEach((reading, number) => {
    if (!may(reading)) return;
    const [mask, { data }] = [masks[number], small[number]];
    let [likely, pixels] = [0, 0];
    data.forEach((value) => {
      if (value <= 0) return;
      likely += 1 / (1 + Math.exp(-value));
      pixels += 1;
    });
    const inside = depths(mask);
    const depth = inside.data.reduce((most, one) => Math.max(most, one), 0);
    const x = Math.floor(clamped(click.x / TIMES, 0, mask.cols - 1));
    const y = Math.floor(clamped(click.y / TIMES, 0, mask.rows - 1));
    const looks = [
      1,
      reading.score,
      pixels ? likely / pixels : 0,
      Math.log1p(depth),
      inside.data[y * mask.cols + x] / Math.max(depth, 1),
      agreed(number, held, masks),
    ];
    const odds = looks.reduce((sum, look, k) => sum + weights[k] * look, 0);
    const score = 1 / (1 + Math.exp(-odds));
    if (!best || score > best.score) best = { ...reading, score, depth };
  });
  return best;
}

/**
 * Whether what a click likely means is so large that it should be seen from further away.
 * @param {Reading[]} readings of the chip and of the view from afar
 * @param {Point} click
 */
export function isDeep(readings, click) {
  const best = likeliest(readings, click);
  return best !== null && best.depth > DEEP;
}

/**
 * The mean IoU of a reading with all of a click. Each view has one vote, however many of its
 * readings say nearly the same; in it each counts for as much as it scores.
 * @param {number} number
 * @param {Reading[]} readings
 * @param {Bits[]} masks
 */
function agreed(number, readings, masks) {
  const views = [...new Set(readings.map(({ times }) => times))];
  const votes = views.map((times) => {
    let [sum, weights] = [0, 0];
    readings.forEach((reading, other) => {
      if (reading.times !== times) return;
      const weight = Math.max(reading.score, 1e-3);
      // What is too thin to be seen at this size agrees with nothing, itself neither.
      if (any(masks[number])) sum += weight * iou(masks[number], masks[other]);
      weights += weight;
    });
    return sum / weights;
  });
  return votes.reduce((sum, vote) => sum + vote, 0) / votes.length;
}

/** @param {Answer[]} answers */
function sortedByScore(answers) {
  return [...answers].sort((one, other) => other.score - one.score);
}

/**
 * Logits of the chip at the resolution of the view from afar.
 * @param {Plane} logits
 */
function shrunk(logits) {
  const [rows, cols] = [
    Math.ceil(logits.rows / TIMES),
    Math.ceil(logits.cols / TIMES),
  ];
  const even = plane(rows * TIMES, cols * TIMES);
  for (let y = 0; y < even.rows; y++) {
    for (let x = 0; x < even.cols; x++) {
      const from = Math.min(y, logits.rows - 1) * logits.cols;
      even.data[y * even.cols + x] =
        logits.data[from + Math.min(x, logits.cols - 1)];
    }
  }
  return resized(even, rows, cols, "area");
}
