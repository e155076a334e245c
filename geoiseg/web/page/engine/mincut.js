/**
 * The last step of GrabCut where little is uncertain: what is certain lies on the borders of a cut
 * of the rest, and no more than that is looked at. OpenCV's own cuts all pixels alike.
 *
 * Sources: Rother, Kolmogorov & Blake (2004), GrabCut; OpenCV's weights; Dinitz (1970).
 */

/** @import {Bits, Rgb} from "../types.js" */

const COMPONENTS = 5;
const GAMMA = 50;
/** The neighbours of a pixel, across and down; of each two the second is the way back. */
const WAYS = [[-1, 0], [1, 0], [0, -1], [0, 1], [-1, -1], [1, 1], [1, -1], [-1, 1]]; // prettier-ignore
/** Steps to the sink of a node that does not reach it; one fewer than 0 would be a way on. */
const NEVER = -2;
/** Bits of a trimap's values: the object's side, and whether it only may be. */
const [FRONT, MAYBE] = [1, 2];

/**
 * The trimap with uncertain pixels on the sides of the cheapest cut; null where the colours of
 * some are so far from all that were learned that they say nothing.
 * @param {Rgb} image
 * @param {Bits} trimap of `SIDES`
 * @param {Float64Array[]} models colours of the background and of the object, as OpenCV has them
 * @returns {Bits | null}
 */
export function cutBand(image, trimap, models) {
  const { rows, cols } = trimap;
  const where = [];
  for (let at = 0; at < trimap.data.length; at++)
    if (trimap.data[at] & MAYBE) where.push(at);
  const numbers = new Int32Array(trimap.data.length).fill(-1);
  where.forEach((at, node) => (numbers[at] = node));
  const [back, front] = models.map(densityOf);
  const beta = evenness(image);
  const net = new Net(where.length);
  for (let node = 0; node < where.length; node++) {
    const at = where[node];
    let excess =
      Math.log(front(image.data, at)) - Math.log(back(image.data, at));
    if (Number.isNaN(excess)) return null;
    const [x, y] = [at % cols, Math.floor(at / cols)];
    for (let way = 0; way < WAYS.length; way++) {
      const [u, v] = [x + WAYS[way][0], y + WAYS[way][1]];
      if (u < 0 || v < 0 || u >= cols || v >= rows) continue;
      const other = v * cols + u;
      const near = way < 4 ? GAMMA : GAMMA / Math.SQRT2;
      const weight = near * Math.exp(-beta * apart(image.data, at, other));
      if (numbers[other] >= 0) net.join(node, way, numbers[other], weight);
      else excess += trimap.data[other] & FRONT ? weight : -weight;
    }
    net.excess[node] = excess;
  }
  const sides = net.cut();
  const data = trimap.data.slice();
  where.forEach((at, node) => (data[at] = MAYBE | sides[node]));
  return { rows, cols, data };
}

/**
 * The squared distance of two pixels' colours.
 * @param {Uint8Array} data
 * @param {number} one
 * @param {number} other
 */
function apart(data, one, other) {
  const red = data[3 * one] - data[3 * other];
  const green = data[3 * one + 1] - data[3 * other + 1];
  const blue = data[3 * one + 2] - data[3 * other + 2];
  return red * red + green * green + blue * blue;
}

/**
 * What a squared distance is multiplied with: its mean over all neighbours becomes a half.
 * @param {Rgb} image
 */
function evenness({ rows, cols, data }) {
  let sum = 0;
  for (let y = 0, at = 0; y < rows; y++) {
    for (let x = 0; x < cols; x++, at++) {
      if (x) sum += apart(data, at, at - 1);
      if (!y) continue;
      sum += apart(data, at, at - cols);
      if (x) sum += apart(data, at, at - cols - 1);
      if (x < cols - 1) sum += apart(data, at, at - cols + 1);
    }
  }
  const pairs = 4 * rows * cols - 3 * (rows + cols) + 2;
  return sum ? 1 / ((2 * sum) / pairs) : 0;
}

/**
 * The density of a mixture of colours at a pixel.
 * @param {Float64Array} model weights, then means, then covariances
 * @returns {(data: Uint8Array, at: number) => number}
 */
function densityOf(model) {
  /** @type {{mean: Float64Array, inverse: number[], factor: number}[]} */
  const parts = [];
  for (let k = 0; k < COMPONENTS; k++) {
    if (!(model[k] > 0)) continue;
    const mean = model.subarray(COMPONENTS + 3 * k, COMPONENTS + 3 * k + 3);
    const { inverse, determinant } = inverted(
      model.subarray(4 * COMPONENTS + 9 * k, 4 * COMPONENTS + 9 * k + 9),
    );
    parts.push({ mean, inverse, factor: model[k] / Math.sqrt(determinant) });
  }
  return (data, at) => {
    let sum = 0;
    for (const { mean, inverse, factor } of parts) {
      const red = data[3 * at] - mean[0];
      const green = data[3 * at + 1] - mean[1];
      const blue = data[3 * at + 2] - mean[2];
      const square =
        red * (red * inverse[0] + green * inverse[3] + blue * inverse[6]) +
        green * (red * inverse[1] + green * inverse[4] + blue * inverse[7]) +
        blue * (red * inverse[2] + green * inverse[5] + blue * inverse[8]);
      sum += factor * Math.exp(-0.5 * square);
    }
    return sum;
  };
}

/** @param {Float64Array} c of three rows and columns */
function inverted(c) {
  /** @param {number} i @param {number} j @param {number} k @param {number} l */
  const minor = (i, j, k, l) => c[i] * c[j] - c[k] * c[l];
  const determinant =
    c[0] * minor(4, 8, 5, 7) - c[1] * minor(3, 8, 5, 6) + c[2] * minor(3, 7, 4, 6); // prettier-ignore
  const inverse = [
    minor(4, 8, 5, 7), -minor(1, 8, 2, 7), minor(1, 5, 2, 4),
    -minor(3, 8, 5, 6), minor(0, 8, 2, 6), -minor(0, 5, 2, 3),
    minor(3, 7, 4, 6), -minor(0, 7, 1, 6), minor(0, 4, 1, 3),
  ].map((value) => value / determinant); // prettier-ignore
  return { inverse, determinant };
}

/** Nodes with up to eight neighbours each, that take from a source or give to a sink. */
class Net {
  /** @param {number} size */
  constructor(size) {
    this.size = size;
    /** What each node has from the source; below 0 what it can give to the sink. */
    this.excess = new Float64Array(size);
    this.room = new Float64Array(WAYS.length * size);
    this.next = new Int32Array(WAYS.length * size).fill(-1);
    this.steps = new Int32Array(size);
    this.queue = new Int32Array(size);
  }

  /** @param {number} node @param {number} way @param {number} other @param {number} room */
  join(node, way, other, room) {
    this.next[WAYS.length * node + way] = other;
    this.room[WAYS.length * node + way] = room;
  }

  /** Which nodes stay with the source: 1, else 0. */
  cut() {
    while (this.measure()) this.fill();
    const sides = new Uint8Array(this.size);
    let filled = 0;
    for (let node = 0; node < this.size; node++) {
      if (this.excess[node] <= 0) continue;
      sides[node] = 1;
      this.queue[filled++] = node;
    }
    for (let k = 0; k < filled; k++) {
      const first = WAYS.length * this.queue[k];
      for (let edge = first; edge < first + WAYS.length; edge++) {
        const other = this.next[edge];
        if (other < 0 || sides[other] || this.room[edge] <= 0) continue;
        sides[other] = 1;
        this.queue[filled++] = other;
      }
    }
    return sides;
  }

  /** Measure each node's steps to the sink; whether any that has something reaches it. */
  measure() {
    const { steps, queue } = this;
    steps.fill(NEVER);
    let [filled, reached] = [0, false];
    for (let node = 0; node < this.size; node++) {
      if (this.excess[node] >= 0) continue;
      steps[node] = 0;
      queue[filled++] = node;
    }
    for (let k = 0; k < filled; k++) {
      const node = queue[k];
      for (let way = 0; way < WAYS.length; way++) {
        const other = this.next[WAYS.length * node + way];
        if (other < 0 || steps[other] >= 0) continue;
        if (this.room[WAYS.length * other + (way ^ 1)] <= 0) continue;
        steps[other] = steps[node] + 1;
        queue[filled++] = other;
        reached ||= this.excess[other] > 0;
      }
    }
    return reached;
  }

  /** Send all that can be sent along shortest ways. */
  fill() {
    const tried = new Uint8Array(this.size);
    for (let node = 0; node < this.size; node++) {
      if (this.steps[node] <= 0) continue;
      while (this.excess[node] > 0 && this.send(node, tried));
    }
  }

  /**
   * Send something along one shortest way; false where there is none any more.
   * @param {number} source
   * @param {Uint8Array} tried ways of each node that lead nowhere
   */
  send(source, tried) {
    const { excess, room, next, steps, queue } = this;
    let [node, length] = [source, 0];
    while (excess[node] >= 0) {
      const first = WAYS.length * node;
      let way = tried[node];
      for (; way < WAYS.length; way++) {
        const other = next[first + way];
        if (other < 0 || room[first + way] <= 0) continue;
        if (steps[other] === steps[node] - 1) break;
      }
      tried[node] = way;
      if (way < WAYS.length) {
        queue[length++] = first + way;
        node = next[first + way];
      } else if (length) {
        node = queue[--length] >> 3;
        tried[node]++;
      } else return false;
    }
    let most = Math.min(excess[source], -excess[node]);
    for (let k = 0; k < length; k++) most = Math.min(most, room[queue[k]]);
    for (let k = 0; k < length; k++) {
      room[queue[k]] -= most;
      room[WAYS.length * next[queue[k]] + ((queue[k] & 7) ^ 1)] += most;
    }
    excess[source] -= most;
    excess[node] += most;
    return true;
  }
}
