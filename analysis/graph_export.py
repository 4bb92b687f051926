"""One round for other tools: GraphML for graph libraries, and a page to drag about that works with no network."""

from __future__ import annotations

import base64
import io
import json
import math
import re
from typing import Any

import networkx as nx

from analysis.faces import Face, fates
from analysis.sources import is_found
from analysis.svg import LIGHT, TIP_LETTERS, Tones, cut, legal, legend_svg, mark, xml_text
from gsd.trace.recorded_step import RecordedStep

COLUMN, ROW = 120, 60  # pixels between the cells of a layout, at the start
LIVELY = 200  # nodes up to which the springs are on from the start
POLICY = "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data:"

_LOADED = re.compile(r'<link\s[^>]*href="https?://[^>]*>|<script\s[^>]*src="https?://[^>]*>\s*</script>')
_STYLE = """
html, body, .card, #mynetwork {{ height: 100% !important; margin: 0; border: 0 !important; overflow: hidden; }}
#mynetwork {{ height: calc(100% - 40px) !important; }} /* the legend has the rest */
body {{ background: {paper}; }}
center, #loadingBar {{ display: none !important; }}
label {{ position: absolute; top: 10px; right: 12px; font: 13px sans-serif; color: {ink}; cursor: pointer; }}
.legend {{ position: absolute; left: 10px; bottom: 8px; pointer-events: none; }}
.legend svg {{ max-width: calc(100vw - 20px); height: auto; }}
div.vis-tooltip {{ font: 12px/1.4 monospace; white-space: pre-line; max-width: 300px; overflow-wrap: anywhere;
  color: {paper}; background: {ink}; border: 0; border-radius: 6px; padding: 6px 9px; }}
"""
_SWITCH = """
<label><input type="checkbox" id="springs"> Springs</label>
<div class="legend">{legend}</div>
<script>
  const springs = document.getElementById("springs");
  springs.onchange = () => network.setOptions({{ physics: {{ enabled: springs.checked }} }});
  springs.checked = nodes.length <= {lively};
  springs.onchange();
  network.fit();
  network.once("stabilized", () => network.fit({{ animation: {{ duration: 300 }} }}));
</script>
"""


def graphml(step: RecordedStep, drawn: Face) -> str:
    """A face of a round as GraphML.

    Nodes: `node` (graph node), `token` (id), `text`, `depth` (in the graph), `source` and `forward` (docs/trace.md),
    `q` (absent where the draft was not asked), `estimate` (of what was looked up alone: its source's own), `path_q`
    (along the tree path), `p` (absent where the target was not asked), `fate`. Edges: `kind` (tree, merge), `q`, and
    of a merge `ngram` (the tokens that matched, as text) and `depth_shift`. Probabilities are no logarithms.
    Characters that XML cannot hold stand as `\\u0000`.
    """
    graph, merges, said = step.graph, step.merges, step.draft_logq
    made, names = nx.DiGraph(), drawn.ids()
    for name, node, flat, fate in zip(names, drawn.nodes, drawn.flat, fates(step, drawn)):
        shares = {"q": said[node], "path_q": graph.path_logq[node],
                  "estimate": graph.logq[node] if is_found(graph.sources[node]) else None,
                  "p": step.tree.target_logp[flat] if flat > 0 else None}  # fmt: skip
        made.add_node(name, node=node, token=graph.tokens[node], text=_kept(graph.texts.raw[node]),
                      depth=graph.depths[node], source=graph.sources[node], forward=graph.forwards[node], fate=fate,
                      **_known(shares))  # fmt: skip
    hanging = ((parent, i, merge) for i, (parent, merge) in enumerate(zip(drawn.parents, drawn.edges)) if parent >= 0)
    for parent, i, merge in (*hanging, *drawn.joins):
        if merge < 0:
            made.add_edge(names[parent], names[i], kind="tree", **_known({"q": said[drawn.nodes[i]]}))
        else:
            matched, shift = _kept(merges.ngram_texts.raw[merge]), merges.depth_shifts[merge]
            made.add_edge(names[parent], names[i], kind="merge", q=math.exp(merges.logq[merge]), ngram=matched,
                          depth_shift=shift)  # fmt: skip
    written = io.BytesIO()
    nx.write_graphml_xml(made, written, prettyprint=False)
    return written.getvalue().decode("utf-8")


def _known(logs: dict[str, float | None]) -> dict[str, float]:
    """Probabilities, as far as their logarithms are known."""
    return {name: math.exp(log) for name, log in logs.items() if log is not None and not math.isnan(log)}


def _kept(text: str) -> str:
    """XML reads a carriage return as a newline, so it is written by its number as well."""
    return legal(text).replace("\r", "\\u000d")


def explorable_html(picture: dict[str, Any], title: str, tones: Tones = LIGHT) -> str:
    """The picture that the view draws, as a page in which nodes can be dragged and hang on springs.

    It holds all it needs, and says itself that nothing may be loaded.
    """
    from pyvis.network import Network  # brings IPython with it: not before it is wanted

    network = Network("100%", "100%", directed=True, bgcolor=tones.paper, cdn_resources="in_line")
    network.set_options(json.dumps(_options(tones)))
    _add_nodes(network, picture["nodes"], tones)
    _add_edges(network, picture["edges"], tones)
    return _alone(network.generate_html(), title, legend_svg(picture, tones), tones)


def _options(tones: Tones) -> dict[str, Any]:
    """For vis.js. No name may hold a space: pyvis takes them out."""
    font = {"face": "monospace", "size": 13, "color": tones.ink, "strokeWidth": 4, "strokeColor": tones.paper}
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


def _alone(page: str, title: str, legend: str, tones: Tones) -> str:
    """pyvis's page without the files that it would load, filling its window, with a switch for the springs."""
    style = _STYLE.format(paper=tones.paper, ink=tones.ink)
    head = f'<meta http-equiv="Content-Security-Policy" content="{POLICY}"><title>{xml_text(title)}</title>'
    page = "<!DOCTYPE html>\n" + _LOADED.sub("", page).lstrip()
    page = page.replace("<head>", f"<head>{head}", 1).replace("</head>", f"<style>{style}</style></head>", 1)
    before, body, behind = page.rpartition("</body>")
    return before + _SWITCH.format(legend=legend, lively=LIVELY) + body + behind
