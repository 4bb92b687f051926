"""Where a text ends: the same place for every method, and nothing counted after it."""

import pytest
from settings import of_method

from gsd.config import RunSpec
from gsd.decode.stops import StopRules
from gsd.decode.text import Continuation, TokenTexts, text_before_stop
from gsd.errors import PromptError
from gsd.models.pairs import pair
from gsd.spec import Prompt, SamplingSpec
from gsd.testing import oracle
from tests import forms
from tests.models import adapted, decode, half_agreeing, target_of, tokens_of

METHODS = ("ar", "chain", "tree", "graph", "auto")


@pytest.fixture(scope="module")
def models():
    model = target_of("llama")
    return model, adapted(model), adapted(half_agreeing(model))


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("count", [1, 2, 5, 17])
def test_max_new_tokens_is_exact(models, method, count):
    model, target, draft = models
    rounds = decode(target, draft, [3, 1, 4], of_method(method=method, prob_threshold=0.0), count=count)
    assert tokens_of(rounds) == oracle.generate(model, [3, 1, 4], count)
    assert [round_.stop for round_ in rounds] == [None] * (len(rounds) - 1) + ["length"]


@pytest.mark.parametrize("method", METHODS)
def test_nothing_counts_after_end_of_sequence(models, method):
    model, target, draft = models
    free = oracle.generate(model, [3, 1, 4], 30)
    eos = frozenset({free[11]})
    rounds = decode(target, draft, [3, 1, 4], of_method(method=method, prob_threshold=0.0), stops=StopRules(30, eos))
    assert tokens_of(rounds) == free[: free.index(free[11]) + 1]
    assert rounds[-1].stop == "eos"


@pytest.mark.parametrize("method", METHODS[1:])
def test_what_was_accepted_behind_end_of_sequence_does_not_count(models, method):
    """End-of-sequence is a token that a free run accepts in the middle of a round: the same round ends with it."""
    _, target, draft = models
    spec, inside, seed = of_method(method=method, prob_threshold=0.0), [], 2
    while not inside:  # a few seeds at most
        sampling = SamplingSpec(temperature=0.7, seed=(seed := seed + 1))
        free = decode(target, draft, [3, 1, 4], spec, sampling, 80)
        inside = [
            i
            for i, round_ in enumerate(free)
            if len(round_.accepted) > 1 and round_.new_tokens[0] not in _before(free, i)
        ]
    last, eos = inside[-1], free[inside[-1]].new_tokens[0]
    rounds = decode(target, draft, [3, 1, 4], spec, sampling, stops=StopRules(80, frozenset({eos})))
    assert tokens_of(rounds) == [*_before(free, last), eos]
    assert (len(rounds), rounds[-1].stop, len(rounds[-1].accepted)) == (last + 1, "eos", 1)


def _before(rounds, i):
    return tokens_of(rounds[:i])


@pytest.mark.parametrize("method", METHODS)
def test_the_context_ends_a_text(models, method):
    model, target, draft = models
    prompt = [token % 7 for token in range(target.context_length - 9)]
    rounds = decode(target, draft, prompt, of_method(method=method, prob_threshold=0.0), count=50)
    assert tokens_of(rounds) == oracle.generate(model, prompt, 9)
    assert rounds[-1].stop == "context"


def test_a_prompt_that_fills_the_context_is_refused_with_both_numbers(models):
    _, target, draft = models
    length = target.context_length
    with pytest.raises(PromptError, match=rf"{length + 3} tokens.*{length}"):
        decode(target, draft, [1] * (length + 3), of_method())


def test_the_first_stop_string_ends_the_text_whatever_else_was_accepted():
    rules = rules_for(forms.letters(), [ord("a")], ("ab",))
    rules.start(3, 100)
    assert rules.cut([ord("x"), ord("a")], 3) == ([ord("x"), ord("a")], None)
    assert rules.cut([ord("b"), ord("c")], 5) == ([ord("b")], "stop_string")
    assert before_stop("xab", ("ab", "zz")) == "x"
    assert before_stop("xyzab", ("ab", "yzab", "zz")) == "x"  # of two that end with the same token the first to begin
    assert before_stop("none", ("ab",)) == "none"


def rules_for(tokenizer, prompt, strings, count=50):
    texts = TokenTexts(tokenizer)
    return StopRules(count, text=lambda: Continuation(texts, prompt, strings))


def before_stop(text, strings):
    return text_before_stop(TokenTexts(forms.letters()), [ord("a")], list(map(ord, text)), strings)


def spec_for(method, **changes):
    tiny = pair("tiny")
    values = {
        "target": tiny.target,
        "draft": tiny.draft,
        "prompt": Prompt(prompt="class Stack:\n"),
        "max_new_tokens": 60,
    }
    return RunSpec(**{**values, "drafting": of_method(method=method), **changes})


def test_stop_strings_cut_the_same_for_every_method(tiny):
    full = tiny.run(spec_for("ar"), None)
    stop = full.text[20:26]
    ends = {tiny.run(spec_for(method, stop=(stop,)), None).text for method in METHODS}
    assert ends == {full.text[: full.text.index(stop)]}


def test_a_cancelled_run_says_so_and_keeps_its_rounds(tiny, tmp_path):
    rounds = []
    result = tiny.run(spec_for("graph"), tmp_path, on_round=rounds.append, cancelled=lambda: len(rounds) == 2)
    assert (result.status, result.stop, len(rounds)) == ("cancelled", "cancelled", 2)
    assert tiny.run(spec_for("ar"), None).text.startswith(result.text)


@pytest.mark.parametrize("string", ["ab", "x" * 100])
def test_a_stop_string_is_found_far_into_a_text_and_over_many_tokens(string):
    rules = rules_for(forms.letters(), [ord("a")], (string,), count=500)
    rules.start(0, 1000)
    tokens = [ord(letter) for letter in "-" * 200 + string]
    ends = [rules.cut([token], at)[1] for at, token in enumerate(tokens)]
    assert ends == [None] * (len(tokens) - 1) + ["stop_string"]


@pytest.mark.parametrize(("decoded", "repeats"), [(2, None), (3, None), (6, 1), (7, 1), (8, 2)])
def test_a_comparison_that_is_cancelled_keeps_the_pairs_that_are_whole(tiny, monkeypatch, decoded, repeats):
    """Cancelled in that text: the run's own is the first, then come pairs, of which the first warms up."""
    begun = []
    decode_one = tiny._decode

    def counted(*arguments):
        begun.append(1)
        return decode_one(*arguments)

    monkeypatch.setattr(tiny, "_decode", counted)
    spec = spec_for("graph", max_new_tokens=12)
    result = tiny.run(spec, None, cancelled=lambda: len(begun) >= decoded, baseline=True)
    assert (result.status, len(begun)) == ("complete", decoded)
    assert (result.baseline or {}).get("repeats") == repeats
    assert repeats is None or result.baseline["matches_baseline"]


def test_a_cancelled_run_is_not_compared(tiny, monkeypatch):
    monkeypatch.setattr(tiny, "_compare", lambda *_: pytest.fail("nobody waits for it"))
    result = tiny.run(spec_for("graph"), None, cancelled=lambda: True, baseline=True)
    assert (result.status, result.baseline) == ("cancelled", None)
