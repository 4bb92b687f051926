"""The Overlap view through AppTest: empty, with a run in every scope, with runs that have nothing to show."""

import json
import shutil

import pytest
from fixtures.recorded import record_run
from settings import of_method

from analysis.edges import merges_by_context
from analysis.load import load
from analysis.overlap import redundancy_by_round
from app.library import SAMPLES
from gsd.spec import ModelSpec
from gsd.trace.read import list_runs, read_run

GRAPH = of_method(width=4, depth=6, frontier=5, merge_context=0, prob_threshold=0.05, budget=24)
REDUNDANCY = "Redundancy, unrolled without limit"


@pytest.fixture
def run(tmp_path):
    return record_run(tmp_path / "runs", count=8, drafting=GRAPH)


def charts(page):
    return [element.proto.id.rpartition("chart ")[2] for element in page.get("plotly_chart")]


def metrics(page):
    return {metric.label: metric.value for metric in page.metric}


def test_without_a_run_the_samples_are_offered_and_one_opens(overlap):
    page = overlap()
    assert not page.exception
    offers = [button for button in page.button if button.key and button.key.startswith("open ")]
    offers[0].click().run()
    assert not page.exception
    assert "redundancy_by_round" in charts(page)


@pytest.mark.parametrize("name", [folder.name for folder in list_runs(SAMPLES)])
def test_every_sample_has_its_figures(overlap, name):
    page = overlap(run=name)
    assert not page.exception
    assert not page.error
    assert metrics(page)[REDUNDANCY].endswith("%")


@pytest.mark.parametrize("tab", ["Redundancy", "Sequences", "Merges", "Hypotheses"])
@pytest.mark.parametrize("scope", ["round", "run", "runs"])
def test_every_section_stands_in_every_scope(overlap, run, scope, tab):
    page = overlap(run=run.name, scope=scope, tab=tab)
    assert not page.exception
    assert page.button_group(key="scope").value == scope
    assert charts(page) or page.info
    assert (page.query_params.get("scope"), page.query_params.get("tab")) == (
        None if scope == "run" else scope,
        None if tab == "Redundancy" else tab,
    )


def described(page, label):
    return next(metric.proto.delta_description for metric in page.metric if metric.label == label)


def copies(page):
    """Of the unrolled graph, beyond what was drafted."""
    return int(described(page, REDUNDANCY).split()[0].replace(",", ""))


def test_every_share_says_of_how_many_it_is(overlap, run):
    page = overlap(run=run.name)
    frames = load([run])
    copies, unrolled = redundancy_by_round(frames)[["extra_copies", "unrolled"]].sum()
    assert described(page, REDUNDANCY) == f"{copies:,.0f} of {unrolled:,.0f} nodes"
    sums = merges_by_context(frames).groupby("edge")[["continued", "tested"]].sum()
    assert described(page, "Merges that led on").startswith(f"of {sums['tested']['merge']}")
    assert metrics(page)["Merges that led on"] == f"{sums['continued']['merge'] / sums['tested']['merge']:.0%}"


@pytest.mark.parametrize(("rounds", "compared"), [(2, False), (40, True)])
def test_merges_are_compared_with_tree_edges_only_where_ten_of_each_were_tested(overlap, tmp_path, rounds, compared):
    run = record_run(tmp_path / "runs", count=rounds, drafting=GRAPH)
    tested = merges_by_context(load([run])).groupby("edge")["tested"].sum()
    assert (tested.min() >= 10) == compared
    precision = next(metric for metric in overlap(run=run.name).metric if metric.label == "Merges that led on")
    assert bool(precision.delta) == compared
    assert ("; tree edges " in precision.proto.delta_description) == compared


def test_where_next_to_nothing_merges_one_line_says_so_in_place_of_flat_charts(overlap):
    """The sample of code merged nowhere and no two tokens recur in it; that of a chat did both."""
    runs = {folder.name.split("-")[1]: folder.name for folder in list_runs(SAMPLES)
            if read_run(folder).meta["spec"]["drafting"]["method"] == "graph"}  # fmt: skip
    page = overlap(run=runs["code"])
    assert not charts(page)
    assert "hardly merges: 0 merges beside 97" in page.info[0].value
    assert "redundancy_by_round" in charts(overlap(run=runs["chat"]))


def test_what_merging_saved_is_measured_against_a_tree_and_never_against_the_unrolled_graph(overlap):
    """The chat sample: a tree drafted 2,771 nodes, the graph 879; unrolled it would hold 112,510."""
    run = next(folder.name for folder in list_runs(SAMPLES) if folder.name.endswith("chat-ee1bff3a"))
    page = overlap(run=run)
    titles = [element.proto.body for element in page.get("html")]
    assert any("879 nodes drafted; unrolled without limit: 112,510" in title for title in titles)
    assert (metrics(page)["Drafted nodes"], metrics(page)["Draft forwards"]) == ("1,892 fewer", "10 more")
    assert described(page, "Drafted nodes") == "than the tree's 2,771, measured"
    assert described(page, "Draft forwards") == "than the tree's 64, measured"


def test_a_share_that_is_not_all_of_it_is_never_a_hundred_per_cent(overlap, tmp_path, monkeypatch):
    """Two nodes drafted of a million unrolled."""
    rows = redundancy_by_round(load([record_run(tmp_path / "runs", count=1, drafting=GRAPH)]))
    million = rows.assign(drafted=2, unrolled=1_000_000, extra_copies=999_998, redundancy=0.999_998)
    monkeypatch.setattr("analysis.overlap.redundancy_by_round", lambda frames: million)
    assert metrics(overlap(run=rows["run"].iloc[0]))[REDUNDANCY] == ">99.9%"


def test_several_runs_have_one_redundancy_that_of_the_complete_ones_together(overlap, run, tmp_path):
    other = record_run(tmp_path / "runs", count=3, drafting=GRAPH)
    cut_off = record_run(tmp_path / "runs", count=5, drafting=GRAPH, end=None)
    page = overlap(run=run.name, scope="runs", runs=",".join([run.name, other.name, cut_off.name]))
    sums = redundancy_by_round(load([run, other]))[["extra_copies", "unrolled"]].sum()
    assert metrics(page)[REDUNDANCY] == f"{sums['extra_copies'] / sums['unrolled']:.1%}"
    [title] = [body for body in (element.proto.body for element in page.get("html")) if "Redundancy is" in body]
    assert f"{100 * sums['extra_copies'] / sums['unrolled']:.0f}% of {sums['unrolled']:,.0f}" in title


def test_hypotheses_of_several_runs_are_not_put_beside_each_other(overlap, run):
    page = overlap(run=run.name, scope="runs", tab="Hypotheses")
    assert not charts(page)
    assert "within one round" in page.info[0].value


def test_the_headline_is_that_of_the_trace(overlap, run):
    """Of a run all rounds together, of a round its own alone."""
    page = overlap(run=run.name)
    whole = copies(page)
    alone = [overlap(run=run.name, scope="round", round=str(i + 1)) for i in range(8)]
    assert whole == sum(map(copies, alone)) > 0


def test_a_chosen_sequence_lists_its_merges_and_one_opens_in_the_graph(overlap, run):
    page = overlap(run=run.name, tab="Sequences")
    places = [button for button in page.button if button.key and button.key.startswith("place ")]
    round, node = places[0].key.split()[1:]
    merges = read_run(run).rounds[int(round)].merges
    assert merges.ngram_texts.raw[int(node[1:])] == page.session_state["sequence"]
    places[0].click().run()
    assert not page.exception
    assert page.query_params["round"] == str(int(round) + 1)
    assert page.query_params["node"] == node


def test_sequences_that_no_merge_caught_lead_to_nodes(overlap, tmp_path):
    tree = record_run(tmp_path / "runs", drafting=of_method(**{**GRAPH.model_dump(), "method": "tree"}))
    page = overlap(run=tree.name, tab="Sequences")
    assert page.button_group(key="sequences").value == "Drafted twice"
    assert any(
        button.key.split()[2].startswith("n") for button in page.button if (button.key or "").startswith("place")
    )


def test_forwards_are_saved_against_the_tree_of_the_same_settings(overlap, run, tmp_path):
    assert metrics(overlap(run=run.name))["Saved by merging"] == "–"
    tree = record_run(tmp_path / "runs", count=8, drafting=of_method(**{**GRAPH.model_dump(), "method": "tree"}))
    whole, own = [read_run(folder).end["totals"]["draft_forwards"] for folder in (tree, run)]
    said = f"{abs(whole - own):,} {'fewer' if whole >= own else 'more'}"
    assert metrics(overlap(run=run.name))["Draft forwards"] == said


def test_a_tree_behind_other_prompt_tokens_is_no_twin(overlap, run, tmp_path):
    """Of the same text a chat template made others, on another day."""
    tree = record_run(tmp_path / "runs", count=8, drafting=of_method(**{**GRAPH.model_dump(), "method": "tree"}))
    head = json.loads((tree / "run.json").read_text())
    (tree / "run.json").write_text(json.dumps(head | {"prompt_tokens": [3, 14]}))
    assert metrics(overlap(run=run.name))["Saved by merging"] == "–"


def test_counts_alone_say_what_is_missing(overlap, tmp_path):
    page = overlap(run=record_run(tmp_path / "runs", detail="counters").name)
    assert not page.exception
    assert "Record every node" in page.info[0].value


def test_a_run_that_cannot_be_read_is_told(overlap, run):
    events = run / "events.jsonl"
    lines = events.read_text().splitlines(keepends=True)
    events.write_text("".join(lines[:2] + lines[3:]))  # a round is missing
    for table in (run / "tables").iterdir():
        table.unlink()
    page = overlap(run=run.name)
    assert not page.exception
    assert "7 of 8 rounds" in page.error[0].value


def test_text_of_tokens_and_names_stays_text(overlap, tmp_path):
    run = record_run(tmp_path / "runs", count=20, drafting=GRAPH, target=ModelSpec(source="<img src=x onerror=1>"))
    for tab in ("Sequences", "Hypotheses", "Redundancy"):
        page = overlap(run=run.name, tab=tab)
        assert not page.exception
        assert not any("<b>`" in element.proto.body or "<img" in element.proto.body for element in page.get("html"))


def test_runs_can_be_taken_out_and_never_are_none(overlap, run):
    page = overlap(run=run.name, scope="runs", tab="Sequences")
    assert page.multiselect(key="runs").value[0] == run.name
    page.multiselect(key="runs").set_value([run.name]).run()
    assert page.query_params["runs"] == run.name
    alone = copies(page)
    page.multiselect(key="runs").set_value([]).run()
    assert not page.exception
    assert len(page.multiselect(key="runs").value) > 1
    assert copies(page) != alone


def test_sequences_of_several_runs_are_those_of_the_one_chosen(overlap, run, tmp_path):
    other = record_run(tmp_path / "runs", count=3, drafting=GRAPH)
    page = overlap(run=run.name, scope="runs", tab="Sequences")
    page.multiselect(key="runs").set_value([run.name, other.name]).run()
    page.selectbox(key="sequences of").set_value(other.name).run()
    assert not page.exception
    places = [button.key.split()[1] for button in page.button if (button.key or "").startswith("place ")]
    assert places
    assert all(int(round) < 3 for round in places)


def test_a_copied_and_a_renamed_run_show_their_rounds_and_what_merging_saved(overlap, tmp_path):
    """The sample that merges and its tree, both renamed, and a copy of the first beside it."""
    names = {"graph": "renamed", "tree": "its tree"}
    for folder in list_runs(SAMPLES):
        method = read_run(folder).meta["spec"]["drafting"]["method"]
        if "-chat-" in folder.name and method in names:
            shutil.copytree(folder, tmp_path / "runs" / names[method])
    shutil.copytree(tmp_path / "runs" / "renamed", tmp_path / "runs" / "copied")
    for name in ("renamed", "copied"):
        for scope in ("round", "run"):
            page = overlap(run=name, scope=scope, round="3")
            assert not page.exception and not page.error and charts(page)
        assert metrics(page)["Drafted nodes"] == "1,892 fewer"
