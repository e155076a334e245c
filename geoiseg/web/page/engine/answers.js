/** What the decoder answers on one piece of a chip. */

/** @import {Bits, Plane, Prompts} from "../types.js" */
/** @import {Features, Graphs} from "./graphs.js" */
/** @import {Seeds} from "./prompts.js" */
import { above, any, cut, plane } from "../planes.js";
import { CLEAR, ENOUGH, surroundings } from "./boxed.js";
import { LIMIT, obedient } from "./outputs.js";
import { padded } from "./pieces.js";
import { decoderInputs, drawSeeds, saysNothing } from "./prompts.js";
import { depths } from "./vision.js";

/** @typedef {{logits: Plane, score: number}} Answer */

export class Answers {
  /** @param {Graphs} graphs */
  constructor(graphs) {
    this.graphs = graphs;
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
