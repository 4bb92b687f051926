"""What every drafter of the table owes the loop. A new drafter is tested by its line in the table."""

import copy

import pytest
from models import make_drafter
from settings import of_method

from gsd.decode.engine import Engine
from gsd.decode.stops import StopRules
from gsd.drafting.choices import Choices
from gsd.drafting.graph import ROOT
from gsd.drafting.planner import Planner
from gsd.methods import METHODS
from gsd.noise import _keys
from gsd.spec import SamplingSpec
from tests.models import VOCABULARY, StillPlanner, adapted, decode, half_agreeing, target_of, tokens_of

PROMPT = [3, 1, 4, 1, 5]
OF_ALL = dict(width=3, depth=4, merge_context=0, prob_threshold=0.0, sibling_threshold=0.0, history=True)


@pytest.fixture(scope="module")
def models():
    model = target_of("llama")
    return adapted(model), adapted(half_agreeing(model))


@pytest.fixture(params=METHODS)
def method(request):
    return request.param


@pytest.fixture
def drafter(models, method):
    own = of_method(method, **OF_ALL)
    made = make_drafter(models[1], own, vocab_size=VOCABULARY, record=True, planner=StillPlanner())
    made.start(200)
    return made


def test_the_root_is_the_last_committed_token(drafter):
    graph = drafter.draft(PROMPT, 4)
    assert (graph.tokens[ROOT], graph.depths[ROOT]) == (PROMPT[-1], 0)


@pytest.mark.parametrize("max_depth", [0, 1, 3])
def test_it_goes_no_deeper_than_asked(drafter, max_depth):
    assert max(drafter.draft(PROMPT, max_depth).depths) <= max_depth


def test_it_proposes_tokens_of_the_target_s_vocabulary_only(models, method):
    own = of_method(method, **OF_ALL)
    made = make_drafter(models[1], own, vocab_size=9, record=True, planner=StillPlanner())
    made.start(200)
    assert max(made.draft(PROMPT[:3], 4).tokens) < 9


def test_the_draft_is_not_asked_beyond_its_own_context(models, drafter, monkeypatch):
    """It sees two tokens more than the text has; what is looked up may be attached further on."""
    monkeypatch.setattr(models[1], "context_length", len(PROMPT) + 2)
    graph = drafter.draft(PROMPT, 8)
    assert max((depth for depth, asked in zip(graph.depths, graph.expanded) if asked), default=0) < 2


def test_a_rejected_draft_leaves_nothing_behind(models, method, drafter):
    """After a round that accepted nothing, the draft says of every hypothesis what a fresh one says of it.

    A drafter that learns may draft others; whatever both draft, some hypothesis, has the same q.
    """
    drafter.observe(drafter.flatten(drafter.draft(PROMPT, 4), 4), Choices([7], top=[[7]]), [], [7])
    own = of_method(method, **OF_ALL)
    fresh = make_drafter(adapted(models[1].model), own, vocab_size=VOCABULARY, record=True, planner=StillPlanner())
    fresh.start(200)
    second, expected = drafter.draft([*PROMPT, 7], 4), fresh.draft([*PROMPT, 7], 4)
    said, again = hypotheses(second), hypotheses(expected)
    assert said.keys() == again.keys() or (not METHODS[method].fixed_work and len(said.keys() & again.keys()) > 1)
    for path in said.keys() & again.keys():
        assert said[path] == pytest.approx(again[path], abs=1e-4)


def test_it_does_not_see_what_the_target_will_pick(models, method, monkeypatch):
    """Two runs whose draws agree up to the round in the middle: its draft is the same, what the target picks is not."""
    own = of_method(method, **OF_ALL)
    sampling = SamplingSpec(temperature=2.0, seed=1)
    first = decode(*models, PROMPT, own, sampling, 16)
    middle = len(first) // 2
    turn = first[middle].position + 1  # the first token that this round's verification picks
    monkeypatch.setattr(
        "gsd.noise._keys",
        lambda seed, position, stream: _keys(seed + (position >= turn and not stream), position, stream),
    )
    second = decode(*models, PROMPT, own, sampling, 16)
    assert tokens_of(second[:middle]) == tokens_of(first[:middle])
    assert second[middle].choices.tokens != first[middle].choices.tokens
    assert second[middle].graph.tokens == first[middle].graph.tokens
    assert second[middle].graph.logq == first[middle].graph.logq


def hypotheses(graph):
    """The tokens of each node's tree path, and the log q that the draft gave it."""
    paths = [()]
    for node in range(1, len(graph)):
        paths.append((*paths[graph.parents[node]], graph.tokens[node]))
    return dict(zip(paths, graph.logq))


def test_a_second_text_is_not_told_by_the_first(models, method):
    """A drafter that has decoded a text drafts the next one as a fresh drafter does, with what its memory has learned.

    The first text has the whole second prompt in its midst, so that whatever stays of it would be found again; and
    the second repeats itself, so that what was read of the first must not count as read of the second.
    """
    second = [*PROMPT, 2, *PROMPT]
    own = of_method(method, **OF_ALL)
    memory = StillPlanner() if isinstance(METHODS[method].memory(), Planner) else METHODS[method].memory()
    used = make_drafter(models[1], own, vocab_size=VOCABULARY, record=True, planner=memory)
    graphs_of(models[0], used, [9, 8, *second, 6, 7], own)
    known = copy.deepcopy(memory)
    fresh = make_drafter(adapted(models[1].model), own, vocab_size=VOCABULARY, record=True, planner=known)
    assert graphs_of(models[0], used, second, own) == graphs_of(models[0], fresh, second, own)


def graphs_of(target, drafter, prompt, spec):
    """The graph of every round of a text."""
    engine = Engine(target, drafter, METHODS[spec.method].rule(spec), SamplingSpec(), detail=True)
    rounds = engine.decode(prompt, StopRules(24))
    return [(round_.graph.tokens, round_.graph.parents, round_.graph.sources) for round_ in rounds]
