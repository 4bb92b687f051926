"""Which runs a figure of overlap or of edges is of: the one there is, or the complete ones put together."""

from __future__ import annotations

import pandas as pd

from analysis.figures.look import status_of
from analysis.pooling import pool
from gsd.errors import InputError
from gsd.wording import counted


def together(rows: pd.DataFrame, by: list[str]) -> pd.DataFrame:
    """Rows put together by `by`: those of the one run there is, or of the complete runs."""
    alone = some_of(rows)["run"].nunique() == 1
    return pool(rows.assign(status="complete") if alone else complete_of(rows), by)


def which_runs(rows: pd.DataFrame) -> str:
    """Of which runs `together` is, for a subtitle: how the one ended, or how many."""
    if rows["run"].nunique() == 1:
        return status_of(rows)
    return counted(complete_of(rows)["run"].nunique(), "complete run")


def check_one_run(rows: pd.DataFrame) -> None:
    """Raise `InputError` for rows of several runs, or of none."""
    runs = some_of(rows)["run"].unique()
    if len(runs) > 1:
        raise InputError(f"rounds of {len(runs)} runs in one figure; choose one, such as {runs[0]}")


def complete_of(rows: pd.DataFrame) -> pd.DataFrame:
    """The rows of complete runs. Raises `InputError` where there are none."""
    return some_of(rows[rows["status"] == "complete"])


def some_of(rows: pd.DataFrame) -> pd.DataFrame:
    """The rows as they are. Raises `InputError` where there are none."""
    if rows.empty:
        raise InputError("nothing to draw: no run with a recorded draft (detail full, method other than ar)")
    return rows
