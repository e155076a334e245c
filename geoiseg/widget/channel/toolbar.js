// The buttons, classes, panels and the busy line over the map. Everything shown comes from
// the traits `state` and `status`; everything done is a message to the kernel.

const NOTE_MS = 6000; // how long a note stays; errors stay until they are closed

const ICONS = {
  point: '<circle cx="10" cy="10" r="7"/><path d="M10 6.5v7M6.5 10h7"/>',
  negative: '<circle cx="10" cy="10" r="7"/><path d="M6.5 10h7"/>',
  box: '<path d="M3 6V3h3M14 3h3v3M17 14v3h-3M6 17H3v-3M9 3h2M9 17h2M3 9v2M17 9v2"/>',
  scribble: '<path d="M2.5 13c2-7 4-8 5-5s-1 6 1 6 3-5 4.500-5"/><path d="M15 3v5M12.500 5.500h5"/>',
  erase: '<path d="M2.500 13c2-7 4-8 5-5s-1 6 1 6 3-5 4.500-5"/><path d="M12.500 5.500h5"/>',
  wire: '<path d="M4 14c0-4 4-3 4-6s4-5 7-4" stroke-dasharray="3 2"/><rect x="2.500" y="13" width="3.500" height="3.500" fill="currentColor"/><rect x="14" y="2.500" width="3.500" height="3.500" fill="currentColor"/>',
  region: '<path d="M4 6l6-3 6 4-1 8-7 2-5-5z" fill="currentColor" fill-opacity=".3"/>',
  pick: '<path d="M5 3l10.500 6-4.700 1.300L8.500 15z" fill="currentColor" fill-opacity=".3"/>',
  undo: '<path d="M7 4L3 8l4 4"/><path d="M3 8h8a5 5 0 0 1 0 9H8"/>',
  redo: '<path d="M13 4l4 4-4 4"/><path d="M17 8H9a5 5 0 0 0 0 9h3"/>',
  delete: '<path d="M4 6h12M8 6V3.500h4V6M5.500 6l.8 11h7.400l.8-11M8.500 9v5M11.500 9v5"/>',
  "zoom-in": '<circle cx="9" cy="9" r="5.500"/><path d="M13 13l4 4M9 6.700v4.600M6.700 9h4.600"/>',
  "zoom-out": '<circle cx="9" cy="9" r="5.500"/><path d="M13 13l4 4M6.700 9h4.600"/>',
  fit: '<path d="M3 7V3h4M13 3h4v4M17 13v4h-4M7 17H3v-4"/><rect x="7" y="7" width="6" height="6"/>',
  layers: '<path d="M10 3l7 4-7 4-7-4z"/><path d="M3 10.500l7 4 7-4M3 14l7 4 7-4" opacity=".6"/>',
  settings: '<path d="M3 6h7M14 6h3M3 14h3M10 14h7"/><circle cx="12" cy="6" r="2"/><circle cx="8" cy="14" r="2"/>',
  files: '<path d="M10 3v9M6.500 8.500L10 12l3.500-3.500"/><path d="M3 13v4h14v-4"/>',
  help: '<path d="M7 7.500a3 3 0 1 1 4.500 2.600c-1 .6-1.500 1.100-1.500 2.400"/><path d="M10 15.800v.2"/>',
  close: '<path d="M5 5l10 10M15 5L5 15"/>',
  check: '<path d="M4 10.500l4 4 8-9"/>',
  plus: '<path d="M10 4v12M4 10h12"/>',
  edit: '<path d="M4 16l1-4 8.500-8.500 3 3L8 15z"/>',
  suggest: '<circle cx="10" cy="10" r="2.500" fill="currentColor"/><circle cx="10" cy="10" r="7" opacity=".5"/>',
  sharpen: '<path d="M3 13c2-5 4-7 7-7s5 2 7 7M3 16h14M8 3l2-1 2 1"/>',
  grow: '<rect x="3" y="6" width="7" height="8"/><path d="M12 10h6M15.500 7.500L18 10l-2.500 2.500"/>',
};
const icon = (name) =>
  `<svg viewBox="0 0 20 20" aria-hidden="true" fill="none" stroke="currentColor" stroke-width="1.700" stroke-linecap="round" stroke-linejoin="round">${ICONS[name]}</svg>`;

/** An element with properties and children; text is never taken as markup. */
function h(tag, properties = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name === "icon") element.innerHTML = icon(value);
    else if (name === "style") element.style.cssText = value;
    else if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (name in element) element[name] = value;
    else element.setAttribute(name, value);
  }
  element.append(...children.filter((child) => child !== null && child !== undefined));
  return element;
}

/** The n-th of the numbers 1, 2, 5, 10, 20... from about `least` on. */
function roundStep(least, n) {
  const place = Math.round(3 * Math.log10(least)) + n;
  return [1, 2, 5][((place % 3) + 3) % 3] * 10 ** Math.floor(place / 3);
}

const withKey = ({ title, keys_text }) => (keys_text ? `${title} (${keys_text})` : title);
const changed = (a, b) => JSON.stringify(a) !== JSON.stringify(b);

class Ui {
  constructor(model, box, signal) {
    this.model = model;
    this.box = box;
    this.shown = {}; // what each part was built from, so that it is rebuilt only on change
    this.open = null; // name of the open panel
    this.actions = Object.fromEntries([...model.get("tools"), ...model.get("commands")].map((a) => [a.name, a]));
    this.parts = {
      rail: h("div", { className: "gs-rail gs-card", role: "toolbar", ariaLabel: "Tools" }),
      classes: h("div", { className: "gs-classes" }),
      finder: h("div", { className: "gs-finder" }),
      menu: h("div", { className: "gs-menu gs-card" }),
      panel: h("div", { className: "gs-panel gs-card", hidden: true }),
      foot: h("div", { className: "gs-foot" }),
      line: h("div", { className: "gs-line gs-card", hidden: true, role: "status", ariaLive: "polite" }),
      bar: h("div", { className: "gs-bar gs-card", hidden: true }),
    };
    this.parts.foot.append(this.parts.line, this.parts.bar);
    const { rail, classes, finder, menu, panel, foot } = this.parts;
    classes.append(this.chips = h("div", { className: "gs-chips" }), finder);
    this.root = h("div", { className: "geoiseg-ui" }, rail, classes, menu, panel, foot);
    for (const part of [rail, classes, menu, panel, foot]) this.shield(part);
    box.appendChild(this.root);
    box.addEventListener("geoiseg-help", () => this.toggle("help"), { signal });
    box.addEventListener("geoiseg-escape", (event) => {
      if (!this.open || this.box.dataset.phase) return; // what goes on is stopped first
      event.preventDefault();
      this.toggle(null);
    }, { signal });
    signal.addEventListener("abort", () => this.root.remove());
    this.clock = setInterval(() => this.tick(), 100);
    signal.addEventListener("abort", () => clearInterval(this.clock));
    this.build();
    this.update();
    this.tell();
  }

  /** Keep what happens on a control away from the map below it. */
  shield(part) {
    for (const type of ["mousedown", "click", "dblclick", "wheel", "pointerdown", "touchstart"]) {
      part.addEventListener(type, (event) => event.stopPropagation(), { passive: true });
    }
    // a button leaves the keys with the map
    part.addEventListener("click", (event) => event.target.closest("button") && this.box.focus({ preventScroll: true, focusVisible: false }));
  }

  send(content, buffers) {
    if (this.refused) this.tell(); // the kernel may have nothing new to say
    this.model.send(content, undefined, buffers);
  }

  refuse(error) {
    this.say({ error });
    this.refused = true;
  }

  do(name) {
    this.send({ kind: "do", name });
  }

  button(name, press, label) {
    const { title } = { title: label, ...this.actions[name] };
    const text = this.actions[name] ? withKey(this.actions[name]) : label;
    return h("button", { type: "button", title: text, ariaLabel: title, icon: name, onclick: press, "data-name": name });
  }

  build() {
    const { rail, menu } = this.parts;
    for (const { name } of this.model.get("tools")) {
      const choose = () => {
        this.box.dispatchEvent(new CustomEvent("geoiseg-tool", { detail: name }));
        this.send({ kind: "choose", what: "tool", name });
      };
      rail.append(this.button(name, choose));
    }
    rail.append(h("hr"));
    for (const name of ["undo", "redo", "delete"]) rail.append(this.button(name, () => this.do(name)));
    rail.append(h("hr"));
    const zoom = (by) => () => this.box.dispatchEvent(new CustomEvent("geoiseg-zoom", { detail: by }));
    rail.append(this.button("zoom-in", zoom(1), "Zoom in (+)"), this.button("zoom-out", zoom(-1), "Zoom out (-)"));
    rail.append(this.button("fit", () => this.do("fit")));
    const titles = { layers: "Layers", settings: "Model and outline", files: "Save, export, add a layer", help: "Shortcuts (?)" };
    for (const [name, title] of Object.entries(titles)) {
      menu.append(this.button(name, () => this.toggle(name), title));
    }
  }

  toggle(name) {
    this.open = this.open === name ? null : name;
    this.shown.panel = undefined;
    this.update();
  }

  update() {
    const state = this.model.get("state");
    if (!state.tool) return;
    for (const button of this.parts.rail.querySelectorAll("button")) {
      const { name } = button.dataset;
      button.classList.toggle("gs-on", name === state.tool);
      button.ariaPressed = String(name === state.tool);
      button.disabled =
        { undo: !state.can_undo, redo: !state.can_redo, delete: state.selected === null, region: !state.count, pick: !state.count }[name] ?? false;
    }
    for (const button of this.parts.menu.querySelectorAll("button")) {
      button.classList.toggle("gs-on", button.dataset.name === this.open);
    }
    this.part("classes", [state.label, state.labels], () => this.classes(state));
    this.find(state.words);
    this.part("bar", [state.label, state.labels, state.has_object, state.selected, state.editing, state.can_grow, state.can_sharpen], () => this.bar(state));
    this.parts.panel.hidden = !this.open;
    this.root.classList.toggle("gs-open", this.open !== null);
    const { model, models, simplify, snap, shape, preview, preview_possible, detail, accept_waits, layers, project, folder, count, training } = state;
    this.part("panel", [this.open, model, models, simplify, snap, shape, preview, preview_possible, detail, accept_waits, layers, project, folder, count, this.open === "settings" && training], () => this.panel(state));
  }

  part(name, now, build) {
    if (this.shown[name] !== undefined && !changed(this.shown[name], now)) return;
    const active = document.activeElement;
    if (name === "panel" && this.shown.panel?.[0] === now[0] && this.parts.panel.contains(active) && active.matches("input:not([type=checkbox])")) {
      return; // do not pull a field away from under the user's hands
    }
    this.shown[name] = now;
    const place = name === "classes" ? this.chips : this.parts[name];
    const ticked = place.contains(active) && active.matches("[type=checkbox]") ? active.ariaLabel : null;
    place.replaceChildren(...build().filter(Boolean));
    if (ticked) [...place.querySelectorAll("[type=checkbox]")].find((one) => one.ariaLabel === ticked)?.focus({ preventScroll: true });
  }

  classes({ label, labels }) {
    const chips = labels.map(([name, colour], n) => {
      const key = n < 9 ? h("kbd", {}, String(n + 1)) : null;
      const dot = h("i", { style: `background:${colour}` });
      const on = name === label;
      const press = () => (on ? this.rename(chip, name, colour) : this.send({ kind: "choose", what: "label", name }));
      const title = on ? `Current class: ${name}. Click to rename or recolour` : `Class ${name}${n < 9 ? ` (${n + 1})` : ""}`;
      const chip = h("button", { type: "button", className: `gs-chip${on ? " gs-on" : ""}`, title, ariaPressed: String(on), onclick: press }, dot, h("span", {}, name), key);
      chip.style.setProperty("--gs-colour", colour);
      return chip;
    });
    const add = h("button", { type: "button", className: "gs-chip gs-add", title: "Add a class", icon: "plus", onclick: () => this.adding(add) });
    return [...chips, add];
  }

  /** The text field, built once, and what was found by it. */
  find(words) {
    const { finder } = this.parts;
    if (!this.finding) {
      const field = h("input", { type: "text", maxLength: 500, placeholder: "Find: water, buildings, fields…", ariaLabel: "Text prompt" });
      const ask = (event) => {
        event.preventDefault();
        // "field -road": what begins with a minus is what it should not be
        const [text, ...not] = field.value.split(/\s-(?=\S)/).map((part) => part.trim());
        if (text) this.send({ kind: "words", text, ...(not.length ? { negative: not.join(", ") } : {}) });
      };
      this.finding = h("form", { className: "gs-words gs-card", onsubmit: ask }, field, h("button", { type: "submit" }, "Find"));
      this.found = h("div", { className: "gs-found gs-card", hidden: true });
      finder.append(this.finding, this.found);
    }
    this.found.hidden = !words;
    if (!words || !changed(this.shown.words, words)) return void (this.shown.words = words);
    this.shown.words = words;
    const { scores, threshold, text } = words;
    const count = (least) => `${scores.filter((score) => score >= least).length} of ${scores.length}`;
    const shown = h("output", {}, count(threshold));
    const slider = h("input", { type: "range", min: 0, max: 1, step: 0.01, value: threshold, ariaLabel: "Least score", title: "Least score of what is shown" });
    slider.addEventListener("input", () => {
      shown.textContent = count(Number(slider.value));
      this.box.dispatchEvent(new CustomEvent("geoiseg-threshold", { detail: Number(slider.value) }));
    });
    slider.addEventListener("change", () => this.send({ kind: "set", what: "threshold", value: Number(slider.value) }));
    const act = (action) => () => this.send({ kind: "words", action });
    const accept = h("button", { type: "button", className: "gs-main", title: "Accept all that are shown", "data-name": "accept-found", onclick: act("accept") }, "Accept all");
    const drop = h("button", { type: "button", className: "gs-x", title: "Drop the candidates", icon: "close", "data-name": "drop-found", onclick: act("clear") });
    this.found.replaceChildren(h("span", { title: words.note }, text), slider, shown, accept, drop);
  }

  nameField(value, done) {
    const field = h("input", { type: "text", value, maxLength: 60, className: "gs-name", placeholder: "class name" });
    let over = false;
    const finish = (keep) => {
      if (over) return;
      over = true;
      this.shown.classes = undefined;
      if (keep && field.value.trim() && field.value.trim() !== value) done(field.value.trim());
      this.update();
      this.box.focus({ preventScroll: true, focusVisible: false });
    };
    field.addEventListener("keydown", (event) => {
      if (event.key === "Enter") finish(true);
      if (event.key === "Escape") finish(false);
    });
    field.addEventListener("blur", (event) => !event.relatedTarget?.matches?.(".gs-colour") && finish(true));
    setTimeout(() => (field.focus(), field.select()));
    return field;
  }

  adding(button) {
    button.replaceWith(this.nameField("", (name) => this.send({ kind: "class", change: "add", name })));
  }

  rename(chip, name, colour) {
    const pick = h("input", { type: "color", value: colour, className: "gs-colour", title: "Colour" });
    pick.addEventListener("change", () => {
      this.send({ kind: "class", change: "colour", name, to: pick.value });
      field.focus();
    });
    const field = this.nameField(name, (to) => this.send({ kind: "class", change: "rename", name, to }));
    chip.replaceWith(h("span", { className: "gs-chip gs-on gs-editing", style: `--gs-colour:${colour}` }, pick, field));
  }

  bar({ label, labels, has_object, selected, editing, can_grow, can_sharpen }) {
    const { bar } = this.parts;
    bar.hidden = !has_object && selected === null;
    const colour = Object.fromEntries(labels)[label] ?? "#fff";
    const text = (name, what, main) => {
      const { keys_text } = this.actions[name];
      const glyph = { accept: "check", cancel: "close" }[name] ?? name;
      return h("button", { type: "button", className: main ? "gs-main" : "", title: withKey(this.actions[name]), onclick: () => this.do(name), "data-name": name },
        h("b", { icon: glyph }), what, keys_text ? h("kbd", {}, keys_text) : null);
    };
    if (has_object) {
      const what = editing === null ? "New" : `Feature ${editing}`;
      return [
        h("span", { className: "gs-what" }, h("i", { style: `background:${colour}` }), `${what}: ${label}`),
        can_grow ? text("grow", "Follow beyond the border") : null,
        can_sharpen ? text("sharpen", "Sharpen the border") : null,
        text("suggest", "Where next?"),
        text("cancel", "Cancel"),
        text("accept", "Accept", true),
      ];
    }
    return [
      h("span", { className: "gs-what" }, `Feature ${selected}`, h("small", {}, "1–9: class")),
      text("delete", "Delete"),
      text("edit", "Refine", true),
    ];
  }

  panel(state) {
    if (!this.open) return [];
    const title = { layers: "Layers", settings: "Model and outline", files: "Files", help: "Shortcuts" }[this.open];
    const close = h("button", { type: "button", className: "gs-x", title: "Close (Esc)", icon: "close", onclick: () => this.toggle(null) });
    this.parts.panel.dataset.name = this.open;
    return [h("header", {}, h("h4", {}, title), close), ...this[`${this.open}Panel`](state)];
  }

  layersPanel({ layers }) {
    return layers.map((layer) => {
      const set = (change) => this.send({ kind: "layer", layer: layer.id, ...change });
      const visible = h("input", { type: "checkbox", checked: layer.visible, onchange: () => set({ visible: visible.checked }) });
      const opacity = h("input", { type: "range", min: 0, max: 1, step: 0.05, value: layer.opacity, ariaLabel: "Opacity", oninput: () => set({ opacity: Number(opacity.value) }) });
      const parts = [h("label", { className: "gs-head", title: layer.name }, visible, h("span", {}, layer.name)), this.row("Opacity", opacity)];
      const look = (change) => this.send({ kind: "look", layer: layer.id, ...change });
      if (layer.composites.length) {
        const picker = h("select", { ariaLabel: "Composite", onchange: () => picker.value && look({ composite: picker.value }) }, h("option", { value: "", selected: !layer.composite }, "own choice"), ...layer.composites.map((name) => h("option", { value: name, selected: name === layer.composite }, name)));
        parts.push(this.row("Picture", picker));
      }
      if (layer.count > 1) {
        const band = (chosen) => h("select", { onchange: bands, ariaLabel: "Band" }, ...Array.from({ length: Math.min(layer.count, 256) }, (_, n) => h("option", { value: n + 1, selected: chosen === n + 1 }, layer.band_names[n] ?? String(n + 1))), ...(typeof chosen === "string" ? [h("option", { value: chosen, selected: true }, chosen)] : []));
        const bands = () => {
          const chosen = selects.map((select) => select.value);
          if (chosen.every((one) => /^\d+$/.test(one))) set({ bands: chosen.map(Number) });
          else look({ bands: chosen.join(",") });
        };
        const selects = layer.bands.map((chosen) => band(chosen));
        const mode = layer.count >= 3 ? h("select", { ariaLabel: "Colour or grey", onchange: () => mode.value === "rgb" && layer.composites.length ? look({ composite: layer.composites[0] }) : set({ bands: mode.value === "rgb" ? [1, 2, 3] : [layer.bands.find((one) => typeof one === "number") ?? 1] }) }, h("option", { value: "rgb", selected: layer.bands.length === 3 }, "Colour"), h("option", { value: "one", selected: layer.bands.length === 1 }, "Grey")) : null;
        if (mode) parts.push(this.row("Show as", mode));
        parts.push(this.row("Bands", ...selects));
        const formula = h("input", { type: "text", ariaLabel: "Index or formula", placeholder: "ndwi or nir,red,ndwi", onchange: () => { if (formula.value.trim()) look({ bands: formula.value.trim() }); formula.blur(); } });
        parts.push(this.row("Index", formula));
      }
      const limit = (n) => h("input", { type: "number", step: "any", value: layer.stretch[n], ariaLabel: n ? "White at" : "Black at", onchange: () => set({ stretch: [Number(low.value), Number(high.value)] }) });
      const low = limit(0);
      const high = limit(1);
      parts.push(this.row("Contrast", low, high));
      const percent = h("input", { type: "number", min: 0, max: 25, step: 0.5, value: 2, ariaLabel: "Percent that saturates" });
      const auto = (of) => h("button", { type: "button", title: `Contrast of the ${of}`, ariaLabel: `of the ${of}`, onclick: () => look({ auto: of, percent: Number(percent.value) }) }, of);
      parts.push(this.row("Auto", auto("view"), auto("raster"), percent));
      const gamma = h("input", { type: "range", min: 0.2, max: 3, step: 0.1, value: layer.gamma, ariaLabel: "Gamma", onchange: () => look({ gamma: Number(gamma.value) }) });
      parts.push(this.row("Gamma", gamma));
      if (layer.bands.length === 1) {
        const ramp = h("select", { ariaLabel: "Colours", onchange: () => look({ ramp: ramp.value }) }, ...["grey", "viridis", "cividis", "turbo", "water"].map((name) => h("option", { value: name, selected: name === layer.ramp }, name)));
        parts.push(this.row("Colours", ramp));
      }
      if (layer.segmented) {
        const linked = h("input", { type: "checkbox", checked: layer.linked, ariaLabel: "Segment what is seen", onchange: () => look({ linked: linked.checked }) });
        parts.push(this.row("Segment what is seen", linked));
        parts.push(h("p", { className: "gs-segmented" }, `The model sees: ${layer.segmented}`));
      }
      return h("section", {}, ...parts);
    });
  }

  row(name, ...fields) {
    return h("div", { className: "gs-row" }, h("span", {}, name), h("div", {}, ...fields.filter(Boolean)));
  }

  settingsPanel({ model, models, simplify, snap, snap_unit, shape, count, preview, preview_possible, detail, accept_waits, training }) {
    const picker = h("select", { ariaLabel: "Model", onchange: () => this.send({ kind: "choose", what: "model", name: picker.value }) }, ...models.map(([name]) => h("option", { value: name, selected: name === model }, name)));
    const about = models.find(([name]) => name === model)?.[1] ?? "";
    const shown = h("output", {}, `${simplify} px`);
    const slider = h("input", { type: "range", min: 0, max: 10, step: 0.5, value: simplify, ariaLabel: "Simplify" });
    slider.addEventListener("input", () => (shown.textContent = `${slider.value} px`));
    slider.addEventListener("change", () => this.send({ kind: "set", what: "simplify", value: Number(slider.value) }));
    const most = this.model.get("max_snap");
    const near = h("input", { type: "number", min: 0, max: most, step: "any", value: snap, ariaLabel: "Snap" });
    near.addEventListener("change", () => {
      const wanted = near.validity.valid ? Number(near.value) : NaN; // an empty field is 0
      if (wanted >= 0) return this.send({ kind: "set", what: "snap", value: wanted });
      near.value = this.model.get("state").snap;
      this.refuse(`Snap is 0 to ${most} ${snap_unit}; 0 is off`);
    });
    const live = h("input", { type: "checkbox", checked: preview, onchange: () => this.do("preview") });
    const tick = (name, on, what) => h("label", { className: "gs-head" }, h("input", { type: "checkbox", checked: on, onchange: () => this.do(name) }), h("span", {}, what));
    const why = preview_possible ? "" : " (the model is too slow for it here)";
    return [
      h("section", {}, this.row("Model", picker), about ? h("p", {}, about) : null),
      h("section", {}, ...this.trainRows(count, training)),
      h("section", {}, this.row("Simplify", slider, shown), h("p", {}, "How far the outline may move to lose vertices.")),
      h("section", {}, ...this.shapeRows(shape, snap_unit, count)),
      h("section", {}, this.row("Snap", near, h("output", {}, snap_unit)), h("p", {}, "An accepted object takes over the borders of features that are nearer than this. 0 is off.")),
      h("section", {}, tick("by-itself", detail === "native", "Follow and sharpen by itself"), detail === "native" ? tick("accept-waits", accept_waits, "Accept waits for it") : null, h("p", {}, "Objects larger than one look are followed to their end and get sharp borders while you go on. Esc stops it.")),
      h("section", {}, h("label", { className: "gs-head" }, live, h("span", {}, `Preview under the cursor${why}`))),
    ];
  }

  trainRows(count, { running, name, what, done, whole, said }) {
    if (running) {
      const bar = h("progress", { max: whole || 1, value: done ?? 0, ariaLabel: "Training" });
      return [this.row("Training", bar, h("button", { type: "button", onclick: () => this.do("stop-training") }, "Stop")), h("p", {}, what ? `${name}: ${what}, ${done} of ${whole}` : "Beginning…")];
    }
    const field = h("input", { type: "text", value: name ?? "", placeholder: "name", maxLength: 60, ariaLabel: "Name of your model" });
    const begin = h("button", { type: "button", onclick: () => this.send({ kind: "choose", what: "train", name: field.value.trim() }) }, "Train");
    return [this.row("Own model", field, begin), h("p", {}, said ?? `Teaches tiny with the ${count} accepted features, in minutes; clicks go on meanwhile.`)];
  }

  /** Sliders for what changes in ground units; their steps go by the size of a pixel. */
  shapeRows({ holes, parts, grow, pixel }, unit, count) {
    const too = h("input", { type: "checkbox", checked: this.reshapesAccepted, ariaLabel: "Accepted ones too", onchange: () => (this.reshapesAccepted = too.checked) });
    const slide = (what, name, value, steps, units) => {
      const text = (n) => `${Number(steps[n].toPrecision(4)).toLocaleString("en")} ${units}`;
      const nearest = steps.reduce((best, one, n) => (Math.abs(one - value) < Math.abs(steps[best] - value) ? n : best), 0);
      steps[nearest] = value; // as it is, whatever it is
      const shown = h("output", {}, text(nearest));
      const slider = h("input", { type: "range", min: 0, max: steps.length - 1, step: 1, value: nearest, ariaLabel: name, ariaValueText: text(nearest) });
      slider.addEventListener("input", () => (shown.textContent = slider.ariaValueText = text(slider.value)));
      slider.addEventListener("change", () => this.send({ kind: "set", what, value: steps[slider.value], accepted: too.checked }));
      return this.row(name, slider, shown);
    };
    const areas = [0, ...Array.from({ length: 16 }, (_, n) => roundStep(4 * pixel * pixel, n))];
    const widths = Array.from({ length: 41 }, (_, n) => (n - 20) * roundStep(pixel / 2, 0));
    return [
      slide("holes", "Fill holes", holes, [...areas], `${unit}²`),
      slide("parts", "Drop parts", parts, [...areas], `${unit}²`),
      slide("grow", "Move border", grow, widths, unit),
      h("p", {}, "Smaller holes are filled, smaller parts dropped; borders move outwards, or inwards below 0. No model is asked."),
      count ? h("label", { className: "gs-head" }, too, h("span", {}, "Accepted ones too")) : null,
    ];
  }

  filesPanel({ project, folder, count }) {
    const name = h("input", { type: "text", value: "features", maxLength: 60, ariaLabel: "File name" });
    const format = h("select", { ariaLabel: "Format" }, ...this.model.get("formats").map((one) => h("option", { value: one }, `.${one}`)));
    const write = h("button", { type: "button", className: "gs-main", disabled: !count, onclick: () => this.send({ kind: "export", name: name.value, format: format.value }) }, "Export");
    const file = h("input", { type: "file", accept: ".gpkg,.geojson,.json,.fgb,.zip", hidden: true, onchange: () => this.upload(file.files[0]) });
    const counted = `${count} feature${count === 1 ? "" : "s"}`;
    return [
      h("section", {}, this.row("Export", name, format), h("p", {}, `${counted} into ${folder}`), write),
      h("section", {}, h("p", {}, project ? `Every accept is saved to ${project}` : "Not saved to a project: give project= in Python"), project ? h("button", { type: "button", onclick: () => this.do("save") }, "Save now") : null),
      h("section", {}, h("p", {}, "Polygons to refine: GeoPackage, GeoJSON, FlatGeobuf or a zipped Shapefile"), h("button", { type: "button", onclick: () => file.click() }, "Add a layer…"), file),
    ];
  }

  async upload(file) {
    if (!file) return;
    if (file.size > this.model.get("max_upload")) return this.refuse(`${file.name} is larger than ${this.model.get("max_upload") >> 20} MiB`);
    this.send({ kind: "upload", name: file.name.slice(-200) }, [await file.arrayBuffer()]);
  }

  helpPanel() {
    const rows = [...this.model.get("tools"), ...this.model.get("by_hand"), ...this.model.get("commands")].filter(({ combos }) => combos.length);
    const pair = (key, title) => [h("span", { className: "gs-keys" }, ...key.map((one) => h("kbd", {}, one))), h("span", {}, title)];
    return [
      h("div", { className: "gs-help" },
        ...rows.flatMap(({ keys_text, title }) => pair([keys_text], title)),
        ...pair(["1", "…", "9"], "Choose the class; with a feature selected, change its class"),
        ...pair(["Space"], "Hold to pan while drawing"),
        ...pair(["Right click"], "Point off the object"),
        ...pair(["?"], "This list")),
    ];
  }

  tell() {
    const status = this.model.get("status");
    this.say(status);
    this.box.dataset.phase = status.phase ?? "";
    const picker = this.parts.panel.querySelector("[aria-label=Model]");
    if (picker && !status.phase) picker.value = this.model.get("state").model; // the other may have been stopped
  }

  say({ phase, since, error, note }) {
    const { line } = this.parts;
    this.refused = false;
    this.since = phase ? since : null;
    line.hidden = !(phase || error || note);
    line.classList.toggle("gs-error", Boolean(error));
    if (error) {
      const close = h("button", { type: "button", className: "gs-x", title: "Close", icon: "close", onclick: () => (line.hidden = true) });
      line.replaceChildren(h("span", { title: error }, error), close);
    } else if (phase) {
      this.seconds = h("span", { className: "gs-seconds" });
      const stop = h("button", { type: "button", title: "Stop (Esc)", onclick: () => this.do("stop"), "data-name": "stop" }, "Cancel");
      line.replaceChildren(h("i", { className: "gs-spin" }), h("span", {}, phase), this.seconds, stop);
      this.tick();
    } else line.replaceChildren(h("span", {}, note ?? ""));
    clearTimeout(this.fading);
    if (note && !error && !phase) this.fading = setTimeout(() => (line.hidden = true), NOTE_MS);
  }

  tick() {
    if (!this.since || !this.seconds) return;
    const elapsed = Math.max(0, Date.now() / 1000 - this.since);
    this.seconds.textContent = `${elapsed.toFixed(1)} s`;
  }
}

async function start(model, el, signal) {
  while (!signal.aborted) {
    const box = el.closest(".leaflet-container");
    if (box) {
      const ui = new Ui(model, box, signal);
      const on = (event, handler) => {
        model.on(event, handler);
        signal.addEventListener("abort", () => model.off(event, handler));
      };
      on("change:state", () => ui.update());
      on("change:status", () => ui.tell());
      return;
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
