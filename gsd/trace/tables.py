"""The seven tables of a run, built column by column from its events. Columns: docs/tables.md."""

from __future__ import annotations

import os
import shutil
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from gsd.drafting.graph import tree_path
from gsd.methods import known
from gsd.spec import SamplingSpec
from gsd.trace.pieces import joined
from gsd.trace.read import RunTrace

NAMES = ("runs", "steps", "nodes", "edges", "merges", "decisions", "hypotheses")

_KINDS = {int: pa.int64(), float: pa.float64(), bool: pa.bool_(), str: pa.string()}
_DRAFTING = {"method": pa.string(), **{name: _KINDS[setting.kind] for name, setting in known().items()}}
_SAMPLING = {
    "temperature": pa.float64(), "top_k": pa.int64(), "top_p": pa.float64(), "seed": pa.int64(), "draw": pa.string(),
}  # fmt: skip
_TOTALS = {
    **dict.fromkeys(("new_tokens", "rounds", "draft_forwards", "target_forwards", "drafted_nodes",
                     "verified_nodes", "merges"), pa.int64()),
    **dict.fromkeys(("mean_acceptance_length", "draft_acceptance_rate", "acceptance_rate_longest_path",
                     "acceptance_rate_drafted", "wall_ms", "draft_ms", "verify_ms", "overhead_ms",
                     "tokens_per_s"), pa.float64()),
}  # fmt: skip
_BASELINE = {"speedup": pa.float64(), "matches_baseline": pa.bool_()}
_PHASES = ("draft", "verify", "grow", "flatten", "commit", "other", "total")
_STEP_COUNTS = ("drafted_nodes", "verified_nodes", "draft_forwards", "target_forwards")

_COLUMNS: dict[str, dict[str, pa.DataType]] = {
    "runs": {
        **dict.fromkeys(("created", "status", "stop", "pair", "target", "draft", "prompt_id", "kind", "prompt",
                         "text"), pa.string()),
        **_DRAFTING, **_SAMPLING, "max_new_tokens": pa.int64(), "device": pa.string(), "dtype": pa.string(),
        "draft_quant": pa.string(), "packed": pa.bool_(), "processor": pa.string(), "threads": pa.int64(),
        "niceness": pa.int64(), "waits": pa.string(), "detail": pa.string(), **_TOTALS, **_BASELINE,
    },
    "steps": {
        **dict.fromkeys(("round", "position", "drafted_nodes", "verified_nodes", "merges", "accepted",
                         "new_tokens"), pa.int64()),
        "text": pa.string(), "stop": pa.string(), "draft_forwards": pa.int64(), "target_forwards": pa.int64(),
        **{f"{phase}_ms": pa.float64() for phase in _PHASES},
    },
    "nodes": {
        **dict.fromkeys(("round", "node", "token"), pa.int64()), "text": pa.string(),
        "parent": pa.int64(), "depth": pa.int64(), "logq": pa.float64(), "path_logq": pa.float64(),
        "source": pa.string(), "expanded": pa.bool_(), "rank": pa.int64(), "verified": pa.int64(),
        "target_logp": pa.float64(), "tested": pa.bool_(), "accepted": pa.bool_(),
    },
    "edges": {
        **dict.fromkeys(("round", "parent", "node"), pa.int64()), "kind": pa.string(), "logq": pa.float64(),
    },
    "merges": {
        **dict.fromkeys(("round", "parent", "node"), pa.int64()), "logq": pa.float64(),
        "depth_shift": pa.int64(), "context": pa.int64(), "ngram_text": pa.string(), "rank": pa.int64(),
        "tested": pa.bool_(), "accepted": pa.bool_(), "accepted_behind": pa.int64(),
    },
    "decisions": {
        **dict.fromkeys(("round", "parent", "token"), pa.int64()), "text": pa.string(), "logq": pa.float64(),
        "kind": pa.string(), "node": pa.int64(), "rule": pa.string(), "value": pa.float64(), "limit": pa.float64(),
    },
    "hypotheses": {
        **dict.fromkeys(("round", "hypothesis", "leaf", "length"), pa.int64()), "text": pa.string(),
        "tokens": pa.list_(pa.int64()), "logq": pa.float64(), "merged": pa.bool_(), "accepted": pa.int64(),
    },
}  # fmt: skip
SCHEMAS = {name: pa.schema([("run", pa.string()), *columns.items()]) for name, columns in _COLUMNS.items()}


def write_tables(run: RunTrace, folder: Path) -> None:
    """Write the tables as Parquet under `folder`, which appears whole or not at all."""
    staging = folder.with_name(f"{folder.name}.{os.getpid()}.partial")
    shutil.rmtree(staging, ignore_errors=True)
    staging.mkdir(parents=True)
    for name, table in tables(run).items():
        pq.write_table(table, staging / f"{name}.parquet", compression="zstd")
    if folder.exists():
        shutil.rmtree(folder)
    staging.rename(folder)


def tables(run: RunTrace) -> dict[str, pa.Table]:
    """The tables of one run, finished or not; what was not recorded gives empty tables of the same schema."""
    detailed = [step for step in run.steps if step["graph"] is not None]
    columns = {
        "runs": _runs(run),
        "steps": _steps(run.steps),
        "nodes": _nodes(detailed),
        "edges": _edges(detailed),
        "merges": _merges(detailed),
        "decisions": _decisions(detailed),
        "hypotheses": _hypotheses(detailed),
    }
    return {name: _table(run.name, name, columns[name]) for name in NAMES}


def _table(run: str, name: str, columns: dict[str, Sequence[Any]]) -> pa.Table:
    schema = SCHEMAS[name]
    arrays = [pa.array(columns[field.name], field.type) for field in schema if field.name != "run"]
    return pa.Table.from_arrays([pa.repeat(pa.scalar(run), len(arrays[0])), *arrays], schema=schema)


def _runs(run: RunTrace) -> dict[str, list[Any]]:
    """One row. Settings are as the method reads them, `device` and `dtype` those of the target, not `auto`."""
    meta, spec, end = run.meta, run.meta["spec"], run.end
    drafting, sampling = spec["drafting"], SamplingSpec(**spec["sampling"])
    ended = end is not None and end["status"] != "failed"  # a failed run has neither totals nor a whole text
    totals = end["totals"] if ended else dict.fromkeys(_TOTALS)
    baseline = (ended and end["baseline"]) or dict.fromkeys(_BASELINE)
    row = {
        "created": meta["created"],
        "status": run.status,
        "stop": end["stop"] if end else None,
        "pair": spec["pair"],
        "target": meta["target"]["source"],
        "draft": meta["draft"]["source"] if meta["draft"] else None,
        "prompt_id": spec["prompt"]["id"],
        "kind": spec["prompt"]["kind"],
        "prompt": spec["prompt"]["prompt"],
        "text": end["text"] if ended else joined(text for step in run.steps for text in step["new_texts"]),
        **{name: drafting.get(name) for name in _DRAFTING},
        **{name: getattr(sampling, name) for name in _SAMPLING},
        "max_new_tokens": spec["max_new_tokens"],
        "device": meta["target"]["device"],
        "dtype": meta["target"]["dtype"],
        "draft_quant": _held(meta, spec) if meta["draft"] else None,
        "packed": spec.get("packed"),  # an older trace does not say, nor what follows
        **{name: meta.get("machine", {}).get(name) for name in ("processor", "threads", "niceness", "waits")},
        "detail": spec["detail"],
        **{name: totals[name] for name in _TOTALS},
        **{name: baseline[name] for name in _BASELINE},
    }
    return {name: [value] for name, value in row.items()}


def _held(meta: dict[str, Any], spec: dict[str, Any]) -> str:
    """As what the draft's weights were held; an older trace says it of what was asked for alone, or not at all."""
    return meta["draft"].get("quantization") or spec["draft"].get("quantization", "none")


def _text(step: dict[str, Any]) -> str:
    return joined(step["new_texts"])


def _steps(steps: list[dict[str, Any]]) -> dict[str, list[Any]]:
    return {
        "round": [step["round"] for step in steps],
        "position": [step["position"] for step in steps],
        **{name: [step[name] for step in steps] for name in _STEP_COUNTS},
        "merges": [step["merged"] for step in steps],
        "accepted": [len(step["accepted"]) for step in steps],
        "new_tokens": [len(step["new_tokens"]) for step in steps],
        "text": [_text(step) for step in steps],
        "stop": [step["stop"] for step in steps],
        **{f"{phase}_ms": [step["ms"][phase] for step in steps] for phase in _PHASES},
    }


def _gather(steps: list[dict[str, Any]], part: str, names: Sequence[str]) -> dict[str, list[Any]]:
    """The named columns of one part of every step, end to end, with the round of each row."""
    columns: dict[str, list[Any]] = {"round": [], **{name: [] for name in names}}
    for step in steps:
        source = step[part]
        columns["round"] += [step["round"]] * len(source[names[0]])
        for name in names:
            columns[name] += source[name]
    return columns


def _nodes(steps: list[dict[str, Any]]) -> dict[str, list[Any]]:
    names = ("token", "text", "parent", "depth", "logq", "path_logq", "source", "expanded")
    own = ("node", "rank", "verified", "target_logp", "tested", "accepted")
    columns = _gather(steps, "graph", names) | {name: [] for name in own}
    for step in steps:
        count, tree, ranks = len(step["graph"]["token"]), step["tree"], candidate_ranks(step["decisions"])
        copies, tested = Counter(tree["node"]), {tree["node"][i] for i in _tested(step)}
        accepted = {tree["node"][i] for i in step["accepted"]}
        target_logp = _best_target_logp(tree)
        parents = step["graph"]["parent"]
        columns["node"] += range(count)
        columns["rank"] += [ranks.get((parents[node], node), -1) for node in range(count)]
        columns["verified"] += [copies[node] for node in range(count)]
        columns["target_logp"] += [target_logp.get(node) for node in range(count)]
        columns["tested"] += [node in tested for node in range(count)]
        columns["accepted"] += [node in accepted for node in range(count)]
    return columns


def candidate_ranks(decisions: dict[str, list[Any]]) -> dict[tuple[int, int], int]:
    """Rank of the candidate behind each edge (parent, node): candidates stand by falling q, dropped ones count."""
    seen: Counter[int] = Counter()
    ranks = {}
    for parent, node, kind in zip(decisions["parent"], decisions["node"], decisions["kind"]):
        if kind != "capped":  # no candidate: it says again of an added node that it will not be expanded
            ranks[parent, node] = seen[parent]
            seen[parent] += 1
    return ranks


def _tested(step: dict[str, Any]) -> list[int]:
    """Flat nodes about which the target's pick decided: children of the nodes whose pick was committed.

    Those are the root and the accepted path, but not its end where a stop rule cut it there.
    """
    walked = set([0, *step["accepted"]][: len(step["new_tokens"])])
    return [i for i, parent in enumerate(step["tree"]["parent"]) if parent in walked]


def _best_target_logp(tree: dict[str, list[Any]]) -> dict[int, float]:
    """The target's log-probability of each graph node, under the parent that suits it best."""
    best: dict[int, float] = {}
    for node, logp in zip(tree["node"], tree["target_logp"]):
        if logp is not None:
            best[node] = max(logp, best.get(node, logp))
    return best


def _edges(steps: list[dict[str, Any]]) -> dict[str, list[Any]]:
    """Tree edges of a round, then its merge edges."""
    columns: dict[str, list[Any]] = {"round": [], "parent": [], "node": [], "kind": [], "logq": []}
    for step in steps:
        graph, merges = step["graph"], step["merges"]
        tree_edges, merge_edges = len(graph["parent"]) - 1, len(merges["parent"])
        columns["round"] += [step["round"]] * (tree_edges + merge_edges)
        columns["parent"] += graph["parent"][1:] + merges["parent"]
        columns["node"] += [*range(1, tree_edges + 1), *merges["node"]]
        columns["kind"] += ["tree"] * tree_edges + ["merge"] * merge_edges
        columns["logq"] += graph["logq"][1:] + merges["logq"]
    return columns


def _merges(steps: list[dict[str, Any]]) -> dict[str, list[Any]]:
    names = ("parent", "node", "logq", "depth_shift", "ngram_text")
    own = ("context", "rank", "tested", "accepted", "accepted_behind")
    columns = _gather(steps, "merges", names) | {name: [] for name in own}
    for step in steps:
        merges, ranks, walked = step["merges"], candidate_ranks(step["decisions"]), walked_merges(step)
        tested = {_edge(step["tree"], i) for i in _tested(step) if step["tree"]["merged"][i]}
        edges = list(zip(merges["parent"], merges["node"]))
        columns["context"] += [len(ngram) - 1 for ngram in merges["ngram"]]
        columns["rank"] += [ranks[edge] for edge in edges]
        columns["tested"] += [edge in tested for edge in edges]
        columns["accepted"] += [edge in walked for edge in edges]
        columns["accepted_behind"] += [walked.get(edge) for edge in edges]
    return columns


def walked_merges(step: dict[str, Any]) -> dict[tuple[int, int], int]:
    """Merge edges (parent, node) of the accepted path, each with how many tokens were accepted behind its own."""
    tree, path = step["tree"], step["accepted"]
    return {_edge(tree, i): len(path) - 1 - place for place, i in enumerate(path) if tree["merged"][i]}


def _edge(tree: dict[str, list[Any]], i: int) -> tuple[int, int]:
    """The graph's edge (parent, node) by which the flat node `i` was reached."""
    return tree["node"][tree["parent"][i]], tree["node"][i]


def _hypotheses(steps: list[dict[str, Any]]) -> dict[str, list[Any]]:
    """One row a leaf of the flattened tree, in flat order; a tree of the root alone has none."""
    rows: dict[str, list[Any]] = {name: [] for name in _COLUMNS["hypotheses"]}
    for step in steps:
        tree, accepted = step["tree"], set(step["accepted"])
        inner = {0, *tree["parent"]}
        for hypothesis, leaf in enumerate(i for i in range(len(tree["parent"])) if i not in inner):
            path = tree_path(tree["parent"], leaf)
            row = {
                "round": step["round"], "hypothesis": hypothesis, "leaf": leaf, "length": len(path),
                "text": joined(tree["text"][i] for i in path), "tokens": [tree["token"][i] for i in path],
                "logq": tree["logq"][leaf], "merged": any(tree["merged"][i] for i in path),
                "accepted": sum(i in accepted for i in path),
            }  # fmt: skip
            for name, value in row.items():
                rows[name].append(value)
    return rows


def _decisions(steps: list[dict[str, Any]]) -> dict[str, list[Any]]:
    names = ("parent", "token", "text", "logq", "kind", "node", "rule", "value", "limit")
    return _gather(steps, "decisions", names)
