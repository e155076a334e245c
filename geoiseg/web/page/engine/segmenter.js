/** From prompts to a mask: choose a frame, read it, encode it once, decode, clean. */

/** @import {Bits, Frame, Plane, Point, Prompts} from "../types.js" */
/** @import {Raster} from "../raster.js" */
/** @import {Embedding, Tiny} from "./tiny.js" */
import { any, clamped, halved } from "../planes.js";
import { CHIP, applied, inside, inverse, promptsIn } from "../grid.js";
import { clean, clicked } from "./clean.js";

const BORDER_SHARE = 0.02;
/** What was seen of an object takes up at most this share of a longer frame's sides. */
const LONGER_SHARE = 0.75;
/** The share from which on that is so before the mask is drawn exactly. */
const CLEARLY = 0.15;
/** Chips that are kept encoded: about 20 MB each. */
const KEPT = 6;

/**
 * An object after some steps.
 * @typedef {{mask: Bits, logits: Plane, frame: Frame, score: number}} Outcome
 */
/**
 * What was said at once, and the level to work at; null finds it.
 * @typedef {{points: {x: number, y: number, positive: boolean}[], box: [number, number, number,
 *   number] | null, level: number | null}} Step
 */

export class Segmenter {
  /**
   * @param {Raster} raster
   * @param {Tiny} model
   */
  constructor(raster, model) {
    this.raster = raster;
    this.model = model;
    /** @type {Map<string, Embedding>} */
    this.kept = new Map();
  }

  /**
   * The object after the last of some steps.
   * @param {Step[]} steps
   * @param {Outcome | null} before after all steps but the last
   * @returns {Promise<Outcome>}
   */
  async run(steps, before) {
    const prompts = said(steps);
    if (!prompts.box && !prompts.points.some((point) => point.positive)) {
      throw new Error(
        "say first where the object is: a click on it, or a box around it",
      );
    }
    const { grid } = this.raster;
    const { level } = steps[steps.length - 1];
    const lowest = clamped(level ?? 0, 0, grid.coarsest);
    const inUse = before && (level === null || before.frame.level === lowest);
    const frame =
      before && inUse && grid.holds(before.frame, prompts)
        ? before.frame
        : grid.place(prompts, lowest);
    const latest = steps[steps.length - 1].points;
    if (level !== null || prompts.box) {
      return this.decode(frame, prompts, before, latest, false);
    }
    // Seen from the first level at which the object ends inside its frame.
    let [wider, known] = [frame, before];
    for (;;) {
      const mayGoOn = wider.level < grid.topLevel;
      known = await this.decode(wider, prompts, known, latest, mayGoOn);
      const sides = grid.openSides(wider);
      if (!mayGoOn || bordering(known.mask, sides) <= BORDER_SHARE) {
        return known;
      }
      wider = this.wider(known, prompts);
    }
  }

  /**
   * Where an object that goes on beyond its frame is looked at next: from twice as far, but first
   * on a longer frame of the same level, where such a one shows the end of the raster wherever the
   * object goes on.
   * @param {Outcome} known
   * @param {Prompts} prompts
   * @returns {Frame}
   */
  wider({ frame, mask }, prompts) {
    const { grid } = this.raster;
    const { level, window } = frame;
    const around = grid.around(prompts);
    if (Math.max(window.height, window.width) <= CHIP) {
      const [x0, y0, x1, y1] = bounds(mask);
      const back = inverse(grid.toFrame(frame));
      const [low, high] = [applied(back, x0, y0), applied(back, x1, y1)];
      const longer = grid.oblong(
        level,
        [
          clamped(Math.min(low[0], around[0]), 0, grid.cols),
          clamped(Math.min(low[1], around[1]), 0, grid.rows),
          clamped(Math.max(high[0], around[2]), 0, grid.cols),
          clamped(Math.max(high[1], around[3]), 0, grid.rows),
        ],
        LONGER_SHARE,
      );
      if (longer && !bordering(mask, grid.openSides(longer))) return longer;
    }
    return grid.place(prompts, level + 1);
  }

  /**
   * @param {Frame} frame
   * @param {Prompts} prompts
   * @param {Outcome | null} before
   * @param {Point[]} latest clicks of the last step: there must be data where they say the object is
   * @param {boolean} mayGoOn whether the object is only sketched where it clearly goes on beyond
   * @returns {Promise<Outcome>}
   */
  async decode(frame, prompts, before, latest, mayGoOn) {
    const embedding = await this.embedding(frame);
    const { valid } = embedding;
    const { height, width } = frame.window;
    const there = this.raster.grid.toFrame(frame);
    /** @param {Prompts} said */
    const onChip = (said) => inside(promptsIn(said, there), height, width);
    const moved = onChip(prompts);
    const marks = clicked(valid, moved, true);
    const fresh = clicked(valid, onChip({ points: latest, box: null }), true);
    const isEmpty = (/** @type {number} */ at) => !valid.data[at];
    if (fresh.some(isEmpty) || (marks.length && marks.every(isEmpty))) {
      throw new Error(
        "there is no data under the prompts; choose another place",
      );
    }
    const same = before && key(before.frame) === key(frame);
    const sides = this.raster.grid.openSides(frame);
    const { logits, score } = await this.model.decode(
      embedding,
      moved,
      same ? before.logits : null,
      mayGoOn &&
        ((sketch) => bordering(clean(sketch, valid, moved), sides) > CLEARLY),
    );
    const mask = clean(logits, valid, moved);
    return {
      mask,
      logits: { ...logits, data: halved(logits.data) },
      frame,
      score,
    };
  }

  /**
   * What a third click on what two have drawn will need, each to be made while nobody waits.
   * @param {Outcome} outcome of the second
   * @returns {(() => Promise<unknown>)[]}
   */
  ahead({ frame }) {
    const found = this.kept.get(key(frame));
    return found ? this.model.otherSides(found) : [];
  }

  /**
   * @param {Frame} frame
   * @returns {Promise<Embedding>}
   */
  async embedding(frame) {
    const name = key(frame);
    let found = this.kept.get(name);
    if (!found) {
      const { image, valid } = await this.raster.chip(frame);
      if (!any(valid)) throw new Error("there is no data around the prompts");
      found = await this.model.embed(image, valid);
    }
    this.kept.delete(name);
    this.kept.set(name, found);
    if (this.kept.size > KEPT) {
      this.kept.delete(/** @type {string} */ (this.kept.keys().next().value));
    }
    return found;
  }
}

/**
 * The least box around a mask that holds something.
 * @param {Bits} mask
 * @returns {[number, number, number, number]}
 */
function bounds({ rows, cols, data }) {
  let [x0, y0, x1, y1] = [cols, rows, 0, 0];
  for (let y = 0; y < rows; y++) {
    for (let x = 0; x < cols; x++) {
      if (!data[y * cols + x]) continue;
      [x0, y0] = [Math.min(x0, x), Math.min(y0, y)];
      [x1, y1] = [Math.max(x1, x + 1), Math.max(y1, y + 1)];
    }
  }
  return [x0, y0, x1, y1];
}

/** @param {Frame} frame */
function key({ level, window }) {
  return [level, window.row, window.col, window.height, window.width].join();
}

/**
 * All that was said; of several boxes the last.
 * @param {Step[]} steps
 * @returns {Prompts}
 */
function said(steps) {
  const boxes = steps.map((step) => step.box).filter((box) => box);
  return {
    points: steps.flatMap((step) => step.points),
    box: boxes[boxes.length - 1] ?? null,
  };
}

/**
 * The share of the open borders' pixels that belong to a mask.
 * @param {Bits} mask
 * @param {boolean[]} open at the top, right, bottom and left
 */
function bordering({ rows, cols, data }, [top, right, bottom, left]) {
  let [total, sum] = [0, 0];
  for (let x = 0; x < cols; x++) {
    if (top) [total, sum] = [total + 1, sum + data[x]];
    if (bottom) [total, sum] = [total + 1, sum + data[(rows - 1) * cols + x]];
  }
  for (let y = 0; y < rows; y++) {
    if (left) [total, sum] = [total + 1, sum + data[y * cols]];
    if (right) [total, sum] = [total + 1, sum + data[(y + 1) * cols - 1]];
  }
  return total ? sum / total : 0;
}
