"""What merging saved, compared with a real run of the same settings without merging."""

from __future__ import annotations

from typing import Any

import pandas as pd

from gsd.methods import METHODS
from gsd.spec import Prompt

COUNTS = ("rounds", "draft_forwards", "drafted_nodes", "verified_nodes")
COLUMNS = {
    "run": "name: the run that merges",
    "twin": "name: the run of the same prompt, models and settings that does not",
    "saved_rounds": "count: rounds of the twin - rounds of the run",
    "saved_draft_forwards": "count: forwards of the draft, likewise",
    "saved_drafted_nodes": "nodes: drafted, likewise",
    "saved_verified_nodes": "nodes: verified, likewise",
}

_MAY_DIFFER = ("drafting", "detail", "pair")


def is_unmerged_twin(spec: dict[str, Any], other: dict[str, Any]) -> bool:
    """Whether `other` is the `RunSpec` of the tree to the graph of `spec`: all alike, but that it never merges."""
    merging, plain = ({**one["drafting"], "method": None} for one in (spec, other))
    if merging.get("merge_context") is None or not METHODS[spec["drafting"]["method"]].fixed_work:
        return False
    return plain == {**merging, "merge_context": None} and _rest(spec) == _rest(other)


def merging_saved(runs: pd.DataFrame, run: str, twin: str) -> pd.Series:
    """Counts of the twin minus those of the run; negative where merging cost more. Both must be complete."""
    counts = runs[runs["status"] == "complete"].set_index("run")[list(COUNTS)]
    saved = counts.loc[twin] - counts.loc[run]
    return saved.rename(lambda name: f"saved_{name}")


def _rest(spec: dict[str, Any]) -> dict[str, Any]:
    """The settings that must agree."""
    rest = {name: value for name, value in spec.items() if name not in _MAY_DIFFER}
    return rest | {"prompt": Prompt(**spec["prompt"]).given()}
