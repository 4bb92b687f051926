"""Figures of tuning over the hand-made atlas: what is drawn, what a click on it carries, and what cannot be drawn."""

import pandas as pd
import pytest
from fixtures.made_atlas import COSTS, made_atlas
from settings import of_method

from analysis.figures.tune import by_kind, front, kinds, maps, picked
from analysis.replay import Replayer
from analysis.survey import Survey, around
from analysis.tune import SETTINGS, as_row, best_by_kind, summary, tune
from gsd.errors import InputError
from gsd.lab.atlas import Bounds

BOUNDS = Bounds(width=2, depth=2, frontier=2)
HERE = of_method(width=2, depth=2, frontier=2, merge_context=0)


def rows(*specs, costs=COSTS):
    return tune(Replayer(made_atlas()), specs, costs)


def row(spec, costs=COSTS):
    return summary(rows(spec, costs=costs)).iloc[0].to_dict()


def table(costs=COSTS):
    return summary(rows(*around(HERE, BOUNDS), costs=costs))


def middle(frame):
    """Of the line around a cell."""
    return tuple((min(side) + max(side)) / 2 for side in (frame.x, frame.y))


def frames(made):
    return [trace for trace in made.data if trace.name == "this setting"]


def test_a_map_for_each_merge_context_with_the_setting_framed_in_its_own():
    made = maps(table(), row(HERE))
    cells = [trace for trace in made.data if trace.type == "heatmap"]
    assert [trace.z.shape for trace in cells] == [(2, 2)] * 5
    assert {trace.xaxis for trace in frames(made)} == {cells[1].xaxis}
    assert middle(frames(made)[0]) == (1.0, 1.0)  # the second column and row


def test_the_frame_lies_within_the_axes_even_around_a_corner():
    """A line beyond the range of its axes is cut off."""
    made = maps(table(), row(HERE))
    [halo, frame] = frames(made)
    assert max(frame.x) < made.layout.xaxis2.range[1] and max(frame.y) < made.layout.yaxis2.range[1]
    assert halo.line.width > frame.line.width


def test_wide_maps_stand_in_several_rows():
    wide = pd.concat([table().query("width == 1").assign(width=width) for width in range(1, 9)])
    made = maps(wide, row(HERE))
    tops = [made.layout[f"yaxis{i or ''}"].domain for i in (0, 2, 3, 4, 5)]
    assert len(set(tops)) == 2


def test_the_number_in_a_cell_is_its_settings_own():
    first = next(trace for trace in maps(table(), row(HERE)).data if trace.type == "heatmap")
    for x, width in enumerate((1, 2)):
        for y, depth in enumerate((1, 2)):
            spec = HERE.model_copy(update={"merge_context": None, "width": width, "depth": depth})
            assert first.z[y][x] == pytest.approx(row(spec)["modelled_speedup"])


def test_a_setting_without_a_cell_is_not_framed_and_the_frame_not_spoken_of():
    """Rows of depth 1 and 4: there is none of depth 2. And where the setting is not covered its cell says nothing."""
    between = maps(table().replace({"depth": {2: 4}}), row(HERE))
    assert "depth 2 lies between the rows" in between.layout.title.subtitle.text
    for made in (between, maps(table(), row(HERE) | {"covered": False})):
        assert not frames(made) and "frame" not in made.layout.title.subtitle.text
    assert "frame" in maps(table(), row(HERE)).layout.title.subtitle.text


def test_a_click_carries_the_setting():
    made = maps(table(), row(HERE))
    targets = [trace for trace in made.data if trace.type == "scatter" and trace.customdata is not None]
    assert picked(list(targets[1].customdata[0])) == {"width": 1, "depth": 1, "merge_context": 0}
    points = front(table(), row(HERE), row(HERE)).data[0]
    carried, wanted = picked(list(points.customdata[0])), table().iloc[0][list(SETTINGS)]
    assert carried.keys() == {*SETTINGS}
    assert all(carried[name] == wanted[name] or wanted[name] != wanted[name] for name in SETTINGS)  # NaN: not read


def test_cells_that_are_still_to_come_are_blank_and_keep_their_place():
    survey = Survey(made_atlas(), COSTS, around(HERE, BOUNDS))
    survey.advance()
    cells = [trace for trace in maps(survey.outcome().settings, row(HERE)).data if trace.type == "heatmap"]
    assert [trace.z.shape for trace in cells] == [(2, 2)] * 5
    assert sum((trace.z == trace.z).sum() for trace in cells) == 1  # NaN is not itself


def test_a_setting_that_is_not_covered_is_not_drawn_as_a_point():
    lacking = HERE.model_copy(update={"sibling_threshold": 0.0, "prob_threshold": 0.0, "merge_context": None})
    assert not row(lacking)["covered"]
    names = {trace.name for trace in front(table(), row(lacking), row(HERE)).data}
    assert "this setting" not in names and "the defaults" in names


def test_by_kind_says_where_there_is_most_to_gain():
    """With depth 1 the text of five takes a round more than with depth 2; the one of two takes one either way."""
    here, best = HERE.model_copy(update={"depth": 1}), best_by_kind(rows(HERE))
    found = kinds(rows(here), rows(HERE), best)
    assert found["kind"].tolist() == ["abc", "ab"]
    assert (found["best"] == found["reference"]).all()
    assert found["here"].iloc[0] < found["best"].iloc[0]
    assert by_kind(found.assign(texts=10)).layout.title.text.startswith("abc has most to gain")
    few = by_kind(found).layout.title.text  # one text of each kind
    assert "most" not in few and few.startswith("This setting: ")
    assert [*by_kind(found).data[0].y] == ["abc (1)", "ab (1)"]


def test_by_kind_says_for_which_kinds_a_setting_is_covered():
    """Of the text of five the here-setting is not covered, of the one of two it is; then of neither."""
    found = kinds(rows(HERE), rows(HERE), best_by_kind(rows(HERE)))
    part = found.assign(here=[None, 2.0])
    assert by_kind(part).layout.title.text == "This setting is not covered, but for ab (1 of 2)"
    none = by_kind(found.assign(here=None))
    assert none.layout.title.text == "This setting is not covered"
    assert [trace.name for trace in none.data] == ["the defaults", "best replayed"]


def test_settings_that_tie_are_said_to_and_the_cheapest_is_preferred():
    """The second is 0.004 faster and verifies twice as many nodes; the third is slower."""
    rows = table().head(3).assign(modelled_speedup=[1.461, 1.464, 1.40], verified_nodes=[10, 20, 5], merge_context=0)
    assert maps(rows, row(HERE)).layout.title.text == (
        f"2 settings here tie at 1.46×, modelled; the cheapest: width {rows['width'].iloc[0]}, "
        f"depth {rows['depth'].iloc[0]}, context 0"
    )
    alone = rows.assign(modelled_speedup=[1.461, 1.47, 1.40])
    assert maps(alone, row(HERE)).layout.title.text.startswith(f"Best here: width {rows['width'].iloc[1]}")


def test_what_cannot_be_drawn_is_said():
    bare = table(costs=None)
    no_kinds = kinds(rows(HERE, costs=None), rows(HERE, costs=None), best_by_kind(rows()))
    for draw in (lambda: maps(bare, row(HERE)), lambda: front(bare, row(HERE), row(HERE)), lambda: by_kind(no_kinds)):
        with pytest.raises(InputError, match="costs"):
            draw()
    assert maps(bare, row(HERE), "mean_acceptance_length").layout.title.text.startswith("10 settings here tie at 2.25")


def test_a_kind_that_is_markup_is_shown_as_text():
    found = kinds(rows(HERE), rows(HERE), best_by_kind(rows(HERE))).assign(kind=["<b>x</b>", "y"])
    assert "&lt;b&gt;" in by_kind(found).data[0].y[0]
    assert as_row(HERE)["merge_context"] == 0
