// Tools by hand: their bar, vertices to take hold of, and a brush as wide as it paints. What is
// dragged is drawn here at once; the kernel is told when it is let go. What moves with the cursor has
// a canvas of its own, so that an outline of many vertices is not drawn again for each frame.

const NEAR = 10; // screen pixels within which a vertex is taken hold of; of an edge, half of it
const FINEST = 0.75; // screen pixels; of vertices nearer than that to the one before, the first is drawn
const ICONS = {
  vertex: '<path d="M5 15L8 5l8 3"/><rect x="3.500" y="13.500" width="3" height="3" fill="currentColor"/><rect x="6.500" y="3.500" width="3" height="3" fill="currentColor"/><rect x="14.500" y="6.500" width="3" height="3" fill="currentColor"/>',
  brush: '<path d="M16 3L9 11"/><path d="M8.500 10.500c-3 0-2.500 4-6 5 3.500 1.500 8 .5 8-3z" fill="currentColor"/>',
  eraser: '<path d="M8 16h9M4 12l7-8 5 4.500-6.500 7.500H7z"/><path d="M7 8.500l5 4.500"/>',
  split: '<path d="M4 6l6-2 6 2v8l-6 2-6-2z"/><path d="M14 2L6 18" stroke-dasharray="2.500 2"/>',
  hole: '<path d="M3 5l7-2 7 3-1 9-7 2-5-3z"/><path d="M8 8l4 .5-.5 3.500-3.500-.5z" fill="currentColor"/>',
  merge: '<path d="M3 4h8v8H3z"/><path d="M9 8h8v8H9z" fill="currentColor" fill-opacity=".35"/>',
  "move-outline": '<path d="M10 2v16M2 10h16M7.500 4.500L10 2l2.500 2.500M7.500 15.500L10 18l2.500-2.500M4.500 7.500L2 10l2.500 2.500M15.500 7.500L18 10l-2.500 2.500"/>',
};
const icon = (name) =>
  `<svg viewBox="0 0 20 20" aria-hidden="true" fill="none" stroke="currentColor" stroke-width="1.700" stroke-linecap="round" stroke-linejoin="round">${ICONS[name]}</svg>`;

/** Longitude and latitude on the square of the world at zoom 0, 256 pixels a side. */
const onWorld = (lng, lat) => {
  const sine = Math.sin((lat * Math.PI) / 180);
  return [((lng + 180) / 360) * 256, (0.5 - Math.log((1 + sine) / (1 - sine)) / (4 * Math.PI)) * 256];
};

/** The vertices of an outline: where they are on the world, and which is near a place. */
class Outline {
  constructor({ rings, xy } = {}) {
    this.counts = rings ?? [];
    const bytes = xy ? (xy.buffer ? xy : new DataView(xy)) : null;
    const values = bytes ? new Float64Array(bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength)) : new Float64Array();
    this.size = values.length / 2;
    this.lonlat = values;
    this.world = new Float64Array(values.length);
    for (let n = 0; n < this.size; n++) this.place(n, values[2 * n], values[2 * n + 1]);
    this.next = new Int32Array(this.size);
    let first = 0;
    for (const count of this.counts) {
      for (let n = 0; n < count; n++) this.next[first + n] = first + ((n + 1) % count);
      first += count;
    }
  }

  place(n, lng, lat) {
    this.lonlat[2 * n] = lng;
    this.lonlat[2 * n + 1] = lat;
    [this.world[2 * n], this.world[2 * n + 1]] = onWorld(lng, lat);
  }

  /** The vertex before one on its ring. */
  before(n) {
    let first = 0;
    for (const count of this.counts) {
      if (n < first + count) return n > first ? n - 1 : first + count - 1;
      first += count;
    }
    return n;
  }

  /** A copy with a vertex more, after one. */
  with(after, lng, lat) {
    const made = Object.assign(Object.create(Outline.prototype), { size: this.size + 1 });
    const insert = (array, a, b) => {
      const more = new Float64Array(array.length + 2);
      more.set(array.subarray(0, 2 * after + 2));
      more.set([a, b], 2 * after + 2);
      more.set(array.subarray(2 * after + 2), 2 * after + 4);
      return more;
    };
    made.lonlat = insert(this.lonlat, lng, lat);
    made.world = insert(this.world, ...onWorld(lng, lat));
    let start = 0;
    made.counts = this.counts.map((count) => {
      const here = after >= start && after < start + count;
      start += count;
      return count + (here ? 1 : 0);
    });
    made.next = new Int32Array(made.size);
    let first = 0;
    for (const count of made.counts) {
      for (let n = 0; n < count; n++) made.next[first + n] = first + ((n + 1) % count);
      first += count;
    }
    return made;
  }

  /** The vertex within `reach` of a place on the world, else the edge within half of it. */
  near([x, y], reach) {
    const { world, next } = this;
    let vertex = -1;
    let best = reach * reach;
    let edge = -1;
    let closest = (reach * reach) / 4;
    for (let n = 0; n < this.size; n++) {
      const ax = world[2 * n] - x;
      const ay = world[2 * n + 1] - y;
      const far = ax * ax + ay * ay;
      if (far < best) [best, vertex] = [far, n];
      const m = next[n];
      const ex = world[2 * m] - world[2 * n];
      const ey = world[2 * m + 1] - world[2 * n + 1];
      const long = ex * ex + ey * ey;
      const t = long ? Math.min(1, Math.max(0, -(ax * ex + ay * ey) / long)) : 0;
      const away = (ax + t * ex) ** 2 + (ay + t * ey) ** 2;
      if (away < closest) [closest, edge] = [away, n];
    }
    return { vertex, edge: vertex < 0 ? edge : -1 };
  }
}

class Hand {
  constructor(model, map, box, signal) {
    Object.assign(this, { model, map, box, outline: new Outline(), over: null, held: null, cursor: null, waiting: 0, stale: true });
    this.root = document.createElement("div");
    this.root.className = "geoiseg-hand";
    this.still = document.createElement("canvas");
    this.moving = document.createElement("canvas");
    this.bar = this.build();
    const ui = document.createElement("div");
    ui.className = "geoiseg-ui"; // its buttons and colours
    ui.append(this.bar);
    this.root.append(this.still, this.moving, ui);
    box.append(this.root);
    signal.addEventListener("abort", () => this.root.remove());
    const on = (event, handler) => {
      model.on(event, handler);
      signal.addEventListener("abort", () => model.off(event, handler));
    };
    on("change:outline", () => this.take());
    on("change:state", () => this.update());
    const draw = () => this.later();
    map.on("move zoom viewreset resize", draw);
    signal.addEventListener("abort", () => map.off("move zoom viewreset resize", draw));
    const watch = new MutationObserver(() => this.update());
    watch.observe(box, { attributeFilter: ["data-tool"] });
    signal.addEventListener("abort", () => watch.disconnect());
    this.listen(signal);
    this.take();
    this.update();
  }

  get tool() {
    return this.box.dataset.tool;
  }

  build() {
    const bar = document.createElement("div");
    bar.className = "gs-hand-bar gs-card";
    bar.setAttribute("role", "toolbar");
    bar.setAttribute("aria-label", "By hand");
    for (const { name, title, keys_text } of this.model.get("tools")) {
      const button = document.createElement("button");
      Object.assign(button, { type: "button", title: `${title} (${keys_text})`, ariaLabel: title, innerHTML: icon(name) });
      button.dataset.name = name;
      button.addEventListener("click", () => {
        this.box.dispatchEvent(new CustomEvent("geoiseg-tool", { detail: name }));
        this.model.send({ kind: "choose", what: "tool", name });
        this.box.focus({ preventScroll: true, focusVisible: false });
      });
      bar.append(button);
    }
    const width = document.createElement("label");
    width.className = "gs-width";
    this.width = document.createElement("input");
    Object.assign(this.width, { type: "number", min: 0, max: this.model.get("most"), step: "any", ariaLabel: "Brush width" });
    this.width.addEventListener("change", () => this.wide(Number(this.width.value)));
    this.unit = document.createElement("span");
    width.append(this.width, this.unit);
    bar.append(width);
    for (const type of ["mousedown", "click", "dblclick", "wheel", "pointerdown", "touchstart"]) {
      bar.addEventListener(type, (event) => event.stopPropagation(), { passive: true });
    }
    return bar;
  }

  wide(value) {
    const known = this.model.get("state").width;
    const good = value > 0 && value <= this.model.get("most");
    this.width.value = good ? value : known;
    if (good) this.model.send({ kind: "set", what: "brush", value });
  }

  /** Width of the brush in screen pixels. */
  get pixels() {
    const { width = 0, ground = 1 } = this.model.get("state");
    return (width / ground) * 2 ** this.map.getZoom();
  }

  take() {
    if (this.held) return;
    this.outline = new Outline(this.model.get("outline"));
    this.later();
  }

  update() {
    const { on, width, unit } = this.model.get("state");
    this.bar.hidden = !on;
    for (const button of this.bar.querySelectorAll("button")) {
      const chosen = button.dataset.name === this.tool;
      button.classList.toggle("gs-on", chosen);
      button.ariaPressed = String(chosen);
    }
    if (document.activeElement !== this.width && width !== undefined) this.width.value = width;
    this.unit.textContent = unit ?? "";
    if (this.tool !== "vertex") this.hover(null);
    this.later();
  }

  /** Place of an event on the world, and screen pixels in it. */
  spot(event) {
    const { lat, lng } = this.map.mouseEventToLatLng(event);
    return { lat, lng, at: onWorld(lng, lat), reach: NEAR / 2 ** this.map.getZoom() };
  }

  hover(over) {
    this.over = over;
    this.box.classList.toggle("gs-over-vertex", over?.vertex >= 0);
    this.box.classList.toggle("gs-over-edge", over?.edge >= 0);
  }

  listen(signal) {
    const inside = (event) => this.box.contains(event.target) && !event.target.closest(".geoiseg-ui, .leaflet-control");
    const on = (type, handler) => this.box.parentElement.addEventListener(type, handler, { signal, capture: true });
    const stop = (event) => (event.stopPropagation(), event.preventDefault());
    on("pointermove", (event) => {
      this.cursor = inside(event) ? { x: event.clientX, y: event.clientY } : null;
      if (this.tool === "brush" || this.tool === "eraser") this.later(false);
      if (this.tool !== "vertex") return;
      const { lat, lng, at, reach } = this.spot(event);
      if (this.held) {
        stop(event);
        this.outline.place(this.held.vertex, lng, lat);
        this.held.moved = true;
      } else if (inside(event)) this.hover(this.outline.near(at, reach));
      this.later(false);
    });
    on("pointerdown", (event) => {
      if (this.tool !== "vertex" || !inside(event) || !event.isPrimary) return;
      const { lat, lng, at, reach } = this.spot(event);
      const { vertex, edge } = this.outline.near(at, reach);
      if (vertex < 0 && edge < 0) return;
      stop(event);
      this.box.focus({ preventScroll: true, focusVisible: false });
      if (event.button === 2) return void (vertex >= 0 && this.remove(vertex));
      if (event.button !== 0) return;
      this.map.dragging.disable();
      this.box.setPointerCapture(event.pointerId); // it may be let go beyond the map
      const start = vertex >= 0 ? [this.outline.lonlat[2 * vertex], this.outline.lonlat[2 * vertex + 1]] : [lng, lat];
      if (vertex < 0) this.outline = this.outline.with(edge, lng, lat);
      else this.outline = Object.assign(Object.create(Outline.prototype), this.outline, { lonlat: this.outline.lonlat.slice(), world: this.outline.world.slice() });
      this.held = { vertex: vertex >= 0 ? vertex : edge + 1, start, added: vertex < 0, moved: false };
      this.later();
    });
    on("pointerup", (event) => {
      if (!this.held) return;
      stop(event);
      const { vertex, start, added, moved } = this.held;
      this.release();
      if (!moved && !added) return this.take();
      const at = [start[1], start[0]];
      const to = [this.outline.lonlat[2 * vertex + 1], this.outline.lonlat[2 * vertex]];
      this.send({ what: added ? "add" : "move", at, to: moved ? to : null });
    });
    on("pointercancel", () => this.abandon());
    on("mousedown", (event) => this.held && stop(event));
    on("keydown", (event) => {
      if (!this.box.contains(event.target) || event.target.closest("input")) return;
      const width = { "[": 1 / 1.25, "]": 1.25 }[event.key];
      if (width && ["brush", "eraser"].includes(this.tool)) {
        stop(event);
        return this.wide(Number((this.model.get("state").width * width).toPrecision(3)));
      }
      if (this.tool !== "vertex") return;
      if (event.key === "Escape" && this.held) {
        stop(event);
        this.abandon();
      } else if (["Delete", "Backspace"].includes(event.key) && this.outline) {
        stop(event); // a second one, with no vertex below the cursor any more, is not for the feature
        if (this.over?.vertex >= 0) this.remove(this.over.vertex);
      }
    });
  }

  remove(vertex) {
    const { lonlat } = this.outline;
    this.hover(null);
    this.send({ what: "delete", at: [lonlat[2 * vertex + 1], lonlat[2 * vertex]], to: null });
  }

  send(content) {
    this.model.send({ kind: "vertex", ...content });
  }

  release() {
    this.held = null;
    this.map.dragging.enable();
    this.later();
  }

  abandon() {
    if (!this.held) return;
    this.release();
    this.take();
  }

  /** Draw before the next frame: all, or only what moves with the cursor. */
  later(all = true) {
    this.stale ||= all;
    if (this.waiting) return;
    this.waiting = requestAnimationFrame(() => {
      this.waiting = 0;
      this.draw();
    });
  }

  draw() {
    const { map, box } = this;
    const { width, height } = box.getBoundingClientRect();
    this.drawn = (this.drawn ?? 0) + 1;
    box.dataset.handDrawn = this.drawn;
    const wide = `${Math.max(1, this.pixels)}px`; // all of the map is styled anew where it changes
    if (wide !== this.wideBefore) box.style.setProperty("--gs-brush", (this.wideBefore = wide));
    const scale = 2 ** map.getZoom();
    const centre = map.getCenter();
    const [cx, cy] = onWorld(centre.lng, centre.lat);
    const { world } = this.outline;
    const view = { width, height, place: (n) => [(world[2 * n] - cx) * scale + width / 2, (world[2 * n + 1] - cy) * scale + height / 2] };
    const shown = this.tool === "vertex" && this.outline.size;
    const size = [width, height, window.devicePixelRatio].join();
    if (this.stale || size !== this.sizeBefore) {
      this.stale = false;
      this.sizeBefore = size;
      const pen = this.cleared(this.still, width, height);
      if (shown) {
        this.lines(pen, view);
        this.handles(pen, view);
      }
    }
    const pen = this.cleared(this.moving, width, height);
    if (shown) this.marked(pen, view);
    const brushing = this.tool === "brush" || this.tool === "eraser";
    if (brushing && this.cursor && this.model.get("state").on) this.ring(pen);
  }

  /** What draws on a canvas of the map's size on which nothing is left. */
  cleared(canvas, width, height) {
    const ratio = window.devicePixelRatio || 1;
    const pen = canvas.getContext("2d");
    const size = [Math.round(width * ratio), Math.round(height * ratio)];
    if (canvas.width !== size[0] || canvas.height !== size[1]) [canvas.width, canvas.height] = size;
    pen.setTransform(ratio, 0, 0, ratio, 0, 0);
    pen.clearRect(0, 0, width, height);
    return pen;
  }

  ring(pen) {
    const { left, top } = this.box.getBoundingClientRect();
    for (const [colour, line] of [["#000", 3], ["#fff", 1.5]]) {
      pen.beginPath();
      pen.arc(this.cursor.x - left, this.cursor.y - top, Math.max(1, this.pixels / 2), 0, 2 * Math.PI);
      pen.strokeStyle = colour;
      pen.lineWidth = line;
      pen.stroke();
    }
  }

  stroke(pen) {
    for (const [colour, line] of [["rgb(0 0 0 / 60%)", 4], ["#ffea00", 2]]) {
      pen.strokeStyle = colour;
      pen.lineWidth = line;
      pen.stroke();
    }
  }

  /** All edges but those of a vertex that is held. */
  lines(pen, { place }) {
    const held = this.held?.vertex ?? -1;
    pen.beginPath();
    let first = 0;
    let last;
    for (const count of this.outline.counts) {
      const open = held >= first && held < first + count;
      const start = open ? held - first + 1 : 0;
      for (let n = 0; n < count - (open ? 1 : 0); n++) {
        const [x, y] = place(first + ((start + n) % count));
        if (n && Math.abs(x - last[0]) + Math.abs(y - last[1]) < FINEST) continue;
        if (n) pen.lineTo(x, y);
        else pen.moveTo(x, y);
        last = [x, y];
      }
      if (!open) pen.closePath();
      first += count;
    }
    this.stroke(pen);
  }

  handles(pen, { place, width, height }) {
    const held = this.held?.vertex ?? -1;
    let lastX = -99;
    let lastY = -99;
    for (let n = 0; n < this.outline.size; n++) {
      const [x, y] = place(n);
      if (n === held || x < -5 || y < -5 || x > width + 5 || y > height + 5) continue;
      if (Math.abs(x - lastX) + Math.abs(y - lastY) < 5) continue; // too dense to tell apart
      [lastX, lastY] = [x, y];
      this.handle(pen, x, y, 3, "#fff");
    }
  }

  handle(pen, x, y, half, colour) {
    pen.fillStyle = colour;
    pen.strokeStyle = "#000";
    pen.lineWidth = 1;
    pen.fillRect(x - half, y - half, 2 * half, 2 * half);
    pen.strokeRect(x - half, y - half, 2 * half, 2 * half);
  }

  /** The vertex below the cursor; one that is held with its edges. */
  marked(pen, { place }) {
    const vertex = this.held?.vertex ?? this.over?.vertex ?? -1;
    if (vertex < 0) return;
    if (this.held) {
      pen.beginPath();
      pen.moveTo(...place(this.outline.before(vertex)));
      pen.lineTo(...place(vertex));
      pen.lineTo(...place(this.outline.next[vertex]));
      this.stroke(pen);
    }
    this.handle(pen, ...place(vertex), 6, "#ff1744");
  }
}

async function start(model, el, signal) {
  while (!signal.aborted) {
    const box = el.closest(".leaflet-container");
    if (box?.geoisegMap) {
      new Hand(model, box.geoisegMap, box, signal);
      return model.send({ kind: "ready" });
    }
    await new Promise((resolve) => setTimeout(resolve, 25));
  }
}

function render({ model, el }) {
  const ending = new AbortController();
  el.style.display = "none";
  start(model, el, ending.signal).catch((error) => console.error(error));
  return () => ending.abort();
}

export default { render };
