"""What became of merge edges, and of tree edges beside them. Formulas: docs/metrics.md.

Frame functions over `analysis.load.Frames`: tidy rows by run, the run's kind and status among them;
`analysis.pooling.pool` puts rows of several runs together.
"""

from __future__ import annotations

from collections.abc import Callable

import pandas as pd

from analysis.graphs import tree_edges
from analysis.load import Frames
from analysis.pooling import divided, in_order, with_run

COLUMNS = {
    "run": "name: the run's folder",
    "kind": "name: kind of the run's prompt; empty where it has none",
    "status": "name: complete, cancelled, failed or incomplete; only complete runs are pooled",
    "edge": "name: merge, or tree for the ordinary edges of the same run",
    "context": "tokens: matched before the merged token; empty for tree edges, which match none",
    "depth_shift": "tokens: depth of the node merged into minus that of the candidate; empty for tree edges",
    "rank": "index: place among its parent's candidates by q, from 0",
    "edges": "edges: all of this row, tested or not",
    "tested": "edges: those that the target's pick decided about",
    "accepted": "edges: those that the accepted path went through",
    "continued": "edges: those accepted with at least one more token accepted behind them",
    "share_tested": "share: tested / edges",
    "share_accepted": "share: accepted / tested; empty where none was tested",
    "precision": "share: continued / tested; empty where none was tested",
}

_FATE = ["tested", "accepted", "continued"]


def merges_by_context(frames: Frames) -> pd.DataFrame:
    """Outcomes of merges by tokens matched before the merged one, and of all tree edges; see `_outcomes`."""
    return _outcomes(frames, "context")


def merges_by_depth_shift(frames: Frames) -> pd.DataFrame:
    """Outcomes of merges by how much deeper they lead, and of all tree edges; see `_outcomes`."""
    return _outcomes(frames, "depth_shift")


def merges_by_rank(frames: Frames) -> pd.DataFrame:
    """Outcomes of merges and of tree edges by the candidate's rank among its siblings; see `_outcomes`."""
    rows = _outcomes(frames, "rank")
    return rows[rows["rank"] >= 0].reset_index(drop=True)  # what was looked up and not proposed has none


def _outcomes(frames: Frames, by: str) -> pd.DataFrame:
    """Edges counted by run, edge (merge, tree) and the column `by`, which tree edges lack unless it is `rank`.

    tested: the target's pick after the edge's parent was known, so it decided about the edge;
    accepted: the accepted path went through the edge; continued: and at least one more token was
    accepted behind it. share_tested = tested / edges, share_accepted = accepted / tested,
    precision = continued / tested.
    """
    merges = frames.merges.assign(edge="merge", continued=frames.merges["accepted_behind"] >= 1)
    tree = tree_edges(frames).assign(edge="tree", context=pd.NA, depth_shift=pd.NA)
    edges = pd.concat([part[["run", "edge", by, *_FATE]] for part in (merges, tree)])
    groups = edges.groupby(["run", "edge", by], dropna=False)
    counts = groups.agg(edges=("tested", "size"), **{fate: (fate, "sum") for fate in _FATE}).reset_index()
    counts[by] = counts[by].astype("Int64")  # whole numbers, and empty for tree edges
    return in_order(with_run(divided(counts), frames), frames, ["edge", by])


METRICS: dict[str, Callable[[Frames], pd.DataFrame]] = {
    metric.__name__: metric for metric in (merges_by_context, merges_by_depth_shift, merges_by_rank)
}
