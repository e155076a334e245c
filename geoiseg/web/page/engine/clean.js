/** Masks without specks and pinholes. */

/** @import {Bits, Plane, Prompts} from "../types.js" */
import { any, bits, clamped, parts } from "../planes.js";

const MIN_HOLE = 16;
const MIN_PART = 16;

/**
 * The pixels above 0 that are data, without specks and pinholes: only parts that a click on the
 * object touches, or that reach into the box.
 * @param {Plane} logits
 * @param {Bits} valid
 * @param {Prompts} prompts
 * @returns {Bits}
 */
export function clean(logits, valid, prompts) {
  const mask = bits(valid.rows, valid.cols);
  for (let i = 0; i < mask.data.length; i++) {
    mask.data[i] = logits.data[i] > 0 && valid.data[i] ? 1 : 0;
  }
  if (!any(mask)) return mask;
  keepParts(mask, prompts);
  fillHoles(mask, valid, prompts);
  return mask;
}

/**
 * The pixels that clicks of one sign lie on.
 * @param {Bits} like
 * @param {Prompts} prompts
 * @param {boolean} positive
 */
export function clicked({ rows, cols }, prompts, positive) {
  return prompts.points
    .filter((point) => point.positive === positive)
    .map(({ x, y }) => {
      const row = clamped(Math.floor(y), 0, rows - 1);
      return row * cols + clamped(Math.floor(x), 0, cols - 1);
    });
}

/** @param {Bits} mask @param {Prompts} prompts */
function keepParts(mask, prompts) {
  const { labels, areas } = parts(mask, 4);
  const touched = new Set(clicked(mask, prompts, true).map((at) => labels[at]));
  touched.delete(0);
  const region = touched.size ? touched : reached(mask, labels, prompts);
  const keep = areas.map(
    (area, label) =>
      label > 0 &&
      (touched.has(label) ||
        (area >= MIN_PART && (!region.size || region.has(label)))),
  );
  if (!keep.includes(true)) {
    let largest = 1;
    for (let k = 2; k < areas.length; k++)
      if (areas[k] > areas[largest]) largest = k;
    keep[largest] = true;
  }
  if (!keep.includes(false, 1)) return;
  for (let i = 0; i < labels.length; i++)
    mask.data[i] = keep[labels[i]] ? 1 : 0;
}

/**
 * The parts that reach into the box.
 * @param {Bits} mask
 * @param {Int32Array} labels
 * @param {Prompts} prompts
 */
function reached({ rows, cols }, labels, { box }) {
  const found = new Set();
  if (!box) return found;
  const [left, top] = [
    Math.max(0, Math.trunc(box[0])),
    Math.max(0, Math.trunc(box[1])),
  ];
  const [right, bottom] = [
    Math.min(cols, Math.ceil(box[2])),
    Math.min(rows, Math.ceil(box[3])),
  ];
  for (let y = top; y < bottom; y++) {
    for (let x = left; x < right; x++) found.add(labels[y * cols + x]);
  }
  found.delete(0);
  return found;
}

/** @param {Bits} mask @param {Bits} valid @param {Prompts} prompts */
function fillHoles(mask, valid, prompts) {
  const { rows, cols } = mask;
  const outside = bits(rows, cols);
  for (let i = 0; i < outside.data.length; i++)
    outside.data[i] = mask.data[i] ? 0 : 1;
  const { labels, areas } = parts(outside, 8);
  const fill = areas.map((area, label) => label > 0 && area < MIN_HOLE);
  for (let x = 0; x < cols; x++)
    fill[labels[x]] = fill[labels[(rows - 1) * cols + x]] = false;
  for (let y = 0; y < rows; y++)
    fill[labels[y * cols]] = fill[labels[(y + 1) * cols - 1]] = false;
  for (const at of clicked(mask, prompts, false)) fill[labels[at]] = false;
  if (!fill.includes(true)) return;
  for (let i = 0; i < labels.length; i++) {
    if (fill[labels[i]] && valid.data[i]) mask.data[i] = 1;
  }
}
