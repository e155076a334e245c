/** Accepted objects as files. */

import proj4 from "./vendor/proj4.js";
import { serialize } from "./vendor/flatgeobuf.js";

/** @import {Geometry} from "./types.js" */
/** @typedef {{id: number, label: string, geometry: Geometry, score: number, clicks: number}} Item */

/** Decimal places of degrees: a tenth of a millimetre. */
const DIGITS = 1e9;

/**
 * Tell proj4 what the codes of the site's list mean; those that it knows itself stay.
 * @param {Record<string, string>} known
 */
export function learn(known) {
  for (const [code, text] of Object.entries(known)) {
    if (!proj4.defs(`EPSG:${code}`)) proj4.defs(`EPSG:${code}`, text);
  }
}

/**
 * What moves a place of a CRS to longitude and latitude; null where that is not known.
 * @param {number | null} epsg
 * @returns {((xy: [number, number]) => [number, number]) | null}
 */
export function toLonLat(epsg) {
  const name = `EPSG:${epsg}`;
  if (epsg === null || !proj4.defs(name)) return null;
  const { forward } = proj4(name, "EPSG:4326");
  return (xy) => /** @type {[number, number]} */ (forward([...xy]));
}

/**
 * Features in the raster's CRS, or in another.
 * @param {Item[]} items
 * @param {(xy: [number, number]) => number[]} [moved]
 */
export function collection(items, moved = (xy) => xy) {
  /** @param {any} value @returns {any} */
  const walk = (value) =>
    typeof value[0] === "number" ? moved(value) : value.map(walk);
  const features = items.map(({ id, label, geometry, score, clicks }) => ({
    type: /** @type {const} */ ("Feature"),
    id,
    geometry: { type: geometry.type, coordinates: walk(geometry.coordinates) },
    properties: {
      id,
      label,
      score: Math.round(score * 1e4) / 1e4,
      clicks,
      model: "tiny",
    },
  }));
  return { type: /** @type {const} */ ("FeatureCollection"), features };
}

/**
 * GeoJSON in longitude and latitude, as its standard wants it.
 * @param {Item[]} items
 * @param {number | null} epsg
 */
export function geojson(items, epsg) {
  const lonLat = toLonLat(epsg);
  if (!lonLat) {
    throw new Error(
      "this raster's CRS is not known here, so GeoJSON can not be written: FlatGeobuf can",
    );
  }
  const near = collection(items, (xy) =>
    lonLat(xy).map((degrees) => Math.round(degrees * DIGITS) / DIGITS),
  );
  return new Blob([JSON.stringify(near)], { type: "application/geo+json" });
}

/**
 * FlatGeobuf in the raster's CRS.
 * @param {Item[]} items
 * @param {number | null} epsg
 */
export function flatgeobuf(items, epsg) {
  const bytes = serialize(/** @type {any} */ (collection(items)), epsg ?? 0);
  return new Blob([/** @type {any} */ (bytes)], {
    type: "application/octet-stream",
  });
}
