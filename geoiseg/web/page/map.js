/** The map: the raster's pixels as a plane, tiles of it, masks, outlines, clicks. */

import * as L from "./vendor/leaflet.js";
import { ask } from "./engine.js";
import { applied, inverse } from "./grid.js";

/** @import {Affine, Geometry} from "./types.js" */
/** @import {Shown} from "./worker.js" */

const TILE = 256;
const CLOSEST = 4;
const COLOUR = [255, 220, 40];

/** Where a place in the raster's pixels is on the map. @param {number} x @param {number} y */
const at = (x, y) => L.latLng(-y, x);

/** Tiles that the worker reads from the raster's overviews. */
const Tiles = /** @type {any} */ (L.GridLayer).extend({
  /**
   * @param {L.Coords} coords
   * @param {(error: Error | undefined, tile: HTMLElement) => void} done
   */
  createTile(coords, done) {
    const canvas = document.createElement("canvas");
    canvas.width = canvas.height = TILE;
    const level = Math.max(0, -coords.z);
    const side = TILE / 2 ** Math.max(0, coords.z);
    const window = {
      row: coords.y * side,
      col: coords.x * side,
      height: side,
      width: side,
    };
    ask("picture", { level, window })
      .then((picture) => {
        if (picture) draw(canvas, picture, TILE / side);
        done(undefined, canvas);
      })
      .catch((error) => done(error, canvas));
    return canvas;
  },
});

/** @param {HTMLCanvasElement} canvas @param {ImageData} picture @param {number} times */
function draw(canvas, picture, times) {
  const small = document.createElement("canvas");
  [small.width, small.height] = [picture.width, picture.height];
  small.getContext("2d")?.putImageData(picture, 0, 0);
  const target = canvas.getContext("2d");
  if (!target) return;
  target.imageSmoothingEnabled = false;
  target.drawImage(small, 0, 0, picture.width * times, picture.height * times);
}

export class PixelMap {
  /** @param {HTMLElement} home */
  constructor(home) {
    this.map = L.map(home, { crs: L.CRS.Simple, zoomControl: true, attributionControl: false,
      boxZoom: false, maxZoom: CLOSEST, minZoom: -12 }); // prettier-ignore
    this.marks = L.layerGroup().addTo(this.map);
    this.accepted = L.layerGroup().addTo(this.map);
    /** @type {L.ImageOverlay | null} */
    this.overlay = null;
    /** @type {L.GridLayer | null} */
    this.tiles = null;
    /** @type {Affine} */
    this.toPixel = [1, 0, 0, 0, 1, 0];
  }

  /** @param {{rows: number, cols: number, transform: Affine, topLevel: number}} raster */
  show({ rows, cols, transform, topLevel }) {
    this.toPixel = inverse(transform);
    this.tiles?.remove();
    this.accepted.clearLayers();
    this.mask(null);
    const bounds = L.latLngBounds(at(0, rows), at(cols, 0));
    this.map.setMinZoom(-topLevel - 1);
    this.map.fitBounds(bounds, { animate: false });
    this.tiles = new Tiles({ tileSize: TILE, bounds, noWrap: true, minZoom: -30,
      maxZoom: CLOSEST }); // prettier-ignore
    this.tiles?.addTo(this.map);
  }

  /** Ask for the tiles anew: they show other bands. */
  redraw() {
    this.mask(null);
    this.tiles?.redraw();
  }

  /** The level of the pyramid whose pixels are nearest to those of the screen. */
  get level() {
    return Math.max(0, Math.round(-this.map.getZoom()));
  }

  /** The object in progress; null for none. @param {Shown | null} shown */
  mask(shown) {
    this.overlay?.remove();
    this.overlay = null;
    this.marks.clearLayers();
    if (!shown) return;
    const { mask, place, points } = shown;
    const picture = new ImageData(mask.cols, mask.rows);
    for (let i = 0; i < mask.data.length; i++) {
      if (mask.data[i]) picture.data.set([...COLOUR, 120], 4 * i);
    }
    const canvas = document.createElement("canvas");
    [canvas.width, canvas.height] = [mask.cols, mask.rows];
    canvas.getContext("2d")?.putImageData(picture, 0, 0);
    const bounds = L.latLngBounds(
      at(...applied(place, 0, mask.rows)),
      at(...applied(place, mask.cols, 0)),
    );
    this.overlay = L.imageOverlay(canvas.toDataURL(), bounds).addTo(this.map);
    for (const { x, y, positive } of points) {
      const color = positive ? "#1a9641" : "#d7191c";
      L.circleMarker(at(x, y), { radius: 4, color, fillOpacity: 1 }).addTo(
        this.marks,
      );
    }
  }

  /** An accepted object. @param {Geometry} geometry in the CRS @param {string} label */
  add(geometry, label) {
    /** @param {any} value @returns {any} */
    const moved = (value) =>
      typeof value[0] === "number"
        ? at(...applied(this.toPixel, value[0], value[1]))
        : value.map(moved);
    const shape = L.polygon(moved(geometry.coordinates), {
      color: "#ffdc28",
      weight: 2,
    });
    if (label) {
      // As text: what a user types is never markup.
      const name = document.createElement("span");
      name.textContent = label;
      shape.bindTooltip(name);
    }
    shape.addTo(this.accepted);
  }

  /**
   * Hear clicks and boxes, in the raster's pixels.
   * @param {{isBox: () => boolean, point: (x: number, y: number, positive: boolean) => void,
   *   box: (box: [number, number, number, number]) => void}} on
   */
  hear(on) {
    /** @type {L.LatLng | null} */
    let start = null;
    /** @type {L.Rectangle | null} */
    let shape = null;
    const { map } = this;
    /** @param {L.LeafletMouseEvent} event @param {boolean} positive */
    const point = ({ latlng }, positive) =>
      on.point(latlng.lng, -latlng.lat, positive);
    map.on("click", (event) => {
      if (!on.isBox()) point(event, !event.originalEvent.shiftKey);
    });
    map.on("contextmenu", (event) => point(event, false));
    map.on("mousedown", (event) => {
      if (!on.isBox() || event.originalEvent.button) return;
      start = event.latlng;
      map.dragging.disable();
      shape = L.rectangle(L.latLngBounds(start, start), {
        color: "#2a7de1",
      }).addTo(map);
    });
    map.on("mousemove", (event) => {
      if (start) shape?.setBounds(L.latLngBounds(start, event.latlng));
    });
    map.on("mouseup", ({ latlng }) => {
      if (!start) return;
      const [x0, x1] = [start.lng, latlng.lng].sort((a, b) => a - b);
      const [y0, y1] = [-start.lat, -latlng.lat].sort((a, b) => a - b);
      shape?.remove();
      start = shape = null;
      map.dragging.enable();
      if (x1 - x0 > 1 && y1 - y0 > 1) on.box([x0, y0, x1, y1]);
    });
  }
}
