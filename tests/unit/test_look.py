"""The palette is readable on both pages, and numbers in the cells of a heat map are."""

import itertools

import numpy as np
import pandas as pd
import plotly.graph_objects as go
import pytest

from analysis.figures import look

PAGES = {"light": "#FFFFFF", "dark": "#14161A"}  # backgrounds in .streamlit/config.toml
NAMED = {"black": "#000000", "white": "#FFFFFF"}
MARKS = (look.ACCEPTED, look.REJECTED, look.MERGED, look.BONUS, look.SKY, look.ORANGE, look.GREY)


def channels(color):
    color = NAMED.get(color, color)
    return np.array([int(color[i : i + 2], 16) for i in (1, 3, 5)]) / 255


def luminance(rgb):
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    return linear @ [0.2126, 0.7152, 0.0722]


def contrast(one, other):
    """Of WCAG 2: 1 to 21."""
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


def on(page, color):
    return channels(look.DARK.get(color, color) if page == "dark" else color)


@pytest.mark.parametrize("page", PAGES)
def test_text_and_marks_stand_out_from_the_page(page):
    paper = channels(PAGES[page])
    assert all(contrast(on(page, color), paper) >= 3 for color in MARKS)
    assert all(contrast(on(page, color), paper) >= 4.5 for color in (look.TEXT, look.INK))


@pytest.mark.parametrize("page", PAGES)
def test_a_number_is_readable_wherever_on_the_scale_its_cell_lies(page):
    values = np.linspace(2.0, 4.0, 201)
    inks = look.numbers(values, values, values, (2.0, 4.0), "{:.2f}")["textfont"]["color"]
    stops = [on(page, color) for _, color in look.SCALE]
    for value, ink in zip(values, inks):
        cell = [np.interp((value - 2) / 2, [0, 0.5, 1], channel) for channel in zip(*stops)]
        assert contrast(on(page, ink), np.array(cell)) >= 4.5


def test_on_a_dark_page_colours_are_others_and_texts_the_same():
    """A token may spell a colour of the palette."""
    made = look.figure(look.ACCEPTED, "", "", "").add_bar(
        x=[0], y=[0], text=[look.ACCEPTED], marker=look.hatched(look.MERGED), textfont={"color": ["black", "white"]}
    )
    dark = look.in_dark(made)
    assert dark.layout.title.text == dark.data[0].text[0] == look.ACCEPTED
    assert dark.data[0].marker.color == look.DARK[look.MERGED]
    assert dark.data[0].marker.pattern.fgcolor == look.DARK[look.PAPER]
    assert tuple(dark.data[0].textfont.color) == ("white", "black")
    assert dark.layout.template.layout.font.color == look.DARK[look.TEXT]
    assert made.data[0].marker.color == look.MERGED


def test_a_heat_map_keeps_its_scale_in_the_dark():
    dark = look.in_dark(go.Figure(go.Heatmap(z=[[0, 1]], colorscale=look.SCALE)))
    assert [stop[1] for stop in dark.data[0].colorscale] == [look.DARK[look.LOW], look.MIDDLE, look.DARK[look.HIGH]]


def test_rounds_are_whole_numbers_and_each_has_a_tick_where_they_are_few():
    """Between 1 and 3 plotly would set 1.2 and 1.4."""
    made = look.figure("", "", "round", "")
    assert look.whole_ticks(made, pd.Series([1, 2, 3])).layout.xaxis.dtick == 1
    assert look.whole_ticks(made, pd.Series([1, 40])).layout.xaxis.dtick is None


def test_a_share_is_a_hundred_per_cent_only_where_it_is_all():
    assert [look.percent(share) for share in (1.0, 0.9999, 0.25, 0.012, 0.0, float("nan"))] == [
        "100%", ">99%", "25%", "1.2%", "0%", "–"]  # fmt: skip


def test_no_two_colours_of_a_page_are_one():
    for page in PAGES:
        assert all((on(page, a) != on(page, b)).any() for a, b in itertools.combinations(MARKS, 2))


def test_missing_numbers_are_left_out_and_equal_ones_have_a_scale():
    drawn = look.numbers([0, 1], [0, 0], [1.0, float("nan")], look.ends_of(pd.Series([1.0, 1.0])), "{:.1f}")
    assert (drawn["x"], drawn["text"]) == ([0], ["1.0"])
    assert look.ends_of(pd.Series([1.0, 1.0])) == (1.0, 2.0)
