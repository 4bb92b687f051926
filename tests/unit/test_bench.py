"""The bench's arithmetic and order, on made-up timings; peers' counts and refusals on the bundled pair."""

import pytest

from gsd.bench import Measurement, OwnMethod, PeerMethod, _interleaved, _row, methods_to_run
from gsd.config import DraftSpec, Prompt, RunSpec
from gsd.errors import InputError
from gsd.pairs import PAIRS
from gsd.peers import Peer, counted, plain_defaults
from gsd.runner import Runner

MODELS = {"target": PAIRS["tiny"].target, "draft": PAIRS["tiny"].draft}


def call(wall_ms, tokens=(1, 2), overhead_ms=None):
    return Measurement(list(tokens), wall_ms, 1, 1, 0, 1, overhead_ms)


def test_a_speedup_is_against_the_faster_baseline_of_each_prompt():
    first = {"ar": [call(8.0)], "hf-greedy": [call(10.0)], "graph": [call(4.0)]}
    second = {"ar": [call(12.0)], "hf-greedy": [call(6.0)], "graph": [call(2.0)]}
    row = _row("graph", [first, second])
    assert row["speedups"] == [2.0, 3.0]
    assert (row["speedup"], row["speedup_worst"], row["speedup_best"]) == (2.5, 2.0, 3.0)


def test_one_slow_repeat_does_not_move_the_median_and_time_counts_per_token():
    plain = [call(10.0)] * 3
    graph = [call(5.0), call(500.0), call(2.5, tokens=(1,))]
    row = _row("graph", [{"ar": plain, "hf-greedy": plain, "graph": graph}])
    assert row["speedup"] == 2.0


def test_matches_counts_outputs_equal_to_plain_greedy():
    same = {"ar": [call(1.0)], "hf-greedy": [call(1.0)], "graph": [call(1.0)]}
    other = {**same, "graph": [call(1.0, tokens=(1, 3))]}
    row = _row("graph", [same, other])
    assert (row["matches"], row["prompts"]) == (1, 2)


@pytest.mark.parametrize("count", [5, 24])
def test_generate_and_bench_tell_one_acceptance_length(tiny, count):
    """Both count 1 + accepted / rounds, also where the last round is cut before its bonus."""
    prompt = Prompt(prompt="def add(first, second):\n")
    spec = RunSpec(**MODELS, prompt=prompt, max_new_tokens=count, drafting=DraftSpec(prob_threshold=0.0, depth=6))
    told = tiny.run(spec, None).totals["mean_acceptance_length"]
    measured = {
        "ar": [call(1.0)],
        "hf-greedy": [call(1.0)],
        "graph": [OwnMethod(tiny, spec).measure(tiny.encode(prompt))],
    }
    assert _row("graph", [measured])["mean_acceptance_length"] == told > 1.5


def test_a_peer_without_a_draft_has_an_acceptance_length_of_one(tiny):
    made = PeerMethod(tiny, "hf-greedy", 6).measure(tiny.tokenizer.encode("def add(first, second):\n"))
    assert (made.rounds, made.accepted) == (len(made.tokens), 0)


def test_methods_take_turns_and_another_one_is_first_each_time():
    order = []

    class Contender:
        def __init__(self, name):
            self.name = name

        def measure(self, prompt):
            order.append(self.name)
            return call(1.0)

    _interleaved({name: Contender(name) for name in "abc"}, [1], 3)
    assert "".join(order) == "abcbcacab"


def test_both_baselines_are_always_measured_and_nothing_twice():
    assert methods_to_run(["graph", "ar", "graph"]) == ["ar", "hf-greedy", "graph"]


def test_peers_use_the_draft_and_draft_no_more_than_they_were_told(tiny):
    prompt = tiny.tokenizer.encode("def add(first, second):\n")
    calls = {}
    with plain_defaults(tiny.target.model), plain_defaults(tiny.draft.model):
        greedy = Peer(tiny, "hf-greedy", 16).generate(prompt)
        for name in ("hf-assisted", "hf-assisted-2", "hf-assisted-8"):
            with counted(tiny.draft.model) as draft, counted(tiny.target.model) as target:
                assert Peer(tiny, name, 16).generate(prompt) == greedy
            calls[name] = draft[0] / target[0]
    assert calls["hf-assisted"] > 0
    assert calls["hf-assisted-2"] <= 2
    assert calls["hf-assisted-8"] > 2


def test_an_assisted_peer_without_a_draft_is_refused(tiny):
    with pytest.raises(InputError, match="hf-assisted"):
        Peer(Runner(tiny.target, None, tiny.tokenizer), "hf-assisted", 4)
