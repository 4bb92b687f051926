"""The Graph view through AppTest: empty, with a run, in its three faces, under other settings, with errors."""

import itertools
import json

import pytest
from fixtures.recorded import record_run, rounds, run_spec
from settings import of_method

from analysis.faces import GRAPH, TREE, VERIFIED, face
from app.components.graph_view import Frame, Shown, graph_data
from app.components.node_table import node_frame
from app.library import SAMPLES
from gsd.trace.read import list_runs, read_run

LARGE = of_method(width=8, depth=8, frontier=30, merge_context=2, prob_threshold=0.0, sibling_threshold=0.0, budget=90)


def data_of(page, key):
    """What was sent to a component."""
    [found] = [
        json.loads(element.proto.json) for element in page.get("bidi_component") if element.proto.id.endswith(f"-{key}")
    ]
    return found


def html_of(page):
    return "\n".join(element.proto.body for element in page.get("html"))


@pytest.fixture
def graph(app):
    """Opens the view with the given address."""

    def open_at(**address):
        page = app(**address).switch_page("views/graph.py")
        for name, value in address.items():
            page.query_params[name] = value
        return page.run()

    return open_at


@pytest.fixture
def run(tmp_path):
    return record_run(tmp_path / "runs")


def recorded(run):
    return read_run(run).rounds


def test_without_a_run_the_samples_are_offered_and_one_opens(graph):
    page = graph()
    assert not page.exception
    offers = [button for button in page.button if button.key and button.key.startswith("open ")]
    assert offers
    offers[0].click().run()
    assert not page.exception
    assert data_of(page, "graph")["nodes"]["id"][0] == "n0"


def test_every_sample_opens_in_every_face(graph):
    for folder in list_runs(SAMPLES):
        for name in ("tree", "graph", "verified"):
            page = graph(run=folder.name, face=name)
            assert not page.exception
            assert data_of(page, "graph")["nodes"]["kind"].count("accepted") >= 1


def test_the_address_names_round_face_and_node(graph, run):
    page = graph(run=run.name, round="2", node="n1", face="verified")
    drawn = data_of(page, "graph")
    assert drawn["key"] == f"{run.name}:1"
    assert len(drawn["nodes"]["id"]) == len(recorded(run)[1].tree.nodes) + 1
    assert "n1" in drawn["path"]
    assert "Node 1, depth 1" in html_of(page)
    assert "face" in page.query_params


def test_without_a_selection_the_round_is_told(graph, run):
    page = graph(run=run.name, round="1")
    assert "The draft proposed" in html_of(page)


def test_the_strip_has_a_bar_for_each_round_and_the_buttons_step(graph, run):
    page = graph(run=run.name, round="2")
    rounds = recorded(run)
    strip = data_of(page, "round_strip")
    assert strip["accepted"] == [len(round_.accepted) for round_ in rounds]
    assert strip["selected"] == 1
    page.button(key="Next round").click().run()
    assert data_of(page, "round_strip")["selected"] == 2


def test_jumps_go_to_the_longest_and_the_worst_round(graph, run):
    page = graph(run=run.name, round="1")
    accepted = [len(round_.accepted) for round_ in recorded(run)]
    page.button(key="jump Longest path").click().run()
    assert accepted[data_of(page, "round_strip")["selected"]] == max(accepted)
    assert page.button(key="jump Longest path").disabled
    page.button(key="jump Shortest path").click().run()
    assert accepted[data_of(page, "round_strip")["selected"]] == min(accepted)


def test_a_hypothesis_is_brought_out_and_explained(graph, run):
    page = graph(run=run.name, round="1", node="h0")
    assert "Hypothesis 1" in html_of(page)
    assert len(data_of(page, "graph")["path"]) >= 2


def test_other_settings_are_replayed_at_once_and_reset(graph, run):
    page = graph(run=run.name, round="1")
    page.toggle(key="what_if").set_value(True).run()
    before = data_of(page, "graph")["nodes"]
    assert set(before["mark"]) == {""}
    page.slider(key=f"what if {run.name} depth").set_value(1).run()
    assert not page.exception
    after = data_of(page, "graph")["nodes"]
    assert "lost" in after["mark"]
    assert after["id"][: len(before["id"]) - 1] == before["id"][:-1]  # a node keeps its name, and the bonus is last
    page.button(key="reset what if").click().run()
    assert set(data_of(page, "graph")["nodes"]["mark"]) == {""}


def test_while_what_if_is_on_what_is_told_of_the_recording_is_marked_as_such(graph, run):
    page = graph(run=run.name, round="1")
    assert "s recorded: " not in html_of(page)
    page.toggle(key="what_if").set_value(True).run()
    page.slider(key=f"what if {run.name} depth").set_value(1).run()
    assert "<h4>As recorded: " in html_of(page)
    assert "<span>as recorded: " in html_of(page)


def test_thresholds_are_set_as_finely_as_presets_have_them(graph, run):
    page = graph(run=run.name, round="1")
    page.toggle(key="what_if").set_value(True).run()
    slider = page.slider(key=f"what if {run.name} prob_threshold")
    assert (slider.step, slider.proto.format) == (0.001, "%.3f")


def test_of_a_round_of_auto_it_is_told_what_fixed_settings_would_have_done(graph, tmp_path):
    run = record_run(tmp_path / "runs", drafting=of_method(method="auto"))
    page = graph(run=run.name, round="3")
    page.toggle(key="what_if").set_value(True).run()
    page.slider(key=f"what if {run.name} 2 depth").set_value(1).run()
    page.slider(key=f"what if {run.name} 2 prob_threshold").set_value(0.0).run()
    assert not page.exception
    assert any("what *graph* would have done" in caption.value for caption in page.caption)
    assert "lost" in data_of(page, "graph")["nodes"]["mark"]
    page.button(key="Next round").click().run()
    assert not page.exception


@pytest.mark.parametrize("node", ["n1", "m0", "b", "h0", "c0"])
def test_whatever_is_selected_is_told_under_other_settings_too(graph, run, node):
    page = graph(run=run.name, round="1", node=node)
    page.toggle(key="what_if").set_value(True).run()
    page.slider(key=f"what if {run.name} budget").set_value(60).run()
    page.slider(key=f"what if {run.name} depth").set_value(2).run()
    assert not page.exception
    assert "nan%" not in html_of(page)
    assert ("With the settings above" in html_of(page)) == (node == "n1")


def test_a_node_beyond_the_budget_is_called_not_verified_wherever_it_is_told(graph, tmp_path):
    run = record_run(tmp_path / "runs", count=1, drafting=of_method(width=4, depth=4, prob_threshold=0.0, budget=4))
    [round_] = recorded(run)
    node = next(i for i in range(len(round_.graph.tokens)) if i not in round_.tree.nodes)
    page = graph(run=run.name, round="1", node=f"n{node}")
    drawn = data_of(page, "graph")["nodes"]
    assert drawn["tip"][drawn["id"].index(f"n{node}")].startswith("not verified")
    assert "<i>not verified</i>" in html_of(page)
    assert node_frame(round_)["fate"][node] == "not verified"


def test_what_the_recording_does_not_hold_is_not_guessed(graph, run):
    page = graph(run=run.name, round="1")
    page.toggle(key="what_if").set_value(True).run()
    page.select_slider(key=f"what if {run.name} merge_context").set_value(None).run()
    page.slider(key=f"what if {run.name} prob_threshold").set_value(0.0).run()
    assert not page.exception
    assert "Not covered by this recording" in html_of(page)
    assert not any("Exact" in caption.value for caption in page.caption)
    page.button(key="reset what if").click().run()
    assert any("Exact" in caption.value for caption in page.caption)
    page.toggle(key="what_if").set_value(False).run()
    assert set(data_of(page, "graph")["nodes"]["mark"]) == {""}


def test_of_a_large_round_the_likeliest_are_drawn_and_it_is_said(graph, tmp_path):
    run = record_run(tmp_path / "runs", count=2, drafting=LARGE)
    page = graph(run=run.name, round="1")
    drafted = recorded(run)[0].drafted_nodes
    assert drafted > 200
    drawn = data_of(page, "graph")["nodes"]
    shown = sum(id.startswith("n") for id in drawn["id"]) - 1
    assert shown + sum(drawn["behind"]) == drafted
    assert any("nodes drawn" in caption.value for caption in page.caption)
    page.button(key="draw all").click().run()
    assert sum(id.startswith("n") for id in data_of(page, "graph")["nodes"]["id"]) == drafted + 1


@pytest.mark.parametrize("address", [{"round": "99"}, {"round": "x"}, {"round": "1", "node": "n999"}, {"node": "<b>"},
                                     {"round": "1", "node": "h99"}, {"round": "1", "face": "<b>"}])  # fmt: skip
def test_an_address_of_nothing_shows_the_run_all_the_same(graph, run, address):
    page = graph(run=run.name, **address)
    assert not page.exception
    assert data_of(page, "graph")["key"].startswith(run.name)


def test_counters_alone_say_why_there_is_no_graph(graph, tmp_path):
    run = record_run(tmp_path / "runs", detail="counters")
    page = graph(run=run.name)
    assert not page.exception
    assert "no graph to see" in page.info[0].value
    assert data_of(page, "round_strip")["key"] == run.name


def test_a_run_that_is_not_there_is_told(graph):
    page = graph(run="nonsense")
    assert not page.exception
    assert "There is no run" in page.error[0].value.replace("\\", "")


def drawn_with(method, name=GRAPH):
    """Eight made-up rounds, and what is drawn of them."""
    spec = run_spec(drafting=of_method(method=method, width=3, depth=4, frontier=8, merge_context=0,
                                        prob_threshold=0.01))  # fmt: skip
    for made in itertools.islice(rounds(spec), 8):
        round_ = made.round
        yield round_, graph_data(round_, run="r", frame=Frame(6, 300), show_pruned=True, selected=None,
                               shown=Shown(face(round_, name, 6)))  # fmt: skip


def test_level_by_level_a_node_comes_with_the_forward_of_its_depth():
    for round_, drawn in drawn_with("graph"):
        depth = round_.graph.depths
        count = len(depth)
        assert drawn["nodes"]["drafted_in"][:count] == depth
        ends = dict(zip(drawn["nodes"]["id"], drawn["nodes"]["drafted_in"]))
        for start, end, kind, came in zip(*(drawn["edges"][name] for name in ("from", "to", "kind", "drafted_in"))):
            assert kind == "bonus" or came == (ends[start] + 1 if kind == "merge" else ends[end])


def test_best_first_what_was_found_is_there_and_each_forward_adds_what_it_brought():
    found = other = 0
    for round_, drawn in drawn_with("auto"):
        nodes, forward = drawn["nodes"], round_.graph.forwards
        for node, parent in enumerate(round_.graph.parents[1:], 1):
            came = nodes["drafted_in"][parent] if nodes["source"][node] else forward[parent]
            assert nodes["drafted_in"][node] == came
            found += nodes["source"][node] != ""
            other += nodes["drafted_in"][node] != nodes["x"][node]
        assert max(nodes["drafted_in"]) == round_.draft_forwards
    assert found > 8 and other > 8  # columns would be no claim


@pytest.mark.parametrize("name", [TREE, VERIFIED])
def test_a_copy_comes_once_all_of_the_way_to_it_is_there(name):
    copies = 0
    for _, drawn in drawn_with("graph", name):
        nodes, edges = drawn["nodes"], drawn["edges"]
        came, copied = dict(zip(nodes["id"], nodes["drafted_in"])), dict(zip(nodes["id"], nodes["copy"]))
        for start, end, kind, forward in zip(*(edges[column] for column in ("from", "to", "kind", "drafted_in"))):
            if kind != "bonus":
                assert came[end] == forward >= came[start]
                copies += copied[end]
    assert copies > 8


def test_a_round_whose_faces_look_the_same_says_so(graph, tmp_path):
    """Without merges, and with a budget for all of it; as the other round has merges, nothing is said."""
    chain = of_method(width=1, depth=4, frontier=1, merge_context=None, prob_threshold=0.0, budget=64)
    for drafting, said in ((chain, True), (LARGE, False)):
        run = record_run(tmp_path / "runs", drafting=drafting)
        page = graph(run=run.name, round="1")
        assert any("faces are alike" in caption.value for caption in page.caption) == said


def test_the_first_columns_of_the_node_table_are_what_the_models_said(run):
    """A narrow page shows as many columns as fit."""
    columns = node_frame(recorded(run)[0]).columns.tolist()
    assert columns[:7] == ["node", "token", "fate", "depth", "q", "p", "path_q"]
