// One face of a round: its tree, its graph, or what was verified. Plain SVG; token text only ever goes
// through textContent. Called on every change of data or theme: what must last is kept by parentElement.

const SVG = "http://www.w3.org/2000/svg";
const FONT = '11.5px ui-monospace, "Cascadia Code", Menlo, Consolas, "DejaVu Sans Mono", monospace';
const CHIP_COLUMNS = 9;      // up to so many columns, labels stand in chips beside their shape
const LABEL_CHARS = 12;
const READABLE = 9 / 11.5;   // under this scale labels keep their size, and stand where there is room for them
const FAR_LABEL = 0.92;      // their size then
const MAX_SCALE = 1.15, MAX_GAP = 190;
// Spacing of the two looks: at least `gap` and `row`; `wide` is a row's height where there is room for it.
const CHIP = { gap: 128, row: 32, wide: 44, end: 70 }, PLAIN = { gap: 72, row: 40, wide: 52 };
const FAR_ROW = 36;          // pixels on screen of a row seen from afar
const SLANTED_ROW = 50;      // the same where labels slant, with room for them between two rows
const LETTER = 6.95;         // width of one, at the labels' size
const LINE = 13;             // height of a label on screen
const BADGE_DROP = 1;        // pixels on screen of a number of hidden nodes below its node, seen from afar
const LEVEL_PITCH = 44;      // pixels from column to column for a shortened label to say something; in less all slant
const SLANT = 48, SLANTED_GAP = 15; // degrees, and pixels between two labels that slant
const [COS, SIN] = [Math.cos(SLANT * Math.PI / 180), Math.sin(SLANT * Math.PI / 180)];
const RULER = { flat: 30, slanted: 84 }; // pixels at the bottom for the labels of the spine seen from afar
const MARGIN = { left: 36, right: 60, top: 30, bottom: 40, slanted: 48 };
const NARROW_MARGIN = { left: 30, right: 34 };
const ARC = 0.75;            // rows that an edge along a row rises over the nodes in between
const LEAST_HEIGHT = 120;    // pixels
const NARROW = 640;          // pixels; in less, less is legible, and who draws a large picture is told
// Nodes up to which edges can be clicked, changes of face glide, and every label looks for room.
const HITS_UP_TO = 300, MOVES_UP_TO = 300, NAMES_UP_TO = 300;
const GLIDE_MS = 260;
const FORWARD_MS = 420, PLAY_MS = 5000; // a draft forward as it is played, and all of them at most
const LEGEND = [["accepted", "accepted"], ["rejected", "rejected"], ["unverified", "not verified"],
  ["ended", "after the end"], ["rejected merged", "merged"], ["rejected copy", "copy"], ["bonus", "bonus"], ["pruned", "pruned"],
  ["unverified gained", "gained"], ["unverified lost", "lost"], ["found lookup", "found in the text"],
  ["found history", "found among rejected"], ["found found", "looked up"], ["join", "merge edge"]];
const views = new WeakMap();

export default function ({ data, parentElement, setStateValue }) {
  let view = views.get(parentElement);
  if (!view) {
    view = new View(parentElement.querySelector(".graph-view"));
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

class View {
  constructor(box) {
    this.box = box;
    this.seq = Date.now();
    this.drawn = "";
    this.key = null;
    this.touched = false; // the user has moved or zoomed: no more fitting by itself
    this.at = { x: 0, y: 0, scale: 1 };
    this.listeners = new AbortController();
    this.build();
  }

  build() {
    this.svg = make("svg", { role: "application", "aria-label": "Token graph. Arrow keys move, Enter selects." });
    this.scene = make("g");
    this.svg.append(this.scene);
    this.tip = Object.assign(document.createElement("div"), { className: "tip", hidden: true });
    const foot = Object.assign(document.createElement("div"), { className: "foot" });
    foot.append(this.legend(), this.tools());
    this.box.append(this.svg, foot, this.tip);
    this.on(this.svg, "wheel", (event) => this.wheel(event), { passive: false });
    this.on(this.svg, "pointerdown", (event) => this.grab(event));
    this.on(this.svg, "keydown", (event) => this.press(event));
    this.resizing = new ResizeObserver(() => this.resize());
    this.resizing.observe(this.svg);
  }

  end() {
    this.listeners.abort();
    this.resizing.disconnect();
  }

  on(element, name, handler, options = {}) {
    element.addEventListener(name, handler, { ...options, signal: this.listeners.signal });
  }

  tools() {
    const bar = Object.assign(document.createElement("div"), { className: "tools" });
    const actions = [["M5 3L13 8L5 13Z", "Play the draft forwards", () => this.play()],
      ["M3 8H13M8 3V13", "Zoom in", () => this.zoom(1.25)],
      ["M3 8H13", "Zoom out", () => this.zoom(0.8)],
      ["M2 8H14M4.5 5.5L2 8L4.5 10.5M11.5 5.5L14 8L11.5 10.5", "Fit the graph", () => this.refit()],
      ["M2 6V2H6M10 2H14V6M14 10V14H10M6 14H2V10", "Full screen", () => this.fullScreen()]];
    for (const [icon, title, action] of actions) {
      const button = Object.assign(document.createElement("button"), { type: "button", title });
      button.setAttribute("aria-label", title);
      const picture = make("svg", { viewBox: "0 0 16 16", "aria-hidden": "true" });
      picture.append(make("path", { d: icon }));
      button.append(picture);
      this.on(button, "click", action);
      bar.append(button);
    }
    return bar;
  }

  legend() {
    const key = Object.assign(document.createElement("div"), { className: "key" });
    for (const [kind, text] of LEGEND) {
      const item = document.createElement("span");
      const picture = make("svg", { viewBox: "-12 -12 24 24", "aria-hidden": "true" });
      const node = make("g", { class: `node ${kind}` });
      const [shape, what] = kind.split(" ");
      if (kind === "join") node.append(make("path", { class: "edge merge", d: "M-12 0H12" }));
      else node.append(...shapes(shape, what), ...sourceMark(shape === "found" && what));
      picture.append(node);
      item.append(picture, text);
      item.dataset.kind = kind;
      key.append(item);
    }
    this.keyItems = key;
    return key;
  }

  show(data) {
    this.box.dataset.theme = isDark(this.box) ? "dark" : "light";
    const { selected, path, ...picture } = data;
    const now = JSON.stringify(picture);
    const other = data.key !== this.key;
    if (now !== this.drawn) {
      const from = other ? null : this.nodes;
      this.drawn = now;
      this.picture = picture;
      this.key = data.key;
      this.draw(picture);
      if (other) this.touched = false;
      if (this.touched) this.place(); else this.fit();
      if (from) this.glide(from);
    }
    this.path = path;
    this.choose(selected);
    this.report();
    this.box.dataset.round = data.key; // what is drawn, for whoever waits for it
  }

  draw({ nodes, edges, columns }) {
    this.hideTip();
    this.svg.classList.remove("drafting");
    this.scene.replaceChildren();
    const apart = columnsToNext(nodes);
    this.levelPitch = levelPitch(nodes);
    this.labelled = null;
    this.measure(nodes, edges, columns);
    this.nodes = new Map(nodes.id.map((id, i) => [id, {
      id, ref: nodes.ref[i], label: nodes.label[i], tip: nodes.tip[i], kind: nodes.kind[i],
      source: nodes.source[i], merged: nodes.merged[i],
      copy: nodes.copy[i], mark: nodes.mark[i], behind: nodes.behind[i], apart: apart[i], x: nodes.x[i] * this.gap, y: nodes.y[i] * this.row,
      draftedIn: nodes.drafted_in[i], near: new Set(), edges: [],
    }]));
    this.edges = [];
    const lines = make("g"), walked = make("g"), dots = make("g"), path = make("g");
    for (const node of this.nodes.values()) this.dress(node);
    edges.from.forEach((from, i) => {
      const parts = this.edge({ from: this.nodes.get(from), to: this.nodes.get(edges.to[i]), kind: edges.kind[i],
        walked: edges.walked[i], ref: edges.ref[i], draftedIn: edges.drafted_in[i], tip: edges.tip[i] });
      (edges.walked[i] ? walked : lines).append(...parts);
    });
    for (const node of this.nodes.values()) (onSpine(node) ? path : dots).append(node.element);
    this.scene.append(lines, walked, dots, path);
    this.explain(nodes, edges);
    const first = this.nodes.get("n0");
    if (first) first.element.setAttribute("tabindex", "0");
  }

  // The legend names what is there and nothing else.
  explain(nodes, edges) {
    const used = new Set(nodes.kind);
    if (nodes.merged.includes(true)) used.add("rejected merged");
    if (nodes.copy.includes(true)) used.add("rejected copy");
    if (edges.kind.includes("merge")) used.add("join");
    for (const mark of nodes.mark) if (mark) used.add(`unverified ${mark}`);
    nodes.source.forEach((source, i) => { if (source && !nodes.mark[i]) used.add(`found ${markedAs(source)}`); });
    for (const item of this.keyItems.children) item.style.display = used.has(item.dataset.kind) ? "" : "none";
  }

  // From one face of a round to the next each node goes where it now stands, and what is new appears.
  glide(before) {
    if (this.nodes.size > MOVES_UP_TO || matchMedia("(prefers-reduced-motion: reduce)").matches) return;
    const timing = { duration: GLIDE_MS, easing: "ease-out" };
    const at = ({ x, y }) => ({ transform: `translate(${x}px, ${y}px)` });
    for (const node of this.nodes.values()) {
      const old = before.get(node.id);
      if (!old) node.element.animate([{ opacity: 0 }, { opacity: 1 }], timing);
      else if (old.x !== node.x || old.y !== node.y) node.element.animate([at(old), at(node)], timing);
    }
    for (const edge of this.edges) edge.line.animate([{ opacity: 0 }, { opacity: 1 }], timing);
  }

  // Spacing, the extent that a fit shows, and the height that it needs. The root is always at the left.
  measure(nodes, edges, columns) {
    const across = Math.max(columns, ...nodes.x);
    const [above, below] = extent(nodes, edges);
    const rows = Math.max(1, above + below);
    this.svg.style.height = this.picture.height; // at most
    [this.top, this.bottom] = [MARGIN.top, MARGIN.bottom];
    const room = this.room();
    const share = room.x / across; // of each column, in pixels on screen
    this.chips = across < CHIP_COLUMNS && share >= CHIP.gap && rows * CHIP.row <= room.y;
    this.box.classList.toggle("chips", this.chips);
    const least = this.chips ? CHIP : PLAIN;
    // A high graph is drawn smaller: its columns may then stand as far apart as fills the width.
    const high = Math.min(1, room.y / (rows * least.row));
    const widest = Math.max(MAX_GAP, 1.95 * rows * least.row / across);
    this.gap = Math.max(Math.min(share / high, widest), least.gap);
    this.labelRoom = Math.min(LABEL_CHARS * LETTER, this.chips ? Infinity : this.gap - 6);
    const width = across * this.gap + (this.chips ? CHIP.end : 0);
    const scale = Math.min(room.x / width, high, MAX_SCALE);
    const far = scale < READABLE, slanted = this.slants(scale);
    if (far) this.bottom = slanted ? RULER.slanted : RULER.flat;
    if (slanted) this.top = MARGIN.slanted;
    const wanted = slanted ? SLANTED_ROW / scale : far ? FAR_ROW / scale : least.wide;
    this.row = Math.max(least.row, Math.min(wanted, this.room().y / (scale * rows)));
    this.size = { width, above: above * this.row, below: below * this.row };
    const height = this.top + (above + below) * this.row * scale + this.bottom;
    this.svg.style.height = `min(${this.picture.height}, ${Math.max(LEAST_HEIGHT, Math.ceil(height))}px)`;
  }

  // The round as it went: what was looked up at first is there, draft forward after draft forward adds to it, then all of it
  // is verified at once.
  play() {
    const last = Math.max(...[...this.nodes.values()].map((node) => node.draftedIn));
    const beat = Math.min(FORWARD_MS, PLAY_MS / (last + 2));
    const appear = (element, node, draftedIn) => element.animate([{ opacity: 0 }, { opacity: 1 }],
      { duration: beat, delay: (node.kind === "bonus" ? last + 2 : draftedIn) * beat, fill: "backwards", easing: "ease-out" });
    for (const node of this.nodes.values()) appear(node.element, node, node.draftedIn);
    for (const { line, to, draftedIn } of this.edges) appear(line, to, draftedIn);
    this.svg.classList.add("drafting");
    clearTimeout(this.verifying);
    this.verifying = setTimeout(() => this.svg.classList.remove("drafting"), (last + 1.5) * beat);
  }

  dress(node) {
    const classes = ["node", node.kind, node.source && markedAs(node.source), node.merged && "merged", node.copy && "copy", node.mark].filter(Boolean);
    const group = make("g", { class: classes.join(" "), tabindex: "-1", role: "button", "aria-label": said(node) });
    const label = make("text", this.chips ? { x: 15, y: 4 } : { y: 22 });
    node.text = label;
    this.write(node, this.labelRoom);
    node.width = this.chips ? 15 + node.labelWidth + 9 : 9;
    if (this.chips) {
      const box = { x: -13, y: -12, width: node.width + 13, height: 24, rx: 12 };
      group.append(make("rect", { class: "chip", ...box }),
        make("rect", { class: "focus", x: -16, y: -15, width: node.width + 19, height: 30, rx: 15 }));
    } else {
      group.append(make("rect", { class: "pad", x: -20, y: -12, width: 40, height: 38 }),
        make("circle", { class: "focus", r: 14 }));
    }
    const mark = make("g", { class: "mark" });
    mark.append(...shapes(node.kind, node.merged ? "merged" : node.copy ? "copy" : node.mark));
    if (!node.mark) mark.append(...sourceMark(node.source));
    if (onSpine(node)) group.prepend(node.guide = make("path", { class: "guide" }));
    group.append(mark, label);
    node.badge = node.behind ? this.badge(node) : null;
    if (node.badge) group.append(node.badge);
    group.setAttribute("transform", `translate(${node.x} ${node.y})`);
    // A click takes no focus: the arrow keys stay the page's. Space and Enter come as keys, see `press`.
    this.on(group, "mousedown", (event) => { event.preventDefault(); this.release(); });
    this.on(group, "click", (event) => { event.stopPropagation(); this.pick(node.ref); });
    this.on(group, "pointerenter", () => this.hover(node));
    this.on(group, "pointerleave", () => this.hover(null));
    this.on(group, "focus", () => this.hover(node));
    this.on(group, "blur", () => this.hover(null));
    node.element = group;
    node.mark = mark;
  }

  write(node, room) {
    node.text.textContent = cut(node.label, room, onSpine(node));
    node.labelWidth = measureText(node.text.textContent, onSpine(node));
  }

  // Seen from afar labels slant where the columns are too narrow for them, and for shortened ones as well.
  slants(scale) {
    return scale < READABLE && this.gap * scale < Math.min(this.levelPitch, LEVEL_PITCH);
  }

  // Labels that slant are as long as there is room ahead of them, for the number of hidden nodes behind them, too; level
  // ones seen from afar, as there is room to the next of their row.
  relabel() {
    const pitch = this.gap * this.at.scale, tight = this.far && pitch < this.levelPitch;
    if (!tight && this.labelled === this.far) return;
    this.labelled = tight ? null : this.far;
    const ruler = RULER.slanted / SIN - 16;
    for (const node of this.nodes.values()) {
      const badge = node.behind ? badgeWidth(node.behind) + 4 : 0;
      const ahead = () => Math.max((onSpine(node) ? ruler : this.ahead(node)) / FAR_LABEL - badge, 2 * LETTER);
      const room = () => (this.slanted ? ahead() : tight ? (node.apart * pitch - 6) / FAR_LABEL : Infinity);
      this.write(node, Math.min(room(), this.far ? LABEL_CHARS * LETTER : this.labelRoom));
    }
  }

  // Pixels along a slanted label from its start to the upper edge or the next mark.
  ahead(node) {
    const [left, top] = this.where(node);
    let free = (node.y * this.at.scale + this.at.y - 4) / SIN - 8;
    if (this.nodes.size > NAMES_UP_TO) return free;
    for (const other of this.nodes.values()) {
      const [along, across] = this.where(other);
      if (along > left && Math.abs(across - top) < 11) free = Math.min(free, along - left - 14);
    }
    return free;
  }

  // How many nodes are hidden behind this one; a click opens them.
  badge(node) {
    const text = `+${node.behind}`;
    const width = badgeWidth(node.behind);
    const badge = make("g", { class: "behind", role: "button", "aria-label": `${node.behind} hidden, open` });
    const label = make("text", { x: width / 2, y: 3.6, "text-anchor": "middle" });
    label.textContent = text;
    badge.append(make("rect", { x: 0, y: -8, width, height: 16, rx: 8 }), label);
    this.on(badge, "click", (event) => { event.stopPropagation(); this.pick(`+${node.id}`); });
    return badge;
  }

  // A merge edge is picked as itself, any other as the node that it leads to.
  edge({ from, to, kind, walked, ref, draftedIn, tip }) {
    const d = this.curve(from, to, walked);
    const faded = to.mark === "lost" || from.mark === "lost" ? " lost" : "";
    const line = make("path", { class: `edge ${kind}${walked ? " walked" : ""}${faded}`, d });
    from.near.add(to);
    to.near.add(from);
    from.edges.push(line);
    to.edges.push(line);
    this.edges.push({ ref, line, from, to, draftedIn });
    if (!ref && this.nodes.size > HITS_UP_TO) return [line];
    const hit = make("path", { class: ref ? "hit" : "hit plain", d });
    this.on(hit, "click", (event) => { event.stopPropagation(); this.pick(ref || to.ref); });
    if (ref) this.on(hit, "pointerenter", () => this.showTip("merge", tip, (from.x + to.x) / 2, (from.y + to.y) / 2));
    if (ref) this.on(hit, "pointerleave", () => this.hideTip());
    return [line, hit];
  }

  curve(from, to, walked) {
    const left = from.x + (this.chips ? from.width + 1 : 8); // a shape's or chip's right end
    const right = to.x - (this.chips ? 13 : 9);
    const reach = Math.min((right - left) / 2, this.gap * 0.55);
    const level = from.y === to.y;
    if (level && (walked || to.x - from.x <= this.gap * 1.01)) return `M${left} ${from.y}H${right}`;
    const bow = level ? this.row * (from.y > 0 ? 0.62 : -0.62) : 0; // passes over the nodes in between
    return `M${left} ${from.y}C${left + reach} ${from.y + bow * 1.6} ${right - reach} ${to.y + bow * 1.6} ${right} ${to.y}`;
  }

  // --- view

  report() {
    const narrow = this.svg.clientWidth < NARROW;
    if (!this.picture?.large || !this.svg.clientWidth || narrow === Boolean(this.narrow)) return;
    this.narrow = narrow;
    this.send("narrow", narrow);
  }

  resize() {
    this.report();
    if (!this.picture || this.touched) return;
    this.draw(this.picture);
    this.fit();
    this.choose(this.selected);
  }

  room() {
    const { left, right } = this.margin();
    return {
      x: Math.max(this.svg.clientWidth - left - right, 1),
      y: Math.max(this.svg.clientHeight - this.top - this.bottom, 1),
    };
  }

  margin() {
    return this.svg.clientWidth < NARROW && !this.chips ? NARROW_MARGIN : MARGIN;
  }

  fit() {
    if (!this.nodes || !this.svg.clientWidth) return;
    const room = this.room();
    const { width, above, below } = this.size;
    const scale = Math.min(room.x / width, room.y / Math.max(above + below, 1), MAX_SCALE);
    const slack = { x: Math.max(0, room.x - width * scale), y: Math.max(0, room.y - (above + below) * scale) };
    const over = scale < READABLE ? slack.y : slack.y / 2; // the ruler is near
    this.at = { scale, x: this.margin().left + Math.min(slack.x / 2, 60), y: this.top + above * scale + over };
    this.place();
  }

  refit() {
    this.touched = false;
    this.resize();
  }

  fullScreen() {
    if (this.box.matches(":fullscreen")) document.exitFullscreen();
    else this.box.requestFullscreen();
  }

  place() {
    const { x, y, scale } = this.at;
    this.scene.setAttribute("transform", `translate(${x} ${y}) scale(${scale})`);
    this.far = scale < READABLE;
    this.slanted = this.slants(scale);
    this.svg.classList.toggle("far", this.far);
    this.relabel();
    const grow = Math.max(1, 0.55 / scale); // shapes stay at least that large on screen
    const place = this.far ? this.farPlaces() : null;
    for (const node of this.nodes.values()) {
      node.mark.setAttribute("transform", `scale(${grow})`);
      node.text.setAttribute("transform", place ? place(node) : "");
      node.guide?.setAttribute("d", place ? `M0 0V${this.ruler}` : "");
      node.text.setAttribute("text-anchor", (this.far ? this.slanted : this.chips) ? "start" : "middle");
      const beside = this.chips ? `translate(${node.width - 4} -12)` : `translate(${9 * grow} ${this.far ? BADGE_DROP / scale : -9 * grow})`;
      const behind = this.slanted ? `${place(node)} translate(${node.labelWidth + (this.chips ? 19 : 4)} ${this.chips ? 0 : 18})`
        : `${beside} scale(${Math.max(1, 0.8 / scale)})`;
      node.badge?.setAttribute("transform", behind);
    }
    this.name(this.hovered);
  }

  // From afar, labels keep their size: those of the spine on a ruler at the bottom, others above their node. Where
  // they would run into each other all of them slant, those of the spine downwards, others upwards.
  farPlaces() {
    const { y, scale } = this.at;
    const size = FAR_LABEL / scale;
    this.ruler = (this.svg.clientHeight - (this.slanted ? RULER.slanted : RULER.flat) + 8 - y) / scale;
    const turn = this.slanted ? ` rotate(${SLANT}) translate(0 -14)` : " translate(0 -10)";
    const off = this.chips ? " translate(-15 18)" : ""; // chips have their labels elsewhere
    const beside = this.slanted ? `scale(${size}) rotate(${-SLANT}) translate(8 -18)`
      : `translate(0 ${-9 / scale}) scale(${size}) translate(0 -22)`;
    return (node) => (onSpine(node) ? `translate(0 ${this.ruler}) scale(${size})${turn}` : beside) + off;
  }

  zoom(factor, about) {
    const point = about || { x: this.svg.clientWidth / 2, y: this.svg.clientHeight / 2 };
    const scale = Math.min(4, Math.max(0.05, this.at.scale * factor));
    const ratio = scale / this.at.scale;
    this.at = { scale, x: point.x - (point.x - this.at.x) * ratio, y: point.y - (point.y - this.at.y) * ratio };
    this.touched = true;
    this.place();
  }

  wheel(event) {
    if (!event.ctrlKey && !event.metaKey) return; // the page scrolls
    event.preventDefault();
    const box = this.box.getBoundingClientRect();
    this.zoom(Math.exp(-event.deltaY * 0.002), { x: event.clientX - box.left, y: event.clientY - box.top });
  }

  grab(event) {
    if (event.button !== 0 || event.target.closest(".node, .hit")) return;
    const start = { x: event.clientX - this.at.x, y: event.clientY - this.at.y };
    const origin = { x: event.clientX, y: event.clientY };
    const stop = new AbortController();
    let moved = false;
    const move = (now) => {
      moved ||= Math.hypot(now.clientX - origin.x, now.clientY - origin.y) > 3;
      if (!moved) return;
      this.touched = true;
      this.svg.classList.add("dragging");
      this.at = { ...this.at, x: now.clientX - start.x, y: now.clientY - start.y };
      this.place();
    };
    const release = () => {
      stop.abort();
      this.svg.classList.remove("dragging");
      if (!moved) this.pick(null);
    };
    window.addEventListener("pointermove", move, { signal: stop.signal });
    window.addEventListener("pointerup", release, { signal: stop.signal });
  }

  // --- selection

  pick(id) {
    if (id === null && !this.selected) return;
    this.choose(id);
    this.send("pick", { id, seq: ++this.seq });
  }

  // All copies of a node are chosen with it. The path is a hypothesis, or the way to what is chosen.
  choose(ref) {
    this.selected = ref;
    const place = new Map((this.path ?? []).map((id, i) => [id, i]));
    for (const node of this.nodes.values()) {
      const chosen = ref !== null && node.ref === ref;
      node.element.classList.toggle("chosen", chosen);
      node.element.classList.toggle("on-path", place.has(node.id));
      node.element.setAttribute("aria-pressed", String(chosen));
    }
    for (const { ref: own, line, from, to } of this.edges) {
      line.classList.toggle("chosen", ref !== null && own === ref);
      line.classList.toggle("on-path", place.has(from.id) && place.get(to.id) === place.get(from.id) + 1);
    }
    this.name(null);
  }

  // Marks what has its label when the graph is seen from afar: what is looked at first, and no two in one place.
  name(hovered) {
    this.hovered = hovered;
    if (!this.far) return;
    const path = new Set(this.path), nodes = [...this.nodes.values()];
    const chosen = nodes.filter((node) => this.selected !== null && node.ref === this.selected);
    const first = [hovered, ...chosen].filter(Boolean);
    const next = first.flatMap((node) => [...node.near]).concat(nodes.filter((node) => path.has(node.id)));
    const taken = nodes.length > NAMES_UP_TO ? [] : nodes.flatMap((node) => this.markBoxes(node));
    const named = new Set(this.onRuler(nodes.filter(onSpine)));
    for (const node of [...first, ...next, ...(nodes.length > NAMES_UP_TO ? [] : nodes)]) {
      const box = this.labelBox(node);
      const free = first.includes(node) || (node.y < this.ruler && !taken.some((other) => meet(box, other)));
      if (named.has(node) || onSpine(node) || !free) continue;
      named.add(node);
      taken.push(box);
    }
    for (const node of nodes) node.element.classList.toggle("named", named.has(node));
  }

  // The labels of the spine that do not run into the one before.
  onRuler(spine) {
    let last = -Infinity;
    return spine.sort((one, other) => one.x - other.x).filter(({ x }) => {
      const free = !this.slanted || (x - last) * this.at.scale >= SLANTED_GAP;
      if (free) last = x;
      return free;
    });
  }

  // On screen, from the scene's own origin; where labels slant, along them and across.
  where({ x, y }) {
    const [left, top] = [x * this.at.scale, y * this.at.scale];
    return this.slanted ? [left * COS - top * SIN, left * SIN + top * COS] : [left, top];
  }

  // [left, right, top, bottom]
  labelBox(node) {
    const [left, top] = this.where(node), width = node.labelWidth * FAR_LABEL;
    if (!this.slanted) return [left - width / 2 - 2, left + width / 2 + 2, top - 9 - LINE + 3, top - 6];
    const badge = node.behind ? (badgeWidth(node.behind) + 4) * FAR_LABEL : 0;
    return [left + 6, left + 8 + width + badge, top - 5.5, top + 5.5];
  }

  markBoxes(node) {
    const [left, top] = this.where(node), mark = [left - 5, left + 5, top - 5, top + 5];
    if (!node.behind || this.slanted) return [mark];
    const size = Math.max(this.at.scale, 0.8), middle = top + BADGE_DROP; // as drawn: below the label of its row
    return [mark, [left + 6, left + 10 + badgeWidth(node.behind) * size, middle - 8 * size, middle + 8 * size]];
  }

  hover(node) {
    this.svg.classList.toggle("hovering", Boolean(node));
    this.name(node);
    for (const other of this.nodes.values()) {
      other.element.classList.toggle("near", Boolean(node) && (other === node || node.near.has(other)));
      for (const line of other.edges) line.classList.remove("near");
    }
    if (!node) return this.hideTip();
    for (const line of node.edges) line.classList.add("near");
    this.showTip(node.label, `${node.tip}${node.merged ? "\nmerged" : node.copy ? "\na copy" : ""}`, node.x, node.y);
  }

  showTip(title, text, x, y) {
    const heading = document.createElement("b");
    heading.textContent = title;
    this.tip.replaceChildren(heading, `\n${text}`);
    this.tip.hidden = false;
    const left = this.at.x + x * this.at.scale - 12;
    const top = this.at.y + y * this.at.scale;
    const over = top > this.svg.clientHeight * 0.6;
    this.tip.style.left = `${Math.max(6, Math.min(left, this.box.clientWidth - this.tip.offsetWidth - 6))}px`;
    this.tip.style.top = over ? `${top - this.tip.offsetHeight - 18}px` : `${top + 22}px`;
  }

  hideTip() {
    this.tip.hidden = true;
  }

  // --- keyboard

  press(event) {
    const zooms = { "+": 1.25, "=": 1.25, "-": 0.8 };
    const node = this.nodes.get(event.target.closest?.(".node") && this.idOf(event.target.closest(".node")));
    if (event.key in zooms) this.zoom(zooms[event.key]);
    else if (event.key === "0") this.refit();
    else if (event.key === "Escape") this.leave();
    else if (node?.behind && event.key === " ") this.pick(`+${node.id}`);
    else if (node && (event.key === "Enter" || event.key === " ")) this.pick(node.ref);
    else if (node && event.key.startsWith("Arrow")) this.step(node, event.key);
    else return;
    event.preventDefault();
    event.stopPropagation(); // the page's own arrow keys change the round
  }

  // Nothing is selected any more, and the keys are the page's again.
  leave() {
    this.pick(null);
    this.release();
  }

  release() {
    this.svg.getRootNode().activeElement?.blur();
    document.activeElement?.blur();
  }

  idOf(element) {
    for (const node of this.nodes.values()) if (node.element === element) return node.id;
    return null;
  }

  step(node, key) {
    const [dx, dy] = { ArrowRight: [1, 0], ArrowLeft: [-1, 0], ArrowDown: [0, 1], ArrowUp: [0, -1] }[key];
    let best = null, least = Infinity;
    for (const other of this.nodes.values()) {
      const along = (other.x - node.x) * dx + (other.y - node.y) * dy;
      if (along <= 0) continue;
      const aside = Math.abs((other.x - node.x) * dy) + Math.abs((other.y - node.y) * dx);
      if (along + 3 * aside < least) [best, least] = [other, along + 3 * aside];
    }
    if (!best) return;
    node.element.setAttribute("tabindex", "-1");
    best.element.setAttribute("tabindex", "0");
    best.element.focus();
  }
}

function make(name, attributes = {}) {
  const element = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  return element;
}

// Each kind has a shape of its own, so that colour never stands alone.
function shapes(kind, what) {
  if (kind === "bonus") return [make("rect", { class: "shape", x: -6.5, y: -6.5, width: 13, height: 13, rx: 1 })];
  if (kind === "pruned") return [make("path", { class: "shape", d: "M-4 -4L4 4M4 -4L-4 4" })];
  if (kind === "root") return [make("circle", { class: "shape", r: 4.5 })];
  if (what === "merged") {
    const inner = kind === "accepted" ? make("circle", { class: "shape", r: 5 }) : make("circle", { class: "ring", r: 4.6 });
    return [make("circle", { class: "ring", r: 8.4 }), inner];
  }
  const outline = (classes) => kind === "rejected" ? make("path", { class: classes, d: "M0 -8L8 0L0 8L-8 0Z" })
    : make("circle", { class: classes, r: 7 });
  if (what === "gained") return [outline("shape"), make("path", { class: "badge", d: "M-3.6 0H3.6M0 -3.6V3.6" })];
  if (what === "lost") return [outline("shape"), make("path", { class: "badge", d: "M-3.6 0H3.6" })];
  if (what !== "copy") return [outline("shape")];
  const behind = make("g", { transform: "translate(3.6 -3.6)" }); // a second sheet behind the first
  behind.append(outline("sheet"));
  return [behind, outline("shape")];
}

// What was looked up bears a mark within its shape: a quotation's strokes, a caret back to what was rejected, or, of
// every other source, a bar.
const SOURCE_MARKS = new Map([["lookup", "M-2 -2.8V2.8M2 -2.8V2.8"], ["history", "M2 -3.2L-2.2 0L2 3.2"], ["found", "M-3 0H3"]]);

function markedAs(source) {
  return SOURCE_MARKS.has(source) ? source : "found";
}

function sourceMark(source) {
  return source ? [make("path", { class: "source", d: SOURCE_MARKS.get(markedAs(source)) })] : [];
}

function said({ label, tip, merged, copy, mark, behind }) {
  const notes = [merged && "merged", copy && "a copy", mark, behind && `${behind} hidden behind it, Space opens them`].filter(Boolean).map((note) => `, ${note}`);
  return `${label}, ${tip.replace(/\n/g, ", ")}${notes.join("")}`;
}

function onSpine(node) {
  return node.kind === "accepted" || node.kind === "bonus" || node.kind === "root";
}

// As much of a label as is so many pixels wide; some letters are twice as wide as others.
function cut(label, width, bold) {
  const letters = [...label];
  if (letters.length <= 2 * LABEL_CHARS && measureText(label, bold) <= width) return label;
  letters.length = Math.min(letters.length, 2 * LABEL_CHARS);
  while (letters.length > 1 && measureText(`${letters.join("")}…`, bold) > width) letters.pop();
  return `${letters.join("")}…`;
}

// Nodes by row, each from left to right.
function rowsOf(nodes) {
  const rows = new Map();
  nodes.y.forEach((y, i) => rows.set(y, [...(rows.get(y) ?? []), i]));
  return [...rows.values()].map((row) => row.sort((one, other) => nodes.x[one] - nodes.x[other]));
}

// Pixels from column to column at which the labels of each row lie beside each other.
function levelPitch(nodes) {
  const width = (i) => Math.min(measureText(nodes.label[i], nodes.y[i] === 0), LABEL_CHARS * LETTER);
  const needed = rowsOf(nodes).flatMap((row) => row.slice(1)
    .map((i, n) => ((width(row[n]) + width(i)) / 2 + 6) / (nodes.x[i] - nodes.x[row[n]])));
  return Math.max(0, ...needed);
}

// Columns from each node to the nearest other of its row; Infinity where it is alone there.
function columnsToNext(nodes) {
  const apart = nodes.x.map(() => Infinity);
  for (const row of rowsOf(nodes)) row.slice(1).forEach((i, n) => {
    const columns = nodes.x[i] - nodes.x[row[n]];
    for (const one of [row[n], i]) apart[one] = Math.min(apart[one], columns);
  });
  return apart;
}

// Rows above and below the spine that nodes and the arcs between nodes of one row take.
function extent({ id, x, y }, { from, to, walked }) {
  const at = new Map(id.map((name, i) => [name, i]));
  const arcs = from.flatMap((name, i) => {
    const [a, b] = [at.get(name), at.get(to[i])];
    return y[a] !== y[b] || walked[i] || x[b] - x[a] < 2 ? [] : [y[a] + (y[a] > 0 ? ARC : -ARC)];
  });
  return [-Math.min(0, ...y, ...arcs), Math.max(0, ...y, ...arcs)];
}

function badgeWidth(behind) {
  return LETTER * `+${behind}`.length + 9;
}

function meet([left, right, top, bottom], other) {
  return left < other[1] && other[0] < right && top < other[3] && other[2] < bottom;
}

const pen = document.createElement("canvas").getContext("2d");
function measureText(text, bold) {
  pen.font = bold ? `700 ${FONT}` : FONT;
  return pen.measureText(text).width;
}

function isDark(element) {
  const probe = document.createElement("span");
  probe.style.color = "var(--st-background-color)";
  element.append(probe);
  const [red, green, blue] = getComputedStyle(probe).color.match(/[\d.]+/g).map(Number);
  probe.remove();
  return 0.2126 * red + 0.7152 * green + 0.0722 * blue < 128;
}
