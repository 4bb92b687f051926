// All rounds of a run as bars. Token text only ever goes through textContent.
// The buttons beside it are the way for the keyboard.

const SVG = "http://www.w3.org/2000/svg";
const TOP = 16, BASE = 54, WIDEST = 36, GAP = 1.5; // pixels
const views = new WeakMap();

export default function ({ data, parentElement, setStateValue }) {
  let view = views.get(parentElement);
  if (!view) {
    view = new Strip(parentElement.querySelector(".round-strip"));
    views.set(parentElement, view);
  }
  view.send = setStateValue;
  view.show(data);
  return () => {
    if (!view.box.isConnected) {
      view.end();
      views.delete(parentElement);
    }
  };
}

class Strip {
  constructor(box) {
    this.box = box;
    this.seq = Date.now();
    this.svg = make("svg", { role: "img" });
    this.tip = Object.assign(document.createElement("div"), { className: "tip", hidden: true });
    this.head = Object.assign(document.createElement("div"), { className: "head" });
    box.append(this.head, this.svg, this.tip);
    this.listeners = new AbortController();
    const signal = { signal: this.listeners.signal };
    this.svg.addEventListener("click", (event) => this.pick(this.roundAt(event)), signal);
    this.svg.addEventListener("pointermove", (event) => this.hover(this.roundAt(event)), signal);
    this.svg.addEventListener("pointerleave", () => this.hover(null), signal);
    this.resizing = new ResizeObserver(() => this.data && this.draw());
    this.resizing.observe(box);
  }

  end() {
    this.listeners.abort();
    this.resizing.disconnect();
  }

  show(data) {
    this.box.dataset.theme = isDark(this.box) ? "dark" : "light";
    this.data = data;
    this.draw();
  }

  draw() {
    const { accepted, merge, selected } = this.data;
    const count = accepted.length, most = Math.max(1, ...accepted);
    this.slot = Math.min(WIDEST, this.box.clientWidth / count);
    const gap = this.slot > 5 ? GAP : 0.3;
    const parts = [make("line", { class: "base", x1: 0, x2: this.slot * count, y1: BASE + 0.5, y2: BASE + 0.5 })];
    this.slots = accepted.map((tokens, i) => {
      const x = i * this.slot, chosen = i === selected ? " chosen" : "", width = Math.max(this.slot - gap, 0.7);
      const slot = make("rect", { class: `slot${chosen}`, x, y: 0, width: this.slot, height: BASE + 16, rx: 3 });
      const height = tokens / most * (BASE - TOP);
      parts.push(slot, tokens
        ? make("rect", { class: `bar${chosen}`, x: x + gap / 2, y: BASE - height, width, height, rx: Math.min(2, width / 3) })
        : make("path", { class: "none", d: `M${x + gap} ${BASE - 2}h${Math.max(width - gap, 0.7)}` }));
      if (merge[i] && this.slot > 4) {
        const at = { cx: x + this.slot / 2, cy: BASE - height - 6, r: Math.min(2.6, this.slot / 3) };
        parts.push(make("circle", { class: merge[i] > 1 ? "merge crossed" : "merge", ...at }));
      }
      return slot;
    });
    const at = Math.min(Math.max((selected + 0.5) * this.slot, 8), this.slot * count);
    const label = make("text", { class: "at", x: at, y: BASE + 13, "text-anchor": "middle" });
    label.textContent = String(selected + 1);
    this.svg.replaceChildren(...parts, label);
    this.head.replaceChildren("Accepted tokens in each round", ...this.legend(merge));
    this.svg.setAttribute("aria-label", `Accepted tokens of ${count} rounds; round ${selected + 1} is shown`);
  }

  // What the dots mean, where there are any.
  legend(merge) {
    return [[2, "merge crossed", "path through a merge"], [1, "merge", "merges beside the path"]]
      .filter(([kind]) => merge.includes(kind) && this.slot > 4).map(([, classes, text]) => {
        const item = document.createElement("span"), picture = make("svg", { viewBox: "-4 -4 8 8", "aria-hidden": "true" });
        picture.append(make("circle", { class: classes, r: 2.6 }));
        item.append(picture, text);
        return item;
      });
  }

  roundAt(event) {
    const round = Math.floor((event.clientX - this.svg.getBoundingClientRect().left) / this.slot);
    return round >= 0 && round < this.data.accepted.length ? round : null;
  }

  pick(round) {
    if (round !== null && round !== this.data.selected) this.send("pick", { round, seq: ++this.seq });
  }

  hover(round) {
    if (round === this.over) return;
    this.slots[this.over]?.classList.remove("over");
    this.over = round;
    this.tip.hidden = round === null;
    if (round === null) return;
    this.slots[round].classList.add("over");
    const { accepted, verified, merges, text } = this.data;
    const merged = merges[round] ? `, ${merges[round]} merged` : "";
    this.tip.textContent = `Round ${round + 1}: ${accepted[round]} accepted of ${verified[round]} verified${merged}\n${text[round]}`;
    const left = (round + 0.5) * this.slot - 20;
    this.tip.style.left = `${Math.max(0, Math.min(left, this.box.clientWidth - this.tip.offsetWidth))}px`;
  }
}

function make(name, attributes = {}) {
  const element = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  return element;
}

function isDark(element) {
  const probe = document.createElement("span");
  probe.style.color = "var(--st-background-color)";
  element.append(probe);
  const [red, green, blue] = getComputedStyle(probe).color.match(/[\d.]+/g).map(Number);
  probe.remove();
  return 0.2126 * red + 0.7152 * green + 0.0722 * blue < 128;
}
