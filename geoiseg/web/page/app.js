/** The page: opens a raster, hears the user, shows what the worker answers. */

import { BandChoice } from "./bands.js";
import { ask } from "./engine.js";
import { flatgeobuf, geojson, learn, reopened } from "./export.js";
import { PixelMap } from "./map.js";

/** @import {Item} from "./export.js" */

/** @template {HTMLElement} T @param {string} id @returns {T} */
const element = (id) => /** @type {any} */ (document.getElementById(id));

export const map = new PixelMap(element("map"));
const choice = new BandChoice(element("bands"), (bands) =>
  attempt(async () => {
    await ask("choose", { bands });
    map.redraw();
    say(`bands ${bands.map((band) => band + 1).join(", ")}`);
  }),
);
const [pointTool, boxTool] = [element("point"), element("box")];
const label = /** @type {HTMLInputElement} */ (element("label"));
/** @type {Item[]} */
let items = [];
/** @type {{name: string, epsg: number | null, rows: number, cols: number} | null} */
let raster = null;
let isBox = false;

/** @param {string} text @param {boolean} [wrong] */
function say(text, wrong = false) {
  element("status").textContent = text;
  element("status").classList.toggle("is-wrong", wrong);
}

/** Do something that may fail, and say so. @param {() => Promise<void>} work */
async function attempt(work) {
  element("map").classList.add("is-busy");
  try {
    await work();
  } catch (error) {
    say(error instanceof Error ? error.message : String(error), true);
  } finally {
    element("map").classList.remove("is-busy");
  }
}

/** @param {Blob | string} source @param {string} name */
async function open(source, name) {
  if (
    items.length &&
    !window.confirm("Objects that were not downloaded are lost. Go on?")
  )
    return;
  say(`opening ${name} ...`);
  const found = await ask("open", { source, name });
  raster = found;
  items = [];
  map.show(found);
  choice.show(found.names, found.bands);
  listed();
  const crs = found.epsg ? `EPSG:${found.epsg}` : "no CRS that is known here";
  const bands = found.count > 3 ? `, bands 1 to 3 of ${found.count}` : "";
  say(
    `${name}: ${found.cols} x ${found.rows} pixels, ${crs}${bands}. Click on an object.`,
  );
}

/** @param {any} step */
async function add(step) {
  if (!raster) throw new Error("open a raster first");
  say("looking ...");
  const shown = await ask("add", { ...step, level: map.level });
  map.mask(shown);
  if (shown)
    say(
      `${(shown.milliseconds / 1000).toFixed(2)} s, score ${shown.score.toFixed(2)}`,
    );
}

async function accept() {
  const { geometry, score, clicks } = await ask("accept");
  const item = {
    id: items.length + 1,
    label: label.value.trim(),
    geometry,
    score,
    clicks,
  };
  items.push(item);
  map.mask(null);
  map.add(geometry, item.label);
  listed();
  say(`accepted: ${items.length} object${items.length > 1 ? "s" : ""}`);
}

/** Objects that were downloaded earlier, to go on with. @param {File} file */
async function reopen(file) {
  if (!raster) throw new Error("open the raster first, then its objects");
  const found = reopened(await file.text(), raster.epsg);
  for (const item of found) {
    items.push({ ...item, id: items.length + 1 });
    map.add(item.geometry, item.label);
  }
  listed();
  say(`${file.name}: ${found.length} object${found.length === 1 ? "" : "s"}`);
}

function listed() {
  for (const id of ["geojson", "flatgeobuf"]) {
    /** @type {HTMLButtonElement} */ (element(id)).disabled = !items.length;
  }
}

/** @param {Blob} content @param {string} suffix */
function download(content, suffix) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(content);
  link.download = `${raster?.name.replace(/\.[^.]*$/, "") ?? "objects"}${suffix}`;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}

/** @param {boolean} box */
function choose(box) {
  isBox = box;
  pointTool.setAttribute("aria-pressed", String(!box));
  boxTool.setAttribute("aria-pressed", String(box));
}

/** @param {File | undefined} file */
const openFile = (file) =>
  file &&
  attempt(() =>
    /\.(geo)?json$/i.test(file.name) ? reopen(file) : open(file, file.name),
  );
/** @param {string} url */
const openUrl = (url) =>
  attempt(() =>
    open(new URL(url, document.baseURI).href, url.split("/").pop() || url),
  );

map.hear({
  isBox: () => isBox,
  point: (x, y, positive) =>
    attempt(() => add({ points: [{ x, y, positive }], box: null })),
  box: (box) => attempt(() => add({ points: [], box })),
});
pointTool.addEventListener("click", () => choose(false));
boxTool.addEventListener("click", () => choose(true));
const undo = () => attempt(async () => map.mask(await ask("undo")));
const clear = () => attempt(async () => map.mask(await ask("clear")));
element("undo").addEventListener("click", undo);
element("clear").addEventListener("click", clear);
element("accept").addEventListener("click", () => attempt(accept));
element("geojson").addEventListener("click", () =>
  attempt(async () =>
    download(geojson(items, raster?.epsg ?? null), ".geojson"),
  ),
);
element("flatgeobuf").addEventListener("click", () =>
  attempt(async () =>
    download(flatgeobuf(items, raster?.epsg ?? null), ".fgb"),
  ),
);
element("file").addEventListener("change", (event) => {
  const input = /** @type {HTMLInputElement} */ (event.target);
  void openFile(input.files?.[0]);
  input.value = ""; // or the same file could not be chosen again
});
element("remote").addEventListener("submit", (event) => {
  event.preventDefault();
  void openUrl(/** @type {HTMLInputElement} */ (element("url")).value);
});
document.addEventListener("keydown", (event) => {
  if (event.key === "z" && (event.ctrlKey || event.metaKey)) void undo();
  else if (event.key === "Escape") void clear();
  else if (
    event.key === "Enter" &&
    !(event.target instanceof HTMLButtonElement)
  ) {
    if (/** @type {HTMLElement} */ (event.target).id !== "url")
      void attempt(accept);
  }
});
document.addEventListener("dragover", (event) => event.preventDefault());
document.addEventListener("drop", (event) => {
  event.preventDefault();
  void openFile(event.dataTransfer?.files[0]);
});
window.addEventListener("beforeunload", (event) => {
  if (items.length) event.preventDefault();
});

/** What the site was written with. */
async function start() {
  const { raster: first } = await (await fetch("site.json")).json();
  learn(await (await fetch("systems.json")).json());
  if (first) await open(new URL(first, document.baseURI).href, first);
  else await ask("prepare");
  if ("serviceWorker" in navigator)
    await navigator.serviceWorker.register("offline.js");
}

void attempt(start);
