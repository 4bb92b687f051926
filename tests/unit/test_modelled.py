"""A recorded run by cost curves: as by hand, and with as many forwards as were made."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from fixtures.recorded import record_run, round_of

from analysis.figures.modelled import FIGURES
from analysis.modelled import _level_sizes, cost_curves, difference, modelled_by_round, modelled_speedup, unlike
from analysis.replay import draft_forwards
from gsd.errors import InputError
from gsd.lab.cost import Costs, Curve, Overhead
from gsd.trace.read import list_runs, read_run

SAMPLES = Path(__file__).parents[2] / "app" / "samples"

COSTS = Costs(
    draft=Curve([1, 3], [1.0, 3.0], [0.5, 2.0], [2.0, 4.0]),  # a millisecond a token
    target=Curve([1, 2], [10.0, 12.0], [9.0, 11.0], [11.0, 13.0]),  # 8 ms, and 2 a token
    overhead=Overhead(round_ms=1.0, level_ms=0.5, node_ms=0.25),
    plain_ms=11.0,
    machine={},
)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return read_run(record_run(tmp_path_factory.mktemp("runs"), count=8))


def test_levels_are_the_depths_of_expanded_nodes():
    """root ─ A ─ C      the root, then A and B, then C alone
    └──── B ─ D      (D was a leaf)
    """
    graph = {"depth": [0, 1, 1, 2, 2], "expanded": [True, True, True, True, False]}
    assert _level_sizes(round_of(graph=graph).graph) == [1, 2, 1]
    assert draft_forwards(5, [1, 2, 1]) == (5, 2, 1)
    assert draft_forwards(5, []) == ()


def test_a_round_is_modelled_as_by_hand(run):
    """A line through the curves makes the sums easy: draft = tokens, verify = 8 + 2 tokens."""
    rows = modelled_by_round(run, COSTS).pivot(index="round", columns="phase", values="modelled_ms")
    round_, pending = run.rounds[0], len(run.meta["prompt_tokens"])
    sizes = _level_sizes(round_.graph)
    assert rows.loc[0, "draft"] == pytest.approx(pending + sum(sizes[1:]))
    assert rows.loc[0, "verify"] == pytest.approx(8 + 2 * (pending + round_.verified_nodes))
    assert rows.loc[0, "engine"] == pytest.approx(1 + 0.5 * len(sizes) + 0.25 * round_.drafted_nodes)
    assert rows.loc[1, "verify"] == pytest.approx(8 + 2 * (1 + run.rounds[1].verified_nodes))


def test_what_was_committed_without_a_draft_comes_with_the_next_one(run):
    """A prompt of two tokens, and its rounds by what the draft has not cached when they begin:

    2  nothing drafted, one token picked
    3  A was looked up and accepted, the draft was not asked: A and a pick
    5  root ─ A ─ B: one forward for the five, the root among them, and one for A; A, kept in the cache, and a pick
    1  root ─ A: one forward
    """
    none, found, drafted = [0], [0, 0], [1, 2, 0]
    rounds = [bare_round(0, none, [], 1), bare_round(1, found, [1], 2), bare_round(2, drafted, [1], 2),
             bare_round(3, [1, 0], [], 1)]  # fmt: skip
    made = replace(run, meta=run.meta | {"prompt_tokens": [3, 13]}, rounds=rounds)
    rows = modelled_by_round(made, COSTS)
    assert rows[rows["phase"] == "draft"]["modelled_ms"].tolist() == pytest.approx([0.0, 0.0, 5.0 + 1.0, 1.0])


def bare_round(number, forwards, accepted, new):
    """What is modelled of a round whose graph is a chain; `forwards`: which draft forward expanded each node."""
    nodes = list(range(len(forwards)))
    return round_of(round=number, graph={"forward": forwards, "expanded": [asked > 0 for asked in forwards]},
                   tree={"node": nodes}, accepted=accepted, new_tokens=[1] * new, drafted_nodes=len(nodes) - 1,
                   verified_nodes=len(nodes) - 1, ms={"draft": 1.0, "verify": 1.0, "total": 3.0})  # fmt: skip


@pytest.mark.parametrize("folder", list_runs(SAMPLES), ids=lambda folder: folder.name)
def test_there_are_as_many_draft_forwards_as_a_real_run_made(folder):
    for round_ in read_run(folder).rounds:
        assert len(draft_forwards(1, _level_sizes(round_.graph))) == round_.draft_forwards


def test_measured_phases_sum_up_to_the_round(run):
    rows = modelled_by_round(run, COSTS)
    assert rows.groupby("round")["measured_ms"].sum().tolist() == [round_.ms.total for round_ in run.rounds]


def test_the_speedup_is_plain_decoding_by_the_same_curves(run):
    rows = modelled_by_round(run, COSTS)
    new, prompt = sum(len(round_.new_tokens) for round_ in run.rounds), len(run.meta["prompt_tokens"])
    plain = 8 + 2 * prompt + 10 * (new - 1) + 1.0 * new
    assert modelled_speedup(run, rows, COSTS) == pytest.approx(plain / rows["modelled_ms"].sum())


def test_counts_alone_cannot_be_modelled(tmp_path):
    with pytest.raises(InputError, match="counts alone"):
        modelled_by_round(read_run(record_run(tmp_path, detail="counters")), COSTS)


def test_curves_hold_for_their_own_models_only(run):
    meta = run.meta
    other = json.loads(json.dumps(meta))
    assert difference(meta, other) is None
    other["target"]["dtype"] = "bfloat16"
    assert difference(meta, other) == "target dtype bfloat16, not float32"
    assert difference(meta, meta | {"draft": None}) == "a draft is lacking"


def test_curves_hold_for_their_own_machine_where_both_say_it(run):
    here = {"processor": "one", "threads": 2, "gpu": None}
    there = here | {"threads": 4, "context": 128}  # cost curves say more
    older = {name: value for name, value in run.meta.items() if name != "machine"}  # does not say
    assert difference(older, run.meta) is difference(run.meta, older) is None
    assert difference(run.meta | {"machine": here}, run.meta | {"machine": here | {"repeats": 9}}) is None
    assert difference(run.meta | {"machine": here}, run.meta | {"machine": there}) == "threads 4, not 2"


def test_that_two_processes_left_different_room_to_others_is_told_where_both_say_it(run):
    """The app's engine runs at another priority than the command line: curves hold, and the difference is said."""
    own = {"processor": "one", "threads": 2, "gpu": None, "niceness": 0, "waits": "active"}
    app = own | {"niceness": 10, "waits": "passive"}
    metas = [run.meta | {"machine": machine} for machine in (own, app)]
    assert difference(*metas) is None
    assert unlike(*metas) == "niceness 10, not 0, waits passive, not active"
    assert unlike(metas[0], metas[0]) is None and unlike(metas[1], run.meta) is None


def test_a_trace_that_does_not_say_quantization_has_none(run):
    """Older ones, the samples among them."""
    said = {role: {**run.meta[role], "quantization": "none"} for role in ("target", "draft")}
    assert "quantization" not in run.meta["target"]
    assert difference(run.meta, said) is None
    said["draft"]["quantization"] = "int8"
    assert difference(run.meta, said) == "draft quantization int8, not none"


@pytest.mark.parametrize("name", FIGURES)
def test_a_figure_has_a_takeaway_named_axes_and_data(run, name):
    made = FIGURES[name](cost_curves(COSTS) if name == "cost_curves" else modelled_by_round(run, COSTS))
    assert any(character.isdigit() for character in made.layout.title.text)
    assert made.layout.xaxis.title.text
    assert made.data


def test_nothing_to_draw_is_said(run):
    none = modelled_by_round(run, COSTS).iloc[:0]
    with pytest.raises(InputError, match="nothing to draw"):
        FIGURES["modelled_by_round"](none)
