"""Draw the graph of a round as an SVG file, with the marks, edges and labels of the view.

It takes a picture, the columns that the view itself draws (`nodes`: id, x and y in cells of the layout, label,
kind, source, merged, copy, tip; `edges`: from, to, kind, walked), so both show the same. Every text is escaped.
"""

from __future__ import annotations

import html
import re
import unicodedata
from dataclasses import dataclass
from typing import Any

FONT = "ui-monospace, 'Cascadia Code', Menlo, Consolas, 'DejaVu Sans Mono', monospace"
LETTER = 6.95  # pixels, at the labels' size of 11.5
CHIP_COLUMNS = 9  # up to so many columns, labels stand in chips beside their mark
LABEL_LETTERS = 12
TIP_LETTERS = 300
LEAST_GAP, ROOM, CHIP_ROW = 92, 34, 38  # pixels: between columns, between two chips, between rows
PLAIN_GAP, PLAIN_ROW = 104, 42  # likewise with labels below their marks
MARGIN = 34
LEGEND = {
    "accepted": "accepted", "rejected": "rejected", "unverified": "not verified", "ended": "after the end",
    "merged": "merged", "copy": "copy", "bonus": "bonus", "pruned": "pruned", "merge": "merge edge",
    "lookup": "found in the text", "history": "found among rejected", "found": "looked up",
}  # fmt: skip
FOUND = "found"  # what a source without a mark of its own is marked as
SOURCE_MARKS = {"lookup": "M-2 -2.8V2.8M2 -2.8V2.8", "history": "M2 -3.2L-2.2 0L2 3.2",
                FOUND: "M-3 0H3"}  # SVG paths within a shape  # fmt: skip

_ILLEGAL = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")  # in XML 1.0


@dataclass(frozen=True, slots=True)
class Tones:
    """The colours of a theme, as `#rrggbb`."""

    paper: str
    ink: str
    quiet: str
    edge: str
    line: str
    accepted: str
    rejected: str
    merged: str
    bonus: str


LIGHT = Tones("#ffffff", "#1b1f24", "#6b7280", "#9aa3af", "#dfe3e8", "#0072b2", "#d55e00", "#b8578f", "#008060")
DARK = Tones("#14161a", "#e8eaed", "#9aa3af", "#5d6674", "#30353d", "#4aa8e0", "#f08a3c", "#e39ac3", "#2cc79a")


def svg(picture: dict[str, Any], title: str, tones: Tones = LIGHT, *, legend: bool = True) -> str:
    """The picture as a document of its own, as large as it needs."""
    scene = _Scene(picture["nodes"], tones)
    body = "".join([*scene.edges(picture["edges"]), *scene.marks()])
    width, height = scene.width, scene.height
    if legend:
        key, wide = _key(picture, tones)
        body += f'<g transform="translate({MARGIN} {height + 10:.1f})">{key}</g>'
        width, height = max(width, MARGIN + wide), height + 36
    return _document(body, title, tones, round(width), round(height))


def legend_svg(picture: dict[str, Any], tones: Tones = LIGHT) -> str:
    """What the marks of a picture mean, in one row."""
    key, wide = _key(picture, tones)
    return _document(f'<g transform="translate(14 14)">{key}</g>', "Legend", tones, round(14 + wide), 28)


def _document(body: str, title: str, tones: Tones, width: int, height: int) -> str:
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" viewBox="0 0 {width} {height}" '
        f'role="img" aria-label="{xml_text(title)}" font-family="{FONT}" font-size="11.5">'
        f'<title>{xml_text(title)}</title><rect width="100%" height="100%" fill="{tones.paper}"/>{body}</svg>'
    )


def mark(kind: str, what: str = "", tones: Tones = LIGHT, source: str = "") -> str:
    """The mark of a node around the origin; `what` is empty, `merged` or `copy`. Each kind has a shape of its own.

    `source`: where it was looked up; empty for the draft's own. Each of `SOURCE_MARKS` has a mark of its own within.
    """
    tone = tones.paper if kind == "accepted" else tones.merged if what == "merged" else _tone(kind, tones)
    path = SOURCE_MARKS[marked_as(source)] if source else ""
    within = f'<path d="{path}" fill="none" stroke="{tone}" stroke-width="1.7"/>' if source else ""
    return _shape(kind, what, tones) + within


def marked_as(source: str) -> str:
    """The entry of `SOURCE_MARKS` that a source is drawn by."""
    return source if source in SOURCE_MARKS else FOUND


def _tone(kind: str, tones: Tones) -> str:
    return {"accepted": tones.accepted, "rejected": tones.rejected, "bonus": tones.bonus,
            "root": tones.ink}.get(kind, tones.quiet)  # fmt: skip


def _shape(kind: str, what: str, tones: Tones) -> str:
    tone = _tone(kind, tones)
    fill = tone if kind in ("accepted", "bonus", "root") else tones.paper
    dashes = ' stroke-dasharray="3 2.4"' if kind == "unverified" else ""
    style = f'fill="{fill}" stroke="{tone}" stroke-width="2"{dashes}'
    if kind == "bonus":
        return f'<rect x="-6.5" y="-6.5" width="13" height="13" rx="1" {style}/>'
    if kind == "pruned":
        return f'<path d="M-4 -4L4 4M4 -4L-4 4" {style}/>'
    if kind == "root":
        return f'<circle r="4.5" {style}/>'
    if what == "merged":
        ring = f'fill="none" stroke="{tones.merged}" stroke-width="1.8"{dashes}'
        inner = f'<circle r="5" {style}/>' if kind == "accepted" else f'<circle r="4.6" {ring}/>'
        return f'<circle r="8.4" {ring.replace("none", tones.paper)}/>{inner}'
    outline = '<path d="M0 -8L8 0L0 8L-8 0Z" {}/>' if kind == "rejected" else '<circle r="7" {}/>'
    if what == "copy":  # a second sheet behind the first
        sheet = f'fill="{tones.paper}" stroke="{mixed(tone, tones.paper, 0.6)}" stroke-width="1.4"'
        return f'<g transform="translate(3.6 -3.6)">{outline.format(sheet)}</g>{outline.format(style)}'
    return outline.format(style)


def sample(kind: str, tones: Tones = LIGHT) -> str:
    """The mark of an entry of `LEGEND` around the origin."""
    if kind == "merge":
        return f'<path d="M-13 0H13" fill="none" stroke="{tones.merged}" stroke-width="1.5" stroke-dasharray="5 4"/>'
    if kind in SOURCE_MARKS:
        return mark("found", "", tones, kind)
    return mark("rejected", kind, tones) if kind in ("merged", "copy") else mark(kind, "", tones)


def xml_text(text: str) -> str:
    """Escaped for elements and attributes; what XML cannot hold at all is shown by its number."""
    return html.escape(legal(text))


def legal(text: str) -> str:
    """Characters that XML 1.0 cannot hold, lone surrogates among them, by their number."""
    return _ILLEGAL.sub(lambda found: f"\\u{ord(found.group()):04x}", text)


def cut(text: str, letters: int = LABEL_LETTERS) -> str:
    """At most so many characters, with an ellipsis where some are left out."""
    return text if len(text) <= letters else text[: letters - 1] + "…"


def mixed(colour: str, other: str, share: float) -> str:
    """`share` of a colour, the rest of the other."""
    pairs = zip(bytes.fromhex(colour[1:]), bytes.fromhex(other[1:]))
    return "#" + bytes(round(share * one + (1 - share) * two) for one, two in pairs).hex()


def _width(text: str) -> float:
    """Pixels of a label: East Asian letters and emoji take two places, combining marks none."""
    places = (0 if unicodedata.combining(c) else 2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in text)
    return LETTER * sum(places)


class _Scene:
    """Nodes in pixels. `x` and `y` are of the marks; `ends` is how far a mark with its chip reaches to the right."""

    def __init__(self, nodes: dict[str, list[Any]], tones: Tones) -> None:
        self.nodes, self.tones = nodes, tones
        self.labels = [cut(label) for label in nodes["label"]]
        self.chips = max(nodes["x"]) < CHIP_COLUMNS
        self.ends = [24 + _width(label) if self.chips else 9.0 for label in self.labels]
        gap, row = (max(LEAST_GAP, max(self.ends) + ROOM), CHIP_ROW) if self.chips else (PLAIN_GAP, PLAIN_ROW)
        self.gap, self.row, top = gap, row, min(nodes["y"])
        self.x = [MARGIN + gap * x for x in nodes["x"]]
        self.y = [MARGIN + row * (y - top) for y in nodes["y"]]
        self.at = {id: i for i, id in enumerate(nodes["id"])}
        room = 12 if self.chips else _width("m" * LABEL_LETTERS) / 2
        self.width = max(x + end for x, end in zip(self.x, self.ends)) + room
        self.height = max(self.y) + MARGIN

    def edges(self, edges: dict[str, list[Any]]) -> list[str]:
        """Lines, the accepted path last."""
        order = sorted(range(len(edges["from"])), key=lambda i: edges["walked"][i])
        return [self._edge(self.at[edges["from"][i]], self.at[edges["to"][i]], edges["kind"][i], edges["walked"][i])
                for i in order]  # fmt: skip

    def _edge(self, start: int, end: int, kind: str, walked: bool) -> str:
        tones = self.tones
        colour = {"merge": tones.merged, "bonus": tones.bonus}.get(kind, tones.accepted if walked else tones.edge)
        width = 3.5 if walked else 1.5 if kind == "merge" else 1.3
        dashes = {"merge": "9 5" if walked else "5 4", "pruned": "1.5 3.5"}.get(kind)
        style = f' stroke-dasharray="{dashes}"' if dashes else ""
        return (f'<path d="{self._curve(start, end, walked)}" fill="none" stroke="{colour}" stroke-width="{width}"'
                f"{style}/>")  # fmt: skip

    def _curve(self, start: int, end: int, walked: bool) -> str:
        """Straight between neighbours of a row; over the nodes in between; else an S."""
        left, right = self.x[start] + self.ends[start], self.x[end] - (13 if self.chips else 9)
        y, to = self.y[start], self.y[end]
        reach = min((right - left) / 2, 0.55 * self.gap)
        if y == to and (walked or self.x[end] - self.x[start] <= 1.01 * self.gap):
            return f"M{left:.1f} {y}H{right:.1f}"
        bow = (0.99 if self.nodes["y"][start] > 0 else -0.99) * self.row if y == to else 0.0
        return f"M{left:.1f} {y}C{left + reach:.1f} {y + bow} {right - reach:.1f} {to + bow} {right:.1f} {to}"

    def marks(self) -> list[str]:
        """Nodes, the accepted path last."""
        spine = ("root", "accepted", "bonus")
        order = sorted(range(len(self.labels)), key=lambda i: self.nodes["kind"][i] in spine)
        return [self._node(i) for i in order]

    def _node(self, i: int) -> str:
        kind, tones = self.nodes["kind"][i], self.tones
        bold = ' font-weight="700"' if kind in ("root", "accepted", "bonus") else ""
        ink = tones.quiet if kind == "pruned" else tones.ink
        what = "merged" if self.nodes["merged"][i] else "copy" if self.nodes["copy"][i] else ""
        tip = xml_text(cut(f"{self.nodes['label'][i]}\n{self.nodes['tip'][i]}", TIP_LETTERS))
        place = 'x="15" y="4"' if self.chips else 'y="22" text-anchor="middle"'
        halo = "" if self.chips else f' paint-order="stroke" stroke="{tones.paper}" stroke-width="3.5"'
        label = f'<text {place} fill="{ink}"{bold}{halo} xml:space="preserve">{xml_text(self.labels[i])}</text>'
        chip = self._chip(i) if self.chips and kind != "pruned" else ""
        return (f'<g transform="translate({self.x[i]:.1f} {self.y[i]})"><title>{tip}</title>{chip}'
                f"{mark(kind, what, tones, self.nodes['source'][i])}{label}</g>")  # fmt: skip

    def _chip(self, i: int) -> str:
        kind, tones = self.nodes["kind"][i], self.tones
        tone = {"accepted": tones.accepted, "bonus": tones.bonus, "rejected": tones.line}.get(
            kind, tones.merged if self.nodes["merged"][i] else mixed(tones.quiet, tones.paper, 0.6))  # fmt: skip
        fill = mixed(tone, tones.paper, 0.12) if kind in ("accepted", "bonus") else tones.paper
        dashes = ' stroke-dasharray="3 2.4"' if kind == "unverified" else ""
        return (f'<rect x="-13" y="-12" width="{self.ends[i] + 13:.1f}" height="24" rx="12" fill="{fill}" '
                f'stroke="{tone}" stroke-width="1.1"{dashes}/>')  # fmt: skip


def _used(picture: dict[str, Any]) -> list[str]:
    """What of the legend is there."""
    nodes, edges = picture["nodes"], picture["edges"]
    there = {*nodes["kind"], *edges["kind"]} | ({"merged"} if any(nodes["merged"]) else set())
    there |= ({"copy"} if any(nodes["copy"]) else set()) | {marked_as(source) for source in nodes["source"] if source}
    return [kind for kind in LEGEND if kind in there]


def _key(picture: dict[str, Any], tones: Tones) -> tuple[str, float]:
    """The legend in one row around y = 0, and how wide it is."""
    x, parts = 0.0, []
    for kind in _used(picture):
        parts.append(f'<g transform="translate({x:.1f} 0)"><g transform="scale(0.85)">{sample(kind, tones)}</g>'
                     f'<text x="14" y="4" fill="{tones.quiet}">{LEGEND[kind]}</text></g>')  # fmt: skip
        x += 40 + _width(LEGEND[kind])
    return "".join(parts), x
