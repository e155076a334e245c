// The map's hidden companion: raster tiles over the widget comm, rich mouse and keyboard
// input, and the mask as one image that is replaced without flicker. It lives inside the
// ipyleaflet map as a control; each view of the map renders its own.

const STROKE_MIN = 4; // px: a shorter drag is a click
const MAX_VERTICES = 4000; // what the kernel accepts in one stroke
const KEPT_TILES = 512; // blobs kept per view, so that panning back costs no round trip
const SVG = "http://www.w3.org/2000/svg";

const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

/** The live view of a widget that passes `fits`, once there is one. */
async function viewOf(manager, id, fits, signal) {
  const model = await manager.get_model(id);
  for (let n = 0; n < 800 && !signal.aborted; n++) {
    for (const view of await Promise.all(Object.values(model.views || {}))) {
      if (view.obj && fits(view)) return view;
    }
    await pause(25);
  }
  throw new Error(`geoiseg: no view of ${id}`);
}

/** Tiles of one map view: asks the kernel, keeps what came, forgets what is not needed. */
class Tiles {
  constructor(model, find) {
    this.model = model;
    this.find = find; // id of a layer -> promise of its Leaflet object on this map
    this.pending = new Map(); // request id -> {key, show}
    this.kept = new Map(); // "layer/version/z/x/y" -> Blob or null, least recently used first
    this.versions = new Map();
    this.prefix = Math.random().toString(36).slice(2, 10);
    this.count = 0;
  }

  async update() {
    for (const { id, version } of this.model.get("rasters")) {
      const known = this.versions.get(id);
      if (known === version) continue;
      this.versions.set(id, version);
      try {
        const layer = await this.find(id);
        if (known === undefined) this.adopt(id, layer);
        else layer.redraw();
      } catch (error) {
        console.warn(error.message);
      }
    }
  }

  adopt(id, layer) {
    layer.createTile = (at, done) => this.create(id, at, done);
    layer._abortLoading = () => {}; // Leaflet's would blank images that are on their way
    layer.on("tileunload", ({ tile }) => {
      if (this.pending.delete(tile.request)) this.model.send({ kind: "untile", id: tile.request });
    });
    layer.redraw();
  }

  create(id, { z, x, y }, done) {
    const image = document.createElement("img");
    image.alt = "";
    const key = `${id}/${this.versions.get(id)}/${z}/${x}/${y}`;
    const show = (blob) => {
      if (!blob) return done(null, image);
      const url = URL.createObjectURL(blob);
      image.onload = () => (URL.revokeObjectURL(url), done(null, image));
      image.onerror = () => (URL.revokeObjectURL(url), done(new Error("bad tile"), image));
      image.src = url;
    };
    if (this.kept.has(key)) {
      const blob = this.kept.get(key);
      this.keep(key, blob);
      setTimeout(() => show(blob));
    } else {
      image.request = `${this.prefix}-${++this.count}`;
      this.pending.set(image.request, { key, show });
      this.model.send({ kind: "tile", id: image.request, layer: id, z, x, y });
    }
    return image;
  }

  answer({ id, mime, failed }, buffers) {
    const waiting = this.pending.get(id);
    if (!waiting) return;
    this.pending.delete(id);
    const blob = buffers?.length ? new Blob([buffers[0]], { type: mime }) : null;
    if (!failed) this.keep(waiting.key, blob);
    waiting.show(blob);
  }

  keep(key, blob) {
    this.kept.delete(key);
    this.kept.set(key, blob);
    if (this.kept.size > KEPT_TILES) this.kept.delete(this.kept.keys().next().value);
  }
}

/** An image overlay that changes place and content in the same frame. */
class Overlay {
  constructor(find) {
    this.find = find;
    this.url = null;
    this.latest = 0;
  }

  async show({ png, bounds, seq } = {}) {
    const turn = ++this.latest;
    const layer = await this.find();
    this.opacity ??= layer.options.opacity;
    if (!png) {
      layer.setOpacity(0);
      return;
    }
    const url = URL.createObjectURL(new Blob([png], { type: "image/png" }));
    const image = new Image();
    image.src = url;
    await image.decode().catch(() => {});
    if (turn !== this.latest) return URL.revokeObjectURL(url); // a newer one has come
    layer.setBounds(bounds);
    layer.setUrl(url);
    layer.setOpacity(this.opacity);
    const element = layer.getElement();
    if (element) element.dataset.seq = seq;
    if (this.url) setTimeout(URL.revokeObjectURL.bind(URL, this.url), 500);
    this.url = url;
  }
}

/** What the user draws, shown at once and until the kernel has answered. */
class Ink {
  constructor(map, box) {
    this.map = map;
    this.svg = document.createElementNS(SVG, "svg");
    this.svg.setAttribute("class", "geoiseg-ink");
    box.appendChild(this.svg);
    this.marks = [];
    map.on("move zoom viewreset", () => this.place());
  }

  add(tag, places, negative) {
    const shape = document.createElementNS(SVG, tag);
    shape.setAttribute("class", negative ? "gs-negative" : "gs-positive");
    if (tag === "circle") shape.setAttribute("r", 6);
    this.svg.appendChild(shape);
    const mark = { shape, places };
    this.marks.push(mark);
    this.place();
    return mark;
  }

  place() {
    for (const { shape, places } of this.marks) {
      const spots = places.map((place) => this.map.latLngToContainerPoint(place));
      if (shape.tagName === "circle") {
        shape.setAttribute("cx", spots[0].x);
        shape.setAttribute("cy", spots[0].y);
      } else shape.setAttribute("points", spots.map(({ x, y }) => `${x},${y}`).join(" "));
    }
  }

  remove(mark) {
    mark.shape.remove();
    this.marks = this.marks.filter((other) => other !== mark);
  }

  clear() {
    for (const mark of [...this.marks]) this.remove(mark);
  }
}

const corners = ([a, b]) => [a, [a[0], b[1]], b, [b[0], a[1]], a];
const inUi = (event) => event.target.closest?.(".geoiseg-ui, .leaflet-control, .leaflet-popup");
const typing = (event) => event.target.closest?.("input:not([type=range]):not([type=checkbox]), select, textarea");

/** Mouse, pen and touch. */
function pointer({ model, map, box, ink, signal, keys }) {
  const on = (type, handler) =>
    box.addEventListener(type, handler, { signal, capture: true, passive: false });
  const place = (event) => {
    const { lat, lng } = map.mouseEventToLatLng(event);
    return [lat, lng];
  };
  const off = (event) =>
    model.get("tool") === "negative" || model.get("tool") === "erase" || model.get("tool") === "eraser" || event.altKey || event.ctrlKey || event.metaKey;
  const send = (content) => model.send({ zoom: map.getZoom(), ...content });
  const click = (at, negative) => {
    if (model.get("prompting")) ink.add("circle", [at], negative);
    send({ kind: "click", at, negative });
  };
  let stroke = null; // the drag in progress
  let pressed = null; // where a button went down; a click of the browser's own would be lost
  //                     when the feature below it is drawn anew before the button comes up

  on("pointerdown", (event) => {
    if (inUi(event) || !event.isPrimary) return void (pressed = null);
    box.focus({ preventScroll: true, focusVisible: false });
    const right = event.button === 2;
    const tool = model.get("tool");
    const draws = model.get("dragged").includes(tool) && !keys.panning;
    const swallowed = event.target.closest(".leaflet-marker-icon");
    if (event.button !== 1 && !swallowed && !keys.panning) {
      pressed = { x: event.clientX, y: event.clientY, at: place(event), negative: right || off(event) };
    }
    if (!draws || event.button === 1 || (right && tool === "box")) return;
    event.stopPropagation();
    event.preventDefault();
    map.dragging.disable();
    box.setPointerCapture(event.pointerId);
    const negative = tool !== "box" && (right || off(event));
    const places = [place(event)];
    stroke = { tool, right, negative, places, x: event.clientX, y: event.clientY, far: 0 };
    stroke.mark = ink.add("polyline", places, negative);
    pressed = null;
  });
  on("pointermove", (event) => {
    if (!stroke) return;
    event.stopPropagation();
    for (const part of event.getCoalescedEvents?.() ?? [event]) stroke.places.push(place(part));
    const ends = [stroke.places[0], stroke.places.at(-1)];
    stroke.far = Math.max(stroke.far, Math.hypot(event.clientX - stroke.x, event.clientY - stroke.y));
    stroke.mark.places = stroke.tool === "box" ? corners(ends) : stroke.places;
    ink.place();
  });
  const finish = (event) => {
    const { tool, negative, places, far, mark } = stroke;
    stroke = null;
    map.dragging.enable();
    if (event.type === "pointercancel") return ink.remove(mark);
    if (far < STROKE_MIN && tool === "box") {
      ink.remove(mark);
      return click(places[0], off(event));
    }
    const step = Math.ceil(places.length / MAX_VERTICES);
    const thin = step > 1 ? places.filter((_, n) => n % step === 0) : places;
    const at = tool === "box" ? [places[0], places.at(-1)] : thin;
    send({ kind: "drag", box: tool === "box", at, negative });
  };
  on("pointerup", (event) => {
    if (stroke) {
      event.stopPropagation();
      finish(event);
    } else if (pressed) {
      const near = Math.hypot(event.clientX - pressed.x, event.clientY - pressed.y) < STROKE_MIN;
      if (near && !inUi(event)) click(pressed.at, pressed.negative);
      pressed = null;
    }
  });
  on("pointercancel", (event) => stroke && finish(event));
  on("contextmenu", (event) => {
    event.preventDefault();
    event.stopPropagation();
  });
  keys.abandon = () => {
    if (!stroke) return false;
    ink.remove(stroke.mark);
    stroke = null;
    map.dragging.enable();
    return true;
  };

  let last = 0;
  let timer = null;
  on("mousemove", (event) => {
    const gap = model.get("hover_ms");
    clearTimeout(timer);
    if (!gap || stroke || inUi(event)) return;
    const at = place(event);
    const go = () => ((last = performance.now()), send({ kind: "move", at }));
    const rest = gap - (performance.now() - last);
    if (rest <= 0) go();
    else timer = setTimeout(go, rest);
  });
  on("mouseleave", (event) => {
    if (event.target !== box || !model.get("hover_ms")) return;
    clearTimeout(timer);
    send({ kind: "move", at: null });
  });
}

/** Shortcuts. Nothing that is typed over the map reaches the notebook. */
function keyboard({ model, box, signal, keys }) {
  const pan = (on) => {
    keys.panning = on;
    box.classList.toggle("gs-panning", on);
  };
  box.addEventListener(
    "keydown",
    (event) => {
      if (typing(event)) {
        if (event.key !== "Escape") return;
        box.focus({ preventScroll: true });
        if (!box.dataset.phase) return;
      }
      if (event.key === " ") {
        if (event.target.closest("button")) return;
        event.preventDefault();
        return pan(true);
      }
      if (event.target.closest("button, input") && event.key === "Enter") return;
      // Tab goes on to the buttons unless there is an object whose other answers it asks for.
      if (event.key === "Tab" && (event.shiftKey || event.target !== box || !model.get("mask").seq)) return;
      const ctrl = event.ctrlKey || event.metaKey ? "ctrl+" : "";
      const combo = ctrl + (ctrl && event.shiftKey ? "shift+" : "") + event.key.toLowerCase();
      if (event.key === "?") box.dispatchEvent(new CustomEvent("geoiseg-help"));
      const name = event.altKey ? undefined : model.get("hotkeys")[combo];
      if (event.key !== "?" && !name) return;
      event.preventDefault();
      event.stopPropagation();
      if (event.key === "Escape") {
        if (keys.abandon()) return;
        if (!box.dispatchEvent(new CustomEvent("geoiseg-escape", { cancelable: true }))) return;
      }
      if (model.get("tools").includes(name)) model.set("tool", name); // at once, for the next drag
      if (name && !(event.repeat && !["undo", "redo"].includes(name))) model.send({ kind: "do", name });
    },
    { signal, capture: true },
  );
  box.addEventListener("keydown", (event) => event.stopPropagation(), { signal });
  box.addEventListener("keyup", (event) => event.key === " " && pan(false), { signal });
  box.addEventListener("blur", () => pan(false), { signal });
}

/** ipyleaflet reports every mouse move of every layer; ten a second are enough. */
function calm(view, only) {
  if (view.geoisegCalm) return;
  view.geoisegCalm = true;
  const send = view.send.bind(view);
  let last = 0;
  view.send = (content, ...rest) => {
    if (content?.event === "interaction" && content.type === "mousemove") {
      const now = performance.now();
      if (only || now - last < 100) return;
      last = now;
    }
    return send(content, ...rest);
  };
}

async function start({ model, el, signal }) {
  const manager = model.widget_manager;
  const home = await viewOf(manager, model.get("map_id"), (view) => view.el.contains(el), signal);
  const map = home.obj;
  const box = map.getContainer();
  const find = async (id) => {
    const view = await viewOf(manager, id, ({ obj }) => obj._map === map, signal);
    calm(view, true);
    return view.obj;
  };
  calm(home, false);
  box.classList.add("geoiseg-map");
  box.setAttribute("data-jp-suppress-context-menu", "true");
  box.setAttribute("data-lm-suppress-shortcuts", "true");
  box.tabIndex = 0;
  box.geoisegMap = map; // for what else is drawn on it

  const on = (event, handler) => {
    model.on(event, handler);
    signal.addEventListener("abort", () => model.off(event, handler));
  };
  const ink = new Ink(map, box);
  const tiles = new Tiles(model, find);
  on("msg:custom", (message, buffers) => message.kind === "tile" && tiles.answer(message, buffers));
  on("change:rasters", () => tiles.update());
  tiles.update();
  const { mask, preview } = model.get("overlays");
  for (const [name, id] of [["mask", mask], ["preview", preview]]) {
    const overlay = new Overlay(() => find(id));
    const show = () => overlay.show(model.get(name)).catch((error) => console.warn(error.message));
    on(`change:${name}`, show);
    show();
  }
  const candidates = model.get("overlays").candidates;
  const below = async ({ detail }) => {
    const layer = await find(candidates);
    layer.eachLayer((one) => {
      const seen = one.feature.properties.score >= detail;
      one.setStyle({ opacity: seen ? 1 : 0, fill: seen });
    });
  };
  box.addEventListener("geoiseg-threshold", (event) => below(event).catch((error) => console.warn(error.message)), { signal });
  on("change:answered", () => ink.clear());
  const useTool = () => (box.dataset.tool = model.get("tool"));
  on("change:tool", useTool);
  useTool();

  box.addEventListener("geoiseg-tool", ({ detail }) => model.set("tool", detail), { signal });

  box.addEventListener("geoiseg-zoom", ({ detail }) => map.setZoom(map.getZoom() + detail), { signal });
  const keys = { panning: false, abandon: () => false };
  pointer({ model, map, box, ink, signal, keys });
  keyboard({ model, box, signal, keys });
  const viewed = () => {
    const bounds = map.getBounds();
    const clip = (lat) => Math.max(-90, Math.min(90, lat));
    const corner = ({ lat, lng }) => [clip(lat), Math.max(-720, Math.min(720, lng))];
    const both = [corner(bounds.getSouthWest()), corner(bounds.getNorthEast())];
    model.send({ kind: "view", bounds: both, zoom: map.getZoom() });
  };
  map.on("moveend", viewed);
  signal.addEventListener("abort", () => map.off("moveend", viewed));
  model.send({ kind: "ready" });
  viewed();
}

function render({ model, el }) {
  const ending = new AbortController();
  el.style.display = "none";
  start({ model, el, signal: ending.signal }).catch((error) => {
    if (!ending.signal.aborted) console.error(error);
  });
  return () => ending.abort();
}

export default { render };
