/** The two graphs of the network, run by onnxruntime in WebAssembly. */

import * as ort from "../vendor/ort.js";
import { halved } from "../planes.js";
import { STRIDE } from "./pieces.js";

/** @import {Window} from "../types.js" */
/** @typedef {{data: Float32Array, dims: number[]}} Tensor */
/** @typedef {Record<string, Tensor>} Features */

const ANSWER = ["logits", "score"];
const OTHERS = ["alternatives", "alternative_scores"];

export class Graphs {
  /**
   * @param {ort.InferenceSession} encoder
   * @param {ort.InferenceSession} decoder
   */
  constructor(encoder, decoder) {
    this.encoder = encoder;
    this.decoder = decoder;
    /** Whether the decoder gives other readings of a click. */
    this.hasOthers = OTHERS.every((name) => decoder.outputNames.includes(name));
  }

  /**
   * @param {string} folder where the graphs are
   * @param {string} vendor where onnxruntime is
   * @param {() => Promise<void>} turn waits while something else is wanted first
   */
  static async load(folder, vendor, turn) {
    ort.env.wasm.wasmPaths = vendor;
    ort.env.wasm.numThreads = self.crossOriginIsolated
      ? Math.min(4, navigator.hardwareConcurrency || 1)
      : 1;
    ort.env.logLevel = "error";
    /** @type {ort.InferenceSession.SessionOptions} */
    const options = {
      executionProviders: ["wasm"],
      graphOptimizationLevel: "all",
    };
    const graphs = ["encoder.onnx", "decoder.onnx"].map(async (name) => {
      const answer = await fetch(folder + name);
      if (!answer.ok)
        throw new Error(
          `the page's own ${name} is missing: write the site again`,
        );
      return new Uint8Array(await answer.arrayBuffer());
    });
    const sessions = [];
    for (const graph of await Promise.all(graphs)) {
      await turn();
      sessions.push(await ort.InferenceSession.create(graph, options));
    }
    return new Graphs(sessions[0], sessions[1]);
  }

  /**
   * The features of a padded image, in half precision as they are kept.
   * @param {Float32Array} image `(3, y, x)`
   * @param {Float32Array} valid `(y, x)`
   * @param {number} height
   * @param {number} width
   * @returns {Promise<Features>}
   */
  async encode(image, valid, height, width) {
    const found = await this.encoder.run({
      image: new ort.Tensor("float32", image, [1, 3, height, width]),
      valid: new ort.Tensor("float32", valid, [1, 1, height, width]),
    });
    /** @type {Features} */
    const features = {};
    for (const [name, tensor] of Object.entries(found)) {
      const data = halved(/** @type {Float32Array} */ (tensor.data).slice());
      features[name] = { data, dims: [...tensor.dims] };
      tensor.dispose();
    }
    return features;
  }

  /**
   * What the decoder says of a piece; only what it reads is handed to it.
   * @param {Features} features of the piece
   * @param {Record<string, Tensor>} inputs
   * @param {boolean} others whether other readings are wanted, too
   * @returns {Promise<Record<string, Tensor>>}
   */
  async decode(features, inputs, others) {
    /** @type {Record<string, ort.Tensor>} */
    const given = {};
    for (const [name, { data, dims }] of Object.entries({
      ...features,
      ...inputs,
    })) {
      if (this.decoder.inputNames.includes(name))
        given[name] = new ort.Tensor("float32", data, dims);
    }
    const found = await this.decoder.run(
      given,
      others ? [...ANSWER, ...OTHERS] : ANSWER,
    );
    /** @type {Record<string, Tensor>} */
    const told = {};
    for (const [name, tensor] of Object.entries(found)) {
      const data = /** @type {Float32Array} */ (tensor.data).slice();
      told[name] = { data, dims: [...tensor.dims] };
      tensor.dispose();
    }
    return told;
  }
}

/**
 * A window's features; it starts on a cell of the coarsest.
 * @param {Features} features
 * @param {Window} window
 * @returns {Features}
 */
export function cutFeatures(features, window) {
  const height = Math.ceil(window.height / STRIDE);
  const width = Math.ceil(window.width / STRIDE);
  const [row, col] = [
    Math.floor(window.row / STRIDE),
    Math.floor(window.col / STRIDE),
  ];
  const coarse = features.p32.dims[2];
  /** @type {Features} */
  const found = {};
  for (const [name, { data, dims }] of Object.entries(features)) {
    const [, channels, all, across] = dims;
    const fine = all / coarse;
    const [rows, cols] = [height * fine, width * fine];
    const piece = new Float32Array(channels * rows * cols);
    for (let c = 0; c < channels; c++) {
      for (let y = 0; y < rows; y++) {
        const from = (c * all + row * fine + y) * across + col * fine;
        piece.set(data.subarray(from, from + cols), (c * rows + y) * cols);
      }
    }
    found[name] = { data: piece, dims: [1, channels, rows, cols] };
  }
  return found;
}
