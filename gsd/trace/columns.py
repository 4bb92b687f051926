"""The meaning of each column of the seven tables, as "unit: meaning". It generates docs/tables.md."""

from __future__ import annotations

from gsd.methods import known
from gsd.methods.setting import Setting


def _as_meaning(help: str) -> str:
    """A help text as the meaning of a column: no capital, no full stop."""
    return help[0].lower() + help[1:].rstrip(".")


def _of_setting(setting: Setting) -> str:
    if setting.words is None:
        return f"{_UNITS.get(setting.kind, 'name')}: fixed by the method"
    return f"{setting.words.unit or _UNITS[setting.kind]}: {_as_meaning(setting.words.help)}"


_RUN = {"run": "name: the run's folder"}
_ROUND = _RUN | {"round": "index: round of the run, from 0"}
_LOGQ = "nat: natural logarithm of the draft's probability"
_OR_SOURCE = "of a looked-up node its source's estimate"
_UNITS = {int: "count", float: "number", bool: "yes/no", str: "name"}
_DRAFTING = {
    "method": "name: drafting method",
    **{name: _of_setting(setting) for name, setting in known().items()},
}
_SAMPLING = {
    "temperature": "number: of the target's law; 0 is greedy",
    "top_k": "tokens: likeliest ones kept; 0 keeps all",
    "top_p": "probability: nucleus kept; 1 keeps all",
    "seed": "number: of the random draws",
    "draw": "text: how tokens are drawn above temperature 0: gumbel, or inverse (the cumulative law, schema 1)",
}
_TOTALS = {
    "new_tokens": "tokens: committed in the run",
    "rounds": "count: rounds of the run",
    "draft_forwards": "count: forwards of the draft",
    "target_forwards": "count: forwards of the target",
    "drafted_nodes": "nodes: added to the graphs, roots not counted",
    "verified_nodes": "nodes: in the flattened trees, roots not counted",
    "merges": "edges: merge edges",
    "mean_acceptance_length": "tokens: 1 + accepted / rounds",
    "draft_acceptance_rate": "share: accepted / verified nodes",
    "acceptance_rate_longest_path": "share: accepted / depth of the deepest verified path, summed over rounds",
    "acceptance_rate_drafted": "share: accepted / drafted nodes",
    "wall_ms": "ms: of all rounds, the prompt's own forward included in the first",
    "draft_ms": "ms: inside the draft's forwards",
    "verify_ms": "ms: inside the target's forwards",
    "overhead_ms": "ms: wall_ms - draft_ms - verify_ms",
    "tokens_per_s": "tokens/s: new_tokens / wall_ms",
}
_RUNS = {
    "created": "time: start of the run, UTC, ISO 8601",
    "status": "name: complete, cancelled, failed or incomplete; only complete runs may be averaged",
    "stop": "name: what ended it: eos, length, context, stop_string or cancelled",
    "pair": "name: preset pair; empty where the models were named",
    "target": "name: source of the target model",
    "draft": "name: source of the draft model; empty without one",
    "prompt_id": "name: id of the prompt",
    "kind": "name: kind of the prompt; empty where it has none",
    "prompt": "text: the prompt as given",
    "text": "text: the continuation, decoded",
    **_DRAFTING,
    **_SAMPLING,
    "max_new_tokens": "tokens: committed, at most",
    "device": "name: device that the target ran on",
    "dtype": "name: number format that the target ran in",
    "draft_quant": "name: bits that the draft's weights are held in: none, int8 or int4; empty without a draft",
    "packed": "yes/no: weights were laid out for a CPU's matrix kernels where there are such; empty: not recorded",
    "processor": "name: processor that decoded; empty: not recorded, as the next three",
    "threads": "count: threads of torch",
    "niceness": "count: of the process, 0 (first) to 19; times of another are not alike",
    "waits": "name: active where waiting threads spin, passive where they sleep; times of another are not alike",
    "detail": "name: full, or counters (no nodes, edges, merges, decisions and hypotheses)",
    **_TOTALS,
    "speedup": "ratio: measured tokens/s over those of ar, median; empty without a baseline",
    "matches_baseline": "yes/no: the tokens are those of ar; empty without a baseline, and where only their law is "
    "kept",
}
_ROUNDS = {
    "position": "index: of the last committed token, from the start of the prompt",
    "drafted_nodes": "nodes: added to the graph, the root not counted",
    "verified_nodes": "nodes: in the flattened tree, the root not counted",
    "merges": "edges: merge edges",
    "accepted": "tokens: drafted ones that were committed",
    "new_tokens": "tokens: committed in the round",
    "text": "text: of the new tokens",
    "stop": "name: what ended the run in this round; empty where it went on",
    "draft_forwards": "count: forwards of the draft",
    "target_forwards": "count: forwards of the target",
    "draft_ms": "ms: inside the draft's forwards, until their result is on the host",
    "verify_ms": "ms: inside the target's forwards, until their result is on the host",
    "grow_ms": "ms: growing the token graph",
    "flatten_ms": "ms: flattening it",
    "commit_ms": "ms: committing to the caches",
    "other_ms": "ms: what is left of the round",
    "total_ms": "ms: the round; the six above sum up to it",
}
_NODES = {
    "node": "index: of the node in the graph, 0 being the root",
    "token": "id: of the token",
    "text": "text: of the token, decoded on its own",
    "parent": "index: tree parent, -1 for the root",
    "depth": "tokens: from the root along tree edges",
    "logq": f"{_LOGQ}, given its own tree path; {_OR_SOURCE}; 0 for the root",
    "path_logq": "nat: sum of logq along the tree path",
    "source": "name: draft, or where it was looked up: by method auto lookup (in the text so far) or history (among "
    "rejected hypotheses), by others recycled, suffix or a name of their own; root for the root",
    "expanded": "yes/no: the draft computed its continuations",
    "rank": "index: place among its parent's candidates by q (by its estimate where no draft was asked; of draws, by "
    "when they were drawn), dropped and merged ones counted; -1 for the root, and for what auto looked up and the "
    "draft did not propose",
    "verified": "copies: of the node in the flattened tree",
    "target_logp": "nat: natural logarithm of the target's probability, of its best copy; empty where not verified",
    "tested": "yes/no: the target's pick decided about one of its copies, whichever edge led to it",
    "accepted": "yes/no: the accepted path goes through it, whichever edge led to it",
}
_EDGES = {
    "parent": "index: node that the edge leaves",
    "node": "index: node that the edge enters",
    "kind": "name: tree or merge",
    "logq": f"{_LOGQ} of the token behind this parent; of the tree edge {_OR_SOURCE}",
}
_MERGES = {
    "parent": "index: node whose candidate was merged",
    "node": "index: node that it was merged into",
    "logq": f"{_LOGQ} of the candidate behind this parent",
    "depth_shift": "tokens: depth of the node minus that which the candidate would have had",
    "context": "tokens: matched before the candidate",
    "ngram_text": "text: the matched tokens and the candidate",
    "rank": "index: place among the parent's candidates by q, dropped and merged ones counted",
    "tested": "yes/no: the target's pick decided about the edge",
    "accepted": "yes/no: the accepted path goes through the edge",
    "accepted_behind": "tokens: accepted behind the edge's own; empty where it was not accepted",
}
_DECISIONS = {
    "parent": "index: node whose candidate it is",
    "token": "id: of the candidate",
    "text": "text: of the candidate, decoded on its own",
    "logq": f"{_LOGQ} of the candidate",
    "kind": "name: added, leaf, merged, pruned or capped; capped is the second row of a candidate that was added and "
    "then left out of the next frontier",
    "node": "index: node added, merged into or capped; -1 where there is none",
    "rule": "name: sibling, probability, frontier, cycle, or source where the candidate is a node that was looked "
    "up before the draft proposed it, too; empty where no rule spoke",
    "value": "nat: natural logarithm of what was compared; empty where nothing was",
    "limit": "nat: natural logarithm of what it was compared with; empty where nothing was",
}
_HYPOTHESES = {
    "hypothesis": "index: leaf of the flattened tree in flat order, from 0",
    "leaf": "index: of the leaf in the flattened tree",
    "length": "tokens: from the root's child to the leaf",
    "text": "text: of its tokens",
    "tokens": "ids: of its tokens; separated by spaces in CSV",
    "logq": "nat: natural logarithm of the estimate that the walk comes to the leaf: the draft's, or by method auto "
    "its own, calibrated unless that is off",
    "merged": "yes/no: it crosses a merge edge",
    "accepted": "tokens: of it that were accepted, from its start",
}
COLUMNS: dict[str, dict[str, str]] = {
    "runs": _RUN | _RUNS,
    "rounds": _ROUND | _ROUNDS,
    "nodes": _ROUND | _NODES,
    "edges": _ROUND | _EDGES,
    "merges": _ROUND | _MERGES,
    "decisions": _ROUND | _DECISIONS,
    "hypotheses": _ROUND | _HYPOTHESES,
}


def described(columns: dict[str, str]) -> str:
    """A Markdown table of columns, their units and meanings."""
    rows = [(name, *text.split(": ", 1)) for name, text in columns.items()]
    lines = [f"| `{name}` | {unit} | {meaning} |" for name, unit, meaning in rows]
    return "\n".join(["| column | unit | meaning |", "|---|---|---|", *lines])


CSV = """
## In CSV files

```console
$ gsd generate --pair tiny --prompt "def quicksort(items):" --max-new-tokens 8
…
$ gsd export runs/2* --csv tables/
…
$ head -2 tables/rounds.csv | cut -d, -f 1-5
"run","round","position","drafted_nodes","verified_nodes"
"20261130T074759338434Z-prompt-f58e27ec",0,4,9,9
```

Text is in quotes. Numbers, `true` and `false` are not. An empty cell is missing.

A spreadsheet would run a text that begins with `=`, `+`, `-` or `@` as a formula. So such a text gets an apostrophe in
front. So does a text that is empty, or begins with an apostrophe, a tab or a line break. Take off one apostrophe, and
every value is as it was. That holds for tokens such as `nan`, `null`, `NA`, `007` and `-`, too:

```python
from gsd.trace.csvfile import read_csv

nodes = read_csv("tables/nodes.csv")  # a frame; or with pandas alone:

import pandas as pd

cells = pd.read_csv("tables/nodes.csv", dtype="str", keep_default_na=False, na_values=[""])
nodes = cells.apply(lambda column: column.str.removeprefix("'"))
nodes["logq"] = pd.to_numeric(nodes["logq"])  # likewise the other numbers
```

`--excel` begins each file with a byte-order mark. Without it Excel takes UTF-8 for something else. Both ways of reading
skip it.
"""


def tables_page() -> str:
    """docs/tables.md."""
    head = (
        "# The tables of a run\n\n"
        "A run's folder has one Parquet file a table, under `tables/`. An export has one CSV file a table. What was\n"
        "not recorded (`detail: counters`) gives empty tables. This page is written by `gsd/trace/columns.py`.\n" + CSV
    )
    return "\n".join([head, *(f"## {name}\n\n{described(columns)}\n" for name, columns in COLUMNS.items())])


if __name__ == "__main__":
    print(tables_page(), end="")  # docs/tables.md
