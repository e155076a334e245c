/** The small network: an image becomes features once, prompts become a mask each time. */

/** @import {Bits, Plane, Prompts, Rgb, Window} from "../types.js" */
/** @import {Features, Graphs} from "./graphs.js" */
/** @import {Seeds} from "./prompts.js" */
import { above, any, bits, clamped, cut, paste, plane } from "../planes.js";
import { CLEAR, ENOUGH, surroundings } from "./boxed.js";
import { TRUST, closeUp } from "./closer.js";
import { cutFeatures } from "./graphs.js";
import { LIMIT, obedient, sharpened } from "./outputs.js";
import { LEAST, SMALLEST, goesOn, padded, pieces } from "./pieces.js";
import {
  decoderInputs,
  drawSeeds,
  isVague,
  moved,
  saysNothing,
} from "./prompts.js";
import { depths, enlargedImage, resized } from "./vision.js";

/** Enlarged surroundings that are kept encoded. */
const KEPT = 8;

/**
 * What is known of a chip once it is encoded.
 * @typedef {{features: Features, valid: Bits, pixels: Rgb}} Embedding
 */
/** @typedef {{logits: Plane, score: number}} Answer */
/** @typedef {{window: Window, piece: Plane, score: number}} Look a mask on a piece of a chip */

export class Tiny {
  /** @param {Graphs} graphs */
  constructor(graphs) {
    this.graphs = graphs;
    /** @type {Map<string, Embedding>} */
    this.closeUps = new Map();
    this.numbers = new WeakMap();
    this.embedded = 0;
  }

  /**
   * @param {Rgb} image
   * @param {Bits} valid
   * @returns {Promise<Embedding>}
   */
  async embed(image, valid) {
    const [height, width] = [padded(valid.rows), padded(valid.cols)];
    const seen = new Float32Array(height * width);
    const planes = new Float32Array(3 * height * width);
    const pixels = new Uint8Array(image.data.length);
    for (let y = 0; y < valid.rows; y++) {
      for (let x = 0; x < valid.cols; x++) {
        const at = y * valid.cols + x;
        if (!valid.data[at]) continue;
        seen[y * width + x] = 1;
        for (let c = 0; c < 3; c++) {
          const value = image.data[3 * at + c];
          pixels[3 * at + c] = value;
          planes[(c * height + y) * width + x] = value;
        }
      }
    }
    const features = await this.graphs.encode(planes, seen, height, width);
    const embedding = { features, valid, pixels: { ...image, data: pixels } };
    this.numbers.set(embedding, ++this.embedded);
    return embedding;
  }

  /**
   * The likeliest mask of all prompts so far, as logits of the chip.
   * @param {Embedding} embedding
   * @param {Prompts} prompts
   * @param {Plane | null} before logits of the last mask, to be refined
   * @returns {Promise<Answer>}
   */
  async decode(embedding, prompts, before) {
    const { valid } = embedding;
    if (saysNothing(drawSeeds(prompts, valid, before))) {
      return { logits: plane(valid.rows, valid.cols, -LIMIT), score: 0 };
    }
    // An empty mask tells less than none.
    const previous = before && any(above(before)) ? before : null;
    let near = null;
    if (previous) near = await this.closer(embedding, previous, prompts, true);
    if (near && near.score + TRUST >= 1) return whole(near, valid);
    let far = await this.look(
      embedding,
      prompts,
      previous,
      previous,
      LEAST,
      true,
    );
    if (!near) {
      const known = whole(far, valid).logits;
      near = await this.closer(embedding, known, prompts, Boolean(previous));
    }
    if (near && near.score + TRUST >= far.score) return whole(near, valid);
    far = await this.patiently(embedding, prompts, previous, far);
    return whole(drawn(far, embedding, prompts), valid);
  }

  /**
   * The mask as the network draws it.
   * @param {Embedding} embedding
   * @param {Prompts} prompts
   * @param {Plane | null} previous
   * @param {Plane | null} known logits that tell about where the object is
   * @param {number} least sides of the first piece then
   * @param {boolean} [likeliest] whether the best of several readings of a vague click is wanted
   * @returns {Promise<Look>}
   */
  async look(
    { features, valid },
    prompts,
    previous,
    known,
    least,
    likeliest = false,
  ) {
    const vague =
      likeliest && this.graphs.hasOthers && !previous && isVague(prompts);
    const { rows, cols } = valid;
    /** @type {Look | null} */
    let found = null;
    for (const window of pieces(
      prompts,
      rows,
      cols,
      known && above(known),
      least,
    )) {
      const before = previous && cut(previous, window);
      const part = cutFeatures(features, window);
      const said = moved(prompts, window);
      /** @type {Answer[]} */
      const readings = await this.piece(
        part,
        cut(valid, window),
        said,
        before,
        vague,
      );
      const open = goesOn(above(readings[0].logits), window, rows, cols);
      const best = readings.reduce((one, other) =>
        other.score > one.score ? other : one,
      );
      found = { window, piece: best.logits, score: best.score };
      if (!open) break;
    }
    return /** @type {Look} */ (found);
  }

  /**
   * What a second look makes of the first one, if that was at a small piece.
   * @param {Embedding} embedding
   * @param {Prompts} prompts
   * @param {Plane | null} previous
   * @param {Look} look
   * @returns {Promise<Look>}
   */
  async patiently(embedding, prompts, previous, look) {
    const { window } = look;
    if (previous || Math.max(window.height, window.width) > SMALLEST)
      return look;
    const { features, valid } = embedding;
    const [part, said] = [cut(valid, window), moved(prompts, window)];
    const cells = cutFeatures(features, window);
    const [{ logits, score }] = await this.piece(
      cells,
      part,
      said,
      look.piece,
      false,
    );
    const again = { window, piece: logits, score };
    if (!goesOn(above(logits), window, valid.rows, valid.cols)) return again;
    const before = whole(again, valid).logits;
    return this.look(embedding, prompts, before, before, LEAST);
  }

  /**
   * The mask of an object that is small or thin, enlarged; null where it is neither.
   * @param {Embedding} embedding
   * @param {Plane} known logits that tell about where the object is
   * @param {Prompts} prompts
   * @param {boolean} refine whether that is to be refined, or only says where to look
   * @returns {Promise<Look | null>}
   */
  async closer(embedding, known, prompts, refine) {
    const view = closeUp(above(known), prompts);
    if (!view) return null;
    const { window, times } = view;
    const near = await this.enlarged(embedding, window, times);
    const own = cut(known, window);
    own.data.forEach(
      (value, i) => (own.data[i] = clamped(value, -LIMIT, LIMIT)),
    );
    const about = resized(own, own.rows * times, own.cols * times, "linear");
    const [before, said] = [
      refine ? about : null,
      moved(prompts, window, times),
    ];
    let look = await this.look(near, said, before, about, SMALLEST);
    look = drawn(await this.patiently(near, said, before, look), near, said);
    const piece = resized(
      whole(look, near.valid).logits,
      window.height,
      window.width,
      "area",
    );
    if (
      goesOn(above(piece), window, embedding.valid.rows, embedding.valid.cols)
    )
      return null;
    const part = cut(embedding.valid, window);
    const seeds = drawSeeds(moved(prompts, window), part, null);
    return { window, piece: obedient(piece, seeds, part), score: look.score };
  }

  /**
   * The embedding of a close-up, made now if it is not kept.
   * @param {Embedding} embedding
   * @param {Window} window
   * @param {number} times
   */
  async enlarged(embedding, window, times) {
    const { row, col, height, width } = window;
    const key = [
      this.numbers.get(embedding),
      row,
      col,
      height,
      width,
      times,
    ].join();
    let near = this.closeUps.get(key);
    if (!near) {
      const image = enlargedImage(cut(embedding.pixels, window, 3), times);
      near = await this.embed(
        image,
        repeated(cut(embedding.valid, window), times),
      );
    }
    this.closeUps.delete(key);
    this.closeUps.set(key, near);
    if (this.closeUps.size > KEPT) {
      this.closeUps.delete(
        /** @type {string} */ (this.closeUps.keys().next().value),
      );
    }
    return near;
  }

  /**
   * The answers on one piece of a chip, the network's own first.
   *
   * A box alone names no pixel, but its own first answer does: with a click there a second
   * answer is nearly as good as with a user's click.
   * @param {Features} features
   * @param {Bits} valid
   * @param {Prompts} prompts
   * @param {Plane | null} previous
   * @param {boolean} others whether other readings are wanted, too
   * @returns {Promise<Answer[]>}
   */
  async piece(features, valid, prompts, previous, others) {
    const seeds = drawSeeds(prompts, valid, previous);
    if (saysNothing(seeds)) {
      return [{ logits: plane(valid.rows, valid.cols, -LIMIT), score: 0 }];
    }
    const answers = await this.answer(features, prompts, seeds, valid, others);
    if (!any(seeds.positive) && !previous) {
      answers[0] = await this.clicked(
        features,
        prompts,
        seeds,
        valid,
        answers[0],
      );
    }
    return answers.map(({ logits, score }) => ({
      logits: obedient(logits, seeds, valid),
      score,
    }));
  }

  /**
   * The answer to a box with a click in the middle of the first answer. Where that looks like
   * what lies around the box, a click on what does not is tried.
   * @param {Features} features
   * @param {Prompts} prompts
   * @param {Seeds} seeds
   * @param {Bits} valid
   * @param {Answer} first
   */
  async clicked(features, prompts, seeds, valid, first) {
    /** @param {Plane} wanted @param {Answer} answer */
    const again = async (wanted, answer) => {
      const said = clickMiddle(prompts, wanted, seeds);
      if (!said) return answer;
      const drawnAgain = drawSeeds(said, valid, answer.logits);
      return (await this.answer(features, said, drawnAgain, valid, false))[0];
    };
    const answer = await again(first.logits, first);
    const around =
      prompts.box && surroundings(features.colour, prompts.box, valid);
    if (!around) return answer;
    const contrast = around.contrast(answer.logits);
    if (contrast >= ENOUGH) return answer;
    const wanted = around.oddPart(valid.rows, valid.cols);
    if (!wanted) return answer;
    const other = await again(wanted, { logits: wanted, score: first.score });
    return around.contrast(other.logits) > contrast + CLEAR ? other : answer;
  }

  /**
   * The answers as the network gives them.
   * @param {Features} features
   * @param {Prompts} prompts
   * @param {Seeds} seeds
   * @param {Bits} valid
   * @param {boolean} others
   * @returns {Promise<Answer[]>}
   */
  async answer(features, prompts, seeds, valid, others) {
    const [height, width] = [padded(valid.rows), padded(valid.cols)];
    const inputs = decoderInputs(prompts, seeds, height, width);
    const told = await this.graphs.decode(features, inputs, others);
    const window = { row: 0, col: 0, height: valid.rows, width: valid.cols };
    /** @param {Float32Array} all @param {number} k */
    const mask = (all, k) => {
      const data = all.subarray(k * height * width, (k + 1) * height * width);
      return cut({ rows: height, cols: width, data }, window);
    };
    const answers = [
      { logits: mask(told.logits.data, 0), score: told.score.data[0] },
    ];
    if (others) {
      told.alternative_scores.data.forEach((score, k) =>
        answers.push({ logits: mask(told.alternatives.data, k), score }),
      );
    }
    return answers;
  }
}

/**
 * A look as logits of the chip; there is nothing outside its window.
 * @param {Look} look
 * @param {Bits} valid
 * @returns {Answer}
 */
function whole({ window, piece, score }, valid) {
  const logits = plane(valid.rows, valid.cols, -LIMIT);
  paste(logits, window, piece);
  return { logits, score };
}

/**
 * A look with its outline moved to where the colours of the chip change.
 * @param {Look} look
 * @param {Embedding} embedding
 * @param {Prompts} prompts
 * @returns {Look}
 */
function drawn({ window, piece, score }, { valid, pixels }, prompts) {
  const image = cut(pixels, window, 3);
  const said = moved(prompts, window);
  return {
    window,
    piece: sharpened(piece, image, said, cut(valid, window)),
    score,
  };
}

/**
 * The prompts with a click in the middle of the mask's largest part; null where it is empty.
 * @param {Prompts} prompts
 * @param {Plane} logits
 * @param {Seeds} seeds
 * @returns {Prompts | null}
 */
function clickMiddle(prompts, logits, { negative, box }) {
  const mask = above(logits);
  for (let i = 0; i < mask.data.length; i++) {
    if (negative.data[i] || (box && !box.data[i])) mask.data[i] = 0;
  }
  if (!any(mask)) return null;
  const depth = depths(mask).data;
  let at = 0;
  for (let i = 1; i < depth.length; i++) if (depth[i] > depth[at]) at = i;
  const y = Math.floor(at / mask.cols);
  const middle = { x: at - y * mask.cols + 0.5, y: y + 0.5, positive: true };
  return { points: [...prompts.points, middle], box: prompts.box };
}

/**
 * @param {Bits} valid
 * @param {number} times
 */
function repeated(valid, times) {
  const found = bits(valid.rows * times, valid.cols * times);
  for (let y = 0; y < found.rows; y++) {
    for (let x = 0; x < found.cols; x++) {
      const at = Math.floor(y / times) * valid.cols + Math.floor(x / times);
      found.data[y * found.cols + x] = valid.data[at];
    }
  }
  return found;
}
