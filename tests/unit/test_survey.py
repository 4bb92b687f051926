"""Surveys: what they replay, in which order, and what they know before they are done."""

import threading
import time
from itertools import pairwise

import pytest
from fixtures.made_atlas import COSTS, made_atlas
from settings import of_method

from analysis.replay import Replayer
from analysis.survey import CONTEXTS, Survey, Surveyor, around, broad
from analysis.tune import summary, tune
from gsd.lab.atlas import Bounds

BOUNDS = Bounds(width=2, depth=2, frontier=2)
START = of_method(width=2, depth=2, frontier=2)


def until(condition):
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def test_the_maps_have_every_width_depth_and_context_and_leave_the_rest():
    settings = around(START.model_copy(update={"budget": 7, "method": "tree"}), BOUNDS)
    assert len(set(settings)) == len(settings) == 2 * 2 * len(CONTEXTS)
    assert {(spec.budget, spec.frontier, spec.method) for spec in settings} == {(7, 2, "graph")}


@pytest.mark.parametrize("most", [9, 20, 64])
def test_wide_bounds_are_sampled_evenly_up_to_their_end(most):
    depths = sorted({spec.depth for spec in around(START, Bounds(width=2, depth=most, frontier=2))})
    assert depths[0] == 1 and depths[-1] == most and len(depths) <= 10
    gaps = [b - a for a, b in pairwise(depths)]
    assert max(gaps) - min(gaps) <= 1


def test_the_broad_survey_stays_within_the_bounds():
    for spec in broad(BOUNDS):
        BOUNDS.check(spec)


def test_a_survey_that_has_begun_knows_what_is_to_come_and_no_best():
    """The finished one says the same as `tune` over all settings at once."""
    survey = Survey(made_atlas(), COSTS, around(START, BOUNDS))
    survey.advance()
    begun = survey.outcome()
    assert len(begun.settings) == len(survey.settings)
    assert begun.settings["covered"].tolist() == [True] + [False] * (len(survey.settings) - 1)
    assert begun.best.empty
    while not survey.finished:
        survey.advance()
    table = summary(tune(Replayer(made_atlas()), survey.settings, COSTS))
    assert survey.outcome().settings["modelled_speedup"].tolist() == table["modelled_speedup"].tolist()
    assert sorted(survey.outcome().best["kind"]) == ["ab", "abc"]


def test_nothing_replayed_yet_has_a_row_for_each_setting_and_no_figures():
    survey = Survey(made_atlas(), COSTS, around(START, BOUNDS))
    table = survey.outcome().settings
    assert len(table) == len(survey.settings) and not table["covered"].any() and table["rounds"].isna().all()


def test_the_surveyor_finishes_what_is_asked_for_and_makes_it_once():
    surveyor, atlas = Surveyor(), made_atlas()
    survey = surveyor.ask("a", atlas, COSTS, around(START, BOUNDS))
    until(lambda: surveyor.ask("a", atlas, COSTS, []).finished)
    assert surveyor.ask("a", atlas, COSTS, []) is survey
    assert survey.done == len(survey.settings)


def test_a_survey_that_fails_says_so_and_stops_no_other():
    surveyor, atlas = Surveyor(), made_atlas()
    wrong = surveyor.ask("wrong", atlas, "no curves", around(START, BOUNDS))
    until(lambda: wrong.error is not None)
    with pytest.raises(AttributeError, match="plain_run_ms"):
        wrong.outcome()
    right = surveyor.ask("right", atlas, COSTS, around(START, BOUNDS))
    until(lambda: right.finished)


def test_what_was_asked_for_last_comes_first(monkeypatch):
    """The first survey's first setting is held until the second survey is asked for, which then overtakes it."""
    order, begun, let_go = [], threading.Event(), threading.Event()

    def advance(survey):
        order.append(survey.settings[0].budget)
        begun.set()
        assert let_go.wait(10)
        survey._rows.append(None)

    monkeypatch.setattr(Survey, "advance", advance)
    surveyor, atlas = Surveyor(), made_atlas()
    first = surveyor.ask(1, atlas, None, [of_method(budget=1)] * 5)
    assert begun.wait(10)
    second = surveyor.ask(2, atlas, None, [of_method(budget=2)] * 5)
    let_go.set()
    until(lambda: first.finished and second.finished)
    assert order == [1, *[2] * 5, *[1] * 4]
