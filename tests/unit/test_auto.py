"""What method auto learns from a round, and what it looks up; with a draft that is a table."""

from __future__ import annotations

import math

import pytest
import torch
from models import make_drafter
from settings import of_method

from gsd.config import RunSpec
from gsd.decode.engine import Engine
from gsd.decode.stops import StopRules
from gsd.drafting.auto import CATCHING_UP
from gsd.drafting.choices import Choices
from gsd.drafting.graph import ROOT, tree_path
from gsd.drafting.planner import SHORTEST_PAUSE, Planner
from gsd.methods import METHODS
from gsd.models.pairs import PAIRS
from gsd.spec import Prompt, SamplingSpec
from gsd.testing.table_model import TableModel, random_table
from gsd.verifying.match import Match
from tests.models import StillPlanner

VOCABULARY = 6
NOTHING = Choices([])  # the drafter reads none of it
TEXT = [0, 1, 2, 3, 4, 0, 1, 2]  # `1 2` was followed by `3 4`


def drafter(context_length=256, table=None, **settings):
    spec = of_method(method="auto", **settings)
    law = random_table(VOCABULARY, 0) if table is None else table
    made = make_drafter(
        TableModel(law, context_length), spec, vocab_size=VOCABULARY, record=False, planner=StillPlanner()
    )
    made.start(400)
    return made


@pytest.mark.parametrize("most", [0, 1, 3])
@pytest.mark.parametrize("context_length", [4, len(TEXT), len(TEXT) + 2])
def test_looking_up_goes_as_deep_as_asked_where_the_draft_s_context_is_full(context_length, most):
    made = drafter(context_length)
    graph = made.draft(TEXT, most)
    assert max(graph.depths) == most
    expanded = [depth for depth, asked in zip(graph.depths, graph.expanded) if asked]
    assert max(expanded, default=-1) < max(context_length - len(TEXT), 0)
    found = [token for token, source in zip(graph.tokens, graph.sources) if source == "lookup"]
    assert found == TEXT[3:][:most]


def test_behind_a_found_token_the_draft_is_worth_the_chain_that_it_may_open_instead(monkeypatch):
    made = drafter()
    planner = made._planner
    monkeypatch.setattr(planner, "worth_expanding", lambda gains: 0)
    made.draft(TEXT, 8)  # nothing but what is looked up
    there = math.exp(made._edges[ROOT][0][1])
    assert made._gain(ROOT) > planner.hit - there > 0
    monkeypatch.setattr(planner, "beyond", lambda reach: 0.0)
    assert made._gain(ROOT) == pytest.approx(planner.hit - there)


def test_only_what_the_draft_proposed_makes_a_try_of_it_a_success(monkeypatch):
    """Both rounds try the draft as that is overdue; accepted is a looked-up token, then the draft's."""
    made = drafter()
    planner = made._planner
    tried = []
    monkeypatch.setattr(planner, "tried", tried.append)
    monkeypatch.setattr(planner, "worth_expanding", lambda gains: 0)
    planner._idle = SHORTEST_PAUSE
    for source in ("lookup", "draft"):
        made.start(400)
        graph = made.draft(TEXT, 4)
        tree = made.flatten(graph, 4)
        at = next(i for i in range(1, len(tree)) if tree.parents[i] == 0 and graph.sources[tree.nodes[i]] == source)
        made.observe(tree, NOTHING, [at], [tree.tokens[at], 5])
    assert tried == [False, True]


def test_a_round_that_runs_a_long_text_along_says_nothing_of_the_rate(monkeypatch):
    """The draft was not asked at first; when it is, what it has not read yet is more than a round's own tokens."""
    made = drafter()
    told = []
    monkeypatch.setattr(made._planner, "end", lambda nodes, tokens, found: told.append(tokens))
    expand = made._planner.worth_expanding
    monkeypatch.setattr(made._planner, "worth_expanding", lambda gains: 0)
    text = [i % VOCABULARY for i in range(2 * CATCHING_UP)]
    for asked in (False, False, True, True):
        if asked:
            monkeypatch.setattr(made._planner, "worth_expanding", expand)
        graph = made.draft(text, 4)
        made.observe(made.flatten(graph, 4), NOTHING, [], [text[0]])
        text.append(text[0])
    assert len(told) == 2  # neither the text's first round nor the draft's first


def test_what_hangs_on_a_looked_up_node_is_reached_no_more_probably_than_it():
    """Root and looked-up nodes are expanded together; then the draft's word changes the latter, and all behind them."""
    made = drafter()
    made._planner.found["lookup"].estimate = lambda matched: 0.6
    graph = made.draft(TEXT, 4)
    assert sum(graph.expanded) > 1
    ways: dict[int, list[float]] = {}
    for node, edges in enumerate(made._edges):
        for child, logp in edges:
            ways.setdefault(child, []).append(made._reach[node] + logp)
    assert made._reach[1:] == pytest.approx([max(ways[node]) for node in range(1, len(graph))])


@pytest.mark.parametrize(("likeness", "expected"), [(-1.0, [8, 25, 58]), (1.0, list(range(8, 70, 2)))],
                         ids=["a bad draft", "a good one"])  # fmt: skip
def test_where_no_draft_pays_there_is_none_and_it_is_tried_again(likeness, expected):
    """At that rate a draft forward costs 1.8 tokens and brings one at most. A try that failed doubles the pause."""
    table = random_table(VOCABULARY, 0, 4.0)
    made = make_drafter(TableModel(likeness * table), of_method(method="auto", lookup=False), vocab_size=VOCABULARY,
                        record=False, planner=StillPlanner(rate=0.2))  # fmt: skip
    engine = Engine(TableModel(table), made, Match(), SamplingSpec(), detail=False)
    rounds = list(engine.decode(TEXT, StopRules(150)))
    asked = [round_.number for round_ in rounds[:70] if round_.draft_forwards]
    assert asked == expected
    assert all(len(round_.tree) == 1 for round_ in rounds if not round_.draft_forwards)


def test_what_was_learned_is_kept_from_run_to_run(tiny, monkeypatch):
    planners = []
    made = type(METHODS["auto"]).drafter

    def kept(method, settings, parts):
        planners.append(parts.memory)
        return made(method, settings, parts)

    monkeypatch.setattr(type(METHODS["auto"]), "drafter", kept)
    pair = PAIRS["tiny"]
    spec = RunSpec(target=pair.target, draft=pair.draft, prompt=Prompt(prompt="x"), drafting=of_method(method="auto"))
    for _ in range(2):
        next(tiny.rounds(spec, [1, 2]))
    assert isinstance(planners[0], Planner) and planners[0] is planners[1]


@pytest.mark.parametrize("history", [True, False])
def test_what_follows_in_a_rejected_hypothesis_is_a_hypothesis_again_where_its_beginning_recurs(history):
    """In the same text only, and if that is asked for."""
    made = drafter(lookup=False, history=history)
    tree = made.flatten(made.draft(TEXT, 4), 4)
    last = max(range(len(tree)), key=tree.depths.__getitem__)
    first, *others = [tree.tokens[i] for i in tree_path(tree.parents, last)]
    made.observe(tree, NOTHING, [], [(first + 1) % VOCABULARY])
    recurring = [*TEXT, (first + 1) % VOCABULARY, TEXT[-1], first]
    for expected in (others if history else [], []):
        graph = made.draft(recurring, 4)
        found = [token for token, source in zip(graph.tokens, graph.sources) if source == "history"]
        assert others and found == expected
        made.start(400)


SAID_BEFORE = [0, 5, 4, 3, 2, 1, 3, 0]  # `3 0` is new; `0 5` was followed by `4 3 2 1`


def sure_of_5():
    """A draft that says 5 behind `3 0`, and anything behind anything else."""
    table = torch.zeros(VOCABULARY, VOCABULARY, VOCABULARY)
    table[3, 0, 5] = 12.0
    return table


def test_what_may_follow_a_likely_hypothesis_is_looked_up_too_and_run_along_with_it():
    """The draft is sure of 5 behind `3 0`; so it is asked behind 5 and behind the 4 of the text in one forward."""
    graph = drafter(table=sure_of_5()).draft(SAID_BEFORE, 8)
    found = [node for node, source in enumerate(graph.sources) if source == "lookup"]
    assert [graph.path(node) for node in found] == [[5, 4, 3, 2, 1][:length] for length in (2, 3, 4, 5)]
    sure = graph.parents[found[0]]
    assert graph.forwards[0] == 1 and graph.forwards[sure] == graph.forwards[found[0]] == 2


@pytest.mark.parametrize("depth", [1, 2, 3])
def test_looking_ahead_ends_where_the_draft_must(depth):
    assert max(drafter(table=sure_of_5()).draft(SAID_BEFORE, depth).depths) == depth


@pytest.mark.parametrize(("asked", "accepts", "apart"), [(0, 2, True), (0, 1, False), (0, 0, False), (1, 2, False)])
def test_a_round_most_of_which_was_looked_up_alone_is_told_apart(monkeypatch, asked, accepts, apart):
    """The second round finds `3 4` and more: what counts is how many are accepted, and whether the draft was asked."""
    made, told = drafter(), []
    monkeypatch.setattr(made._planner, "worth_expanding", lambda gains: asked)
    monkeypatch.setattr(made._planner, "end", lambda nodes, tokens, *, found: told.append(found))
    for text in (TEXT[:3], TEXT):
        graph = made.draft(text, 3)
        tree = made.flatten(graph, 3)
        found = [i for i in range(1, len(tree)) if graph.sources[tree.nodes[i]] == "lookup"]
        accepted = found[:accepts]
        made.observe(tree, NOTHING, accepted, [*(tree.tokens[i] for i in accepted), 5])
    assert told == [apart]
