"""The scripts in benchmarks/: what they share, and that they refuse what is wrong before anything is measured."""

from __future__ import annotations

import argparse
import importlib
import json
import sys
from pathlib import Path

import pytest
import torch

from benchmarks import ablation, against, near_ties, recount, transformers_alone
from benchmarks.common import add_out, over_prompts, positive
from gsd.errors import InputError
from gsd.lab.bench import Measurement, PromptResult, store

RESULTS = Path(__file__).parents[2] / "benchmarks" / "results"
OUT = {"ablation": ["--out", "out.json"], "long_text": [], "tune_baselines": [],
       "near_ties": ["--out", "out.json"], "transformers_alone": ["--out", "out.json"],
       "auto_parts": ["--out", "out.json", "--costs", "costs.json"]}  # fmt: skip


def ended(monkeypatch, script: str, *options: object) -> str:
    """What a script says when it ends without a result."""
    monkeypatch.setattr(sys, "argv", [script, *map(str, options)])
    module = importlib.import_module(f"benchmarks.{script}")
    with pytest.raises(SystemExit) as stopped:
        module.told(module.main)
    return str(stopped.value)


@pytest.mark.parametrize("script", sorted(OUT.keys() - {"auto_parts"}))
def test_a_pair_that_is_none_is_told_in_one_line(script, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    said = ended(monkeypatch, script, "--pair", "nowhere", *OUT[script])
    assert said.startswith("error: ") and "nowhere" in said and "\n" not in said


def test_curves_of_another_pair_are_refused(monkeypatch, tmp_path):
    """A replay priced by them would be of no machine and no pair."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "costs.json").write_text("{}")
    assert "costs.json holds no cost curves" in ended(monkeypatch, "auto_parts", *OUT["auto_parts"])


@pytest.mark.parametrize("script", sorted(OUT))
@pytest.mark.parametrize("option", ["--max-new-tokens", "--dtype"])
def test_an_option_that_can_measure_nothing_is_refused(script, option, monkeypatch, capsys, tmp_path):
    monkeypatch.chdir(tmp_path)
    ended(monkeypatch, script, option, "0", *OUT[script])
    assert option in capsys.readouterr().err


def test_a_result_that_cannot_be_written_is_refused_at_once(tmp_path, capsys):
    (tmp_path / "file").write_text("")
    parser = argparse.ArgumentParser()
    add_out(parser)
    with pytest.raises(SystemExit):
        parser.parse_args(["--out", str(tmp_path / "file" / "out.json")])
    assert "--out" in capsys.readouterr().err


def test_a_count_is_at_least_one():
    assert positive("3") == 3
    with pytest.raises(argparse.ArgumentTypeError, match="-2"):
        positive("-2")


def test_ratios_are_put_together_so_that_which_of_two_is_named_first_makes_no_difference():
    there, back = over_prompts([2.0, 0.5, 4.0]), over_prompts([0.5, 2.0, 0.25])
    assert there["ratio"] == pytest.approx(1 / back["ratio"]) == pytest.approx(4 ** (1 / 3))
    assert (there["low"], there["high"]) == pytest.approx((1 / back["high"], 1 / back["low"]))
    assert there["low"] < there["ratio"] < there["high"]


def test_in_float32_no_way_to_compute_a_text_chooses_another_token(monkeypatch, tmp_path):
    """What is counted is what it is called: every place of every text, none of which another way would have left."""
    out = tmp_path / "ties.json"
    given = ["--dtype", "float32", "--count", "2", "--max-new-tokens", "10", "--together", "4", "--out", str(out)]
    monkeypatch.setattr(sys, "argv", ["near_ties", *given])
    near_ties.main()
    rows = json.loads(out.read_text())["rows"]
    assert [(row["places"], row["other_tokens"]) for row in rows.values()] == [(20, 0)] * 3
    assert all(0 <= row["mean_distance"] < 1e-3 for row in rows.values())


def test_the_benchmarks_transformers_writes_what_transformers_alone_does(monkeypatch, tmp_path):
    out = tmp_path / "alone.json"
    monkeypatch.setattr(sys, "argv", ["transformers_alone", "--count", "1", "--max-new-tokens", "8", "--out", str(out)])
    transformers_alone.main()
    rows = json.loads(out.read_text())["time_over_documented_use"]
    assert set(rows) == {"hf-greedy", "hf-assisted", "hf-lookup"}
    assert all(len(row["ratios"]) == 1 and row["ratio"] > 0 for row in rows.values())


def test_ways_that_write_different_texts_are_not_compared():
    with pytest.raises(InputError, match="different texts"):
        transformers_alone._ratio(lambda _: [1], lambda _: [2], [0], 1)


CALLS = """prompt,method,repeat,new_tokens,wall_ms
a,auto,0,10,100
a,ar,0,10,400
a,auto,1,10,100
a,ar,1,10,200
a,auto,2,10,100
a,ar,2,5,100
b,auto,0,10,100
b,ar,0,10,100
b,auto,1,10,100
b,ar,1,10,50
b,auto,2,10,100
b,ar,2,10,80
"""


def against_auto(monkeypatch, tmp_path, *options: str) -> None:
    (tmp_path / "calls.csv").write_text(CALLS)
    monkeypatch.setattr(sys, "argv", ["against", str(tmp_path / "calls.csv"), *options])
    against.main()


def test_one_method_is_set_against_another_call_by_call(monkeypatch, capsys, tmp_path):
    """The ratios of a are 4, 2 and 2 (half the tokens in the last call), those of b 1, 0.5 and 0.8."""
    against_auto(monkeypatch, tmp_path)
    line = capsys.readouterr().out.splitlines()[-1]
    # medians 2 and 0.8; first calls 4 and 1; 930 ms for 55 tokens over 600 ms for 60
    assert line == "| `ar` | 1.26 | 0.00–426.79 | 1/2 | 0.80 | 2.00 | 0.00–13365.30 | 1.69 |"
    against_auto(monkeypatch, tmp_path, "--without", "b")
    assert capsys.readouterr().out.splitlines()[-1].startswith("| `ar` | 2.00 |  | 1/1 |")


@pytest.mark.parametrize("options, said", [
    (["--method", "chain"], "chain was not measured"),
    (["--without", "c"], "no prompt c"),
    (["--without", "a", "b"], "leaves no prompt"),
])  # fmt: skip
def test_what_was_not_measured_cannot_be_set_against_anything(monkeypatch, tmp_path, options, said):
    with pytest.raises(InputError, match=said):
        against_auto(monkeypatch, tmp_path, *options)


@pytest.mark.parametrize("content, said", [
    ("", "cannot be read"),
    ("prompt,method\na,auto\n", "no column repeat, new_tokens, wall_ms"),
    (CALLS.splitlines()[0], "no calls"),
])  # fmt: skip
def test_a_file_that_holds_no_calls_is_refused(tmp_path, content, said):
    (tmp_path / "calls.csv").write_text(content)
    with pytest.raises(InputError, match=said):
        against.read_calls(tmp_path / "calls.csv")


def test_places_are_compared_one_by_one():
    reference = torch.tensor([[float(i) for i in range(12)]] * 3)
    other = reference.clone()
    other[1, 11] += 5  # the same token ahead, by more
    other[2, 0] += 50  # another token ahead, none of the ten likeliest
    compared = near_ties.Compared()
    compared.add(other, reference)
    assert compared.row() == {"places": 3, "other_tokens": 1, "identical": 1, "mean_distance": pytest.approx(0.5 / 3)}


def test_a_prompt_where_one_of_the_two_failed_or_was_cut_is_left_out_of_their_row(monkeypatch, capsys, tmp_path):
    monkeypatch.setattr(sys.modules[__name__], "CALLS", CALLS.replace("b,ar,2,10,80\n", "") + "b,chain,0,,\n")
    against_auto(monkeypatch, tmp_path)
    ar, chain = capsys.readouterr().out.splitlines()[-2:]
    assert ar.startswith("| `ar` | 2.00 |  | 1/1 |")
    assert chain.startswith("| `chain` |  |  | 0/0 |")


def test_a_variant_that_fails_is_left_out_of_those_prompts():
    def call(ms):
        return Measurement(2, ms, 1, 1, 0, 1, tokens=[1, 2])

    whole, other = [call(2.0)], [call(6.0)]
    first = PromptResult({ablation.WHOLE: whole, "a": other, "b": []}, failures={"b": "no room"})
    second = PromptResult({ablation.WHOLE: whole, "a": [], "b": []}, failures={"a": "no room", "b": "no room"})
    rows = ablation._rows([first, second])
    assert set(rows) == {ablation.WHOLE, "a"} and rows["a"]["ratios"] == [pytest.approx(3.0)]
    assert len(rows[ablation.WHOLE]["ratios"]) == 2 and "| a | 3.00 |" in ablation._table(rows)


@pytest.mark.parametrize(
    ("name", "calls"),
    [("qwen2.5-coder-bf16-int4", True), ("qwen2.5-coder-bf16-int4-sampled", False), ("tiny-float32", False)],
)
def test_the_pages_tables_are_those_of_the_stored_calls(name, calls):
    """What the script works out of the calls is what the result holds and what the page shows."""
    result = json.loads((RESULTS / f"{name}.json").read_bytes())
    if calls:
        made = recount.counted(result, RESULTS / f"{name}.csv")
    else:
        made = recount.regarded(result, RESULTS / f"{name}.json")
    for method, row in result["methods"].items():
        for key in ("speedup", "speedup_interval", "speedups", "speedup_over_transformers", "over_best_external"):
            same = row[key] if row[key] is None else pytest.approx(row[key], rel=1e-6)
            assert made["methods"][method][key] == same, (method, key)
    assert (result["baseline"], result["mean"]) == ("ar", "geometric")
    page = (RESULTS.parent / "README.md").read_text().splitlines()
    shown = recount.tables(made).split("\n\n")[: 3 if calls else 1]
    if name.endswith("sampled"):  # of which the page has sentences
        assert any("is 1.97 times as fast as `ar` (1.57–2.47, worst 1.09)" in line for line in page)
        assert "| `auto` | 1.97 | 1.57–2.47 | 1.09 |" in shown[0]
    else:
        assert set("\n".join(shown).splitlines()) <= set(page)


def test_speedups_that_are_not_over_our_own_plain_decoding_are_not_taken_for_such():
    result = {"methods": {"ar": {"speedups": [1.0, 0.9]}}}
    with pytest.raises(InputError, match=r"r\.json .*--calls"):
        recount.regarded(result, Path("r.json"))


def test_calls_that_an_interrupt_left_behind_are_no_part_of_the_result(tmp_path):
    """A prompt that was not measured to its end, one that begins as a formula does, and a method that failed once."""
    call = dict.fromkeys(store.COLUMNS) | {"kind": "x", "repeat": 0, "new_tokens": 4, "rounds": 4, "accepted": 0,
                                           "draft_forwards": 0, "target_forwards": 4}  # fmt: skip
    made = [call | {"prompt": prompt, "method": method, "wall_ms": ms}
            for prompt in ("-a", "b") for method, ms in (("ar", 8.0), ("hf-greedy", 16.0), ("graph", 4.0))]  # fmt: skip
    failed = call | {"prompt": "b", "method": "graph", "repeat": 1, "error": "no memory"}
    cut = call | {"prompt": "part", "method": "ar", "wall_ms": 1.0}
    store._replace(tmp_path / "calls.csv", [*made, failed, cut])
    result = {"methods": {name: {} for name in ("ar", "hf-greedy", "graph")}, "best_external": None,
              "prompts": [{"id": "-a", "kind": "x"}, {"id": "b", "kind": "x"}],
              "settings": {"sampling": {"temperature": 0.0}}}  # fmt: skip
    assert recount.counted(result, tmp_path / "calls.csv")["methods"]["graph"]["speedups"] == [2.0, None]
