"""Grids of settings over an atlas: counts and modelled speed-up of each, and the best ones."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterable
from itertools import product
from typing import Any

import numpy as np
import pandas as pd

from analysis.replay import Replayer, TextReplay
from gsd.config import RunSpec
from gsd.errors import InputError
from gsd.lab.atlas import AtlasText, Bounds
from gsd.lab.cost import Costs
from gsd.methods import METHODS, USUAL, MethodSettings, drafting, known, read_by
from gsd.methods import settings_of as settings_in_method
from gsd.spec import SamplingSpec

SETTINGS = ("method", *known())
COUNTS = ("rounds", "draft_forwards", "drafted_nodes", "verified_nodes", "merges")
AVERAGED = ("mean_acceptance_length", "modelled_speedup", "coverage")
COLUMNS = (*SETTINGS, "text", "kind", *COUNTS, *AVERAGED)
CHEAP = ("depth", "budget")  # settings that differ in these alone share their graphs: they vary fastest
_DECODING = ("max_new_tokens", "device", "dtype")  # what a recorded spec says of its decoding, beside its law


def parse_grid(text: str) -> dict[str, list[Any]]:
    """`width=1..6,merge_context=none,0,1` -> lists by option; raises `InputError` naming what is wrong."""
    grid: dict[str, list[Any]] = {}
    name = ""
    for part in text.split(","):
        key, equals, value = part.rpartition("=")
        if equals:
            name = key.strip().replace("-", "_")
            if name not in SETTINGS:
                raise InputError(f"--grid {part!r}: unknown option; choose among {', '.join(SETTINGS)}")
            if name in grid:
                raise InputError(f"--grid {part!r}: {name} is there twice")
        elif not name:
            raise InputError(f"--grid {part!r}: give OPTION=VALUES, such as width=1..6,depth=1,2,4")
        grid.setdefault(name, []).extend(_values(value.strip()))
    return grid


def _values(text: str) -> list[Any]:
    first, dots, last = text.partition("..")
    if not dots:
        return [None if text == "none" else text]
    if not (first.isdecimal() and last.isdecimal() and int(first) <= int(last)):
        raise InputError(f"--grid {text!r}: a range is two whole numbers, the smaller first, such as 1..6")
    return list(range(int(first), int(last) + 1))


def default_grid(bounds: Bounds) -> dict[str, list[Any]]:
    """The grid if none is given: the settings that matter most, within the bounds of the atlas."""
    return {
        "width": _within((1, 2, 3, 4, 6), bounds.width),
        "depth": _within((1, 2, 3, 4, 6, 8, 12, 16, 20), bounds.depth),
        "merge_context": [None, 0, 1, 2],
        "prob_threshold": [0.1, 0.2, 0.4],
        "frontier": [min(drafting().frontier, bounds.frontier)],
    }


def _within(values: tuple[int, ...], most: int) -> list[int]:
    return [value for value in values if value <= most]


def settings_of(grid: dict[str, list[Any]]) -> list[MethodSettings]:
    """Every combination once, as its method reads it. Settings that the grid does not name have their defaults."""
    names = sorted(grid, key=CHEAP.__contains__)
    combinations = product(*(grid[name] for name in names))
    return list(dict.fromkeys(read_by(dict(zip(names, values))) for values in combinations))


def tune(
    replayer: Replayer,
    settings: Iterable[MethodSettings],
    costs: Costs | None,
    *,
    progress: Callable[[], None] = lambda: None,
) -> pd.DataFrame:
    """A row for each setting and text: the settings, `text`, `kind`, counts, `coverage`, `modelled_speedup`.

    Counts and speed-up are missing where the setting is not covered, the speed-up also without `costs`.
    """
    rows = []
    for spec in settings:
        for text, replay in zip(replayer.atlas.texts, replayer.replay(spec)):
            rows.append({**as_row(spec), **_row(text, replay, costs)})
        progress()
    return pd.DataFrame(rows, columns=COLUMNS)


def _row(text: AtlasText, replay: TextReplay, costs: Costs | None) -> dict[str, Any]:
    row: dict[str, Any] = {"text": text.id, "kind": text.kind, "coverage": replay.coverage}
    if replay.wanted:
        return row
    return row | {
        **replay.counts(),
        "mean_acceptance_length": replay.mean_acceptance_length,
        "modelled_speedup": modelled_speedup(text, replay, costs) if costs else None,
    }


def modelled_speedup(text: AtlasText, replay: TextReplay, costs: Costs) -> float:
    """Modelled milliseconds of plain decoding over those of the replayed rounds."""
    return costs.plain_run_ms(len(text.prompt), len(text.tokens)) / modelled_ms(text, replay, costs)


def modelled_ms(text: AtlasText, replay: TextReplay, costs: Costs) -> float:
    """Modelled milliseconds of the replayed rounds; the first target forward takes the prompt along."""
    rounds = replay.rounds
    target = [(1 if one.at else len(text.prompt)) + one.verified_nodes for one in rounds]
    draft = [tokens for one in rounds for tokens in one.forwards]
    return costs.run_ms(draft, target, sum(one.drafted_nodes for one in rounds))


def summary(rows: pd.DataFrame) -> pd.DataFrame:
    """A row for each setting: counts summed, acceptance length and speed-up averaged over the texts.

    `covered`: every text is; else the counts and averages are missing, as no part stands for the whole.
    """
    groups = rows.groupby(list(SETTINGS), sort=False, dropna=False)
    table = groups[list(COUNTS)].sum(min_count=1)
    table[list(AVERAGED)] = groups[list(AVERAGED)].mean()
    table["covered"] = groups["rounds"].apply(lambda counts: counts.notna().all())
    table.loc[~table["covered"], [*COUNTS, *AVERAGED[:2]]] = np.nan
    return table.reset_index()


def pareto(table: pd.DataFrame) -> pd.DataFrame:
    """Settings that no other beats in modelled speed-up with as few verified nodes; the fewest nodes first."""
    ranked = table.dropna(subset="modelled_speedup").sort_values(
        ["verified_nodes", "modelled_speedup"], ascending=[True, False]
    )
    best_before = ranked["modelled_speedup"].cummax().shift(fill_value=-np.inf)
    return ranked[ranked["modelled_speedup"] > best_before]


def cheapest_best(table: pd.DataFrame, value: str) -> tuple[pd.Series, int]:
    """Of the rows with the highest `value` to two decimals the one of the fewest verified nodes; how many rows tie."""
    values = table[value].astype(float).round(2)
    tied = table[values == values.max()]
    return tied.sort_values(["verified_nodes", "drafted_nodes", "draft_forwards"], kind="stable").iloc[0], len(tied)


def best_by_kind(rows: pd.DataFrame) -> pd.DataFrame:
    """The setting of the highest mean modelled speed-up for each kind of text, over settings covered there.

    Of several that tie exactly, the one of the fewest verified nodes.
    """
    groups = rows.groupby(["kind", *SETTINGS], sort=False, dropna=False)
    means = groups.agg(modelled_speedup=("modelled_speedup", "mean"), verified_nodes=("verified_nodes", "sum"),
                       texts=("modelled_speedup", "size"), known=("modelled_speedup", "count"))  # fmt: skip
    covered = means[means["known"] == means["texts"]].reset_index()
    ranked = covered.sort_values(["modelled_speedup", "verified_nodes"], ascending=[False, True], kind="stable")
    return ranked.drop_duplicates("kind")[["kind", *SETTINGS, "modelled_speedup"]]


def report(rows: pd.DataFrame, table: pd.DataFrame) -> dict[str, Any]:
    """The report of a grid: covered settings, the Pareto front, the best overall and by kind, and all rows."""
    front = [_described(row) for row in _records(pareto(table))]
    return {
        "settings": len(table),
        "covered": int(table["covered"].sum()),
        "pareto": front,
        "best": front[-1] if front else None,  # the last of the front is the fastest
        "best_by_kind": {kind_named(row["kind"]): _described(row) for row in _records(best_by_kind(rows))},
        "rows": _records(table),
    }


def kind_named(kind: str | None) -> str:
    """What a report calls a kind of prompts, or those of none."""
    return kind or "prompts of no kind"


def _described(row: dict[str, Any]) -> dict[str, Any]:
    return {**row, "options": to_paste(row) or "(the defaults)"}


def _records(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """Rows as plain values; what is missing is None."""
    return frame.astype(object).where(frame.notna(), None).to_dict("records")


def as_row(spec: MethodSettings) -> dict[str, Any]:
    """The settings by option name, with "none" for no merging, as the options have it."""
    values = dict.fromkeys(SETTINGS) | spec.model_dump()
    return values | ({"merge_context": "none"} if values["merge_context"] is None else {})


def command(recorded: dict[str, Any], text: AtlasText, row: dict[str, Any]) -> str:
    """The `gsd generate` command that decodes a text's prompt as the atlas did, with the settings of a row.

    `recorded` is the atlas's own spec; a prompt that was given as tokens is left to whoever pastes.
    """
    asked = {name: recorded[name] for name in _DECODING if name in recorded} | recorded.get("sampling", {})
    asked.pop("draw", None)  # no option: what runs anew is drawn as this version draws
    usual = {name: RunSpec.model_fields[name].default for name in _DECODING} | SamplingSpec().model_dump()
    given = [*_models(recorded), *_options(asked, usual)]
    given += ["--unpacked"] if recorded.get("packed") is False else []
    given += ["--raw"] if text.chat is False else []
    given += ["--prompt", text.given] if text.given is not None else []
    return " ".join(filter(None, ["gsd generate", shlex.join(given), to_paste(row)]))


def _models(recorded: dict[str, Any]) -> list[str]:
    """The models of a recorded spec as options; whether their own code may be run is for whoever pastes to say."""
    models = {role: recorded[role] for role in ("target", "draft") if recorded.get(role)}
    quantised = ["--draft-quant", models["draft"].get("quantization", "none")] if "draft" in models else []
    if recorded.get("pair"):
        return ["--pair", recorded["pair"], *quantised]
    given = [part for role, model in models.items() for part in (f"--{role}", model["source"])]
    for role, model in models.items():
        given += [f"--{role}-revision", model["revision"]] if model.get("revision") else []
    return [*given, *quantised]


def to_paste(row: dict[str, Any]) -> str:
    """A row's settings as options of `gsd generate`: those that its method reads and that are not the defaults."""
    name = row["method"]
    read = {setting: row[setting] for setting in settings_in_method(METHODS[name])}
    return shlex.join(_options({"method": name, **read}, as_row(drafting(name)) | {"method": USUAL}))


def _options(values: dict[str, Any], usual: dict[str, Any]) -> list[str]:
    """Those that are not as usual, by name."""
    return [part for name, value in values.items() if value != usual[name]
            for part in (f"--{name.replace('_', '-')}", str(value))]  # fmt: skip
