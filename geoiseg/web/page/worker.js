/** All the work of the page: reading, the network, outlines. Answers messages one at a time. */

/** @import {Bits, Frame, Geometry} from "./types.js" */
/** @import {Outcome, Step} from "./engine/segmenter.js" */
import { inverse } from "./grid.js";
import { outline } from "./outline.js";
import { bits } from "./planes.js";
import { Raster } from "./raster.js";
import { TURNED } from "./engine/careful.js";
import { Graphs } from "./engine/graphs.js";
import { Segmenter } from "./engine/segmenter.js";
import { Tiny } from "./engine/tiny.js";
import { loadVision } from "./engine/vision.js";
import { warm } from "./engine/warm.js";

const HERE = new URL(".", import.meta.url).href;

/** Milliseconds after which is looked anew whether anybody waits. */
const PAUSE = 20;
/** Milliseconds for which a user who has clicked twice looks, before more is made ready. */
const LOOK = 150;

let unanswered = 0;
let isOpening = false;
/** @type {Promise<Tiny> | null} */
let model = null;
/** @type {Raster | null} */
let raster = null;
/** @type {Segmenter | null} */
let segmenter = null;
/** @type {{step: Step, outcome: Outcome}[]} */
let history = [];
/** What was asked last, or is made ahead: one thing at a time. */
let last = Promise.resolve();

/**
 * An object in progress as the map shows it.
 * @typedef {{mask: Bits, place: import("./types.js").Affine, score: number, level: number,
 *   points: {x: number, y: number, positive: boolean}[], milliseconds: number}} Shown
 *   `place` goes from the mask's pixels to those of the raster
 */

function loadModel() {
  model ??= loadedModel().catch((error) => {
    model = null; // and so the next click tries again
    throw error;
  });
  return model;
}

async function loadedModel() {
  const vendor = `${HERE}vendor/`;
  const [graphs] = await Promise.all([
    Graphs.load(`${HERE}model/`, vendor, turn),
    turn().then(() => loadVision(`${vendor}opencv.js`)),
  ]);
  return new Tiny(graphs);
}

function pause(milliseconds = PAUSE) {
  return new Promise((resolve) => setTimeout(resolve, milliseconds));
}

/** Wait while a raster is opened: it is seen before it is clicked. */
async function turn() {
  do await pause();
  while (isOpening);
}

/** Whether a user has not clicked yet, whose clicks warm as well; waits while calls are answered. */
async function isFree() {
  do await pause();
  while (unanswered && !segmenter);
  return !segmenter;
}

/** Load the model and make it quick before anybody clicks; what fails is said at a click. */
async function prepare() {
  if (model) return;
  try {
    const { graphs } = await loadModel();
    await warm(graphs, isFree);
  } catch {
    // A click meets the same, and says it.
  }
}

/**
 * Make what a third click needs, as long as nobody waits for anything else.
 * @param {Segmenter} by
 * @param {Outcome} outcome of the second click
 */
async function goAhead(by, outcome) {
  await pause(LOOK);
  for (const make of by.ahead(outcome)) {
    while (unanswered) await pause();
    if (history[history.length - 1]?.outcome !== outcome) return;
    last = last.then(make).then(
      () => {},
      () => {}, // the click meets the same, and says it
    );
    await last;
  }
}

function opened() {
  if (!raster) throw new Error("open a raster first");
  return raster;
}

/** The outline without stairs, in the raster's CRS. @param {Outcome} outcome */
function drawn({ mask, frame, logits }) {
  return outline(mask, opened().grid.fromFrame(frame), logits);
}

/** @returns {Shown | null} */
function shown(milliseconds = 0) {
  const last = history[history.length - 1];
  if (!last) return null;
  const { mask, frame, score } = last.outcome;
  return {
    mask,
    place: inverse(opened().grid.toFrame(frame)),
    score,
    level: frame.level,
    points: history.flatMap(({ step }) => step.points),
    milliseconds,
  };
}

export const calls = {
  /** Begin with what a click will need, where nothing is opened at once. */
  async prepare() {
    void prepare();
    return null;
  },

  /** @param {{source: Blob | string, name: string}} asked */
  async open({ source, name }) {
    isOpening = true;
    const found = await Raster.open(source, name).finally(
      () => (isOpening = false),
    );
    [raster, segmenter, history] = [found, null, []];
    void prepare();
    const { grid, about, bands, count } = raster;
    const { rows, cols, topLevel } = grid;
    const names = await raster.names();
    return { name, rows, cols, topLevel, bands, count, names, ...about };
  },

  /**
   * Show and segment other bands; the object in progress is dropped.
   * @param {{bands: number[]}} asked
   */
  async choose({ bands }) {
    opened().choose(bands);
    [segmenter, history] = [null, []];
    return null;
  },

  /** @param {Frame} frame */
  async picture(frame) {
    const { rows, cols } = opened().grid.shape(frame.level);
    const { row, col, height, width } = frame.window;
    const window = {
      row,
      col,
      height: Math.min(height, rows - row),
      width: Math.min(width, cols - col),
    };
    if (row < 0 || col < 0 || window.height <= 0 || window.width <= 0)
      return null;
    const { image, valid } = await opened().chip({
      level: frame.level,
      window,
    });
    const rgba = new Uint8ClampedArray(4 * valid.data.length);
    for (let i = 0; i < valid.data.length; i++) {
      for (let c = 0; c < 3; c++) rgba[4 * i + c] = image.data[3 * i + c];
      rgba[4 * i + 3] = valid.data[i] ? 255 : 0;
    }
    return new ImageData(rgba, window.width, window.height);
  },

  /** @param {Step} step */
  async add(step) {
    segmenter ??= new Segmenter(opened(), await loadModel());
    const started = performance.now();
    const steps = [...history.map((one) => one.step), step];
    const before = history[history.length - 1]?.outcome ?? null;
    const outcome = await segmenter.run(steps, before);
    history.push({ step, outcome });
    const clicks = steps.flatMap(({ points }) => points).length;
    if (clicks === TURNED - 1 && !steps.some(({ box }) => box)) {
      void goAhead(segmenter, outcome);
    }
    return shown(performance.now() - started);
  },

  /** How many chips have been encoded, in whatever view. */
  async encoded() {
    return model ? (await model).embedded : 0;
  },

  async undo() {
    history.pop();
    return shown();
  },

  async clear() {
    history = [];
    return null;
  },

  /**
   * The outline of the object in progress, which is done with.
   * @returns {Promise<{geometry: Geometry, score: number, clicks: number, pixels: number}>}
   */
  async accept() {
    const last = history[history.length - 1];
    const geometry = last && drawn(last.outcome);
    if (!geometry)
      throw new Error(
        "there is nothing to accept yet: click on an object first",
      );
    const pixels = last.outcome.mask.data.reduce((sum, bit) => sum + bit, 0);
    const about = {
      geometry,
      score: last.outcome.score,
      clicks: history.length,
      pixels,
    };
    history = [];
    return about;
  },

  /**
   * The outline of a mask in its own pixels, as `accept` draws it with these logits.
   * @param {{rows: number, cols: number, pixels: number[], logits: number[] | null}} asked
   */
  async outline({ rows, cols, pixels, logits }) {
    const mask = bits(rows, cols);
    mask.data.set(pixels);
    const told = logits && { rows, cols, data: Float32Array.from(logits) };
    return outline(mask, [1, 0, 0, 0, 1, 0], told);
  },
};

self.addEventListener("message", ({ data }) => {
  const { id, call, asked } = data;
  unanswered++;
  last = last.then(async () => {
    try {
      const answer = await /** @type {any} */ (calls)[call](asked);
      self.postMessage({ id, answer });
    } catch (error) {
      self.postMessage({
        id,
        error: error instanceof Error ? error.message : String(error),
      });
    } finally {
      unanswered--;
    }
  });
});
