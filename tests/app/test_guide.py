"""The Guide: pictures of a round that is really drafted, settings to try, and definitions from the documentation."""

import base64
import json
import re

import pytest

from analysis.glossary import measures, pages, topics
from analysis.svg import LEGEND, SOURCE_MARKS, sample
from analysis.toy import toy_round


@pytest.fixture
def guide(app):
    """Opens the Guide."""

    def open_at(**address):
        page = app().switch_page("views/guide.py")
        for name, value in address.items():
            page.query_params[name] = value
        return page.run()

    return open_at


def graph_of(page):
    [found] = [json.loads(element.proto.json) for element in page.get("bidi_component")
               if element.proto.id.endswith("-toy")]  # fmt: skip
    return found


def figures(page):
    return {metric.label: int(metric.value) for metric in page.metric}


def test_it_shows_the_idea_in_three_pictures_and_needs_no_run(guide):
    page = guide()
    assert not page.exception
    [idea] = [element.proto.body for element in page.get("html") if 'class="idea"' in element.proto.body]
    drawn = [base64.b64decode(found).decode() for found in re.findall(r"base64,([^\"]+)", idea)]
    nodes = [picture.count("<text") - 1 for picture in drawn]
    assert f"<b>{nodes[0]} nodes</b>" in idea
    assert f"<b>{nodes[1]} nodes</b>" in idea
    assert nodes[1] < nodes[0]
    assert len(drawn) == 3


@pytest.mark.parametrize(
    "name, value",
    [("width", 1), ("depth", 2), ("frontier", 1), ("merge_context", 2), ("sibling_threshold", 0.6),
     ("prob_threshold", 0.1), ("budget", 4)],
)  # fmt: skip
def test_each_setting_has_a_slider_that_changes_the_graph_or_what_is_verified(guide, name, value):
    page = guide(setting=name)
    before, drawn = figures(page), graph_of(page)
    page.select_slider(key=f"toy {name}").set_value(value).run()
    assert not page.exception
    assert figures(page) != before
    assert graph_of(page) != drawn
    assert page.query_params["setting"] == name


def test_its_figures_are_those_of_the_round_it_draws(guide):
    page, round_ = guide(), toy_round()
    assert figures(page) == {"Drafted": round_.drafted_nodes, "Merges": round_.merged, "Levels": 4,
                             "Verified": round_.verified_nodes, "Accepted": len(round_.accepted)}  # fmt: skip
    assert all(metric.help for metric in page.metric)


def test_a_setting_that_is_none_is_ignored_and_the_open_run_stays_in_the_address(guide):
    page = guide(setting="<b>")
    assert not page.exception
    assert page.query_params["setting"] == "width"


def test_every_mark_of_the_pictures_legend_is_explained_as_it_is_drawn_there(guide):
    [marks] = [element.proto.body for element in guide().get("html") if 'class="marks"' in element.proto.body]
    drawn = [base64.b64decode(found).decode() for found in re.findall(r"base64,([^\"]+)", marks)]
    names = re.findall(r"<b>([^<]+)</b>", marks)
    assert set(names) == {"root", *LEGEND.values()}
    for kind, name in LEGEND.items():
        assert sample(kind) in drawn[names.index(name)]
    for source, path in SOURCE_MARKS.items():
        assert path in drawn[names.index(LEGEND[source])]


def test_every_mark_of_a_token_in_a_text_is_explained(guide):
    [text] = [json.loads(element.proto.json) for element in guide().get("bidi_component")
              if element.proto.id.endswith("-guide text")]  # fmt: skip
    assert set(text["origins"]) == {"draft", "merge", "bonus", "target", "lookup", "history", "recycled", "suffix"}


def test_the_glossary_finds_a_measure_by_its_name_or_meaning(guide):
    page = guide()
    page.text_input(key="find_measure").set_value("Acceptance_rate").run()
    [found] = [table.value for table in page.dataframe]
    assert set(found["column"]) == {"draft_acceptance_rate", "acceptance_rate_longest_path", "acceptance_rate_drafted"}


def test_the_glossary_is_the_documentation():
    """No definition is written twice: every column and every topic comes from docs/."""
    assert set(measures()["table"]) == {"runs", "rounds", "nodes", "edges", "merges", "decisions", "hypotheses"}
    mean = measures().query("column == 'mean_acceptance_length' and table == 'runs'")
    assert list(mean["meaning"]) == ["1 + accepted / rounds"]
    assert list(topics())[:3] == ["Rules", "Overlap", "Acceptance"]
    assert "redundancy   = 1 − drafted / unrolled" in topics()["Overlap"]


def test_each_page_of_the_documentation_is_shown_by_itself(guide):
    """With no link that leads nowhere in the app, and without what only tests read."""
    page = guide()
    assert {"The command line", "Models", "Security", "Sweeps", "The trace"} <= set(pages())
    for name, text in pages().items():
        page.pills(key="docs page").set_value(name).run()
        assert not page.exception
        assert text in [shown.value for shown in page.markdown]
        assert "not run:" not in text
        assert "images/" not in text
        assert not re.search(r"\]\((?!https:)", text)


def test_it_says_how_to_cite_the_paper_and_the_software(guide):
    shown = " ".join(code.value for code in guide().code)
    assert "2407.16207" in shown
    assert "gsd-lab" in shown


def test_its_contents_lead_to_every_part(guide):
    page = guide()
    contents = next(text.value for text in [*page.caption, *page.markdown] if "#settings" in text.value)
    anchors = [header.proto.anchor for header in page.header]
    assert [f"(#{anchor})" in contents for anchor in anchors] == [True] * 5
