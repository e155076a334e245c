/** A GeoTIFF: windows of any level of its pyramid, as values, as a picture, as a chip. */

import { fromBlob, fromUrl } from "./vendor/geotiff.js";
import { Grid } from "./grid.js";
import { bits } from "./planes.js";
import { stretchOf, stretched } from "./stretch.js";

/** @import {Affine, Bits, Frame, Rgb, Window} from "./types.js" */
/** @import {Stretch, Values} from "./stretch.js" */
/** @typedef {import("./vendor/geotiff.js").GeoTIFFImage} Image */
/** @typedef {{bands: Values[], valid: Bits}} Read */

const SAMPLE_PIXELS = 1 << 20;
/** Most pixels decoded, and blocks read, to find a stretch. */
const SAMPLE_COST = 1 << 22;
const SAMPLE_BLOCKS = 64;
/** Bytes that are asked for together, and how many of such pieces are kept. */
const REMOTE = { blockSize: 1 << 16, cacheSize: 200 };
/** Bytes of a file up to which it is read whole from a server that sends no parts. */
const LARGEST_WHOLE = 256 << 20;
const [REDUCED, MASK] = [1, 4];
const ALPHA = 2;
const RGB = 2;
const PALETTE = 3;

export class Raster {
  /**
   * @param {string} name
   * @param {Image[]} images the whole raster first, then smaller and smaller ones
   * @param {{transform: Affine, epsg: number | null, isPlaced: boolean, nodata: number | null}} about
   */
  constructor(name, images, about) {
    this.name = name;
    this.images = images;
    this.grid = new Grid(
      images[0].getHeight(),
      images[0].getWidth(),
      about.transform,
    );
    this.about = about;
    const count = images[0].getSamplesPerPixel();
    const extra = [...(images[0].fileDirectory.getValue("ExtraSamples") ?? [])];
    /** Number of the alpha band from 0, if there is one. */
    this.alpha = extra.includes(ALPHA)
      ? count - extra.length + extra.indexOf(ALPHA)
      : null;
    const data = [...Array(count).keys()].filter((band) => band !== this.alpha);
    this.data = data;
    const isColour =
      images[0].fileDirectory.getValue("PhotometricInterpretation") === RGB;
    /** The one or three bands that are shown, from 0. */
    this.bands =
      isColour || data.length >= 3 ? data.slice(0, 3) : data.slice(0, 1);
    this.count = data.length;
    /** @type {Stretch | null} */
    this.stretch = null;
  }

  /**
   * Open a file of the user's own, which stays where it is, or one on a server by its parts.
   * @param {Blob | string} source
   * @param {string} name
   */
  static async open(source, name) {
    const held =
      typeof source === "string" ? await fetchedWhole(source, name) : source;
    const tiff = await (held
      ? fromBlob(held)
      : fromUrl(String(source), /** @type {any} */ (REMOTE)));
    /** @type {Image[]} */
    const images = [];
    let masked = false;
    for (let k = 0; k < (await tiff.getImageCount()); k++) {
      const image = await tiff.getImage(k);
      const kind = image.fileDirectory.getValue("NewSubfileType") ?? 0;
      if (kind & MASK) masked = true;
      else if (!images.length || kind & REDUCED) images.push(image);
    }
    if (masked)
      throw new Error(
        `${name} has a mask inside, which this page does not read yet`,
      );
    const first = images[0];
    if (first.fileDirectory.getValue("PhotometricInterpretation") === PALETTE) {
      throw new Error(
        `${name} has a table of colours, which this page does not read yet`,
      );
    }
    images.sort((one, other) => other.getWidth() - one.getWidth());
    return new Raster(name, images, await placed(first));
  }

  /**
   * Values and validity of a window of a level.
   * @param {Frame} frame
   * @returns {Promise<Read>}
   */
  async read({ level, window }) {
    const { rows, cols } = this.grid.shape(level);
    const same = this.images.find(
      (one) => one.getWidth() === cols && one.getHeight() === rows,
    );
    if (same)
      return this.interpreted(await values(same, window, this.wanted), window);
    // The smallest image that is still finer, averaged.
    const finer = this.images.filter(
      (one) => one.getWidth() >= cols && one.getHeight() >= rows,
    );
    const image = finer[finer.length - 1];
    const [sx, sy] = [image.getWidth() / cols, image.getHeight() / rows];
    const [x0, y0] = [Math.floor(window.col * sx), Math.floor(window.row * sy)];
    const x1 = Math.min(
      image.getWidth(),
      Math.ceil((window.col + window.width) * sx),
    );
    const y1 = Math.min(
      image.getHeight(),
      Math.ceil((window.row + window.height) * sy),
    );
    const source = { row: y0, col: x0, height: y1 - y0, width: x1 - x0 };
    const read = await values(image, source, this.wanted);
    const { nodata } = this.about;
    const means = read.map((band) =>
      averaged(band, source, window, sx, sy, nodata),
    );
    return this.interpreted(means, window);
  }

  /**
   * Show and segment other bands, with a stretch of their own.
   * @param {number[]} bands from 0
   */
  choose(bands) {
    const isThere = (/** @type {number} */ band) =>
      Number.isInteger(band) && band >= 0 && band < this.count;
    if (bands.length !== 3 || !bands.every(isThere))
      throw new Error(`choose three of the ${this.count} bands`);
    this.bands = bands.map((band) => this.data[band]);
    this.stretch = null;
  }

  /** What the file calls its bands; nothing where it does not say. */
  async names() {
    const found = [];
    for (const band of this.data) {
      const about = await this.images[0].getGDALMetadata(band);
      found.push(String(about?.DESCRIPTION ?? ""));
    }
    return found;
  }

  /** Bands to read, from 0, the alpha band last. */
  get wanted() {
    return this.alpha === null ? this.bands : [...this.bands, this.alpha];
  }

  /**
   * @param {Values[]} read
   * @param {Window} window
   * @returns {Read}
   */
  interpreted(read, { height, width }) {
    const bands = read.slice(0, this.bands.length);
    const alpha = this.alpha === null ? null : read[read.length - 1];
    const valid = bits(height, width);
    const { nodata } = this.about;
    const { data } = valid;
    data.fill(nodata === null ? 1 : 0);
    for (const band of nodata === null ? [] : bands)
      for (let i = 0; i < data.length; i++) if (band[i] !== nodata) data[i] = 1;
    for (const band of bands.filter(hasFractions))
      for (let i = 0; i < data.length; i++)
        if (!Number.isFinite(band[i])) data[i] = 0;
    if (alpha)
      for (let i = 0; i < data.length; i++) if (alpha[i] === 0) data[i] = 0;
    return { bands, valid };
  }

  /**
   * A window as a picture with its validity; the stretch is found at the first use.
   * @param {Frame} frame
   * @returns {Promise<{image: Rgb, valid: Bits}>}
   */
  async chip(frame) {
    this.stretch ??= stretchOf(await this.sample());
    const { bands, valid } = await this.read(frame);
    return { image: stretched(bands, valid, this.stretch), valid };
  }

  /** Values of the bands, data alone, spread over the raster. */
  async sample() {
    let level = 0;
    const size = () =>
      this.grid.shape(level).rows * this.grid.shape(level).cols;
    while (size() > SAMPLE_PIXELS) level++;
    const smallest = this.images[this.images.length - 1];
    const factor = Math.min(this.grid.cols / smallest.getWidth(), 2 ** level);
    const { rows, cols } = this.grid;
    const cheap = (rows * cols) / Math.round(factor) ** 2 <= SAMPLE_COST;
    const whole = { row: 0, col: 0, height: this.grid.shape(level).rows };
    const frames = cheap
      ? [{ level, window: { ...whole, width: this.grid.shape(level).cols } }]
      : this.blocks().map((window) => ({ level: 0, window }));
    /** @type {Read[]} */
    const reads = [];
    for (const frame of frames) reads.push(await this.read(frame));
    const total = reads.reduce((sum, { valid }) => sum + valid.data.length, 0);
    const step = Math.max(1, Math.floor(total / SAMPLE_PIXELS));
    return this.bands.map((_, k) => {
      const Kind = /** @type {any} */ (reads[0].bands[k].constructor);
      const found = new Kind(Math.ceil(total / step));
      let [at, filled] = [0, 0];
      for (const { bands, valid } of reads) {
        const band = bands[k];
        for (let i = 0; i < band.length; i++, at++)
          if (at % step === 0 && valid.data[i]) found[filled++] = band[i];
      }
      return found.subarray(0, filled);
    });
  }

  /** Windows of whole blocks spread evenly over the raster. */
  blocks() {
    const { rows, cols } = this.grid;
    const tall = Math.min(this.images[0].getTileHeight(), rows);
    const wide = Math.min(this.images[0].getTileWidth(), cols);
    const most = Math.floor(SAMPLE_COST / (tall * wide));
    const allowed = Math.max(1, Math.min(most, SAMPLE_BLOCKS));
    const [down, across] = [Math.ceil(rows / tall), Math.ceil(cols / wide)];
    const even = Math.max(1, Math.round(Math.sqrt((allowed * across) / down)));
    const nAcross = Math.min(across, even, allowed);
    const nDown = Math.min(down, Math.max(1, Math.floor(allowed / nAcross)));
    const found = [];
    for (let i = 0; i < nDown; i++) {
      for (let j = 0; j < nAcross; j++) {
        const row = Math.floor(((i + 0.5) * down) / nDown) * tall;
        const col = Math.floor(((j + 0.5) * across) / nAcross) * wide;
        const height = Math.min(tall, 2048, rows - row);
        found.push({
          row,
          col,
          height,
          width: Math.min(wide, 1 << 17, cols - col),
        });
      }
    }
    return found;
  }
}

/**
 * A raster of a server that can not send parts of it; null where it can.
 * @param {string} url
 * @param {string} name
 */
async function fetchedWhole(url, name) {
  const stop = new AbortController();
  const answer = await fetch(url, {
    headers: { Range: "bytes=0-0" },
    signal: stop.signal,
  });
  if (!answer.ok)
    throw new Error(`can not read ${name}: the server says ${answer.status}`);
  const length = Number(answer.headers.get("Content-Length"));
  if (answer.status !== 206 && length <= LARGEST_WHOLE) return answer.blob();
  stop.abort();
  if (answer.status === 206) return null;
  throw new Error(
    `the server of ${name} sends no parts of files, and it is too large to send whole`,
  );
}

/**
 * @param {Image} image
 * @param {Window} window
 * @param {number[]} samples
 * @returns {Promise<Values[]>}
 */
async function values(image, { row, col, height, width }, samples) {
  const window = [col, row, col + width, row + height];
  return /** @type {any} */ (
    await image.readRasters({ window, samples, interleave: false })
  );
}

/** Whether values are no integers, so that some may be no numbers. @param {Values} values */
function hasFractions(values) {
  return values instanceof Float32Array || values instanceof Float64Array;
}

/**
 * Means of the pixels under each pixel of a coarser window, by the share of each; pixels without
 * data are left out.
 * @param {Values} read
 * @param {Window} source where it was read
 * @param {Window} target
 * @param {number} sx source pixels for each
 * @param {number} sy
 * @param {number | null} nodata
 * @returns {Values}
 */
function averaged(read, source, target, sx, sy, nodata) {
  const Kind = /** @type {any} */ (read.constructor);
  const found = new Kind(target.height * target.width);
  const isWhole = !hasFractions(read);
  for (let y = 0; y < target.height; y++) {
    const [top, bottom] = [
      (target.row + y) * sy - source.row,
      (target.row + y + 1) * sy - source.row,
    ];
    for (let x = 0; x < target.width; x++) {
      const left = (target.col + x) * sx - source.col;
      const right = left + sx;
      let [sum, weight] = [0, 0];
      for (let v = Math.floor(top); v < Math.min(bottom, source.height); v++) {
        const tall = Math.min(v + 1, bottom) - Math.max(v, top);
        for (let u = Math.floor(left); u < Math.min(right, source.width); u++) {
          const value = read[v * source.width + u];
          if (value === nodata || Number.isNaN(value)) continue;
          const share = tall * (Math.min(u + 1, right) - Math.max(u, left));
          [sum, weight] = [sum + share * value, weight + share];
        }
      }
      const mean = weight ? sum / weight : (nodata ?? NaN);
      found[y * target.width + x] =
        isWhole && weight ? Math.floor(mean + 0.5) : mean;
    }
  }
  return found;
}

/**
 * Where an image lies.
 * @param {Image} image
 * @returns {Promise<{transform: Affine, epsg: number | null, isPlaced: boolean,
 *   nodata: number | null}>}
 */
async function placed(image) {
  const tags = /** @type {any} */ (image.fileDirectory);
  const text = await tags.loadValue("GDAL_NODATA");
  const nodata = text === undefined ? NaN : Number.parseFloat(text);
  const keys = /** @type {any} */ (image.getGeoKeys() ?? {});
  const code = keys.ProjectedCSTypeGeoKey ?? keys.GeographicTypeGeoKey ?? null;
  const about = {
    epsg: code > 0 && code < 32767 ? code : null,
    nodata: Number.isNaN(nodata) ? null : nodata,
  };
  const matrix = await tags.loadValue("ModelTransformation");
  const scale = await tags.loadValue("ModelPixelScale");
  const tie = await tags.loadValue("ModelTiepoint");
  /** @type {Affine} */
  let transform = [1, 0, 0, 0, -1, 0];
  if (matrix) {
    transform = [
      matrix[0],
      matrix[1],
      matrix[3],
      matrix[4],
      matrix[5],
      matrix[7],
    ];
  } else if (scale && tie) {
    const [sx, sy] = scale;
    transform = [sx, 0, tie[3] - tie[0] * sx, 0, -sy, tie[4] + tie[1] * sy];
  } else {
    return { ...about, transform, epsg: null, isPlaced: false };
  }
  if (keys.GTRasterTypeGeoKey === 2) {
    // The file counts from the middle of its first pixel.
    const [a, b, c, d, e, f] = transform;
    transform = [a, b, c - (a + b) / 2, d, e, f - (d + e) / 2];
  }
  return { ...about, transform, isPlaced: true };
}
