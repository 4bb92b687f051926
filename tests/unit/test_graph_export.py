"""A round as GraphML, SVG and a page of its own.

The round is the toy's with merges on one word (`analysis.toy`):

    The ─┬─ cat ─┬─ sat ─ on ─ the        the target writes: dog sat on the mat
         │       └─ ran
         └─ dog ═══ sat                   ═ merge edge
"""

import base64
import hashlib
import io
import json
import math
import re
import xml.etree.ElementTree as ET
from dataclasses import replace
from html.parser import HTMLParser

import networkx as nx
import pytest

from analysis.explorable import explorable_html
from analysis.faces import GRAPH, TREE, VERIFIED, face
from analysis.graph_export import graphml
from analysis.svg import DARK, LIGHT, SOURCE_MARKS, svg
from analysis.toy import SPEC, toy_round
from app.components.graph_view import Frame, Shown, graph_data
from gsd.trace.parts import by_depth

SVG = "{http://www.w3.org/2000/svg}"
NASTY = {
    "script": "<script>alert(1)</script>",
    "end of script": "</script><img src=x onerror=alert(1)>",
    "attribute": '" onload="alert(1)',
    "comment": "<!-- ]]> &amp;",
    "right to left": "שלום\u202eabc",
    "emoji": "👩‍🚀",
    "lone byte": "\ufffd",
    "control": "\x00\x1b\r",
    "surrogate": "\ud83d",
    "no character": "\uffff",
    "white space": " \n\t ",
    "long": "x" * 10_000,
}
nasty = pytest.mark.parametrize("text", NASTY.values(), ids=NASTY.keys())


def with_text(text):
    """The toy's round with one node of another text."""
    round_ = toy_round()
    round_.graph.texts.raw[2] = text
    return round_


def picture(round_, name=GRAPH):
    return graph_data(round_, run="run", frame=Frame(5, 440), show_pruned=True, selected=None,
                      shown=Shown(face(round_, name, SPEC.depth)))  # fmt: skip


def opened(round_, name=GRAPH):
    return nx.read_graphml(io.BytesIO(graphml(round_, face(round_, name, SPEC.depth)).encode()))


@pytest.mark.parametrize("name", [GRAPH, TREE, VERIFIED])
def test_graphml_opens_in_networkx_with_the_same_nodes_and_edges(name):
    round_ = toy_round()
    drawn, read = face(round_, name, SPEC.depth), opened(round_, name)
    assert list(read) == drawn.ids()
    assert [values["node"] for _, values in read.nodes(data=True)] == drawn.nodes
    assert read.number_of_edges() == len(drawn) - 1 + len(drawn.joins)
    merges = [kind for _, _, kind in read.edges(data="kind") if kind == "merge"]
    assert len(merges) == len(drawn.joins) + sum(merge >= 0 for merge in drawn.edges) > 0


def test_graphml_holds_the_recorded_numbers():
    round_, read = toy_round(), opened(toy_round())
    graph, tree, flat = round_.graph, round_.tree, face(round_).flat
    for node, name in enumerate(face(round_).ids()):
        values = read.nodes[name]
        assert (values["token"], values["text"]) == (graph.tokens[node], graph.texts.raw[node])
        assert math.log(values["q"]) == pytest.approx(graph.logq[node], abs=1e-12)
        assert math.log(values["path_q"]) == pytest.approx(graph.path_logq[node], abs=1e-12)
        assert ("p" in values) == (flat[node] > 0)
        if flat[node] > 0:
            assert math.log(values["p"]) == pytest.approx(tree.target_logp[flat[node]])
    merges = round_.merges
    for parent, node, logq, shift in zip(merges.parents, merges.nodes, merges.logq, merges.depth_shifts):
        edge = read.edges[f"n{parent}", f"n{node}"]
        assert (edge["kind"], edge["depth_shift"], edge["ngram"]) == ("merge", shift, graph.texts.raw[node])
        assert math.log(edge["q"]) == pytest.approx(logq)


def test_graphml_says_what_became_of_each_node():
    """dog, sat, on, the are accepted; cat was looked at, and not taken."""
    read = opened(toy_round())
    fates = {name: values["fate"] for name, values in read.nodes(data=True)}
    accepted = [values["text"] for _, values in read.nodes(data=True) if values["fate"] == "accepted"]
    assert fates["n0"] == "root"
    assert sorted(accepted) == [" dog", " on", " sat", " the"]
    assert fates["n1"] == "rejected"
    assert list(fates.values()).count("not verified") == len(fates) - 1 - len({*face(toy_round(), VERIFIED).nodes[1:]})


def looked_up():
    """dog was found in the text so far, and the draft did not think of it; it was asked what follows dog first."""
    round_ = toy_round()
    graph, decisions = round_.graph, round_.decisions
    dog = graph.texts.raw.index(" dog")
    sources = ["lookup" if node == dog else source for node, source in enumerate(graph.sources)]
    forwards = [2 * expanded - (node == dog) for node, expanded in enumerate(graph.expanded)]
    assert not [rule for node, rule in zip(decisions.nodes, decisions.rules) if node == dog and rule == "source"]
    return replace(round_, graph=replace(graph, sources=sources, forwards=forwards)), dog


def test_graphml_says_where_a_node_came_from_and_which_forward_expanded_it():
    round_, dog = looked_up()
    read, graph = opened(round_), round_.graph
    for node, name in enumerate(face(round_).ids()):
        assert (read.nodes[name]["source"], read.nodes[name]["forward"]) == (
            graph.sources[node],
            graph.forwards[node],
        )
    found = read.nodes[f"n{dog}"]
    assert found["estimate"] == pytest.approx(math.exp(graph.logq[dog])) and "q" not in found
    assert "q" not in read.edges["n0", f"n{dog}"] and "estimate" not in read.nodes["n1"]
    older = replace(round_, graph=replace(graph, forwards=by_depth(graph.depths, graph.expanded)))  # level by level
    assert opened(older).nodes[f"n{dog}"]["forward"] == 2


@nasty
def test_any_text_comes_back_from_graphml(text):
    read = opened(with_text(text)).nodes["n2"]["text"]
    plain = re.sub(r"\\u([0-9a-f]{4})", lambda found: chr(int(found.group(1), 16)), read)
    assert plain == text


@nasty
@pytest.mark.parametrize("name", [GRAPH, TREE, VERIFIED])
def test_an_svg_is_well_formed_and_shows_text_as_text(text, name):
    drawn = ET.fromstring(svg(picture(with_text(text), name), text))
    assert {element.tag.removeprefix(SVG) for element in drawn.iter()} <= {"svg", "title", "rect", "g", "path",
                                                                          "circle", "text"}  # fmt: skip
    assert not [key for element in drawn.iter() for key in element.attrib if key.startswith("on")]
    assert max(len("".join(element.itertext())) for element in drawn.iter(SVG + "text")) <= 12


def test_an_svg_draws_every_node_and_edge_of_the_picture_inside_its_borders():
    columns = picture(toy_round())
    drawn = ET.fromstring(svg(columns, "round 1"))
    shown = [element.text for element in drawn.iter(SVG + "text")]
    places = [re.match(r"translate\((\S+) (\S+)\)", group.get("transform")) for group in drawn.findall(SVG + "g")]
    assert sorted(shown[: len(columns["nodes"]["id"])]) == sorted(columns["nodes"]["label"])
    assert len(drawn.findall(SVG + "path")) == len(columns["edges"]["from"])
    assert all(0 < float(place[1]) < int(drawn.get("width")) for place in places)
    assert all(0 < float(place[2]) < int(drawn.get("height")) for place in places)


def test_an_svg_names_in_its_legend_what_is_there_and_nothing_else():
    round_ = toy_round(SPEC.model_copy(update={"merge_context": None}))
    plain, merged = svg(picture(round_), "round"), svg(picture(toy_round()), "round")
    assert "merge edge" in merged and "merge edge" not in plain
    assert LIGHT.accepted in merged and DARK.accepted not in merged


class Resources(HTMLParser):
    """Addresses that a page would load, the elements it is made of, its policy, and its scripts by their type."""

    def __init__(self, page):
        super().__init__()
        self.addresses, self.elements, self.policy, self.scripts = [], [], "", {"": [], "application/json": []}
        self._within = None  # the kind of script that is being read
        self.feed(page)

    def handle_starttag(self, tag, attributes):
        self.elements.append(tag)
        self.addresses += [value for name, value in attributes if name in ("src", "href", "srcset", "data", "action")]
        named = dict(attributes)
        if named.get("http-equiv") == "Content-Security-Policy":
            self.policy = named["content"]
        if tag == "script":
            self._within = self.scripts[named.get("type", "")]
            self._within.append("")

    def handle_data(self, data):
        if self._within is not None:
            self._within[-1] += data

    def handle_endtag(self, tag):
        self._within = None


def test_the_page_loads_nothing_and_says_that_nothing_may_be_loaded():
    page = explorable_html(picture(toy_round()), "round 1")
    assert Resources(page).addresses == []
    assert "default-src 'none'" in Resources(page).policy
    assert "bootstrap" not in page
    assert not re.search(r"@import|url\(\s*['\"]?http", page)


def test_two_scripts_may_run_which_the_policy_names_by_their_hash_and_no_other():
    read = Resources(explorable_html(picture(toy_round()), "round 1"))
    hashes = [base64.b64encode(hashlib.sha256(script.encode()).digest()).decode() for script in read.scripts[""]]
    rules = dict(rule.strip().split(" ", 1) for rule in read.policy.split(";"))
    assert rules["script-src"].split() == [f"'sha256-{one}'" for one in hashes] and len(hashes) == 2
    assert rules["img-src"] == "data:"


@nasty
def test_the_page_has_the_same_elements_and_scripts_whatever_the_text(text):
    harmless = Resources(explorable_html(picture(with_text("x")), "x"))
    page = explorable_html(picture(with_text(text)), text[:40])
    page.encode()
    assert Resources(page).elements == harmless.elements
    assert Resources(page).scripts[""] == harmless.scripts[""] and Resources(page).policy == harmless.policy
    assert len(page) < len(explorable_html(picture(toy_round()), "x")) + 2000  # a long text is cut


def test_the_page_marks_what_was_looked_up_and_says_which_forward_brought_and_which_expanded_a_node():
    round_, dog = looked_up()
    (drawn,) = Resources(explorable_html(picture(round_), "round 1")).scripts["application/json"]
    shown = {node["id"]: node for node in json.loads(drawn)["nodes"]}
    images = {name: base64.b64decode(node["image"].partition("base64,")[2]).decode() for name, node in shown.items()}
    assert {name for name, image in images.items() if SOURCE_MARKS["lookup"] in image} == {f"n{dog}"}
    assert "found in the text so far" in shown[f"n{dog}"]["title"]
    assert shown[f"n{dog}"]["title"].split("\n")[-1] == "expanded in forward 1"
    assert "drafted in forward 2  ·  expanded in forward 2" in shown["n1"]["title"]  # cat, beside it
    assert "forward" not in shown["b"]["title"]
