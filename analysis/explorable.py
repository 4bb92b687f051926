"""One round as an HTML page with a graph that can be dragged, drawn by vis-network from pyvis. Works offline."""

from __future__ import annotations

import base64
import hashlib
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader
from markupsafe import Markup

from analysis.svg import DARK, FONT, LIGHT, TIP_LETTERS, Tones, cut, legal, legend_svg, mark

COLUMN, ROW = 120, 60  # pixels between the cells of a layout, at the start
LIVELY = 200  # nodes up to which the springs are on from the start

_PAGE = Path(__file__).with_suffix(".html")
_DRAWING = Path("lib", "vis-9.1.2", "vis-network.min.js")  # within pyvis


def explorable_html(picture: dict[str, Any], title: str, tones: Tones = LIGHT) -> str:
    """The picture of a view as a page, in which nodes hang on springs and can be dragged.

    It contains all it needs. Its content-security policy allows no loading and only its own two scripts.
    """
    from pyvis.network import Network  # brings IPython with it: not before it is wanted

    network = Network(directed=True, heading=legal(title))
    network.options = _options(tones)
    _add_nodes(network, picture["nodes"], tones)
    _add_edges(network, picture["edges"], tones)
    network.path, network.templateEnv = _PAGE.name, _environment(tones, Markup(legend_svg(picture, tones)))
    return network.generate_html()


def _environment(tones: Tones, legend: Markup) -> Environment:
    """For the page: all that pyvis does not hand to it. What is no `Markup` is escaped."""
    made = Environment(loader=FileSystemLoader(_PAGE.parent), autoescape=True)
    made.filters["hashed"] = _hashed
    made.globals |= {"vis": _drawing(), "tones": tones, "scheme": "dark" if tones == DARK else "light", "font": FONT,
                     "legend": legend, "lively": LIVELY}  # fmt: skip
    return made


@cache
def _drawing() -> Markup:
    """vis-network, as pyvis ships it. Raises `OSError` with another release of pyvis that has it elsewhere."""
    import pyvis

    return Markup((Path(pyvis.__file__).parent / _DRAWING).read_text(encoding="utf-8"))


def _hashed(script: str) -> Markup:
    """The source expression of a content-security policy that lets this script run."""
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    return Markup(f"'sha256-{digest}'")


def _options(tones: Tones) -> dict[str, Any]:
    """For vis-network."""
    font = {"face": FONT, "size": 13, "color": tones.ink, "strokeWidth": 4, "strokeColor": tones.paper}
    springs = {"gravitationalConstant": -2600, "springLength": 80, "springConstant": 0.05, "damping": 0.3}
    return {
        "nodes": {"shape": "image", "size": 12, "font": font},
        "edges": {"smooth": False, "arrows": {"to": {"enabled": True, "scaleFactor": 0.4}}},
        "physics": {"enabled": False, "barnesHut": springs, "minVelocity": 2},
        "interaction": {"hover": True, "keyboard": False, "tooltipDelay": 120},
    }


def _add_nodes(network: Any, nodes: dict[str, list[Any]], tones: Tones) -> None:
    middle = max(nodes["x"]) / 2, (min(nodes["y"]) + max(nodes["y"])) / 2  # where the springs draw everything
    for i, id in enumerate(nodes["id"]):
        x, y = COLUMN * (nodes["x"][i] - middle[0]), ROW * (nodes["y"][i] - middle[1])
        what = "merged" if nodes["merged"][i] else "copy" if nodes["copy"][i] else ""
        lines = (cut(nodes["label"][i], TIP_LETTERS), nodes["tip"][i], _in_forwards(nodes, i), what)
        image = _as_address(mark(nodes["kind"][i], what, tones, nodes["source"][i]))
        network.add_node(id, cut(nodes["label"][i]), shape="image", image=image, x=x, y=y,
                         title="\n".join(filter(None, lines)))  # fmt: skip


def _in_forwards(nodes: dict[str, list[Any]], i: int) -> str:
    """Which draft forward brought a node, unless it was looked up, and which one asked what follows it."""
    forwards = {"drafted": 0 if nodes["source"][i] else nodes["drafted_in"][i], "expanded": nodes["forward"][i]}
    return "  ·  ".join(f"{what} in forward {forward}" for what, forward in forwards.items() if forward)


def _as_address(drawn: str) -> str:
    """A mark as an image that needs no loading."""
    box = 'xmlns="http://www.w3.org/2000/svg" width="96" height="96" viewBox="-12 -12 24 24"'
    return "data:image/svg+xml;base64," + base64.b64encode(f"<svg {box}>{drawn}</svg>".encode()).decode()


def _add_edges(network: Any, edges: dict[str, list[Any]], tones: Tones) -> None:
    for i, (start, end) in enumerate(zip(edges["from"], edges["to"])):
        kind, walked = edges["kind"][i], edges["walked"][i]
        colour = {"merge": tones.merged, "bonus": tones.bonus}.get(kind, tones.accepted if walked else tones.edge)
        network.add_edge(start, end, color=colour, width=3.5 if walked else 1.5, dashes=kind in ("merge", "pruned"),
                         title=edges["tip"][i])  # fmt: skip
