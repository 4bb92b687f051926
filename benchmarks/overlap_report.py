"""Do hypotheses recur, and does merging them save draft work? A report from recorded runs and an atlas.

    gsd generate --pair P --prompt-file F --method tree --out RUNS      (and --method graph)
    gsd probe --pair P --prompts F --out ATLAS
    python -m benchmarks.overlap_report RUNS --atlas ATLAS > overlap.md

RUNS are runs recorded in full detail, or folders of such. Overlap, redundancy and precision are counted in
them; what each merge context saves and costs is replayed over the atlas, speed-ups are modelled with its
cost curves. Formulas: docs/metrics.md, docs/tuning.md.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable
from pathlib import Path

import pandas as pd

from analysis.edges import merges_by_context, merges_by_rank
from analysis.load import Frames, complete, load
from analysis.overlap import (
    ngram_overlap_by_kind,
    ngram_overlap_by_run,
    redundancy_by_run,
)
from analysis.pooling import pool
from analysis.replay import Replayer
from analysis.tune import modelled_speedup
from benchmarks.common import told
from gsd.errors import InputError
from gsd.lab.atlas import Atlas, Bounds
from gsd.lab.cost import COSTS_FILE, Costs
from gsd.methods import MethodSettings, drafting, preset
from gsd.trace.read import list_runs

CONTEXTS = (None, 0, 1, 2, 3)
BASES = ("fast", "wide")  # presets that the contexts are tried on: the defaults, and one that drafts broadly
COUNTS = ("rounds", "draft_forwards", "drafted_nodes", "verified_nodes", "merges")
RECURS = 0.10  # share of bigrams from which on hypotheses are said to recur
SAVES = 0.01  # share of draft forwards or drafted nodes from which on merging is said to save them
LOSES = 0.01  # share of acceptance length or speed-up from which on merging is said to cost them


def within(spec: MethodSettings, bounds: Bounds) -> MethodSettings:
    """The setting cut to what the atlas can replay."""
    most = {name: min(getattr(spec, name), getattr(bounds, name)) for name in ("width", "depth", "frontier")}
    return spec.model_copy(update=most)


def by_context(replayer: Replayer, base: MethodSettings, costs: Costs) -> pd.DataFrame:
    """A row a merge context over the texts that all of them cover: counts summed, the rest averaged over texts."""
    replays = [replayer.replay(base.model_copy(update={"merge_context": context})) for context in CONTEXTS]
    whole = [number for number, them in enumerate(zip(*replays)) if not any(one.wanted for one in them)]
    rows = []
    for context, all_texts in zip(CONTEXTS, replays):
        pairs = [(replayer.atlas.texts[number], all_texts[number]) for number in whole]
        texts = pd.DataFrame(
            [{**one.counts(), "acceptance": one.mean_acceptance_length, "speedup": modelled_speedup(text, one, costs)}
             for text, one in pairs]
        )  # fmt: skip
        if texts.empty:
            raise InputError("no text is covered under every merge context: run gsd probe --fill with these settings")
        row = {**texts[list(COUNTS)].sum(), **texts[["acceptance", "speedup"]].mean()}
        rows.append({"context": "none" if context is None else str(context), **row, "texts": len(whole)})
    return pd.DataFrame(rows)


def against_none(table: pd.DataFrame) -> pd.DataFrame:
    """Each context's figures over those of no merging, minus 1: saved where negative, for rounds and draft work."""
    figures = table.set_index("context")[[*COUNTS[:-1], "acceptance", "speedup"]]
    return figures / figures.loc["none"] - 1


def verdict(overlap: pd.Series, tables: dict[str, pd.DataFrame]) -> str:
    """The claim in two halves, each judged by numbers. `overlap` by n, of unmerged drafts."""
    recurs = overlap[2] >= RECURS
    parts = [
        f"**Hypotheses {'recur' if recurs else 'hardly recur'} here.** Of the nodes drafted without merging, "
        f"{overlap[1]:.0%} repeat a token, {overlap[2]:.0%} end a pair and {overlap[3]:.0%} a triple of tokens that "
        f"also ends in an unrelated hypothesis of the same round ({RECURS:.0%} of pairs or more is called recurring)."
    ]
    parts += [_of_base(name, against_none(table).drop("none")) for name, table in tables.items()]
    return "\n\n".join(parts)


def _of_base(name: str, change: pd.DataFrame) -> str:
    """What merging did to one base setting, at the context that saves most draft forwards, then nodes."""
    ranked = change.sort_values(["draft_forwards", "drafted_nodes"], kind="stable")
    best, context = ranked.iloc[0], ranked.index[0]
    forwards, nodes = best["draft_forwards"] <= -SAVES, best["drafted_nodes"] <= -SAVES
    saved = "forwards and nodes" if forwards and nodes else "forwards" if forwards else "nodes" if nodes else ""
    cost = best["acceptance"] <= -LOSES or best["speedup"] <= -LOSES
    outcome = (
        "The claim does not hold: merging saves no draft work"
        if not saved
        else f"The claim holds in part: merging saves draft {saved}, but costs acceptance or speed"
        if cost
        else f"The claim holds: merging saves draft {saved} and costs less than {LOSES:.0%} of acceptance and speed"
    )
    fastest = change["speedup"].idxmax()
    return (
        f"**Settings `{name}`.** {outcome}. At merge context {context}, where it saves most: draft forwards "
        f"{best['draft_forwards']:+.1%}, drafted nodes {best['drafted_nodes']:+.1%}, rounds {best['rounds']:+.1%}, "
        f"acceptance length {best['acceptance']:+.1%}, modelled speed-up {best['speedup']:+.1%}. The fastest merging "
        f"setting has context {fastest}: modelled speed-up {change.loc[fastest, 'speedup']:+.1%} against not merging."
    )


def report(frames: Frames, atlas: Atlas, costs: Costs) -> str:
    """The whole page. Raises `InputError` where no complete unmerged run was recorded in full."""
    done = complete(frames)
    replayer = Replayer(atlas)
    bases = {name: within(drafting(**preset(name)), atlas.bounds) for name in BASES}
    tables = {name: by_context(replayer, base, costs) for name, base in bases.items()}
    overlap = _with_methods(ngram_overlap_by_run(done), done)
    plain = pool(overlap[overlap["method"].isin(["tree", "chain"])], ["n"]).set_index("n")["overlap"]
    if plain.empty:
        raise InputError("overlap is counted on unmerged drafts: add runs of --method tree, recorded in full detail")
    parts = [
        "# Overlap of hypotheses, and what merging is worth", _about(done, atlas), "## Verdict", verdict(plain, tables),
        "## N-gram overlap", _overlap(overlap, done), "## Redundancy", _redundancy(done),
        "## What each merge context saves and costs", _contexts(bases, tables),
        "## Are merges right as often as ordinary nodes?", _precision(done),
    ]  # fmt: skip
    return "\n\n".join(parts) + "\n"


def _about(done: Frames, atlas: Atlas) -> str:
    runs = done.runs
    counts = ", ".join(f"{count} of `{method}`" for method, count in runs["method"].value_counts().items())
    models = ", ".join(sorted({f"`{Path(target).name}` with `{Path(draft).name}`"
                               for target, draft in zip(runs["target"], runs["draft"]) if draft}))  # fmt: skip
    tokens = sum(len(text.tokens) for text in atlas.texts)
    return (
        f"{models}, {runs['dtype'].iloc[0]} on {runs['device'].iloc[0]}. Complete runs: {counts}, on "
        f"{runs['prompt_id'].nunique()} prompts. The atlas holds {len(atlas.texts)} texts of {tokens} tokens in all, "
        f"bounds width {atlas.bounds.width}, depth {atlas.bounds.depth}, frontier {atlas.bounds.frontier}. "
        "Speed-ups are modelled."
    )


def _overlap(overlap: pd.DataFrame, done: Frames) -> str:
    every = pool(overlap, ["method", "n"]).pivot(index="method", columns="n", values="overlap")
    kinds = ngram_overlap_by_kind(done).pivot(index=["kind", "method"], columns="n", values="overlap")
    note = "Share of drafted nodes that end an n-gram which also ends at an unrelated node of the round. In `graph` it "
    return "\n\n".join([
        note + "is what merging left apart.", _table(["method", *_ns(every)], _shares(every)),
        "By kind of prompt:", _table(["kind", "method", *_ns(kinds)], _shares(kinds)),
    ])  # fmt: skip


def _redundancy(done: Frames) -> str:
    rows = pool(_with_methods(redundancy_by_run(done), done), ["method"])
    cells = [
        [row.method, f"{row.drafted:,.0f}", f"{row.unrolled:,.0f}", f"{row.merges:,.0f}", _share(row.redundancy)]
        for row in rows.itertuples()
    ]
    return _table(["method", "drafted nodes", "of the graph unrolled", "merges", "redundancy"], cells)


def _contexts(bases: dict[str, MethodSettings], tables: dict[str, pd.DataFrame]) -> str:
    parts = []
    for name, base in bases.items():
        table = tables[name]
        change = against_none(table)
        parts.append(f"`{name}` within the atlas: width {base.width}, depth {base.depth}, frontier {base.frontier}, "
                     f"probability threshold {base.prob_threshold}, budget {base.budget}; {table['texts'].iloc[0]} "
                     "texts.")  # fmt: skip
        cells = [
            [row.context, f"{row.merges:,.0f}",
             *(f"{getattr(row, count):,.0f} ({change.loc[row.context, count]:+.1%})" for count in COUNTS[:-1]),
             f"{row.acceptance:.2f}", f"{row.speedup:.3f}"]
            for row in table.itertuples()
        ]  # fmt: skip
        header = ["merge context", "merges", *(count.replace("_", " ") for count in COUNTS[:-1]), "acceptance length"]
        parts.append(_table([*header, "modelled speed-up"], cells))
    return "\n\n".join(parts)


def _precision(done: Frames) -> str:
    """Merge edges by context, tree edges beside them; the likeliest candidates apart, as most merges are of those."""
    header = ["edges", "number", "tested", "accepted of tested", "and one more (precision)"]
    contexts = pool(merges_by_context(_merging(done)), ["edge", "context"])
    ranks = pool(merges_by_rank(_merging(done)), ["edge", "rank"])
    rows = [(f"{row.edge}, context {row.context}" if row.edge == "merge" else "tree, all", row)
            for row in contexts.itertuples()]  # fmt: skip
    rows += [(f"{row.edge}, rank {row.rank}", row) for row in ranks[ranks["rank"] < 2].itertuples()]
    return _table(header, [
        [name, f"{row.edges:,}", f"{row.tested:,}", _share(row.share_accepted), _share(row.precision)]
        for name, row in rows
    ])  # fmt: skip


def _merging(done: Frames) -> Frames:
    """The runs of the graph method alone: their tree edges are what merges stand beside."""
    runs = set(done.runs.loc[done.runs["method"] == "graph", "run"])
    parts = {name: getattr(done, name) for name in Frames.__dataclass_fields__}
    return Frames(**{name: part[part["run"].isin(runs)].reset_index(drop=True) for name, part in parts.items()})


def _with_methods(rows: pd.DataFrame, frames: Frames) -> pd.DataFrame:
    return rows.merge(frames.runs[["run", "method"]], on="run")


def _ns(table: pd.DataFrame) -> list[str]:
    return [f"n = {n}" for n in table.columns]


def _shares(table: pd.DataFrame) -> list[list[str]]:
    index = [key if isinstance(key, tuple) else (key,) for key in table.index]
    return [[*map(str, key), *map(_share, row)] for key, row in zip(index, table.to_numpy())]


def _share(value: float) -> str:
    return "" if pd.isna(value) else f"{value:.1%}"


def _table(header: list[str], rows: Iterable[list[str]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)


def main() -> None:
    """Print the report."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", type=Path, nargs="+", help="run folders, or folders of runs")
    parser.add_argument("--atlas", type=Path, required=True)
    parser.add_argument("--costs", type=Path, help="curves of gsd calibrate; the atlas's own by default")
    options = parser.parse_args()
    folders = [run for path in options.runs for run in ([path] if (path / "run.json").exists() else list_runs(path))]
    print(report(load(folders), Atlas.load(options.atlas), Costs.load(options.costs or options.atlas / COSTS_FILE)))


if __name__ == "__main__":
    told(main)
