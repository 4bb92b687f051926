"""A suffix automaton knows every place where the end of a text stood before, and what followed there."""

import math
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st
from models import decode
from settings import of_method

from gsd.decode.engine import Engine
from gsd.decode.stops import StopRules
from gsd.drafting.base import Parts
from gsd.drafting.lookup import LONGEST_MATCH, SHORTEST_MATCH, Lookup
from gsd.drafting.suffix import COUNTED, EMPTY, SOURCE, SuffixAutomaton, SuffixDrafter, Texts
from gsd.methods import METHODS
from gsd.spec import SamplingSpec
from gsd.testing.contract import plain_text
from gsd.testing.table_model import table_pair

TEXTS = st.lists(st.lists(st.integers(0, 3), max_size=24), min_size=1, max_size=3).filter(lambda texts: texts[-1])
WIDE = st.lists(st.integers(0, 12), min_size=1, max_size=60)


def automaton_of(*texts):
    made = SuffixAutomaton()
    for text in texts:
        made.begin()
        for token in text:
            made.append(token)
    return made


def followers_of(run, texts):
    """By a plain search: what followed a run of tokens in the texts, and how often."""
    return Counter(text[at + len(run)] for text in texts for at in range(len(text) - len(run))
                   if text[at : at + len(run)] == run)  # fmt: skip


def longest(text, texts):
    """The longest suffix of `text` that something followed somewhere; empty where there is none."""
    return next((text[at:] for at in range(len(text)) if followers_of(text[at:], texts)), [])


def drafter_of(memory=None, **changes):
    values = {"depth": 32, "budget": 60, "shorter": 0, "earlier": memory is not None} | changes
    made = SuffixDrafter(Parts(None, None, 100, True, memory), **values)
    made.start(0)
    return made


def shares(drafter, text, depth=1):
    graph = drafter.draft(text, depth)
    return {tuple(graph.path(node)): math.exp(graph.path_logq[node]) for node in range(1, len(graph))}


@given(TEXTS)
def test_the_longest_match_and_its_followers_are_those_of_a_plain_search(texts):
    made = automaton_of(*texts)
    expected = longest(texts[-1], texts)
    assert made.lengths[made.end()] == len(expected)
    if expected:
        assert made.followers(made.end()) == followers_of(expected, texts)


@given(TEXTS, st.lists(st.integers(0, 3), min_size=1, max_size=8))
def test_behind_hypothetical_tokens_it_matches_as_if_they_stood_there(texts, more):
    made = automaton_of(*texts)
    state = made.end()
    for i, token in enumerate(more):
        state = made.after(state, token)
        expected = longest([*texts[-1], *more[: i + 1]], texts)
        assert made.followers(state) == followers_of(expected, texts) or (not expected and state == EMPTY)


@given(TEXTS)
def test_shorter_matches_are_all_suffixes_that_stood_at_more_places(texts):
    made, text = automaton_of(*texts), texts[-1]
    state = made.end()
    while state != EMPTY:
        run = text[len(text) - made.lengths[state] :]
        assert made.followers(state) == followers_of(run, texts)
        state = made.shorter(state)


@given(WIDE, st.integers(1, 9))
def test_where_one_token_alone_ever_followed_it_agrees_with_the_lookup(text, most):
    """What the twin finds, it drafts: as far as each match of 2 to 8 tokens had one continuation."""
    lookup = Lookup()
    lookup.extend(text)
    found, match = lookup.find(text, most), longest(text, [text])
    if not SHORTEST_MATCH <= len(match) <= LONGEST_MATCH:
        return
    assert found.matched == len(match)
    graph = drafter_of().draft(text, most)
    behind = 0
    for i, token in enumerate(found.tokens):
        if set(followers_of(longest([*text, *found.tokens[:i]], [text]), [text])) != {token}:
            break
        behind = next(child for child, _ in graph.out_edges[behind] if graph.tokens[child] == token)
    assert behind == 0 or graph.path(behind) == found.tokens[: graph.depths[behind]]


def test_appending_takes_constant_time_on_average_even_where_a_text_repeats_itself():
    """States are at most twice the tokens, and what counting passes is bounded."""
    made = automaton_of([1] * 5000)
    assert len(made.lengths) <= 2 * 5000 and made.lengths[made.end()] == 4999
    assert made.followers(made.end()) == {1: 1}
    state = made.end()
    for _ in range(COUNTED - 2):
        state = made.shorter(state)
    assert made.followers(state) == {1: COUNTED - 1}


def test_all_continuations_are_drafted_by_their_shares():
    """`1 2` was followed by 3 twice and by 4 once; of four, one is held in reserve."""
    text = [1, 2, 3, 9, 1, 2, 4, 8, 1, 2, 3, 7, 1, 2]
    assert shares(drafter_of(), text) == pytest.approx({(3,): 2 / 4, (4,): 1 / 4})
    graph = drafter_of().draft(text, 2)
    assert {tuple(graph.path(node)) for node in range(1, len(graph))} == {(3,), (4,), (3, 9), (3, 7), (4, 8)}
    assert set(graph.sources[1:]) == {SOURCE} and graph.forwards_made == 0


def test_a_shorter_match_counts_for_what_the_longer_one_holds_in_reserve():
    """Behind `1 2` 3 (once), behind any 2 also 5 (twice): (1 + 1 · 1/4) / 2 and (0 + 1 · 2/4) / 2."""
    text = [1, 2, 3, 0, 2, 5, 6, 2, 5, 4, 1, 2]
    assert shares(drafter_of(shorter=0), text) == pytest.approx({(3,): 1 / 2})
    assert shares(drafter_of(shorter=1), text) == pytest.approx({(3,): 5 / 8, (5,): 2 / 8})


def test_a_text_that_repeats_itself_is_drafted_on_beyond_its_end():
    graph = drafter_of(depth=7).draft([1, 2, 3, 1, 2, 3, 1], 10)
    assert [tuple(graph.path(node)) for node in range(1, len(graph))][-1] == (2, 3, 1, 2, 3, 1, 2)


@pytest.mark.parametrize(("budget", "depth", "nodes"), [(3, 32, 3), (60, 2, 2), (60, 5, 5)])
def test_budget_and_depth_bound_it(budget, depth, nodes):
    made = drafter_of(budget=budget, depth=depth)
    graph = made.draft([1, 2, 3, 4, 5, 6, 1, 2], 10)
    assert len(graph) - 1 == nodes and len(made.flatten(graph, 10)) == len(graph)


def test_a_token_that_never_stood_there_has_nothing_behind_it():
    assert len(drafter_of().draft([1, 2, 3], 10)) == 1


def test_earlier_texts_are_looked_in_where_that_is_asked_for_and_no_match_runs_across_the_seam():
    """The first text ends with 4, the second begins with 9: nothing followed 4."""
    memory = Texts()
    drafter_of(memory).draft([1, 2, 3, 4], 10)
    second = drafter_of(memory)
    assert shares(second, [9, 1, 2]) == pytest.approx({(3,): 1 / 2})
    assert len(second.draft([9, 1, 2, 4], 10)) == 1
    assert len(drafter_of().draft([9, 1, 2], 10)) == 1


def test_a_text_that_is_broken_off_stays_as_far_as_it_was_read():
    memory = Texts()
    broken = drafter_of(memory)
    broken.draft([1, 2, 3], 10)
    assert shares(drafter_of(memory), [7, 1]) == pytest.approx({(2,): 1 / 2})
    again = drafter_of(memory)
    assert shares(again, [1, 2]) == pytest.approx({(3,): 1 / 2})  # the same beginning: one run of states for both


def test_of_too_many_tokens_the_next_text_begins_anew(monkeypatch):
    monkeypatch.setattr("gsd.drafting.suffix.MOST_TOKENS", 3)
    memory = Texts()
    drafter_of(memory).draft([1, 2, 3], 10)
    assert shares(drafter_of(memory), [9, 1, 2]) != {}
    assert len(drafter_of(memory).draft([9, 1, 2], 10)) == 1


@pytest.mark.parametrize("values", [{}, {"shorter": 0}, {"shorter": 16, "depth": 4}, {"earlier": True}])
def test_on_tables_every_setting_emits_the_plain_text_and_is_accepted_often(values):
    accepted = 0
    for seed in range(10):
        target, draft = table_pair(6, seed)
        made = decode(target, draft, [1, 2], of_method("suffix", **values), count=40)
        assert [token for one in made for token in one.new_tokens] == plain_text(target, [1, 2], 40, SamplingSpec())
        accepted += sum(len(one.accepted) for one in made)
    assert accepted > 100


def test_the_second_time_a_text_takes_fewer_rounds_where_earlier_texts_are_looked_in():
    target, _ = table_pair(40, 3)
    method, settings = METHODS["suffix"], of_method("suffix", earlier=True)
    memory, rounds = method.memory(), []
    for _ in range(2):
        drafter = method.drafter(settings, Parts(None, None, 40, False, memory))
        engine = Engine(target, drafter, method.rule(settings), SamplingSpec(), detail=False)
        rounds.append(list(engine.decode([1, 2], StopRules(30))))
        assert [t for one in rounds[-1] for t in one.new_tokens] == plain_text(target, [1, 2], 30, SamplingSpec())
    assert len(rounds[1]) < len(rounds[0])
