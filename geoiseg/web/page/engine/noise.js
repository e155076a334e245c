/** Numpy's random numbers, as far as geoiseg adds them to a picture before it is cut. */

const FACTOR = 0x2360ed051fc65da44385df649fccf645n;
const STEP = 87136372517582989555478159403783844777n;
const WORD = (1n << 64n) - 1n;
const WHOLE = (1n << 128n) - 1n;

/** The state of PCG64 after `numpy.random.default_rng(0)`. */
let state = 35399562948360463058890781895381311971n;
let known = new Int8Array(1 << 16);
let filled = 0;

/**
 * The first values of `default_rng(0).integers(-1, 2, n, dtype=int16)`.
 *
 * Sources: O'Neill (2014), PCG; Lemire (2019), Fast random integer generation in an interval.
 * @param {number} length
 */
export function noise(length) {
  // A word gives up to four numbers, none of which may be lost.
  if (known.length < length + 4) {
    const longer = new Int8Array(length + 4);
    longer.set(known);
    known = longer;
  }
  while (filled < length) draw();
  return known.subarray(0, length);
}

/** Draw four numbers from one word of 64 bits, the lowest bits first. */
function draw() {
  state = (state * FACTOR + STEP) & WHOLE;
  const turn = state >> 122n;
  const mixed = (state >> 64n) ^ (state & WORD);
  const word = ((mixed >> turn) | (mixed << (64n - turn))) & WORD;
  for (const half of [Number(word & 0xffffffffn), Number(word >> 32n)]) {
    for (const piece of [half & 0xffff, half >>> 16]) {
      // Numpy throws a 0 away: 65536 is no multiple of 3.
      if (piece) known[filled++] = ((piece * 3) >>> 16) - 1;
    }
  }
}
