"""How often hypotheses share token sequences, and what merging them saved."""

from __future__ import annotations

import math

import pandas as pd
import streamlit as st

from analysis import edges, overlap
from analysis.definitions import formula
from analysis.figures.look import ENOUGH
from analysis.similarity import MEASURES
from analysis.twins import is_unmerged_twin, merging_saved
from analysis.words import plain
from app.components.page import head, opened
from app.components.panels import grid, panel
from app.components.scope import Scope, address, scope_bar, sections
from app.components.sequences import sequences
from app.components.stepper import shown_round
from app.components.theme import follow_theme
from app.components.twin_run import twin_run
from app.library import entries, find, frames
from app.state import OpenRun, session, write_address
from gsd.errors import TraceError
from gsd.trace.columns import COLUMNS
from gsd.trace.texts import visible
from gsd.wording import counted

KEY = "overlap"  # of the tabs
UNLIMITED = ("The unrolling knows no limit; a tree under the same settings stops at its frontier. What merging saved "
             "is another figure, measured against a tree that was decoded.")  # fmt: skip
HARDLY = 0.05  # merges by drafted node, up to which there is nothing to draw


def page() -> None:
    """The whole page."""
    head("Overlap", "How often hypotheses share token sequences, and what merging them saved.")
    run = opened()
    follow_theme()
    scope = scope_bar(run)
    if scope.frames.nodes.empty:
        st.info("There is no draft to look at here: " + _why_nothing_drafted(scope), icon=":material/info:")
    else:
        _headline(run, scope)
        for name in sections(KEY, list(SECTIONS)):
            SECTIONS[name](run, scope)
    write_address(session(), **address(scope, KEY, next(iter(SECTIONS))))


def _why_nothing_drafted(scope: Scope) -> str:
    if scope.frames.rounds.empty:
        return "no round has been recorded yet."
    return ("the run recorded counts and times only. Tick “Record every node” in the Playground before a run, or "
            "choose another run above.")  # fmt: skip


def _headline(run: OpenRun, scope: Scope) -> None:
    """What the rest of the page explains: counts summed over rounds and runs, then divided."""
    tables = [scope.together(scope.table(metric)) for metric in (
        overlap.redundancy_by_round, overlap.ngram_overlap_by_round, edges.merges_by_context)]  # fmt: skip
    drafted = tables[0][["drafted", "unrolled", "extra_copies"]].sum()
    grams = tables[1].query("n == 3")[["shared", "occurrences"]].sum()
    with st.container(horizontal=True, border=True, key="figures"):
        copies = f"{drafted['extra_copies']:,.0f} of {counted(drafted['unrolled'], 'node')}"
        redundancy = f"{formula('redundancy_by_round')}\n{UNLIMITED}"
        overlapping = formula("ngram_overlap_by_round")
        st.metric("Redundancy, unrolled without limit", _percent(drafted["extra_copies"], drafted["unrolled"]),
                  help=redundancy, delta_description=copies)  # fmt: skip
        st.metric("3-gram overlap", _percent(grams["shared"], grams["occurrences"]), help=overlapping,
                  delta_description=f"of {counted(grams['occurrences'], '3-gram')}")  # fmt: skip
        _merge_precision(tables[2])
        _saved(run, scope)


def _merge_precision(rows: pd.DataFrame) -> None:
    """Of merge edges, and how far it is from that of tree edges where enough of either were tested."""
    sums = rows.groupby("edge")[["continued", "tested"]].sum().reindex(["merge", "tree"], fill_value=0)
    continued, tested = sums["continued"], sums["tested"]
    apart, behind = None, f"of {tested['merge']:,}"
    if tested.min() >= ENOUGH:
        merged, tree = continued / tested
        points = round(100 * (merged - tree))
        apart = f"{points:+} points" if points else None  # an arrow says that there is a difference
        behind += f"; tree edges {tree:.0%}"
    st.metric("Merges that led on", _percent(continued["merge"], tested["merge"], 0), apart, delta_description=behind,
              help=formula("merges_by_context"))  # fmt: skip


def _percent(part: float, whole: float, digits: int = 1) -> str:
    """A share; what is not all of it is never written as 100 %."""
    if not whole:
        return "–"
    written = f"{part / whole:.{digits}%}"
    return f">{100 - 10**-digits:.{digits}f}%" if part < whole and written.startswith("100") else written


def _saved(run: OpenRun, scope: Scope) -> None:
    """What merging saved against the run of the same settings that never merges, where it was recorded."""
    help = formula("merging_saved")
    twin = None if scope.kind != "run" else _twin(run)
    if twin is None:
        missing = ("There is no complete run of the same prompt and settings by the method *tree* to compare with: "
                   "decode one, and look at *this run*.")  # fmt: skip
        with st.container(gap="xsmall"):
            st.metric("Saved by merging", "–", help=f"{help}\n{missing}")
            if scope.kind == "run":
                twin_run(run)
        return
    runs = frames((run.name, twin)).runs
    saved, whole = merging_saved(runs, run.name, twin), runs.set_index("run").loc[twin]
    help += f"\nAgainst {plain(twin)}; this run took {_against(saved['saved_rounds'], 'round')}."
    for label, name in (("Drafted nodes", "drafted_nodes"), ("Draft forwards", "draft_forwards")):
        st.metric(label, _against(saved[f"saved_{name}"]), help=help,
                  delta_description=f"than the tree's {whole[name]:,}, measured")  # fmt: skip


def _against(saved: int, noun: str = "") -> str:
    fewer = "fewer" if saved >= 0 else "more"
    return counted(abs(saved), f"{fewer} {noun}") if noun else f"{abs(saved):,} {fewer}"


def _twin(run: OpenRun) -> str | None:
    """The newest complete run that drafted a tree where this one drafted a graph."""
    known, own = entries(), find(run.name)
    if not run.end or run.end["status"] != "complete" or own is None or own.spec is None:
        return None
    alike = (entry for entry in known if entry.spec and entry.head.prompt == own.head.prompt)
    twins = (entry.name for entry in alike if is_unmerged_twin(own.spec, entry.spec))
    return next((name for name in twins if _complete(name)), None)


def _complete(name: str) -> bool:
    try:
        return frames((name,)).runs["status"].iloc[0] == "complete"
    except TraceError:
        return False


def _shares(run: OpenRun, scope: Scope) -> None:
    """Redundancy and n-gram overlap by whatever the scope can be split into."""
    if scope.kind != "runs" and (why := _why_flat(scope.whole())):
        st.info(why, icon=":material/info:")
        return
    with grid("shares"):
        if scope.kind == "runs":
            panel(scope, "redundancy_by_run")
            panel(scope, "ngram_overlap_by_run")
            panel(scope, "ngram_overlap_by_kind")
        else:
            panel(scope.whole(), "redundancy_by_round")
            panel(scope.whole(), "ngram_overlap_by_round")
        panel(scope, "ngram_overlap_by_depth")


def _why_flat(scope: Scope) -> str | None:
    """In place of charts that would all lie on their axis: next to no merges, and no two tokens that recur."""
    grams = scope.table(overlap.ngram_overlap_by_round).query("n == 2")["shared"].sum()
    merges, drafted = scope.table(overlap.redundancy_by_round)[["merges", "drafted"]].sum()
    if not drafted:
        return "This run drafted nothing."
    if grams or merges > HARDLY * drafted:
        return None
    return (f"This setting hardly merges: {counted(merges, 'merge')} beside {counted(drafted, 'drafted node')}"
            ". The preset *wide* does.")  # fmt: skip


def _merges(run: OpenRun, scope: Scope) -> None:
    """What became of merges, beside ordinary edges."""
    if not scope.table(edges.merges_by_context).query("edge == 'merge'")["tested"].sum():
        merges = counted(len(scope.frames.merges), "merge")
        st.info(f"Nothing to compare: of {merges} here the target tested none. Choose another scope, or a run that "
                "merges more: a wider one, or with a smaller merge context.", icon=":material/info:")  # fmt: skip
        return
    with grid("merges"):
        for name in ("merges_by_context", "merges_by_depth_shift", "merges_by_rank"):
            panel(scope, name)


def _sequences(run: OpenRun, scope: Scope) -> None:
    """Sequences that recur, with links into the graph."""
    sequences(scope)


def _hypotheses(run: OpenRun, scope: Scope) -> None:
    """How alike the hypotheses of one round are, and what they say."""
    if not run.rounds:
        st.info("The open run has no round yet.", icon=":material/info:")
        return
    if scope.kind == "runs":
        st.info("Hypotheses are compared within one round: choose *This round* above.", icon=":material/info:")
        return
    index = shown_round(session())
    round_ = run.rounds[index]
    one = Scope.of("round", (run.name,), round_.number)
    if scope.kind != "round":
        st.caption(f"Round {index + 1} of the open run. Choose *This round* above to go through the rounds.")
    measure = st.segmented_control("Similarity", list(MEASURES), default="lcs_ratio", key="measure", required=True,
                                   format_func={"lcs_ratio": "Common subsequence", "jaccard": "Common tokens"}.get,
                                   label_visibility="collapsed", help=formula("hypothesis_pairs"))  # fmt: skip
    with grid("hypotheses"):
        panel(one, "hypothesis_pairs", run=run.name, round=round_.number + 1, measure=measure)
        with st.container(border=True, gap="small", key="chart-box hypotheses"):
            st.html('<div class="chart-title"><b>The hypotheses</b><span>paths of the verified tree from the root to a '
                    "leaf; numbered as in the matrix</span></div>")  # fmt: skip
            _hypothesis_list(one.frames.hypotheses)


def _hypothesis_list(rows: pd.DataFrame) -> None:
    columns, shown = COLUMNS["hypotheses"], pd.DataFrame({
        "#": rows["hypothesis"],
        "text": rows["text"].map(visible),
        "probability": rows["logq"].map(math.exp),
        "accepted": [f"{accepted} of {length}" for accepted, length in zip(rows["accepted"], rows["length"])],
        "merged": rows["merged"],
    })  # fmt: skip
    st.dataframe(shown, key="hypotheses", hide_index=True, height="content" if len(rows) < 14 else 500, column_config={
        "#": st.column_config.NumberColumn(width=40, help=columns["hypothesis"]),
        "text": st.column_config.TextColumn(width=280, help=columns["text"]),
        "probability": st.column_config.NumberColumn(format="percent", width=84, help=columns["logq"]),
        "accepted": st.column_config.TextColumn(width=72, help=columns["accepted"]),
        "merged": st.column_config.CheckboxColumn(width=64, help=columns["merged"]),
    })  # fmt: skip


SECTIONS = {"Redundancy": _shares, "Sequences": _sequences, "Merges": _merges, "Hypotheses": _hypotheses}

page()
