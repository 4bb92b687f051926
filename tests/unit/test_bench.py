"""The bench's arithmetic and order on made-up timings, and its tables."""

import pytest
from settings import of_method

from gsd.config import RunSpec
from gsd.errors import InputError, OutOfMemory
from gsd.lab.bench import OWN, Measurement, OwnMethod, PromptResult, best_external, methods_to_run, summary
from gsd.lab.bench.contenders import error_line
from gsd.lab.bench.divergence import Divergence
from gsd.lab.bench.measuring import Turn, interleaved
from gsd.lab.bench.report import TERMINAL, markdown, notes, table
from gsd.lab.bench.store import COLUMNS, row_of
from gsd.lab.means import geometric
from gsd.machine.environment import commit
from gsd.methods import PRESETS
from gsd.models.pairs import PAIRS
from gsd.spec import Prompt, SamplingSpec
from gsd.trace.round import Times

MODELS = {"target": PAIRS["tiny"].target, "draft": PAIRS["tiny"].draft}
GREEDY, SAMPLED = SamplingSpec(), SamplingSpec(temperature=0.7)


def call(wall_ms, tokens=(1, 2), **more):
    return Measurement(len(tokens), wall_ms, 1, 1, 0, 1, tokens=list(tokens), **more)


def result(divergences=None, **wall_ms):
    """One prompt with one call of two tokens a method; `hf_greedy=8.0` is 8 ms of hf-greedy."""
    made = {name.replace("_", "-"): [call(ms)] for name, ms in wall_ms.items()}
    return PromptResult(made, {name: (divergences or {}).get(name) for name in made})


def row(method, *results, kinds=None):
    return summary(results, kinds or [None] * len(results), "hf-greedy")[method]


def failing(named, errors, **wall_ms):
    """One prompt on which the methods in `errors` failed."""
    found = result(**wall_ms)
    names = ["ar", "hf-greedy", *named]
    return PromptResult({name: found.calls.get(name, []) for name in names}, found.divergences and {
        name: None for name in names}, errors)  # fmt: skip


def test_a_speedup_is_over_our_own_plain_decoding_and_its_mean_is_geometric():
    """Ratios of 2 and 8 have the mean 4; their arithmetic mean would be 5."""
    made = row("graph", result(ar=8.0, hf_greedy=10.0, graph=4.0), result(ar=16.0, hf_greedy=6.0, graph=2.0))
    assert made["speedups"] == [2.0, 8.0]
    assert (made["speedup"], made["speedup_worst"], made["speedup_best"]) == (pytest.approx(4.0), 2.0, 8.0)
    low, high = made["speedup_interval"]
    assert low * high == pytest.approx(4.0**2) and low < 2.0  # by two prompts little is known


def test_the_speedup_over_transformers_is_against_its_plain_decoding_alone():
    made = row("graph", result(ar=8.0, hf_greedy=10.0, graph=4.0), result(ar=12.0, hf_greedy=6.0, graph=2.0))
    assert made["speedups_over_transformers"] == [2.5, 3.0]
    assert made["speedup_over_transformers"] == pytest.approx(7.5**0.5)
    assert made["speedup_over_transformers_worst"] == 2.5


def test_a_geometric_mean_does_not_hang_on_which_of_two_is_named_first():
    there, back = geometric([2.0, None, 0.5, 4.0]), geometric([0.5, 2.0, 0.25])
    assert there.value == pytest.approx(1 / back.value) == pytest.approx(4 ** (1 / 3))
    assert (there.low, there.high) == pytest.approx((1 / back.high, 1 / back.low))
    assert geometric([None]) is geometric([]) is None


def test_one_slow_repeat_does_not_move_the_median_and_time_counts_per_token():
    plain = [call(10.0)] * 3
    graph = [call(5.0), call(500.0), call(2.5, tokens=(1,))]
    made = PromptResult({"ar": plain, "hf-greedy": plain, "graph": graph})
    assert row("graph", made)["speedup"] == 2.0


def test_of_one_prompt_there_is_a_mean_and_no_interval():
    alone = row("graph", result(ar=8.0, hf_greedy=8.0, graph=4.0))
    assert alone["speedup_interval"] is None and alone["speedup"] == pytest.approx(2.0)


def test_wins_are_counted_against_the_external_method_that_is_fastest_on_each_prompt():
    """hf-assisted is 2 and 4 times as fast as plain greedy, hf-lookup 3 and 1; graph is behind each of them once."""
    results = [
        result(ar=12.0, hf_greedy=12.0, hf_assisted=6.0, hf_lookup=4.0, graph=5.0),
        result(ar=12.0, hf_greedy=12.0, hf_assisted=3.0, hf_lookup=12.0, graph=4.0),
    ]
    assert best_external(results) == "hf-assisted"
    made = row("graph", *results)
    assert (made["wins"], made["worst_over_best_external"]) == (0.0, 0.75)
    assert made["over_best_external"] == pytest.approx(0.6**0.5)  # of 4/5 and 3/4


def test_kinds_have_means_of_their_own():
    results = [result(ar=8.0, hf_greedy=6.0, graph=ms) for ms in (4.0, 1.0, 3.2)]
    made = row("graph", *results, kinds=["code", "code", None])
    assert made["by_kind"] == pytest.approx({"code": 4.0, "other": 2.5})  # of 2 and 8


def test_kinds_over_transformers_are_against_its_plain_decoding_alone():
    results = [result(ar=6.0, hf_greedy=12.0, graph=ms) for ms in (6.0, 3.0)]
    made = row("graph", *results, kinds=["code", None])
    assert made["by_kind"] == {"code": 1.0, "other": 2.0}
    assert made["by_kind_over_transformers"] == {"code": 2.0, "other": 4.0}


def test_matches_counts_texts_equal_to_plain_greedy_and_flags_what_rounding_does_not_explain():
    ms = {"ar": 1.0, "hf_greedy": 1.0, "graph": 1.0}
    tie, wrong = Divergence(3, 0.125, 0.125, 0.5), Divergence(0, 5.0, 0.125, 0.5)
    made = row("graph", result(**ms), result({"graph": tie}, **ms), result({"graph": wrong}, **ms))
    assert (made["matches"], made["compared"], made["prompts"], made["beyond_rounding"]) == (1, 3, 3, 1)
    assert made["divergences"] == [
        None,
        {"position": 3, "gap": 0.125, "step": 0.125, "limit": 0.5, "beyond_rounding": False},
        {"position": 0, "gap": 5.0, "step": 0.125, "limit": 0.5, "beyond_rounding": True},
    ]


def test_sampled_texts_are_not_compared():
    made = summary([PromptResult({"ar": [call(1.0)], "hf-sample": [call(1.0)]})], [None], "hf-sample")["ar"]
    assert made["matches"] is made["divergences"] is None


def test_times_are_told_by_phase_and_the_engine_has_what_is_outside_the_forwards():
    """30 ms of wall time over 3 rounds, 24 of them in forwards: a fifth is the engine's, 2 ms a round."""
    times = Times(draft=9.0, grow=1.5, flatten=1.0, verify=15.0, commit=2.0, other=1.0)
    first = Times(draft=3.0, grow=0.5, flatten=0.5, verify=5.0, commit=1.0, other=0.5)
    own = Measurement(4, 30.0, 3, 2, 3, 2, drafted_nodes=5, verified_nodes=4, times=times, first=first)
    plain = [call(20.0, tokens=(1, 2, 3, 4))]
    made = row("graph", PromptResult({"ar": plain, "hf-greedy": plain, "graph": [own]}))
    assert made["engine_share"] == pytest.approx(0.2) and made["overhead_ms_per_round"] == pytest.approx(2.0)
    assert made["first_round_ms"] == 10.5
    assert made["phases_ms_per_round"] == {"draft": 3.0, "grow": 0.5, "flatten": 0.25, "verify": 5.0, "commit": 0.5,
                                           "other": 0.25}  # fmt: skip
    assert (made["drafted_nodes"], made["verified_nodes"], made["tokens_per_s"]) == (5, 4, pytest.approx(400 / 3))


@pytest.mark.parametrize("count", [5, 24])
def test_generate_and_bench_tell_one_acceptance_length(tiny, count):
    """Both count 1 + accepted / rounds, also where the last round is cut before its bonus."""
    prompt = Prompt(prompt="def add(first, second):\n")
    spec = RunSpec(**MODELS, prompt=prompt, max_new_tokens=count, drafting=of_method(prob_threshold=0.0, depth=6))
    told = tiny.run(spec, None).totals
    call = OwnMethod(tiny, spec).measure(tiny.encode(prompt))
    made = row("graph", PromptResult({"ar": [call], "hf-greedy": [call], "graph": [call]}))
    assert made["mean_acceptance_length"] == told["mean_acceptance_length"] > 1.5
    assert (made["drafted_nodes"], made["verified_nodes"]) == (told["drafted_nodes"], told["verified_nodes"])
    assert 0 < call.times.total <= call.wall_ms


def test_methods_take_turns_in_another_order_for_each_prompt_and_repeat():
    order = []

    class Contender:
        def __init__(self, name):
            self.name = name

        def measure(self, prompt):
            order.append(self.name)
            return call(1.0)

    contenders = {name: Contender(name) for name in "abcdefgh"}
    for prompt in ([1], [2], [1]):
        interleaved(contenders, prompt, 3)
    turns = ["".join(order[start : start + 8]) for start in range(0, len(order), 8)]
    assert all(sorted(turn) == sorted(contenders) for turn in turns)
    assert turns[:3] == turns[6:] and len(set(turns)) == 6  # the same again for the same prompt


def test_a_result_names_no_commit_where_the_code_has_no_repository_of_its_own(monkeypatch, tmp_path):
    (tmp_path / "gsd").mkdir()
    monkeypatch.setattr("gsd.__file__", str(tmp_path / "gsd" / "__init__.py"))
    assert commit() is None
    (tmp_path / ".git").mkdir()  # a repository that git cannot read
    assert commit() is None


def test_both_baselines_are_always_measured_and_nothing_twice():
    assert methods_to_run(["graph", "ar", "graph"], GREEDY) == ["ar", "hf-greedy", "graph"]
    assert methods_to_run(["graph"], SAMPLED) == ["ar", "hf-sample", "graph"]


@pytest.mark.parametrize(("name", "sampling"), [("hf-sample", GREEDY), ("hf-greedy", SAMPLED)])
def test_transformers_plain_decoding_is_called_by_its_law(name, sampling):
    with pytest.raises(InputError, match=name):
        methods_to_run([name], sampling)


def test_paper_is_the_authors_algorithm_at_their_settings():
    assert OWN["paper"] == {**PRESETS["paper"], "method": "graph"}


def test_a_result_as_markdown_has_a_line_for_each_method_in_each_table():
    times = Times(1.0, 0.0, 0.0, 1.0, 0.0, 0.0)
    own = [call(4.0, drafted_nodes=3, verified_nodes=3, times=times, first=times)]
    found = PromptResult({"ar": own, "hf-greedy": [call(8.0)]}, {"ar": None, "hf-greedy": None})
    rows = summary([found], ["code"], "hf-greedy")
    text = markdown(report(rows, "p"))
    assert text.count("| `ar` |") == 4 and text.count("| `hf-greedy` |") == 3  # transformers tells no phases
    assert "| `hf-greedy` | 0.50 |  | 0.50 |" in text and "1/1" in text
    assert text.startswith("|  | × `ar` |") and "incomplete" not in text.lower()


def report(rows, *ids, given=None):
    """As `gsd bench --json` prints it, as far as tables read it."""
    return {"methods": rows, "best_external": "hf-greedy", "prompts": [{"id": one, "kind": None} for one in ids],
            "prompts_given": given or len(ids)}  # fmt: skip


def test_every_timed_call_is_a_row_and_a_failed_one_has_its_error():
    times = Times(1.0, 0.0, 0.0, 2.0, 0.0, 0.0)
    prompt = Prompt(id="p", prompt="x", kind="code")
    own = row_of(Turn(0, "ar", 1, call(5.0, times=times, first=times)), prompt)
    assert (own["prompt"], own["kind"], own["method"], own["repeat"], own["wall_ms"]) == ("p", "code", "ar", 1, 5.0)
    assert (own["verify_ms"], own["first_verify_ms"], own["first_round_ms"]) == (2.0, 2.0, 3.0)
    external = row_of(Turn(0, "hf-greedy", 0, call(8.0)), prompt)
    assert external["wall_ms"] == 8.0 and not {"verify_ms", "first_round_ms", "error"} & external.keys()
    failed = row_of(Turn(0, "hf-greedy", 0, "no room"), prompt)
    assert failed["error"] == "no room" and "wall_ms" not in failed
    assert {*own, *external, *failed} <= set(COLUMNS)


class Fails:
    """A contender that decodes until it has been called `after` times."""

    def __init__(self, error, after=0):
        self.error, self.left, self.calls = error, after, 0

    def measure(self, prompt):
        self.calls, self.left = self.calls + 1, self.left - 1
        if self.left < 0:
            raise self.error
        return call(1.0)


def test_a_contender_that_fails_is_left_out_of_the_prompt_and_the_others_take_all_their_turns():
    broken, well, told = Fails(KeyError("lm_head"), after=1), Fails(None, after=100), []
    found = interleaved({"a": broken, "b": well}, [1], 4, 7, told.append)
    assert found.failures == {"a": "KeyError: 'lm_head'"} and found.calls["a"] == [] and len(found.calls["b"]) == 4
    assert (broken.calls, well.calls) == (2, 4)
    assert [one.outcome for one in told if one.method == "a"] == [call(1.0), "KeyError: 'lm_head'"]
    assert {(one.prompt, type(one)) for one in told} == {(7, Turn)}


def test_an_interrupt_is_no_failure():
    with pytest.raises(KeyboardInterrupt):
        interleaved({"a": Fails(KeyboardInterrupt())}, [1], 1)


def test_an_error_is_one_line_and_a_foreign_one_has_its_type():
    assert error_line(OutOfMemory("out of memory: lower it")) == "out of memory: lower it"
    assert error_line(ValueError("two\nlines")) == "ValueError: two lines"
    assert error_line(RuntimeError()) == "RuntimeError"


def test_means_leave_out_prompts_on_which_a_method_or_its_baseline_failed():
    results = [
        failing(["graph"], {}, ar=8.0, hf_greedy=8.0, graph=2.0),
        failing(["graph"], {"graph": "no room"}, ar=8.0, hf_greedy=8.0),
        failing(["graph"], {"hf-greedy": "no mask"}, ar=9.0, graph=1.0),
    ]
    made = row("graph", *results)
    assert made["speedups"] == [4.0, None, 9.0] and made["speedup"] == pytest.approx(6.0)
    assert made["speedups_over_transformers"] == [4.0, None, None]
    assert made["speedup_over_transformers"] == made["over_best_external"] == pytest.approx(4.0)
    assert (made["prompts"], made["failures"]) == (2, [None, "no room", None])


def test_texts_are_compared_where_both_were_written():
    ms = {"ar": 1.0, "hf_greedy": 1.0}
    uncompared = PromptResult(
        {"ar": [call(1.0)], "hf-greedy": [], "graph": [call(1.0)]}, None, {"hf-greedy": "no mask"}
    )
    results = [failing(["graph"], {}, graph=1.0, **ms), failing(["graph"], {"graph": "no room"}, **ms), uncompared]
    made = row("graph", *results)
    assert (made["matches"], made["compared"], made["prompts"]) == (1, 1, 2)


def test_a_method_that_failed_everywhere_has_a_row_and_who_failed_is_said():
    results = [failing(["hf-assisted"], {"hf-assisted": "heads differ"}, ar=8.0, hf_greedy=8.0) for _ in range(2)]
    rows = summary(results, [None, None], "hf-greedy")
    [*_, last] = table(rows, TERMINAL)
    assert last[:2] == ["hf-assisted", ""] and last[-1] == "0/0"
    told = report(rows, "p", "q", given=3)
    assert notes(told) == [
        "incomplete: 2 of 3 prompts were measured",
        "hf-assisted failed on 2 of 2 (p, q), which its means leave out: heads differ",
    ]
    text = markdown(told)
    assert "| `hf-assisted` |  |  |" in text and "**Incomplete: 2 of 3 prompts were measured.**" in text
    assert best_external(results) == "hf-greedy"
