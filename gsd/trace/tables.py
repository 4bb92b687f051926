"""The seven tables of a run, built column by column from its events. Columns: docs/tables.md."""

from __future__ import annotations

import os
import shutil
from collections import Counter
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from gsd.methods import known
from gsd.spec import SamplingSpec
from gsd.trace.parts import TreeColumns
from gsd.trace.pieces import joined
from gsd.trace.read import RunTrace
from gsd.trace.recorded_round import RecordedRound
from gsd.trace.texts import Texts

NAMES = ("runs", "rounds", "nodes", "edges", "merges", "decisions", "hypotheses")

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
_ROUND_COUNTS = ("drafted_nodes", "verified_nodes", "draft_forwards", "target_forwards")

_COLUMNS: dict[str, dict[str, pa.DataType]] = {
    "runs": {
        **dict.fromkeys(("created", "status", "stop", "pair", "target", "draft", "prompt_id", "kind", "prompt",
                         "text"), pa.string()),
        **_DRAFTING, **_SAMPLING, "max_new_tokens": pa.int64(), "device": pa.string(), "dtype": pa.string(),
        "draft_quant": pa.string(), "packed": pa.bool_(), "processor": pa.string(), "threads": pa.int64(),
        "niceness": pa.int64(), "waits": pa.string(), "detail": pa.string(), **_TOTALS, **_BASELINE,
    },
    "rounds": {
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
    """The tables of one run, finished or not. If only counts were recorded, some tables are empty."""
    detailed = [round_ for round_ in run.rounds if round_.detailed]
    columns = {
        "runs": _runs(run),
        "rounds": _rounds(run.rounds),
        "nodes": _nodes(detailed),
        "edges": _edges(detailed),
        "merges": _merges(detailed),
        "decisions": _decisions(detailed),
        "hypotheses": _hypotheses(detailed),
    }
    return {name: _table(run.name, name, columns[name]) for name in NAMES}


def _table(run: str, name: str, columns: dict[str, list[Any]]) -> pa.Table:
    schema = SCHEMAS[name]
    arrays = [pa.array(columns[field.name], field.type) for field in schema if field.name != "run"]
    return pa.Table.from_arrays([pa.repeat(pa.scalar(run), len(arrays[0])), *arrays], schema=schema)


def _runs(run: RunTrace) -> dict[str, list[Any]]:
    """One row. Settings are as the method reads them, `device` and `dtype` those of the target, not `auto`."""
    meta, spec, end = run.meta, run.meta["spec"], run.end
    drafting, sampling = spec["drafting"], SamplingSpec(**spec["sampling"])
    ended = end if end and end["status"] != "failed" else None  # a failed run has neither totals nor a whole text
    totals = ended["totals"] if ended else dict.fromkeys(_TOTALS)
    baseline = (ended and ended["baseline"]) or dict.fromkeys(_BASELINE)
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
        "text": ended["text"] if ended else joined(text for round_ in run.rounds for text in round_.new_texts.raw),
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


def _rounds(rounds: list[RecordedRound]) -> dict[str, list[Any]]:
    return {
        "round": [round_.number for round_ in rounds],
        "position": [round_.position for round_ in rounds],
        **{name: [getattr(round_, name) for round_ in rounds] for name in _ROUND_COUNTS},
        "merges": [round_.merged for round_ in rounds],
        "accepted": [len(round_.accepted) for round_ in rounds],
        "new_tokens": [len(round_.new_tokens) for round_ in rounds],
        "text": [joined(round_.new_texts.raw) for round_ in rounds],
        "stop": [round_.stop for round_ in rounds],
        **{f"{phase}_ms": [getattr(round_.ms, phase) for round_ in rounds] for phase in _PHASES},
    }


def _gather(rounds: list[RecordedRound], parts: list[Any], names: dict[str, str]) -> dict[str, list[Any]]:
    """Columns of one part of every round, end to end, with the round of each row; `names`: table's -> part's."""
    columns: dict[str, list[Any]] = {"round": [], **{name: [] for name in names}}
    for round_, part in zip(rounds, parts):
        columns["round"] += [round_.number] * len(part)
        for name, own in names.items():
            column = getattr(part, own)
            columns[name] += column.raw if isinstance(column, Texts) else column
    return columns


def _nodes(rounds: list[RecordedRound]) -> dict[str, list[Any]]:
    names = {"token": "tokens", "text": "texts", "parent": "parents", "depth": "depths", "logq": "logq",
             "path_logq": "path_logq", "source": "sources", "expanded": "expanded"}  # fmt: skip
    own = ("node", "rank", "verified", "target_logp", "tested", "accepted")
    columns = _gather(rounds, [round_.graph for round_ in rounds], names) | {name: [] for name in own}
    for round_ in rounds:
        nodes, tree = range(len(round_.graph)), round_.tree
        copies, tested = Counter(tree.nodes), {tree.nodes[i] for i in round_.tested}
        accepted = {tree.nodes[i] for i in round_.accepted}
        target_logp = _best_target_logp(tree)
        columns["node"] += nodes
        columns["rank"] += round_.node_ranks
        columns["verified"] += [copies[node] for node in nodes]
        columns["target_logp"] += [target_logp.get(node) for node in nodes]
        columns["tested"] += [node in tested for node in nodes]
        columns["accepted"] += [node in accepted for node in nodes]
    return columns


def _best_target_logp(tree: TreeColumns) -> dict[int, float]:
    """The target's log-probability of each graph node, under the parent that suits it best."""
    best: dict[int, float] = {}
    for node, logp in zip(tree.nodes, tree.target_logp):
        if logp is not None:
            best[node] = max(logp, best.get(node, logp))
    return best


def _edges(rounds: list[RecordedRound]) -> dict[str, list[Any]]:
    """Tree edges of a round, then its merge edges."""
    columns: dict[str, list[Any]] = {"round": [], "parent": [], "node": [], "kind": [], "logq": []}
    for round_ in rounds:
        graph, merges = round_.graph, round_.merges
        tree_edges, merge_edges = len(graph) - 1, len(merges)
        columns["round"] += [round_.number] * (tree_edges + merge_edges)
        columns["parent"] += graph.parents[1:] + merges.parents
        columns["node"] += [*range(1, tree_edges + 1), *merges.nodes]
        columns["kind"] += ["tree"] * tree_edges + ["merge"] * merge_edges
        columns["logq"] += graph.logq[1:] + merges.logq
    return columns


def _merges(rounds: list[RecordedRound]) -> dict[str, list[Any]]:
    names = {"parent": "parents", "node": "nodes", "logq": "logq", "depth_shift": "depth_shifts",
             "ngram_text": "ngram_texts"}  # fmt: skip
    own = ("context", "rank", "tested", "accepted", "accepted_behind")
    columns = _gather(rounds, [round_.merges for round_ in rounds], names) | {name: [] for name in own}
    for round_ in rounds:
        edges, walked = round_.merges.edges, round_.walked_merges
        tested = {round_.tree.edge(i) for i in round_.tested if round_.tree.merged[i]}
        columns["context"] += [len(ngram) - 1 for ngram in round_.merges.ngrams]
        columns["rank"] += round_.merge_ranks
        columns["tested"] += [edge in tested for edge in edges]
        columns["accepted"] += [edge in walked for edge in edges]
        columns["accepted_behind"] += [walked.get(edge) for edge in edges]
    return columns


def _hypotheses(rounds: list[RecordedRound]) -> dict[str, list[Any]]:
    """One row a leaf of the flattened tree, in flat order; a tree of the root alone has none."""
    rows: dict[str, list[Any]] = {name: [] for name in _COLUMNS["hypotheses"]}
    for round_ in rounds:
        tree = round_.tree
        for hypothesis, path in enumerate(tree.hypotheses):
            row = {
                "round": round_.number, "hypothesis": hypothesis, "leaf": path[-1], "length": len(path),
                "text": joined(tree.texts.raw[i] for i in path), "tokens": [tree.tokens[i] for i in path],
                "logq": tree.logq[path[-1]], "merged": any(tree.merged[i] for i in path),
                "accepted": sum(i in round_.reached for i in path),
            }  # fmt: skip
            for name, value in row.items():
                rows[name].append(value)
    return rows


def _decisions(rounds: list[RecordedRound]) -> dict[str, list[Any]]:
    names = {"parent": "parents", "token": "tokens", "text": "texts", "logq": "logq", "kind": "kinds",
             "node": "nodes", "rule": "rules", "value": "values", "limit": "limits"}  # fmt: skip
    return _gather(rounds, [round_.decisions for round_ in rounds], names)
