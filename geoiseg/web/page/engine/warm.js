/** The network is made ready while the user looks at the map. */

/** @import {Graphs} from "./graphs.js" */
import { bits } from "../planes.js";
import { Tiny } from "./tiny.js";

const SIDE = 128;
const RADIUS = 40;
/** After as many looks the browser has compiled for speed what clicks run most. */
const ROUNDS = 4;

/**
 * Click on a disc, small as it is, until the browser has compiled what that runs.
 * @param {Graphs} graphs
 * @param {() => Promise<boolean>} mayGoOn waits while others are at work; false ends it
 */
export async function warm(graphs, mayGoOn) {
  const own = new Tiny(graphs); // what it keeps is nobody else's
  const [valid, data] = [bits(SIDE, SIDE), new Uint8Array(3 * SIDE * SIDE)];
  valid.data.fill(1);
  const middle = SIDE / 2;
  for (let at = 0; at < valid.data.length; at++) {
    const [x, y] = [at % SIDE, Math.floor(at / SIDE)];
    const inside = Math.hypot(x - middle, y - middle) < RADIUS;
    data.set(inside ? [40, 60, 150] : [60, 110, 50], 3 * at);
  }
  const image = { rows: SIDE, cols: SIDE, data };
  const point = { x: middle, y: middle, positive: true };
  for (let round = 0; round < ROUNDS; round++) {
    if (!(await mayGoOn())) return;
    const embedding = await own.embed(image, valid);
    if (!(await mayGoOn())) return;
    const prompts = { points: [point], box: null };
    const { logits } = await own.decode(embedding, prompts, null, false);
    if (!(await mayGoOn())) return;
    await own.decode(embedding, prompts, logits, false);
  }
}
