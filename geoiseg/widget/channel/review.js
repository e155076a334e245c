// The bar of the review: previous and next, checked and rejected, what is done, and what is shown.
// Everything shown comes from the trait `state`; everything done is a message to the kernel.

/** An element with properties and children; text is never taken as markup. */
function h(tag, properties = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (name in element) element[name] = value;
    else element.setAttribute(name, value);
  }
  element.append(...children.filter((child) => child !== null && child !== undefined));
  return element;
}

const STATES = { "to check": "To check", checked: "Checked", rejected: "Rejected" };

class Review {
  constructor(model, box, signal) {
    Object.assign(this, { model, box, shown: "" });
    this.actions = Object.fromEntries(model.get("actions").map((one) => [one.name, one]));
    this.card = h("div", { className: "gs-review gs-card", role: "region", ariaLabel: "Review" });
    const ui = h("div", { className: "geoiseg-ui" }, this.card); // its buttons and colours
    this.root = h("div", { className: "geoiseg-review" }, ui);
    for (const type of ["mousedown", "click", "dblclick", "wheel", "pointerdown", "touchstart"]) {
      this.card.addEventListener(type, (event) => event.stopPropagation(), { passive: true });
    }
    // a button leaves the keys with the map
    this.card.addEventListener("click", (event) => event.target.closest("button") && box.focus({ preventScroll: true, focusVisible: false }));
    box.append(this.root);
    signal.addEventListener("abort", () => this.root.remove());
    const update = () => this.update();
    model.on("change:state", update);
    signal.addEventListener("abort", () => model.off("change:state", update));
    this.update();
  }

  button(name, text, properties = {}, ...more) {
    const { title, keys_text } = this.actions[name];
    const press = () => this.model.send({ kind: "do", name });
    return h("button", { type: "button", title: `${title} (${keys_text})`, ariaLabel: title, "data-name": name, onclick: press, ...properties }, text, ...more);
  }

  update() {
    const state = this.model.get("state");
    this.card.hidden = !state.count && !state.open;
    this.card.dataset.open = String(Boolean(state.open));
    const said = JSON.stringify(state);
    if (said === this.shown) return;
    this.shown = said;
    const held = this.card.contains(document.activeElement) ? document.activeElement.dataset.name : null;
    this.card.replaceChildren(...(state.open ? this.open(state) : [this.button("review", "Review")]));
    if (held) this.card.querySelector(`[data-name="${held}"]`)?.focus({ preventScroll: true });
  }

  open({ counts, at, labels, flags, only }) {
    const total = Object.values(counts).reduce((sum, count) => sum + count, 0);
    const done = total - counts["to check"];
    const close = this.button("review", "×", { className: "gs-x", title: "Close the review, and show all features", ariaLabel: "Close the review" });
    const part = (count) => {
      const bar = h("i");
      bar.style.width = `${total ? (100 * count) / total : 0}%`;
      return bar;
    };
    const progress = h("div", { className: "gs-progress", role: "progressbar", ariaLabel: "Reviewed", ariaValueNow: String(done), ariaValueMin: "0", ariaValueMax: String(total) },
      part(counts.checked), part(counts.rejected));
    const told = `${counts.checked} checked, ${counts.rejected} rejected, ${counts["to check"]} to check`;
    const mark = (name, text, kind, state) =>
      this.button(name, text, { className: `${kind}${at?.state === state ? " gs-on" : ""}`, disabled: !at, ariaPressed: String(at?.state === state) }, h("kbd", {}, this.actions[name].keys_text));
    return [
      h("header", {}, h("h4", {}, `Review: ${done} of ${total}`), close),
      progress,
      h("div", { className: "gs-counts" }, told),
      h("div", { className: "gs-review-row" },
        this.button("review-previous", "‹", { className: "gs-step" }),
        mark("review-checked", "Checked", "gs-good", "checked"),
        mark("review-rejected", "Rejected", "gs-bad", "rejected"),
        this.button("review-next", "›", { className: "gs-step" })),
      this.at(at),
      ...this.filters(labels, flags, only),
    ];
  }

  at(at) {
    if (!at) return h("div", { className: "gs-at" }, "› goes to the most doubtful feature");
    const score = at.score === null ? "" : `, score ${at.score.toFixed(2)}`;
    const who = [at.by && `by ${at.by}`, at.when.slice(0, 10)].filter(Boolean).join(", ");
    const state = at.state === "to check" ? "" : `; ${at.state}${who ? ` ${who}` : ""}`;
    const flags = at.flags.map((flag) => h("span", { className: "gs-flag" }, flag));
    return h("div", { className: "gs-at" }, h("b", {}, `${at.id} ${at.label}`), `${score}${state}`, h("div", {}, ...flags), at.note ? h("div", {}, at.note) : null);
  }

  filters(labels, flags, only) {
    const select = (name, label, any, options) => {
      const list = h("select", { ariaLabel: label, title: label, "data-name": name, onchange: () => this.filter() },
        h("option", { value: "any" }, any), ...options.map(([value, text]) => h("option", { value: `=${value}` }, text)));
      list.value = only[name] === null ? "any" : `=${only[name]}`;
      if (list.selectedIndex < 0) { // what is gone meanwhile
        list.append(h("option", { value: `=${only[name]}` }, only[name]));
        list.value = `=${only[name]}`;
      }
      return list;
    };
    const number = (name, label) =>
      h("input", { type: "number", min: 0, max: 1, step: 0.05, value: only[name] ?? "", placeholder: name === "min_score" ? "0" : "1", ariaLabel: label, title: label, "data-name": name, onchange: () => this.filter() });
    const same = (names) => names.map((name) => [name, name || "(none)"]);
    return [
      h("div", { className: "gs-review-row" }, select("state", "State to go through", "All states", Object.entries(STATES)), select("label", "Class to show", "All classes", same(labels))),
      h("div", { className: "gs-review-row" }, select("flag", "Flag to show", "Flagged or not", same(flags))),
      h("div", { className: "gs-review-row" }, h("span", {}, "Score"), number("min_score", "Least score to show"), h("span", {}, "to"), number("max_score", "Greatest score to show")),
    ];
  }

  filter() {
    const field = (name) => this.card.querySelector(`[data-name="${name}"]`).value;
    const chosen = (name) => (field(name) === "any" ? null : field(name).slice(1));
    const number = (name) => (field(name) === "" ? null : Math.min(1, Math.max(0, Number(field(name)))));
    this.model.send({ kind: "review", state: chosen("state"), label: chosen("label"), flag: chosen("flag"), min_score: number("min_score"), max_score: number("max_score") });
  }
}

async function start(model, el, signal) {
  while (!signal.aborted) {
    const box = el.closest(".leaflet-container");
    if (box?.geoisegMap) {
      new Review(model, box, signal);
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
