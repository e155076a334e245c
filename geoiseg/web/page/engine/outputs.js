/** What the decoder's graph says, made to obey the prompts. */

/** @import {Bits, Plane, Prompts, Rgb, Window} from "../types.js" */
/** @import {Seeds} from "./prompts.js" */
import {
  above,
  bits,
  bounds,
  clamped,
  count,
  cut,
  parts,
  plane,
} from "../planes.js";
import { cutBand } from "./mincut.js";
import { noise } from "./noise.js";
import { drawSeeds } from "./prompts.js";
import { SIDES, bandAround, coreArea, grabCut, learned } from "./vision.js";

/** Greatest magnitude of a logit; that of invalid pixels. */
export const LIMIT = 12;
const FAINT = Math.fround(0.1);
const BAND = 3;
const SOLID = 0.6;
const ALIKE = 0.8;
const GIVE_WAY = 2.5;
const LARGE = 0.5;
/** By how much logits are lowered after one click on an object, and after two. */
const MODEST = [0.35, 0.2];
/** About as many pixels are enough to learn the colours of the mask and of its surroundings. */
const LEARNED = 4000;
const FEW = 200;
/** Share of uncertain pixels up to which they are cut for themselves. */
const NARROW = 0.125;

/**
 * The logits with prompted pixels on the side that was said, invalid ones and strays out.
 * @param {Plane} logits
 * @param {Seeds} seeds
 * @param {Bits} valid
 */
export function obedient(logits, seeds, valid) {
  const { positive, negative } = seeds;
  const shift = giveWay(logits, seeds);
  const found = plane(logits.rows, logits.cols);
  for (let i = 0; i < found.data.length; i++) {
    let value = clamped(Math.fround(logits.data[i] + shift), -LIMIT, LIMIT);
    if (positive.data[i]) value = Math.max(value, FAINT);
    if (negative.data[i]) value = Math.min(value, -FAINT);
    found.data[i] = valid.data[i] ? value : -LIMIT;
  }
  dropStrays(found, seeds);
  return found;
}

/**
 * By how much all logits are moved so that the prompts passed over are followed.
 * @param {Plane} logits
 * @param {Seeds} seeds
 */
function giveWay(logits, { positive, negative }) {
  const [ours, theirs] = [said(logits, positive), said(logits, negative)];
  const missed = ours.filter((value) => value <= 0);
  const wrong = theirs.filter((value) => value > 0);
  if (wrong.length && !missed.length) {
    const room = ours.length
      ? Math.min(GIVE_WAY, 0.8 * median(ours))
      : GIVE_WAY;
    return Math.fround(-Math.min(Math.max(...wrong) + 0.1, room));
  }
  if (missed.length && !wrong.length) {
    return Math.fround(Math.min(0.1 - Math.min(...missed), GIVE_WAY));
  }
  return 0;
}

/** @param {Plane} values @param {Bits} where */
function said(values, where) {
  return places(where).map((at) => values.data[at]);
}

/** Where the few true pixels of a mask are. @param {Bits} where */
function places({ data }) {
  const found = [];
  for (let at = data.indexOf(1); at >= 0; at = data.indexOf(1, at + 1))
    found.push(at);
  return found;
}

/** @param {number[]} values */
function median(values) {
  const sorted = [...values].sort((a, b) => a - b);
  const half = sorted.length >> 1;
  return sorted.length % 2
    ? sorted[half]
    : (sorted[half - 1] + sorted[half]) / 2;
}

/**
 * By how much the logits of an answer to clicks are to be lowered; 0 of anything more.
 * @param {Prompts} prompts
 */
export function lessOf({ points, box }) {
  if (box || !points.some(({ positive }) => positive)) return 0;
  return Math.fround(MODEST[points.length - 1] ?? 0);
}

/**
 * Put small parts aside that no positive prompt holds, in place.
 * @param {Plane} logits
 * @param {Seeds} seeds
 */
function dropStrays(logits, { positive }) {
  const { labels, areas } = parts(above(logits), 4);
  const held = new Set(places(positive).map((at) => labels[at]));
  held.delete(0);
  let least = 0;
  if (held.size) for (const label of held) least += LARGE * areas[label];
  else least = 0.1 * Math.max(0, ...areas.slice(1));
  const stray = areas.map(
    (area, label) => label > 0 && !held.has(label) && area < least,
  );
  if (!stray.includes(true)) return;
  for (let i = 0; i < labels.length; i++)
    if (stray[labels[i]]) logits.data[i] = -FAINT;
}

/**
 * The logits with the mask's outline moved to where colours change.
 * @param {Plane} logits
 * @param {Rgb} image
 * @param {Prompts} prompts
 * @param {Bits} valid
 */
export function sharpened(logits, image, prompts, valid) {
  const before = above(logits);
  const area = count(before);
  if (!area || coreArea(before, BAND) / area < SOLID) return logits;
  const after = refined(image, before, drawSeeds(prompts, valid, null), valid);
  let [both, either] = [0, 0];
  for (let i = 0; i < after.data.length; i++) {
    both += before.data[i] & after.data[i];
    either += before.data[i] | after.data[i];
  }
  if (both < ALIKE * either) return logits;
  const found = plane(logits.rows, logits.cols);
  for (let i = 0; i < found.data.length; i++) {
    const value = logits.data[i];
    if (after.data[i] === before.data[i]) found.data[i] = value;
    else
      found.data[i] = after.data[i]
        ? Math.max(value, FAINT)
        : Math.min(value, -FAINT);
  }
  return found;
}

/**
 * The mask with its outline moved within the band: a cut of its surroundings.
 * @param {Rgb} image
 * @param {Bits} mask
 * @param {Seeds} seeds
 * @param {Bits} valid
 */
function refined(image, mask, seeds, valid) {
  const window = surroundings(mask, 4 * BAND);
  const inside = cut(mask, window);
  const band = bandAround(inside, BAND);
  const [positive, negative, seen] = [
    seeds.positive,
    seeds.negative,
    valid,
  ].map((all) => cut(all, window));
  const box = seeds.box && cut(seeds.box, window);
  const trimap = bits(inside.rows, inside.cols);
  for (let i = 0; i < trimap.data.length; i++) {
    let side = inside.data[i] ? SIDES.front : SIDES.back;
    if (band.data[i])
      side = inside.data[i] ? SIDES.maybeFront : SIDES.maybeBack;
    if (positive.data[i]) side = SIDES.front;
    if (negative.data[i] || !seen.data[i]) side = SIDES.back;
    if (box && !box.data[i] && !positive.data[i]) side = SIDES.back;
    trimap.data[i] = side;
  }
  const found = parted(uneven(cut(image, window, 3)), trimap);
  const all = { rows: mask.rows, cols: mask.cols, data: mask.data.slice() };
  for (let y = 0; y < found.rows; y++) {
    for (let x = 0; x < found.cols; x++) {
      const at = (window.row + y) * mask.cols + window.col + x;
      all.data[at] = found.data[y * found.cols + x] & 1;
    }
  }
  return all;
}

/**
 * The trimap after one iteration of GrabCut, its colours learned from a sample where that tells
 * enough, and as it came where there is nothing to learn from.
 * @param {Rgb} image
 * @param {Bits} trimap
 */
function parted(image, trimap) {
  const step = Math.max(1, Math.trunc(Math.sqrt(trimap.data.length / LEARNED)));
  const few = thinned(trimap, step, 1);
  const sampled = step > 1 && fewest(few) >= FEW;
  if (!sampled && fewest(trimap) < 2) return trimap;
  if (!sampled) return grabCut(image, trimap, null);
  const models = learned(thinned(image, step, 3), few);
  const found = isNarrow(trimap) ? cutBand(image, trimap, models) : null;
  return found ?? grabCut(image, trimap, models);
}

/**
 * Whether so little is uncertain that it is cut for itself; ragged masks are left to OpenCV.
 * @param {Bits} trimap
 */
function isNarrow({ data }) {
  let unsure = 0;
  for (const side of data) unsure += side >> 1;
  return unsure <= NARROW * data.length;
}

/**
 * Every so-many-th pixel of every so-many-th row.
 * @param {{rows: number, cols: number, data: Uint8Array}} values
 * @param {number} step
 * @param {number} depth
 */
function thinned(values, step, depth) {
  const rows = Math.ceil(values.rows / step);
  const cols = Math.ceil(values.cols / step);
  const data = new Uint8Array(rows * cols * depth);
  for (let y = 0; y < rows; y++) {
    for (let x = 0; x < cols; x++) {
      const from = (y * step * values.cols + x * step) * depth;
      data.set(
        values.data.subarray(from, from + depth),
        (y * cols + x) * depth,
      );
    }
  }
  return { rows, cols, data };
}

/** @param {Bits} trimap */
function fewest(trimap) {
  let front = 0;
  for (const side of trimap.data) front += side & 1;
  return Math.min(front, trimap.data.length - front);
}

/**
 * The image with noise of one grey level: on flat colour all cuts cost the same.
 * @param {Rgb} image
 */
function uneven(image) {
  const added = noise(image.data.length);
  const data = new Uint8Array(image.data.length);
  for (let i = 0; i < data.length; i++)
    data[i] = clamped(image.data[i] + added[i], 0, 255);
  return { rows: image.rows, cols: image.cols, data };
}

/**
 * @param {Bits} mask not empty
 * @param {number} margin
 * @returns {Window}
 */
function surroundings(mask, margin) {
  const where = bounds(mask);
  if (!where) throw new Error("an empty mask has no surroundings");
  const row = Math.max(where.top - margin, 0);
  const col = Math.max(where.left - margin, 0);
  const height = Math.min(where.bottom + margin, mask.rows) - row;
  return {
    row,
    col,
    height,
    width: Math.min(where.right + margin, mask.cols) - col,
  };
}
