"""Export one round for graph libraries, as GraphML."""

from __future__ import annotations

import io
import math

import networkx as nx

from analysis.faces import Face, fates
from analysis.sources import is_found
from analysis.svg import legal
from gsd.trace.recorded_round import RecordedRound


def graphml(round_: RecordedRound, drawn: Face) -> str:
    """A face of a round as GraphML.

    Nodes: `node` (graph node), `token` (id), `text`, `depth` (in the graph), `source` and `forward` (docs/trace.md),
    `q` (absent where the draft was not asked), `estimate` (of what was looked up alone: its source's own), `path_q`
    (along the tree path), `p` (absent where the target was not asked), `fate`. Edges: `kind` (tree, merge), `q`, and
    of a merge `ngram` (the tokens that matched, as text) and `depth_shift`. Probabilities are no logarithms.
    Characters that XML cannot hold stand as `\\u0000`.
    """
    graph, merges, said = round_.graph, round_.merges, round_.draft_logq
    made, names = nx.DiGraph(), drawn.ids()
    for name, node, flat, fate in zip(names, drawn.nodes, drawn.flat, fates(round_, drawn)):
        shares = {"q": said[node], "path_q": graph.path_logq[node],
                  "estimate": graph.logq[node] if is_found(graph.sources[node]) else None,
                  "p": round_.tree.target_logp[flat] if flat > 0 else None}  # fmt: skip
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
