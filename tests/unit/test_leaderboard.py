"""Benchmark results as tables and figures; two methods on twelve prompts, one twice as fast as the other."""

import json
from pathlib import Path

import pytest

from analysis.figures import leaderboard as figures
from analysis.leaderboard import against, by_kind, lacks, prompts_by_kind, read_bench, results, same_text
from gsd.errors import InputError

RESULTS = Path(__file__).parents[2] / "benchmarks" / "results"
COUNTS = {"mean_acceptance_length": 3.0, "draft_forwards": 9, "target_forwards": 3, "overhead_ms_per_round": None,
          "matches": 12, "prompts": 12}  # fmt: skip
SLOW = [1.0, 1.25, 0.8, 1.0, 1.05, 1 / 1.05, 1.0, 1.0, 0.8, 1.25, 1.05, 1 / 1.05]  # their geometric mean is 1


def row(speedups, **changes):
    return COUNTS | {"speedups": speedups, "failures": [None] * len(speedups)} | changes


def result(**changes):
    methods = {"slow": row(SLOW), "fast": row([2 * ratio for ratio in SLOW])}
    prompts = [{"id": f"p{i}", "kind": "code" if i < 10 else "<b>"} for i in range(12)]
    found = {"methods": methods, "prompts": prompts, "baseline": "the faster", "settings": {}, "machine": {}}
    return json.dumps(found | changes).encode()


def test_methods_stand_the_fastest_first_with_an_interval_around_their_mean():
    rows = read_bench(result(), "r").methods
    assert rows["method"].tolist() == ["fast", "slow"]
    assert rows["speedup"].tolist() == pytest.approx([2.0, 1.0])
    assert (rows["worst"] <= rows["low"]).all() and (rows["high"] <= rows["best"]).all()
    assert ((rows["low"] < rows["speedup"]) & (rows["speedup"] < rows["high"])).all()


def test_by_kind_means_over_the_prompts_of_a_kind():
    table = by_kind(read_bench(result(), "r"))
    assert list(table.index) == ["fast", "slow"] and table.loc["slow", "code"] == pytest.approx(1.0)


def test_a_result_of_an_earlier_version_has_its_mean_and_interval_worked_out_anew():
    """Its interval was that of an arithmetic mean."""
    old = {"speedups": [1.0, 4.0], "speedup_interval": [1.0, 4.0], "speedup": 2.5}
    methods = {"graph": {name: value for name, value in (row([]) | old).items() if name != "failures"}}
    found = read_bench(result(methods=methods, prompts=None), "r")
    mean = found.methods.iloc[0]
    half = 2**12.7062  # t · sd / √2 = 12.7062 · ln 2, at one degree of freedom
    assert (mean["speedup"], mean["low"], mean["high"]) == pytest.approx((2.0, 2.0 / half, 2.0 * half), rel=1e-3)
    assert (found.measured, found.given, lacks(found)) == (2, 2, [])


def test_who_failed_and_what_was_not_measured_is_said_and_left_out():
    partly = row([None, *SLOW[1:]], failures=["no room", *[None] * 11], prompts=11, matches=11, compared=11)
    never = row([None] * 12, failures=["heads differ"] * 12, mean_acceptance_length=None, matches=0, compared=0)
    methods = {"slow": row(SLOW), "partly": partly, "never": never}
    bench = read_bench(result(methods=methods, prompts_given=20), "r")
    assert lacks(bench) == [
        "Incomplete: 12 of 20 prompts were measured",
        "partly failed on 1 of 12 prompts, which its means leave out: no room",
        "never failed on 12 of 12 prompts, which its means leave out: heads differ",
    ]
    assert set(bench.methods["method"]) == {"slow", "partly"} == set(bench.prompts["method"])
    assert len(against(bench, "partly", "slow").ratios) == 11
    assert same_text(bench) == "Every method gave the text of plain decoding on every prompt"
    for draw in (figures.leaderboard, figures.by_prompt):
        assert draw(bench).layout.title.text


def test_every_prompt_is_drawn_where_the_leader_failed_on_one():
    leader = row([None, *[2 * ratio for ratio in SLOW[1:]]], failures=["no room", *[None] * 11], prompts=11)
    bench = read_bench(result(methods={"slow": row(SLOW), "fast": leader}), "r")
    assert len(figures.by_prompt(bench).layout.yaxis.categoryarray) == 12


def test_methods_that_share_no_prompt_are_not_set_against_each_other():
    halves = [[None] * 6 + SLOW[6:], SLOW[:6] + [None] * 6]
    bench = read_bench(result(methods={name: row(half) for name, half in zip("ab", halves)}), "r")
    assert against(bench, "a", "b") is None
    assert "no difference" in figures.leaderboard(bench).layout.title.text


def test_without_names_prompts_are_numbered_and_kinds_are_not_guessed():
    bench = read_bench(result(prompts=None), "r")
    assert bench.prompts["prompt"].tolist()[:2] == ["prompt 1", "prompt 2"]
    with pytest.raises(InputError, match="kinds"):
        figures.by_kind(by_kind(bench), prompts_by_kind(bench))


def test_the_best_kind_is_named_where_it_has_ten_prompts_and_each_says_how_many_it_has():
    """Ten prompts are code, two of the other kind."""
    bench = read_bench(result(), "r")
    made = figures.by_kind(by_kind(bench), prompts_by_kind(bench))
    assert made.layout.title.text == "fast on code prompts is fastest: 2.00×, measured"
    assert set(made.data[0].x) == {"code (10)", "&lt;b&gt; (2)"}
    few = figures.by_kind(by_kind(bench), prompts_by_kind(bench) - 1)
    assert "fastest" not in few.layout.title.text


def test_the_leader_is_named_and_whether_it_is_shown_to_lead():
    assert figures.leaderboard(read_bench(result(), "r")).layout.title.text == (
        "fast leads with 2.00×, measured on 12 prompts"
    )
    close = {name: row(SLOW if name == "slow" else SLOW[::-1]) for name in ("slow", "fast")}
    few = {name: row([speedup] * 9, prompts=9) for name, speedup in (("slow", 1.0), ("fast", 2.0))}
    made = figures.leaderboard(read_bench(result(methods=few, prompts=None), "r"))
    assert made.layout.title.text == "fast: 2.00×, measured on 9 prompts"
    assert "no difference" in figures.leaderboard(read_bench(result(methods=close), "r")).layout.title.text


def test_one_drafter_beside_plain_decoding_is_not_said_to_lead():
    """Plain decoding yields one token a forward: an acceptance length of 1."""
    plain = row(SLOW, mean_acceptance_length=1.0)
    methods = {"ar": plain, "hf-greedy": plain, "graph": row([2 * ratio for ratio in SLOW])}
    assert figures.leaderboard(read_bench(result(methods=methods), "r")).layout.title.text == (
        "graph: 2.00× over plain decoding, measured on 12 prompts; no other drafter was"
    )


@pytest.mark.parametrize(
    ("matches", "dtype", "said"),
    [((6, 12), "torch.bfloat16", "Same text as plain decoding: slow on 6 of 12; in bfloat16 near-ties flip"),
     ((6, 11), "torch.float32", "Same text as plain decoding: fast on 11 of 12, slow on 6 of 12"),
     ((12, 12), "torch.float32", "Every method gave the text of plain decoding on every prompt"),
     ((None, None), "torch.float32", "")],
)  # fmt: skip
def test_on_how_many_prompts_the_text_was_that_of_plain_decoding_is_said(matches, dtype, said):
    methods = {name: row([speed] * 12, matches=found)
               for name, found, speed in zip(("slow", "fast"), matches, (1.0, 2.0))}  # fmt: skip
    assert same_text(read_bench(result(methods=methods, settings={"dtype": dtype}), "r")) == said


def test_a_text_that_rounding_does_not_explain_is_no_near_tie():
    methods = {"slow": row(SLOW, matches=9, beyond_rounding=2)}
    bench = read_bench(result(methods=methods, settings={"dtype": "torch.bfloat16"}), "r")
    assert same_text(bench) == "Same text as plain decoding: slow on 9 of 12 (2 beyond rounding)"


def test_a_kind_stands_beside_a_prompt_whose_name_does_not_begin_with_it():
    named = [{"id": "to-german", "kind": "to-german"}, {"id": "sum-1", "kind": "sum"}, {"id": "p", "kind": "code"}]
    bench = read_bench(result(prompts=named + [{"id": f"q{i}", "kind": None} for i in range(9)]), "r")
    labels = figures.by_prompt(bench).layout.yaxis.categoryarray
    assert {"to-german", "sum-1", "p · code", "q0"} <= set(labels)


def test_two_methods_are_paired_by_prompt():
    assert against(read_bench(result(), "r"), "fast", "slow").ratio.value == pytest.approx(2.0)


def test_names_of_prompts_are_shown_as_text():
    bench = read_bench(result(prompts=[{"id": f"<i>{i}", "kind": "<b>"} for i in range(12)]), "r")
    assert "&lt;i&gt;0 · &lt;b&gt;" in figures.by_prompt(bench).data[0].y


def test_intervals_are_made_of_the_ratios_and_not_those_that_a_result_holds():
    """Older results hold intervals that are too narrow; of one prompt there is none, and the figure is drawn."""
    held = {name: row(SLOW, speedup_interval=[0.999, 1.001]) for name in ("slow", "fast")}
    rows = read_bench(result(methods=held), "r").methods
    assert (rows["low"] < 0.98).all() and (rows["high"] > 1.02).all()
    alone = {name: row([ratio], speedup_interval=None, prompts=1) for name, ratio in (("slow", 1.0), ("fast", 2.0))}
    bench = read_bench(result(methods=alone, prompts=None), "r")
    assert bench.methods["low"].isna().all()
    assert "customdata" not in figures.leaderboard(bench).data[1].hovertemplate


@pytest.mark.parametrize(
    "content", [b"", b"[]", b"{}", b'{"methods": {}}', b"\xff", result(methods={"a": {"speedups": []}}),
                result(methods={"a": row([0.0] * 12)}), result(methods={"a": row([None] * 12)}),
                result(prompts=[{"id": "one", "kind": None}]), result(prompts=[{"id": "one", "kind": None}] * 12)],
)  # fmt: skip
def test_what_is_no_result_is_refused_by_name(content):
    with pytest.raises(InputError, match=r"mine\.json is no result"):
        read_bench(content, "mine.json")


@pytest.mark.parametrize("name", ["tiny-float32", "qwen2.5-coder-bf16-int4"])
def test_the_results_that_come_with_the_code_can_be_drawn(name):
    path = results(RESULTS)[name]
    bench = read_bench(path.read_bytes(), path.name)
    assert bench.prompts["kind"].notna().all()
    for draw in (figures.leaderboard, figures.by_prompt):
        assert draw(bench).layout.title.text


def test_other_measurements_in_the_folder_are_left_out(tmp_path):
    (tmp_path / "good.json").write_bytes(result())
    (tmp_path / "other.json").write_text('{"rows": []}')
    assert list(results(tmp_path)) == ["good"]
