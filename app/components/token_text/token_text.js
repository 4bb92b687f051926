// The text, token by token. Token text only ever goes through textContent.
// Called on every change of data or theme: what must last is kept by parentElement.

const views = new WeakMap();

export default function ({ data, parentElement, setStateValue }) {
  let view = views.get(parentElement);
  if (!view) {
    view = new TextView(parentElement.querySelector(".token-text"));
    views.set(parentElement, view);
  }
  view.send = setStateValue;
  view.show(data);
}

class TextView {
  constructor(box) {
    this.box = box;
    this.key = null;
    this.seq = Date.now();
    this.flow = element("pre", "flow");
    this.prompt = element("span", "prompt");
    this.caret = element("span", "caret");
    this.legend = element("div", "key");
    this.tip = element("div", "tip");
    this.tip.hidden = true;
    this.tokens = [];
    box.append(this.flow, this.legend, this.tip);
    for (const name of ["click", "pointerover", "focusin", "keydown"]) this.flow.addEventListener(name, (e) => this.hear(e));
    for (const name of ["pointerleave", "focusout", "scroll"]) {
      this.flow.addEventListener(name, () => { this.tip.hidden = true; });
    }
  }

  show(data) {
    this.box.dataset.theme = isDark(this.box) ? "dark" : "light";
    if (data.key !== this.key || data.tokens.text.length < this.tokens.length) this.begin(data);
    this.explainOrigins(data.origins);
    this.data = data;
    const atEnd = !this.tokens.length || this.flow.scrollHeight - this.flow.scrollTop - this.flow.clientHeight < 40;
    for (let i = this.tokens.length; i < data.tokens.text.length; i += 1) this.add(data.tokens, i);
    this.caret.hidden = !data.live;
    this.caret.style.display = data.live ? "" : "none";
    if (data.live && atEnd) this.flow.scrollTop = this.flow.scrollHeight;
    data.tokens.round.forEach((round, i) => {
      this.tokens[i].classList.toggle("chosen", round === data.selected);
      this.tokens[i].setAttribute("aria-pressed", round === data.selected);
    });
    if (data.live || data.selected === this.shown) return;
    this.shown = data.selected;
    this.reveal(this.tokens[data.tokens.round.indexOf(data.selected)]);
  }

  // The text goes to a round's first token, unless that is in view.
  reveal(token) {
    if (!token) return;
    const [at, seen] = [token.getBoundingClientRect(), this.flow.getBoundingClientRect()];
    if (at.top < seen.top || at.bottom > seen.bottom) this.flow.scrollTop += at.top - seen.top - seen.height / 3;
  }

  begin(data) {
    this.key = data.key;
    this.shown = null; // the round that the text has gone to
    this.tokens = [];
    this.prompt.textContent = data.prompt;
    this.flow.replaceChildren(this.prompt, this.caret);
  }

  explainOrigins(origins) {
    const names = Object.keys(origins).join();
    if (names === this.explained) return;
    this.explained = names;
    this.legend.replaceChildren();
    for (const [origin, meaning] of Object.entries(origins)) {
      const item = element("span", "");
      const sample = element("span", `token ${origin}`);
      sample.textContent = origin;
      item.append(sample, ` ${meaning}`);
      this.legend.append(item);
    }
  }

  add(tokens, i) {
    const token = element("span", `token ${tokens.origin[i]}`);
    if (i > 0 && tokens.round[i] !== tokens.round[i - 1]) token.classList.add("first");
    token.dataset.index = i;
    token.tabIndex = i === 0 ? 0 : -1;
    token.setAttribute("role", "button");
    token.setAttribute("aria-description", `${tokens.origin[i]}, round ${tokens.round[i] + 1}`);
    // A line break is shown, then made; all other text is left as it is.
    tokens.text[i].split("\n").forEach((part, n) => {
      if (n > 0) {
        const mark = element("span", "break");
        mark.textContent = "↵";
        mark.setAttribute("aria-hidden", "true");
        token.append(mark, "\n");
      }
      token.append(part);
    });
    if (!tokens.text[i].trim()) token.setAttribute("aria-label", spelled(tokens.text[i]));
    this.caret.before(token);
    this.tokens.push(token);
  }

  hear(event) {
    const token = event.target.closest(".token");
    if (!token) {
      this.tip.hidden = true;
      return;
    }
    const index = Number(token.dataset.index);
    if (event.type === "click") this.pick(index);
    else if (event.type === "keydown") this.press(event, index);
    else this.explain(token, index);
  }

  press(event, index) {
    const to = { ArrowRight: index + 1, ArrowLeft: index - 1 }[event.key];
    if (event.key === "Enter" || event.key === " ") this.pick(index);
    else if (to !== undefined && this.tokens[to]) this.tokens[to].focus();
    else return;
    event.preventDefault();
    event.stopPropagation(); // the page's own arrow keys change the round
  }

  pick(index) {
    this.send("pick", { round: this.data.tokens.round[index], seq: ++this.seq });
  }

  explain(token, index) {
    const { origin, round, q, p, rank } = this.data.tokens;
    const shares = [["q", q[index]], ["p", p[index]]].filter(([, share]) => share !== null)
      .map(([name, share]) => `${name} ${(100 * share).toFixed(1)}%`);
    if (rank[index] !== null) shares.push(`choice ${rank[index] + 1} of the draft`);
    const lines = [`${origin[index]}: ${this.data.origins[origin[index]]}`, [`round ${round[index] + 1}`, ...shares].join("  ·  ")];
    this.tip.textContent = lines.join("\n");
    this.tip.hidden = false;
    const [from, box] = [token.getClientRects()[0], this.box.getBoundingClientRect()];
    this.tip.style.left = `${Math.max(6, Math.min(from.left - box.left, this.box.clientWidth - this.tip.offsetWidth - 6))}px`;
    const below = from.bottom - box.top + 6;
    const above = from.top - box.top - this.tip.offsetHeight - 6;
    this.tip.style.top = `${below + this.tip.offsetHeight > this.box.clientHeight && above > 0 ? above : below}px`;
  }
}

/** White space in words: a screen reader says nothing of it otherwise. */
function spelled(text) {
  const names = { " ": "space", "\n": "line break", "\t": "tab" };
  const runs = text.match(/(.)\1*/gs) ?? [];
  return runs.map((run) => `${run.length > 1 ? `${run.length} × ` : ""}${names[run[0]] ?? "white space"}`).join(", ") || "empty";
}

function element(name, className) {
  return Object.assign(document.createElement(name), { className });
}

function isDark(box) {
  const probe = element("span", "");
  probe.style.color = "var(--st-background-color)";
  box.append(probe);
  const [red, green, blue] = getComputedStyle(probe).color.match(/[\d.]+/g).map(Number);
  probe.remove();
  return 0.2126 * red + 0.7152 * green + 0.0722 * blue < 128;
}
