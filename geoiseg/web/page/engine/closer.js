/** Small and thin objects are looked at again, enlarged. */

/** @import {Bits, Prompts, Window} from "../types.js" */
import { bounds, cut } from "../planes.js";
import { span } from "./pieces.js";
import { extent } from "./prompts.js";
import { depths } from "./vision.js";

const DEEP = 8;
/** How often, the side of what is enlarged, and the longest object that it is done for. */
const ENLARGEMENTS = [
  { times: 4, side: 128, longest: 80 },
  { times: 2, side: 256, longest: 160 },
];
/** By how much the answer on the chip itself must score better to be preferred. */
export const TRUST = 0.2;

/**
 * How to enlarge an object; null where it is large and deep enough as it is.
 * @param {Bits} mask the object as far as it is known
 * @param {Prompts} prompts
 * @returns {{window: Window, times: number} | null}
 */
export function closeUp(mask, prompts) {
  const where = bounds(mask);
  if (!where) return null;
  const said = extent(prompts);
  const [x0, y0] = [
    Math.min(said.x0, where.left),
    Math.min(said.y0, where.top),
  ];
  const [x1, y1] = [
    Math.max(said.x1, where.right),
    Math.max(said.y1, where.bottom),
  ];
  const reach = Math.max(x1 - x0, y1 - y0);
  const how = ENLARGEMENTS.find(({ longest }) => reach <= longest);
  if (!how) return null;
  const { top, left } = where;
  const own = {
    row: top,
    col: left,
    height: where.bottom - top,
    width: where.right - left,
  };
  const depth = depths(cut(mask, own)).data;
  if (depth.reduce((most, value) => Math.max(most, value), 0) > DEEP)
    return null;
  const down = span((y0 + y1) / 2, how.side, mask.rows);
  const across = span((x0 + x1) / 2, how.side, mask.cols);
  const window = {
    row: down.start,
    col: across.start,
    height: down.length,
    width: across.length,
  };
  const outside =
    y0 < window.row ||
    x0 < window.col ||
    y1 > window.row + window.height ||
    x1 > window.col + window.width;
  return outside ? null : { window, times: how.times };
}
