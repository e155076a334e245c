// Intelligent scissors: the border so far, the stretch ahead to the cursor, and what they follow.
// The kernel finds the paths; clicks and moves reach it through the map's own companion.

const SVG = "http://www.w3.org/2000/svg";
const HELP = "Click on the border; a double click closes it, a right click takes the last one back";
const TITLES = {
  pixel: "Follow edges of the picture",
  superpixel: "Follow borders of superpixels: calmer where there is noise",
  hybrid: "Follow either, whichever is clearer",
};

/** Latitude and longitude of places sent as doubles. */
const places = (bytes) => {
  if (!bytes) return [];
  const view = bytes.buffer ? bytes : new DataView(bytes);
  const values = new Float64Array(view.buffer.slice(view.byteOffset, view.byteOffset + view.byteLength));
  return Array.from({ length: values.length / 2 }, (_, n) => [values[2 * n + 1], values[2 * n]]);
};

class Wire {
  constructor(model, map, box, signal) {
    Object.assign(this, { model, map, box });
    this.root = document.createElement("div");
    this.root.className = "geoiseg-wire";
    this.svg = document.createElementNS(SVG, "svg");
    this.lines = ["gs-rim", "gs-line", "gs-rim", "gs-ahead"].map((name) => this.make("polyline", name));
    this.bar = this.build();
    const ui = document.createElement("div");
    ui.className = "geoiseg-ui"; // its buttons and colours
    ui.append(this.bar);
    this.root.append(this.svg, ui);
    box.append(this.root);
    signal.addEventListener("abort", () => this.root.remove());
    const on = (event, handler) => {
      model.on(event, handler);
      signal.addEventListener("abort", () => model.off(event, handler));
    };
    on("change:border", () => this.take());
    on("change:ahead", () => this.take());
    on("change:state", () => this.update());
    const place = () => this.place();
    map.on("move zoom viewreset resize", place);
    signal.addEventListener("abort", () => map.off("move zoom viewreset resize", place));
    this.take();
    this.update();
  }

  make(tag, name) {
    const shape = document.createElementNS(SVG, tag);
    if (name) shape.setAttribute("class", name);
    this.svg.append(shape);
    return shape;
  }

  build() {
    const bar = document.createElement("div");
    bar.className = "gs-wire-bar gs-card";
    bar.setAttribute("role", "toolbar");
    bar.setAttribute("aria-label", "Follow the border");
    const help = document.createElement("span");
    help.textContent = "Follow";
    help.title = HELP;
    bar.append(help);
    for (const name of this.model.get("levels")) {
      const button = document.createElement("button");
      Object.assign(button, { type: "button", textContent: name, title: TITLES[name] });
      button.dataset.name = name;
      button.addEventListener("click", () => {
        this.model.send({ kind: "choose", what: "follows", name });
        this.box.focus({ preventScroll: true, focusVisible: false });
      });
      bar.append(button);
    }
    for (const type of ["mousedown", "click", "dblclick", "wheel", "pointerdown", "touchstart"]) {
      bar.addEventListener(type, (event) => event.stopPropagation(), { passive: true });
    }
    return bar;
  }

  update() {
    const { on, follows } = this.model.get("state");
    this.bar.hidden = !on;
    for (const button of this.bar.querySelectorAll("button")) {
      const chosen = button.dataset.name === follows;
      button.classList.toggle("gs-on", chosen);
      button.ariaPressed = String(chosen);
    }
  }

  take() {
    const { clicks, path } = this.model.get("border");
    this.clicks = places(clicks);
    this.done = places(path);
    this.ahead = places(this.model.get("ahead").path);
    this.place();
  }

  place() {
    const spot = (place) => this.map.latLngToContainerPoint(place);
    const points = (path) => path.map(spot).map(({ x, y }) => `${x},${y}`).join(" ");
    for (const [n, line] of this.lines.entries()) {
      line.setAttribute("points", points(n < 2 ? this.done : this.ahead));
    }
    this.svg.querySelectorAll("rect").forEach((mark) => mark.remove());
    for (const click of this.clicks) {
      const { x, y } = spot(click);
      const mark = this.make("rect");
      for (const [name, value] of Object.entries({ x: x - 3.5, y: y - 3.5, width: 7, height: 7 })) mark.setAttribute(name, value);
    }
  }
}

async function start(model, el, signal) {
  while (!signal.aborted) {
    const box = el.closest(".leaflet-container");
    if (box?.geoisegMap) {
      new Wire(model, box.geoisegMap, box, signal);
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
