"""One round for graph libraries: GraphML."""

from __future__ import annotations

import io
import math
from typing import Any

import networkx as nx

from analysis.faces import Face, verdicts
from analysis.rounds import expanded_in
from analysis.sources import FOUND, draft_logq
from analysis.svg import legal


def graphml(step: dict[str, Any], drawn: Face) -> str:
    """A face of a step record as GraphML.

    Nodes: `node` (graph node), `token` (id), `text`, `depth` (in the graph), `source` and `forward` (docs/trace.md),
    `q` (absent where the draft was not asked), `estimate` (of what was looked up alone: its source's own), `path_q`
    (along the tree path), `p` (absent where the target was not asked), `fate`. Edges: `kind` (tree, merge), `q`, and
    of a merge `ngram` (the tokens that matched, as text) and `depth_shift`. Probabilities are no logarithms.
    Characters that XML cannot hold stand as `\\u0000`.
    """
    graph, merges, said, forwards = step["graph"], step["merges"], draft_logq(step), expanded_in(step["graph"])
    made, names, became = nx.DiGraph(), drawn.ids(), verdicts(step)
    for name, node, flat in zip(names, drawn.nodes, drawn.flat):
        fate = became[flat] if flat >= 0 else "not verified"
        shares = {"q": said[node], "path_q": graph["path_logq"][node],
                  "estimate": graph["logq"][node] if graph["source"][node] in FOUND else None,
                  "p": step["tree"]["target_logp"][flat] if flat > 0 else None}  # fmt: skip
        made.add_node(name, node=node, token=graph["token"][node], text=_kept(graph["text"][node]),
                      depth=graph["depth"][node], source=graph["source"][node], forward=forwards[node], fate=fate,
                      **_known(shares))  # fmt: skip
    hanging = ((parent, i, merge) for i, (parent, merge) in enumerate(zip(drawn.parents, drawn.edges)) if parent >= 0)
    for parent, i, merge in (*hanging, *drawn.joins):
        if merge < 0:
            made.add_edge(names[parent], names[i], kind="tree", **_known({"q": said[drawn.nodes[i]]}))
        else:
            matched, shift = _kept(merges["ngram_text"][merge]), merges["depth_shift"][merge]
            made.add_edge(names[parent], names[i], kind="merge", q=math.exp(merges["logq"][merge]), ngram=matched,
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
