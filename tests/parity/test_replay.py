"""Replay equals reality: what an atlas says of a setting is what a run with it does, count for count."""

import random

import pytest
from replays import compare, random_settings, really, replayed
from settings import of_method

from analysis.replay import Replayer
from gsd.config import RunSpec
from gsd.errors import InputError
from gsd.lab.atlas import Atlas, Bounds
from gsd.lab.probe import fill_text, probe_text
from gsd.models.pairs import pair
from gsd.spec import Prompt, SamplingSpec

BOUNDS = Bounds(width=5, depth=7, frontier=12)
PROMPTS = [Prompt(id=str(number), kind=kind, prompt=text) for number, (kind, text) in enumerate([
    ("def", "def count_words(text):\n"), ("class", "class Basket:\n"), ("comment", "# Sum the squares.\n"),
    ("docstring", 'def clean(name):\n    """Return the name'), ("def", "def merge(first, second):\n"),
])]  # fmt: skip
SAMPLINGS = [SamplingSpec(), SamplingSpec(temperature=0.8, top_p=0.95, seed=7)]


def run_spec(prompt, sampling, drafting=None):
    names = pair("tiny")
    return RunSpec(target=names.target, draft=names.draft, prompt=prompt, sampling=sampling, max_new_tokens=40,
                   drafting=drafting or of_method(), detail="counters")  # fmt: skip


@pytest.fixture(scope="module", params=SAMPLINGS, ids=["greedy", "sampled"])
def atlas(request, tiny):
    texts = [probe_text(tiny, run_spec(prompt, request.param), BOUNDS) for prompt in PROMPTS]
    runs = [run_spec(prompt, request.param) for prompt in PROMPTS]
    return runs, Atlas(BOUNDS, tiny.draft.context_length, {}, texts)


@pytest.mark.parametrize(("count", "seed"), [(12, 1), pytest.param(110, 2, marks=pytest.mark.slow)])
def test_random_settings_do_what_the_atlas_says(tiny, atlas, count, seed):
    """In the slow run 110 settings, greedy and sampled, so 220 in all."""
    runs, recorded = atlas
    dice = random.Random(seed)
    assert compare(tiny, recorded, runs, [random_settings(dice, BOUNDS) for _ in range(count)]) >= (
        0.95 if count > 100 else 0.8
    )


def test_plain_decoding_is_a_round_a_token(tiny, atlas):
    runs, recorded = atlas
    assert compare(tiny, recorded, runs, [of_method(method="ar")]) == 1.0


def test_settings_that_share_graphs_do_not_see_each_other(atlas):
    """Depth after depth, deepest first and last, and budgets in between: each as if it were alone."""
    _, recorded = atlas
    together = Replayer(recorded)
    for depth, budget in [(7, 40), (2, 9), (5, 3), (1, 40), (7, 5)]:
        spec = of_method(width=3, depth=depth, budget=budget, merge_context=0, prob_threshold=0.01)
        assert together.replay(spec) == Replayer(recorded).replay(spec)


def test_an_atlas_is_the_same_after_it_was_saved(atlas, tmp_path):
    _, recorded = atlas
    recorded.save(tmp_path)
    again = Atlas.load(tmp_path)
    spec = of_method(width=5, depth=7, merge_context=1, frontier=12, prob_threshold=0.0)
    assert Replayer(again).replay(spec) == Replayer(recorded).replay(spec)


@pytest.mark.parametrize("change", [{"width": 6}, {"depth": 8}, {"frontier": 13}])
def test_what_lies_beyond_a_bound_is_refused_by_its_name(atlas, change):
    ((name, value),) = change.items()
    inside = {"width": 5, "depth": 7, "frontier": 12}
    with pytest.raises(InputError, match=f"--{name} {value}.*{value - 1}"):
        Replayer(atlas[1]).replay(of_method(**inside | change))


def test_a_node_that_was_never_expanded_is_not_guessed_at_and_can_be_filled_in(tiny):
    """A narrow atlas, its bounds widened by hand, lacks nodes; filling them makes the replay that of a wide one."""
    prompt, narrow = PROMPTS[0], Bounds(width=2, depth=4, frontier=1)
    text = probe_text(tiny, run_spec(prompt, SAMPLINGS[0]), narrow)
    wide = Bounds(width=2, depth=4, frontier=8)
    replayer = Replayer(Atlas(wide, tiny.draft.context_length, {}, [text]))
    spec = of_method(width=2, depth=4, frontier=8, prob_threshold=0.0, sibling_threshold=0.0)
    (replay,) = replayer.replay(spec)
    assert replay.wanted and replay.coverage < 1.0
    while wanted := Replayer(replayer.atlas).wanted([spec]):
        fill_text(tiny, wide, text, wanted[0])
    (replay,) = Replayer(replayer.atlas).replay(spec)
    assert replayed(replay) == really(tiny, run_spec(prompt, SAMPLINGS[0], spec))
