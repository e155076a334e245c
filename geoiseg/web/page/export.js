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
 * Objects that were downloaded as GeoJSON, back in the raster's CRS.
 * @param {string} text
 * @param {number | null} epsg
 * @returns {Item[]}
 */
export function reopened(text, epsg) {
  const name = `EPSG:${epsg}`;
  if (epsg === null || !proj4.defs(name))
    throw new Error(
      "this raster's CRS is not known here, so objects in longitude and latitude can not be placed",
    );
  const { forward } = proj4("EPSG:4326", name);
  const features = featuresOf(text);
  return features.map(({ geometry, properties }, k) => ({
    id: k + 1,
    label: String(properties?.label ?? ""),
    geometry: {
      type: geometry.type,
      coordinates: walked(geometry.coordinates, (xy) => forward([...xy])),
    },
    score: Number(properties?.score ?? 0),
    clicks: Number(properties?.clicks ?? 0),
  }));
}

/**
 * The polygons of a text.
 * @param {string} text
 * @returns {any[]}
 */
function featuresOf(text) {
  let found;
  try {
    found = JSON.parse(text);
  } catch {
    throw new Error("this is no GeoJSON: download objects here to see one");
  }
  const features = found?.type === "FeatureCollection" ? found.features : null;
  const kinds = ["Polygon", "MultiPolygon"];
  if (
    !Array.isArray(features) ||
    !features.every((one) => kinds.includes(one?.geometry?.type))
  )
    throw new Error("only a GeoJSON collection of polygons can be opened here");
  return features;
}

/**
 * Coordinates of any depth, each position moved.
 * @param {any} value
 * @param {(xy: [number, number]) => number[]} moved
 * @returns {any}
 */
const walked = (value, moved) =>
  typeof value[0] === "number"
    ? moved(value)
    : value.map((/** @type {any} */ part) => walked(part, moved));

/**
 * Features in the raster's CRS, or in another.
 * @param {Item[]} items
 * @param {(xy: [number, number]) => number[]} [moved]
 */
export function collection(items, moved = (xy) => xy) {
  const features = items.map(({ id, label, geometry, score, clicks }) => ({
    type: /** @type {const} */ ("Feature"),
    id,
    geometry: {
      type: geometry.type,
      coordinates: walked(geometry.coordinates, moved),
    },
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
