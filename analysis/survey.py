"""Replay many settings of an atlas in the background. Settings that somebody looks at come first.

A thread replays one setting after another, so that a view shows what there is and goes on. Only
surveys that were asked for within the last seconds are worked on: one that a slider has moved away
from rests, and goes on where it stopped when it is asked for again.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Hashable, Iterable
from dataclasses import dataclass

import pandas as pd

from analysis.replay import Replayer
from analysis.tune import (
    AVERAGED,
    COLUMNS,
    COUNTS,
    SETTINGS,
    as_row,
    best_by_kind,
    default_grid,
    settings_of,
    summary,
    tune,
)
from gsd.lab.atlas import Atlas, Bounds
from gsd.lab.cost import Costs
from gsd.methods import MethodSettings

CONTEXTS = (None, 0, 1, 2, 3)  # merge contexts of the maps
WANTED_S = 4.0  # a survey that nobody asked for in this time rests
KEPT = 32  # surveys, the latest asked for


def around(spec: MethodSettings, bounds: Bounds) -> list[MethodSettings]:
    """Every width and depth within the bounds, for each merge context; the rest as in `spec`, method `graph`."""
    rest = spec.model_dump(exclude={"method", "width", "depth", "merge_context"})
    grid = {name: [value] for name, value in rest.items()}
    return settings_of(grid | {"merge_context": [*CONTEXTS], "width": _upto(bounds.width, 8),
                               "depth": _upto(bounds.depth, 10)})  # fmt: skip


def broad(bounds: Bounds) -> list[MethodSettings]:
    """Some hundred settings over all that an atlas can answer, to find the best ones among."""
    return settings_of(default_grid(bounds))


def _upto(most: int, count: int) -> list[int]:
    """At most `count` whole numbers from 1 to `most`, evenly spread, `most` among them."""
    if most <= count:
        return list(range(1, most + 1))
    return sorted({round(1 + i * (most - 1) / (count - 1)) for i in range(count)})


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a survey found.

    `settings` a row each, as of `summary`; those that are still to come have no figures
    `best`     the fastest of them for each kind of text; nothing before the survey is finished
    """

    settings: pd.DataFrame
    best: pd.DataFrame


def _outcome(settings: list[MethodSettings], parts: list[pd.DataFrame]) -> Outcome:
    rows = pd.concat([pd.DataFrame(columns=COLUMNS), *parts], ignore_index=True)
    to_come = pd.DataFrame([as_row(spec) | {"covered": False} for spec in settings[len(parts) :]])
    table = pd.concat([summary(rows), to_come] if parts else [to_come], ignore_index=True)
    return Outcome(
        table.reindex(columns=[*SETTINGS, *COUNTS, *AVERAGED, "covered"]).infer_objects(),
        best_by_kind(rows if to_come.empty else rows.iloc[:0]),
    )


class Survey:
    """Some settings over an atlas, replayed one by one; each call may come from any thread."""

    def __init__(self, atlas: Atlas, costs: Costs | None, settings: Iterable[MethodSettings]) -> None:
        self.settings = list(settings)
        self.asked = 0.0  # when somebody last asked for it, by `time.monotonic`
        self.error: Exception | None = None  # that ended it
        self._costs = costs
        self._replayer: Replayer | None = Replayer(atlas)
        self._rows: list[pd.DataFrame] = []
        self._outcome: tuple[int, Outcome] | None = None  # and of how many settings

    @property
    def done(self) -> int:
        """Settings replayed so far."""
        return len(self._rows)

    @property
    def finished(self) -> bool:
        """Whether every setting is replayed."""
        return self.done == len(self.settings)

    def outcome(self) -> Outcome:
        """What has been found so far, made once for each number of settings. Raises the error that ended it."""
        if self.error:
            raise self.error
        done = self.done
        if self._outcome is None or self._outcome[0] != done:
            self._outcome = (done, _outcome(self.settings, self._rows[:done]))
        return self._outcome[1]

    def advance(self) -> None:
        """Replay the next setting; the graphs that settings share are let go after the last."""
        assert self._replayer is not None, "all settings are replayed"
        self._rows.append(tune(self._replayer, [self.settings[self.done]], self._costs))
        if self.finished:
            self._replayer = None
            self.outcome()  # here, so that no view waits for it


class Surveyor:
    """One thread that advances surveys, the one asked for last before all others."""

    def __init__(self) -> None:
        self._surveys: dict[Hashable, Survey] = {}
        self._news = threading.Condition()
        threading.Thread(target=self._work, daemon=True).start()

    def ask(self, key: Hashable, atlas: Atlas, costs: Costs | None, settings: Iterable[MethodSettings]) -> Survey:
        """The survey of that key, as far as it is; made at its first call, worked on while it is asked for."""
        with self._news:
            survey = self._surveys.pop(key, None) or Survey(atlas, costs, settings)
            self._surveys[key] = survey
            survey.asked = time.monotonic()
            for old in list(self._surveys)[:-KEPT]:
                del self._surveys[old]
            self._news.notify()
        return survey

    def _work(self) -> None:
        while True:
            with self._news:
                while (survey := self._next()) is None:
                    self._news.wait()
            try:
                survey.advance()
            except Exception as error:  # the thread is everybody's: whoever looks at this survey is told
                survey.error = error

    def _next(self) -> Survey | None:
        since = time.monotonic() - WANTED_S
        wanted = [one for one in self._surveys.values() if not (one.finished or one.error) and one.asked >= since]
        return max(wanted, key=lambda one: one.asked, default=None)
