/** The small network: an image becomes features once, prompts become a mask each time. */

/** @import {Bits, Plane, Prompts, Rgb, Window} from "../types.js" */
/** @import {Features, Graphs} from "./graphs.js" */
/** @import {Answer} from "./answers.js" */
/** @import {Reading} from "./afar.js" */
import {
  above,
  anyAbove,
  bits,
  clamped,
  cut,
  paste,
  plane,
} from "../planes.js";
import {
  NARROWEST,
  TIMES,
  VIEWS,
  enlargedLogits,
  halvedChip,
  isDeep,
  likeliest,
  seenFromAfar,
  withOthers,
} from "./afar.js";
import { Answers } from "./answers.js";
import {
  enlargedBetween,
  reducedChip,
  reducedLogits,
  seenBetween,
} from "./between.js";
import {
  AGAIN,
  MEANT,
  TURNED,
  agree,
  at,
  meanOf,
  turned,
  turnedPrompts,
} from "./careful.js";
import { TRUST, closeUp } from "./closer.js";
import { cutFeatures } from "./graphs.js";
import { LIMIT, lessOf, obedient, sharpened } from "./outputs.js";
import { LEAST, SMALLEST, goesOn, padded, pieces } from "./pieces.js";
import { drawSeeds, isVague, moved, saysNothing } from "./prompts.js";
import { enlargedImage, resized } from "./vision.js";

/** Enlarged surroundings, and chips seen from further away or turned, that are kept encoded. */
const KEPT = 16;

/**
 * What is known of a chip once it is encoded.
 * @typedef {{features: Features, valid: Bits, pixels: Rgb}} Embedding
 */
/**
 * A mask on a piece of a chip, and other readings of a vague click.
 * @typedef {{window: Window, piece: Plane, score: number, others: Answer[]}} Look
 */
/**
 * The answer of a chip, whose outline may yet have to be moved to where colours change.
 * @typedef {{look: Look, others: Answer[], isSharp: boolean}} Draft
 */

export class Tiny {
  /** @param {Graphs} graphs */
  constructor(graphs) {
    this.graphs = graphs;
    this.answers = new Answers(graphs);
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
   * @param {((logits: Plane) => boolean) | false} goesOn whether logits not yet drawn exactly clearly
   *   go on beyond the chip: then they are the answer
   * @returns {Promise<Answer>}
   */
  async decode(embedding, prompts, before, goesOn) {
    const { valid } = embedding;
    if (saysNothing(drawSeeds(prompts, valid, before))) {
      return { logits: plane(valid.rows, valid.cols, -LIMIT), score: 0 };
    }
    // An empty mask tells less than none.
    const previous = before && anyAbove(before) ? before : null;
    if (!previous && this.graphs.hasOthers && isVague(prompts)) {
      const [click] = prompts.points;
      const draft = await this.drafted(embedding, prompts, null);
      const best = likeliest(
        await this.readings(embedding, prompts, answers(draft, valid)),
        click,
      );
      if (!best)
        return { logits: plane(valid.rows, valid.cols, -LIMIT), score: 0 };
      if (goesOn && goesOn(best.logits)) return best;
      return this.drawn(embedding, prompts, best);
    }
    const { hasOthers } = this.graphs; // the first generation has none, and answers as it did
    const isCareful =
      hasOthers && !prompts.box && prompts.points.length >= AGAIN;
    const draft = isCareful
      ? await this.carefully(embedding, prompts, previous)
      : await this.drafted(embedding, prompts, previous);
    const answer = isCareful ? modest(draft, prompts, valid) : draft;
    return answers(finished(answer, embedding, prompts), valid)[0];
  }

  /**
   * The answer to several clicks by a second look, from the third on from three sides.
   * @param {Embedding} embedding
   * @param {Prompts} prompts
   * @param {Plane | null} previous
   * @returns {Promise<Draft>}
   */
  async carefully(embedding, prompts, previous) {
    const { valid } = embedding;
    const before = previous ?? (await this.meantByAll(embedding, prompts));
    const draft = await this.drafted(embedding, prompts, before);
    const { logits } = whole(draft.look, valid);
    if (!anyAbove(logits)) return draft;
    if (prompts.points.length < TURNED)
      return this.drafted(embedding, prompts, logits);
    return this.fromAllSides(embedding, prompts, draft, logits);
  }

  /**
   * The mean of a draft and of what the chip turned by half and from a third further away are.
   * @param {Embedding} embedding
   * @param {Prompts} prompts
   * @param {Draft} draft
   * @param {Plane} logits the draft as those of the chip
   * @returns {Promise<Draft>}
   */
  async fromAllSides(embedding, prompts, draft, logits) {
    const { valid } = embedding;
    const { rows, cols } = valid;
    const { window, piece, score, others } = draft.look;
    const pieces = [piece];
    let { isSharp } = draft;
    /** @param {Embedding} view @param {Prompts} said @param {Plane} before @param {(logits: Plane) => Plane} back */
    const look = async (view, said, before, back) => {
      const other = await this.drafted(view, said, before);
      pieces.push(cut(back(whole(other.look, view.valid).logits), window));
      isSharp &&= other.isSharp;
    };
    const around = await this.turned(embedding);
    const said = turnedPrompts(prompts, valid);
    await look(around, said, turned(logits), turned);
    const smaller = reducedLogits(logits);
    if (Math.min(rows, cols) >= NARROWEST && anyAbove(smaller)) {
      const view = await this.between(embedding);
      await look(view, seenBetween(prompts), smaller, (one) =>
        enlargedBetween(one, rows, cols),
      );
    }
    const part = cut(valid, window);
    const seeds = drawSeeds(moved(prompts, window), part, null);
    const mean = obedient(meanOf(pieces), seeds, part);
    const found = { window, piece: mean, score, others };
    return { look: found, others: draft.others, isSharp };
  }

  /**
   * The likeliest thing that a click means and all clicks agree with; null where there is none.
   * @param {Embedding} embedding
   * @param {Prompts} prompts several clicks
   * @returns {Promise<Plane | null>}
   */
  async meantByAll(embedding, prompts) {
    let best = null;
    // A click on no data says nothing.
    const points = prompts.points.filter((one) => at(embedding.valid, one));
    for (const click of points.filter((one) => one.positive).slice(-MEANT)) {
      const alone = { points: [click], box: null };
      const draft = await this.drafted(embedding, alone, null);
      const own = answers(draft, embedding.valid);
      const every = await this.readings(embedding, alone, own);
      const one = likeliest(every, click, ({ logits }) =>
        agree(points, logits),
      );
      if (one && (!best || one.score > best.score)) best = one;
    }
    return best && best.logits;
  }

  /**
   * All that a single click may mean, seen as it is, from afar and from further.
   * @param {Embedding} embedding
   * @param {Prompts} prompts
   * @param {Reading[]} own those of the chip itself
   * @returns {Promise<Reading[]>}
   */
  async readings(embedding, prompts, own) {
    const found = [...own];
    const views = [embedding];
    let said = prompts;
    for (let number = 0; number < VIEWS; number++) {
      const { rows, cols } = views[number].valid;
      if (Math.min(rows, cols) < NARROWEST) break;
      if (number && !isDeep(found, prompts.points[0])) break;
      views.push(await this.fromAfar(views[number]));
      said = seenFromAfar(said);
      found.push(...(await this.seen(views, said, prompts)));
    }
    return found;
  }

  /**
   * The readings of a click in the last of some views of a chip, as those of it.
   * @param {Embedding[]} views the chip, and each view from twice as far as the one before
   * @param {Prompts} said the click in the last view
   * @param {Prompts} prompts the click on the chip
   * @returns {Promise<Reading[]>}
   */
  async seen(views, said, prompts) {
    const [{ valid }] = views;
    const view = views[views.length - 1];
    const look = await this.look(view, said, null, null, LEAST);
    const seeds = drawSeeds(prompts, valid, null);
    const times = TIMES ** (views.length - 1);
    return [whole(look, view.valid), ...look.others].map((one) => {
      let { logits } = one;
      for (const { valid: larger } of views.slice(0, -1).reverse()) {
        logits = enlargedLogits(logits, larger.rows, larger.cols);
      }
      return {
        logits: obedient(logits, seeds, valid),
        score: one.score,
        times,
      };
    });
  }

  /**
   * A reading as an answer: drawn at the chip's resolution, up to its colours.
   * @param {Embedding} embedding
   * @param {Prompts} prompts
   * @param {Reading} reading
   * @returns {Promise<Answer>}
   */
  async drawn(embedding, prompts, { logits, score, times, isSharp }) {
    const { valid } = embedding;
    const { rows, cols } = valid;
    const window = { row: 0, col: 0, height: rows, width: cols };
    const look = { window, piece: logits, score, others: [] };
    const draft =
      times === 1
        ? { look, others: [], isSharp: Boolean(isSharp) }
        : await this.drafted(embedding, prompts, logits);
    const answer = finished(modest(draft, prompts, valid), embedding, prompts);
    return { logits: whole(answer.look, valid).logits, score };
  }

  /**
   * The answer of the chip itself before its outline is moved to where colours change.
   * @param {Embedding} embedding
   * @param {Prompts} prompts
   * @param {Plane | null} previous
   * @returns {Promise<Draft>}
   */
  async drafted(embedding, prompts, previous) {
    const { valid } = embedding;
    let near = null;
    if (previous) near = await this.closer(embedding, previous, prompts, true);
    if (near && near.score + TRUST >= 1)
      return { look: near, others: [], isSharp: true };
    let far = await this.look(embedding, prompts, previous, previous, LEAST);
    // The reading of which the network expects most, with the rest as its others.
    const every = [whole(far, valid), ...far.others];
    every.sort((one, other) => other.score - one.score);
    const { window } = far;
    const piece = cut(every[0].logits, window);
    far = { window, piece, score: every[0].score, others: every.slice(1) };
    if (!near) {
      const known = every[0].logits;
      near = await this.closer(embedding, known, prompts, Boolean(previous));
    }
    const { others } = far;
    if (near && near.score + TRUST >= far.score) {
      return { look: near, others, isSharp: true };
    }
    const again = await this.patiently(embedding, prompts, previous, far);
    return { look: again, others, isSharp: false };
  }

  /**
   * The mask as the network draws it.
   * @param {Embedding} embedding
   * @param {Prompts} prompts
   * @param {Plane | null} previous
   * @param {Plane | null} known logits that tell about where the object is
   * @param {number} least sides of the first piece then
   * @returns {Promise<Look>}
   */
  async look({ features, valid }, prompts, previous, known, least) {
    const vague = this.graphs.hasOthers && !previous && isVague(prompts);
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
      const readings = await this.answers.piece(
        part,
        cut(valid, window),
        said,
        before,
        vague,
      );
      const open = goesOn(above(readings[0].logits), window, rows, cols);
      const [{ logits, score }, ...rest] = readings;
      const others = rest.map((other) =>
        whole(
          { window, piece: other.logits, score: other.score, others: [] },
          valid,
        ),
      );
      found = { window, piece: logits, score, others };
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
    const [{ logits, score }] = await this.answers.piece(
      cells,
      part,
      said,
      look.piece,
      false,
    );
    const again = { window, piece: logits, score, others: [] };
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
    const score = look.score;
    return { window, piece: obedient(piece, seeds, part), score, others: [] };
  }

  /**
   * The embedding of a close-up.
   * @param {Embedding} embedding
   * @param {Window} window
   * @param {number} times
   */
  async enlarged(embedding, window, times) {
    const { row, col, height, width } = window;
    return this.scaled(embedding, [row, col, height, width, times], () => ({
      image: enlargedImage(cut(embedding.pixels, window, 3), times),
      valid: repeated(cut(embedding.valid, window), times),
    }));
  }

  /**
   * What encodes the other sides of a chip, one after the other: before a third click asks for them.
   * @param {Embedding} embedding
   * @returns {(() => Promise<Embedding>)[]}
   */
  otherSides(embedding) {
    if (!this.graphs.hasOthers) return [];
    const sides = [() => this.turned(embedding)];
    const { rows, cols } = embedding.valid;
    if (Math.min(rows, cols) >= NARROWEST) {
      sides.push(() => this.between(embedding));
    }
    return sides;
  }

  /**
   * The embedding of a chip at half its resolution.
   * @param {Embedding} embedding
   */
  async fromAfar(embedding) {
    const { pixels, valid } = embedding;
    return this.scaled(embedding, ["far"], () => halvedChip(pixels, valid));
  }

  /**
   * The embedding of a chip at three quarters of its resolution.
   * @param {Embedding} embedding
   */
  async between(embedding) {
    const { pixels, valid } = embedding;
    return this.scaled(embedding, ["between"], () =>
      reducedChip(pixels, valid),
    );
  }

  /**
   * The embedding of a chip turned by half.
   * @param {Embedding} embedding
   */
  async turned(embedding) {
    const { pixels, valid } = embedding;
    return this.scaled(embedding, ["turned"], () => ({
      image: turned(pixels, 3),
      valid: turned(valid),
    }));
  }

  /**
   * The embedding of a chip at another scale, made now if it is not kept.
   * @param {Embedding} embedding
   * @param {(number | string)[]} how what tells it from others of the chip
   * @param {() => {image: Rgb, valid: Bits}} seen
   */
  async scaled(embedding, how, seen) {
    const key = [this.numbers.get(embedding), ...how].join();
    let found = this.closeUps.get(key);
    if (!found) {
      const { image, valid } = seen();
      found = await this.embed(image, valid);
    }
    this.closeUps.delete(key);
    this.closeUps.set(key, found);
    if (this.closeUps.size > KEPT) {
      this.closeUps.delete(
        /** @type {string} */ (this.closeUps.keys().next().value),
      );
    }
    return found;
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
    others: [],
  };
}

/**
 * A draft without what is hardly likelier than not, if it is of one click or two.
 * @param {Draft} draft
 * @param {Prompts} prompts
 * @param {Bits} valid
 * @returns {Draft}
 */
function modest(draft, prompts, valid) {
  const less = lessOf(prompts);
  if (!less) return draft;
  const { window, piece } = draft.look;
  const part = cut(valid, window);
  const data = piece.data.map((value) => value - less);
  const seeds = drawSeeds(moved(prompts, window), part, null);
  const lowered = obedient({ ...piece, data }, seeds, part);
  return { ...draft, look: { ...draft.look, piece: lowered } };
}

/**
 * A draft with its outline moved.
 * @param {Draft} draft
 * @param {Embedding} embedding
 * @param {Prompts} prompts
 * @returns {Draft}
 */
function finished(draft, embedding, prompts) {
  if (draft.isSharp) return draft;
  return {
    ...draft,
    look: drawn(draft.look, embedding, prompts),
    isSharp: true,
  };
}

/**
 * A draft as logits of the chip, and behind it the others that differ from it.
 * @param {Draft} draft
 * @param {Bits} valid
 * @returns {Reading[]}
 */
function answers({ look, others, isSharp }, valid) {
  const [first, ...rest] = withOthers(whole(look, valid), others);
  return [{ ...first, isSharp }, ...rest];
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
