"""Names that are not ours stand in every figure as they are spelt: plotly reads tags, formulas and fields in text."""

import dataclasses
import html
import json

import pandas as pd
import pytest
from fixtures.recorded import record_run
from settings import of_method

from analysis import acceptance, edges, merged, overlap, speed, syntax
from analysis.compare import compare
from analysis.figures import acceptance as acceptance_figures
from analysis.figures import compare as compare_figures
from analysis.figures import edges as edge_figures
from analysis.figures import leaderboard, look, tune
from analysis.figures import merged as merged_figures
from analysis.figures import overlap as overlap_figures
from analysis.figures import speed as speed_figures
from analysis.leaderboard import by_kind, prompts_by_kind, read_bench
from analysis.load import load
from gsd.spec import Prompt, SamplingSpec

HOSTILE = "<b>x</b> $y$ %{x} &lt;"
SHOWN = "&lt;b&gt;x&lt;/b&gt; &#36;y&#36; &#37;{x} &amp;lt;"
METRICS = acceptance.METRICS | overlap.METRICS | edges.METRICS | speed.METRICS
FIGURES = acceptance_figures.FIGURES | overlap_figures.FIGURES | edge_figures.FIGURES | speed_figures.FIGURES
OF_ONE_RUN = {"redundancy_by_round", "ngram_overlap_by_round", "recurring_sequences", "time_by_phase_and_round"}


@pytest.fixture(scope="module")
def frames(tmp_path_factory):
    """Two runs with merges; every name of a run, a method, a kind and a source is hostile."""
    out = tmp_path_factory.mktemp("runs")
    drafting = of_method(width=4, depth=6, frontier=5, merge_context=0, prob_threshold=0.05, budget=24)
    loaded = load([record_run(out, drafting=drafting, sampling=SamplingSpec(seed=seed),
                              prompt=Prompt(id=f"p{seed}", prompt="x", kind=HOSTILE)) for seed in (1, 2)])  # fmt: skip
    return dataclasses.replace(loaded, **{field.name: renamed(getattr(loaded, field.name))
                                          for field in dataclasses.fields(loaded)})  # fmt: skip


def renamed(rows):
    named = {name: rows[name].map("{} ".format) + HOSTILE for name in ("run", "method", "source") if name in rows}
    return rows.assign(**named)


def texts(made):
    """Every string of a figure, the template's apart."""

    def inside(value):
        if isinstance(value, str):
            yield value
        elif isinstance(value, dict):
            yield from (text for name, part in value.items() if name != "template" for text in inside(part))
        elif not isinstance(value, (int, float)) and hasattr(value, "__iter__"):
            yield from (text for part in value for text in inside(part))

    return list(inside(made.to_dict()))


def check(made, *, named=True):
    """Nothing of it is markup; `named`: something hostile is told at all."""
    said = texts(made)
    assert not [text for text in said if any(raw in text for raw in ("<b>", "$", "%{x} &"))]
    assert any(SHOWN in text for text in said) or not named


def test_what_plotly_would_read_is_escaped_once():
    assert look.shown(HOSTILE) == SHOWN and html.unescape(SHOWN) == HOSTILE
    assert look.shown("a kind") == "a kind" and look.shown("") == "∅" and look.shown("\u202e") == "\\u202e"


NAMED = {"acceptance_by_run", "acceptance_by_kind", "acceptance_by_source", "acceptance_rates", "redundancy_by_run",
         "ngram_overlap_by_run", "ngram_overlap_by_kind", "time_by_phase"}  # fmt: skip


@pytest.mark.parametrize("name", [name for name in METRICS if name in FIGURES])
def test_names_of_runs_methods_kinds_and_sources_are_never_markup(name, frames):
    if name == "acceptance_by_q":  # which goes by the source that is called draft
        sources = frames.nodes["source"].str.removesuffix(f" {HOSTILE}")
        frames = dataclasses.replace(frames, nodes=frames.nodes.assign(source=sources))
    rows = METRICS[name](frames)
    one = rows[rows["run"] == rows["run"].iloc[0]] if name in OF_ONE_RUN else rows
    check(FIGURES[name](one, **({"n": 1} if name == "recurring_sequences" else {})), named=name in NAMED)


def test_tokens_that_merged_are_never_markup(frames):
    rows = merged.merged_sequences(frames)
    rows = rows[rows["run"] == rows["run"].iloc[0]].assign(text=HOSTILE)
    made = merged_figures.merged_sequences(rows, rows["n"].iloc[0])
    assert look.short(HOSTILE) in made.layout.yaxis.ticktext
    check(made, named=False)


def test_lines_of_runs_are_named_literally():
    rows = pd.DataFrame({"run": [HOSTILE, "other"], "kind": [HOSTILE, None], "method": HOSTILE, "tokens_so_far": 9,
                         "speedup_so_far": 1.5})  # fmt: skip
    made = speed_figures.speedup_so_far(rows)
    check(made)
    assert made.data[0].name == f"{SHOWN}, {SHOWN}" and made.data[0].hovertemplate.startswith(f"{SHOWN}, %{{x}}")


def test_syntax_types_are_named_literally():
    rows = pd.DataFrame({"language": ["python"], "type": HOSTILE, "tokens": 50, "drafted": 25, "share": 0.5, "low": 0.4,
                         "high": 0.6})  # fmt: skip
    assert set(rows) <= set(syntax.COLUMNS)
    check(acceptance_figures.drafted_by_syntax(rows))


def test_methods_prompts_and_kinds_of_a_benchmark_are_named_literally():
    row = {"mean_acceptance_length": 3.0, "draft_forwards": 9, "target_forwards": 3, "overhead_ms_per_round": None,
           "matches": 12, "prompts": 12, "speedups": [2.0] * 12, "failures": [None] * 12}  # fmt: skip
    prompts = [{"id": f"{i} {HOSTILE}", "kind": HOSTILE} for i in range(12)]
    result = {"methods": {HOSTILE: row, "graph": row}, "prompts": prompts, "baseline": "ar", "settings": {},
              "machine": {}}  # fmt: skip
    bench = read_bench(json.dumps(result).encode(), "r")
    for made in (leaderboard.leaderboard(bench), leaderboard.by_prompt(bench),
                 leaderboard.by_kind(by_kind(bench), prompts_by_kind(bench)),
                 compare_figures.comparison(compare({HOSTILE: 2.0}, {HOSTILE: 1.0}), "speed-up")):  # fmt: skip
        check(made)


def test_kinds_of_an_atlas_are_named_literally():
    rows = pd.DataFrame({"kind": [HOSTILE], "texts": 12, "here": 1.0, "reference": 1.5, "best": 2.0,
                         "settings": "the defaults"} | dict.fromkeys(tune.SETTINGS, 1))  # fmt: skip
    made = tune.by_kind(rows)
    check(made)
    assert made.layout.title.text.startswith(SHOWN)
