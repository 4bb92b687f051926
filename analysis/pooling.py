"""Counts of rounds and runs put together: summed first, then divided into shares."""

from __future__ import annotations

import pandas as pd

from analysis.load import Frames

ABOUT = ["run", "kind", "status"]  # a row's run, in the order of the columns
_COUNTS = ("drafted", "unrolled", "extra_copies", "merges", "occurrences", "shared",
           "edges", "tested", "accepted", "continued")  # fmt: skip
_RATIOS = {
    "redundancy": ("extra_copies", "unrolled"),
    "overlap": ("shared", "occurrences"),
    "share_tested": ("tested", "edges"),
    "share_accepted": ("accepted", "tested"),
    "precision": ("continued", "tested"),
}


def pool(rows: pd.DataFrame, by: list[str]) -> pd.DataFrame:
    """Rows of a metric put together by the columns `by`: counts summed over complete runs, then divided."""
    complete = rows[rows["status"] == "complete"]
    runs = complete.groupby(by, dropna=False)["run"].nunique().rename("runs").reset_index()
    pooled = summed(complete, by, sort=True)
    pooled.insert(len(by), "runs", runs["runs"])
    return pooled


def summed(rows: pd.DataFrame, by: list[str], *, sort: bool = False) -> pd.DataFrame:
    """Counts of `rows` summed by the columns `by`, and their shares."""
    counts = [name for name in _COUNTS if name in rows]
    return divided(rows.groupby(by, sort=sort, dropna=False)[counts].sum().reset_index())


def divided(counts: pd.DataFrame) -> pd.DataFrame:
    """`counts` with the shares that they give; 0 / 0 is empty."""
    shares = {name: counts[part] / counts[whole] for name, (part, whole) in _RATIOS.items() if part in counts}
    return counts.assign(**shares)


def with_run(rows: pd.DataFrame, frames: Frames) -> pd.DataFrame:
    """`rows` with kind and status of their run behind `run`, which comes first."""
    about = rows[["run"]].merge(frames.runs[ABOUT], on="run", how="left")
    return pd.concat([about, rows.drop(columns="run").reset_index(drop=True)], axis=1)


def in_order(rows: pd.DataFrame, frames: Frames, by: list[str]) -> pd.DataFrame:
    """`rows` by run in the order asked for, then by the columns `by`."""
    position = pd.Series(range(len(frames.runs)), frames.runs["run"])
    return rows.sort_values(["run", *by], kind="stable", ignore_index=True,
                            key=lambda column: column.map(position) if column.name == "run" else column)  # fmt: skip
