/** A correction changes what it is about, and nearly leaves the rest as it was. */

/** @import {Bits, Plane} from "../types.js" */
/** @import {Seeds} from "./prompts.js" */
import { any, bits, clamped, parts, plane } from "../planes.js";
import { held, passedOver } from "./outputs.js";

/** Pixels within which a change lies at a prompt. */
const TOUCHES = 2;

/**
 * The logits of a correction: elsewhere the mean of what they and the last mask say.
 * @param {Plane} logits of the answer to all prompts
 * @param {Plane} before of the last mask
 * @param {Seeds} seeds the prompts
 * @param {Bits} valid
 */
export function steadied(logits, before, seeds, valid) {
  const corrections = passedOver(before, seeds);
  if (!any(corrections)) return logits;
  const { rows, cols } = logits;
  const changed = bits(rows, cols);
  for (let i = 0; i < changed.data.length; i++)
    changed.data[i] = logits.data[i] > 0 === before.data[i] > 0 ? 0 : 1;
  const { labels } = parts(changed, 8);
  const meant = new Set();
  corrections.data.forEach((said, at) => {
    if (said) for (const i of around(at, rows, cols)) meant.add(labels[i]);
  });
  meant.delete(0);
  const mean = plane(rows, cols);
  for (let i = 0; i < mean.data.length; i++)
    mean.data[i] = meant.has(labels[i])
      ? logits.data[i]
      : Math.fround(logits.data[i] + before.data[i]) / 2;
  return held(mean, seeds, valid);
}

/**
 * The pixels around one, and itself.
 * @param {number} at
 * @param {number} rows
 * @param {number} cols
 */
function* around(at, rows, cols) {
  const [row, col] = [Math.floor(at / cols), at % cols];
  for (let dy = -TOUCHES; dy <= TOUCHES; dy++) {
    for (let dx = -TOUCHES; dx <= TOUCHES; dx++) {
      const y = clamped(row + dy, 0, rows - 1);
      yield y * cols + clamped(col + dx, 0, cols - 1);
    }
  }
}
