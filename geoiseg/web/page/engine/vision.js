/** OpenCV's operations on the page's own arrays: the same that geoiseg calls from Python. */

/** @import {Bits, Plane, Rgb} from "../types.js" */

/** @type {any} */
let cv = null;

/**
 * Load OpenCV; once is enough.
 * @param {string} address of `opencv.js`
 */
export async function loadVision(address) {
  if (cv) return;
  const text = await (await fetch(address)).text();
  // It is no module: run as a script, it leaves a function `cv` where its `this` is.
  const home = /** @type {any} */ ({});
  new Function(`${text}\n//# sourceURL=${address}`).call(home);
  const module = home.cv();
  // It has a `then`, which awaiting it would call for ever: it is handed on in a box.
  const box = await new Promise((resolve) => {
    if (module.calledRun) resolve({ module });
    else module.onRuntimeInitialized = () => resolve({ module });
  });
  cv = /** @type {any} */ (box).module;
}

/**
 * Run a function with matrices that are freed when it ends.
 * @template T
 * @param {(keep: <M extends {delete(): void}>(mat: M) => M) => T} work
 * @returns {T}
 */
function freed(work) {
  /** @type {{delete(): void}[]} */
  const mats = [];
  try {
    return work((mat) => {
      mats.push(mat);
      return mat;
    });
  } finally {
    for (const mat of mats) mat.delete();
  }
}

/** @param {{rows: number, cols: number, data: Uint8Array}} values @param {number} [depth] */
function bytes(values, depth = 1) {
  const mat = new cv.Mat(
    values.rows,
    values.cols,
    depth === 3 ? cv.CV_8UC3 : cv.CV_8UC1,
  );
  mat.data.set(values.data);
  return mat;
}

/** @param {Plane} values */
function floats(values) {
  const mat = new cv.Mat(values.rows, values.cols, cv.CV_32FC1);
  mat.data32F.set(values.data);
  return mat;
}

/**
 * @param {Plane} values
 * @param {number} rows
 * @param {number} cols
 * @param {"area" | "linear"} how
 * @returns {Plane}
 */
export function resized(values, rows, cols, how) {
  return freed((keep) => {
    const from = keep(floats(values));
    const to = keep(new cv.Mat());
    const kind = how === "area" ? cv.INTER_AREA : cv.INTER_LINEAR;
    cv.resize(from, to, new cv.Size(cols, rows), 0, 0, kind);
    return { rows, cols, data: new Float32Array(to.data32F) };
  });
}

/**
 * @param {Rgb} image
 * @param {number} times
 * @returns {Rgb}
 */
export function enlargedImage(image, times) {
  return freed((keep) => {
    const from = keep(bytes(image, 3));
    const to = keep(new cv.Mat());
    const [rows, cols] = [image.rows * times, image.cols * times];
    cv.resize(from, to, new cv.Size(cols, rows), 0, 0, cv.INTER_LINEAR);
    return { rows, cols, data: new Uint8Array(to.data) };
  });
}

/**
 * The mean of 3 x 3 pixels.
 * @param {Plane} values
 * @returns {Plane}
 */
export function blurred(values) {
  return freed((keep) => {
    const from = keep(floats(values));
    const to = keep(new cv.Mat());
    cv.blur(
      from,
      to,
      new cv.Size(3, 3),
      new cv.Point(-1, -1),
      cv.BORDER_DEFAULT,
    );
    return {
      rows: values.rows,
      cols: values.cols,
      data: new Float32Array(to.data32F),
    };
  });
}

/**
 * How far each pixel of a mask lies from what is not in it; nothing around it is.
 * @param {Bits} mask
 * @returns {Plane}
 */
export function depths(mask) {
  return freed((keep) => {
    const inner = keep(bytes(mask));
    const framed = keep(new cv.Mat());
    cv.copyMakeBorder(
      inner,
      framed,
      1,
      1,
      1,
      1,
      cv.BORDER_CONSTANT,
      new cv.Scalar(0),
    );
    const to = keep(new cv.Mat());
    cv.distanceTransform(framed, to, cv.DIST_L2, 3);
    const data = new Float32Array(mask.rows * mask.cols);
    const whole = to.data32F;
    for (let y = 0; y < mask.rows; y++) {
      const from = (y + 1) * (mask.cols + 2) + 1;
      data.set(whole.subarray(from, from + mask.cols), y * mask.cols);
    }
    return { rows: mask.rows, cols: mask.cols, data };
  });
}

/**
 * How many pixels of a mask lie deeper inside than some pixels.
 * @param {Bits} mask
 * @param {number} radius
 */
export function coreArea(mask, radius) {
  return freed((keep) => {
    const side = 2 * radius + 1;
    const kernel = keep(cv.Mat.ones(side, side, cv.CV_8UC1));
    const [from, to] = [keep(bytes(mask)), keep(new cv.Mat())];
    cv.erode(
      from,
      to,
      kernel,
      new cv.Point(-1, -1),
      1,
      cv.BORDER_REPLICATE,
      new cv.Scalar(),
    );
    return cv.countNonZero(to);
  });
}

/**
 * The pixels within about some pixels of a mask's outline.
 * @param {Bits} mask
 * @param {number} radius
 * @returns {Bits}
 */
export function bandAround(mask, radius) {
  return freed((keep) => {
    const side = 2 * radius + 1;
    const kernel = keep(
      cv.getStructuringElement(cv.MORPH_ELLIPSE, new cv.Size(side, side)),
    );
    const from = keep(bytes(mask));
    const [outer, inner] = [keep(new cv.Mat()), keep(new cv.Mat())];
    const middle = new cv.Point(-1, -1);
    const far = new cv.Scalar(
      Number.MAX_VALUE,
      Number.MAX_VALUE,
      Number.MAX_VALUE,
      Number.MAX_VALUE,
    );
    cv.dilate(from, outer, kernel, middle, 1, cv.BORDER_CONSTANT, far);
    cv.erode(from, inner, kernel, middle, 1, cv.BORDER_REPLICATE, far);
    const data = new Uint8Array(mask.data.length);
    const [wide, narrow] = [outer.data, inner.data]; // each asking makes another view
    for (let i = 0; i < data.length; i++)
      data[i] = wide[i] !== narrow[i] ? 1 : 0;
    return { rows: mask.rows, cols: mask.cols, data };
  });
}

/** What GrabCut calls certain and probable sides. */
export const SIDES = { back: 0, front: 1, maybeBack: 2, maybeFront: 3 };

const LEARNED = 65;

/**
 * What GrabCut learns of the colours of the background and of the object; its random numbers
 * start anew.
 * @param {Rgb} image
 * @param {Bits} trimap of `SIDES`
 * @returns {Float64Array[]}
 */
export function learned(image, trimap) {
  return partedBy(image, trimap, noModels(), 0, cv.GC_INIT_WITH_MASK).models;
}

/**
 * The trimap after one iteration of GrabCut; its random numbers start anew.
 * @param {Rgb} image
 * @param {Bits} trimap of `SIDES`
 * @param {Float64Array[] | null} models colours that are known; null learns them
 * @returns {Bits}
 */
export function grabCut(image, trimap, models) {
  const how = models ? cv.GC_EVAL_FREEZE_MODEL : cv.GC_INIT_WITH_MASK;
  return partedBy(image, trimap, models ?? noModels(), 1, how).trimap;
}

function noModels() {
  return [new Float64Array(LEARNED), new Float64Array(LEARNED)];
}

/**
 * @param {Rgb} image
 * @param {Bits} trimap
 * @param {Float64Array[]} models
 * @param {number} times
 * @param {number} how
 */
function partedBy(image, trimap, models, times, how) {
  return freed((keep) => {
    cv.setRNGSeed(0);
    const kept = models.map((model) => {
      const mat = keep(new cv.Mat(1, LEARNED, cv.CV_64FC1));
      mat.data64F.set(model);
      return mat;
    });
    const [all, mask] = [keep(bytes(image, 3)), keep(bytes(trimap))];
    const nowhere = new cv.Rect(0, 0, 1, 1);
    cv.grabCut(all, mask, nowhere, kept[0], kept[1], times, how);
    const { rows, cols } = trimap;
    return {
      trimap: { rows, cols, data: new Uint8Array(mask.data) },
      models: kept.map((mat) => new Float64Array(mat.data64F)),
    };
  });
}
