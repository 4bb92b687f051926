"""What the page says in words: true to the record, and safe whatever the tokens are."""

import copy
import itertools
import math
from dataclasses import replace
from html.parser import HTMLParser

import pytest
from fixtures.recorded import _record, round_of, rounds, run_spec
from fixtures.recorded import meta as head_of
from settings import of_method

from analysis.explain import explain
from analysis.faces import unrolled_nodes
from analysis.story import story
from analysis.svg import SOURCE_MARKS, mark, svg
from analysis.words import plain
from app.components.graph_view import Frame, graph_data
from app.components.node_table import node_frame
from app.components.token_text import text_data
from gsd.drafting.graph import TokenGraph
from gsd.drafting.tree import flatten
from gsd.methods import METHODS
from gsd.trace.recorded_round import RecordedRound
from gsd.trace.texts import visible

SPEC = run_spec(drafting=of_method(width=5, depth=6, frontier=4, merge_context=0, prob_threshold=0.05, budget=20))
RECORDS = [made.record for made in itertools.islice(rounds(SPEC), 30)]
ROUNDS = [RecordedRound.of(record) for record in RECORDS]
META = head_of(SPEC)


def everything(round_):
    """Every id that the round has."""
    yield from (f"n{i}" for i in range(len(round_.graph.tokens)))
    yield from (f"m{i}" for i in range(len(round_.merges.nodes)))
    yield from (f"c{i}" for i, kind in enumerate(round_.decisions.kinds) if kind == "pruned")
    yield "b"


class Parsed(HTMLParser):
    """The tags of a text, and the text inside of each `<code>`."""

    def __init__(self, text):
        super().__init__(convert_charrefs=True)
        self.open, self.nested, self.tags, self.codes = [], [], set(), []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.nested += [tag] if self.open else []
        self.open.append(tag)
        self.tags.add(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open == ["code"]:
            self.codes.append(data)


def test_whatever_is_in_a_round_is_explained_and_no_token_becomes_markup():
    shown = set()
    for round_ in ROUNDS:
        for id in everything(round_):
            found = explain(round_, META, id)
            for text in (found.heading, *found.paragraphs):
                parsed = Parsed(text)
                assert parsed.tags <= {"b", "i", "code"}
                assert parsed.nested == [] and parsed.open == []
                shown.update(parsed.codes)
    assert {"<b>", "`", "&amp;", "↵", "→"} <= shown


@pytest.mark.parametrize("id", ["n999", "m999", "c999", "n", "x1", "n-1", "n1.5", "n²", ""])
def test_what_is_not_there_has_no_explanation(id):
    assert explain(ROUNDS[0], META, id) is None


def test_a_path_cut_by_a_stop_rule_has_no_bonus_to_explain():
    assert explain(replace(ROUNDS[0], bonus=False), META, "b") is None


def test_what_was_drafted_behind_the_end_of_the_text_was_not_rejected():
    """A round of one accepted node and more, as if a stop rule had cut its path behind the first."""
    seen = 0
    for round_ in ROUNDS:
        if not round_.accepted:
            continue
        cut = replace(round_, accepted=round_.accepted[:1], bonus=False)
        fates = node_frame(cut)["fate"].tolist()
        drawn = graph_data(cut, run="r", frame=Frame.of([cut]), show_pruned=False, selected=None)["nodes"]
        for node in [i for i, fate in enumerate(fates) if fate == "after the end"]:
            said = words(cut, node)
            assert "the text had ended here" in said and "Rejected" not in said and "instead" not in said
            place = drawn["ref"].index(f"n{node}")
            assert (drawn["kind"][place], drawn["tip"][place].split("\n")[0]) == ("ended", "after the end")
            seen += 1
    assert seen


def test_of_merging_only_the_paths_through_the_graph_are_counted():
    """What a run without merging would have drafted is not known from this one."""
    round_ = next(round_ for round_ in ROUNDS if round_.merged)
    said = " ".join(story(round_, META).paragraphs)
    assert f"the graph holds {unrolled_nodes(round_, 6):,} nodes" in said
    assert "as a tree" not in said and "nodes more" not in said


def test_a_round_without_a_draft_promises_no_free_token():
    round_ = replace(ROUNDS[0], drafted_nodes=0, verified_nodes=0)
    [said] = explain(round_, META, "b").paragraphs
    assert "Nothing was drafted" in said
    assert "costs no forward" in explain(ROUNDS[0], META, "b").paragraphs[0]


def words(round_, node):
    return " ".join(explain(round_, META, f"n{node}").paragraphs)


def test_verdicts_agree_with_the_record():
    seen = set()
    for round_ in ROUNDS:
        tree, accepted = round_.tree, {round_.tree.nodes[i] for i in round_.accepted}
        for node in range(1, len(round_.graph.tokens)):
            said = words(round_, node)
            verdict = next(word for word in ("Accepted", "Rejected", "Not verified") if word in said)
            wanted = "Accepted" if node in accepted else "Rejected" if node in tree.nodes else "Not verified"
            assert verdict == wanted
            seen.add(verdict)
    assert len(seen) == 3


def test_reasons_agree_with_the_decisions():
    said = {"leaf": "Kept as a leaf", "capped": "Not expanded"}
    seen = set()
    for round_ in ROUNDS:
        decisions = round_.decisions
        for kind, node in zip(decisions.kinds, decisions.nodes):
            if kind in said:
                assert said[kind] in words(round_, node)
                seen.add(kind)
    assert seen == set(said)


def test_a_merge_later_or_earlier_says_by_how_much():
    round_ = next(round_ for round_ in ROUNDS if -2 in round_.merges.depth_shifts)
    index = round_.merges.depth_shifts.index(-2)
    assert "2 levels later" in explain(round_, META, f"m{index}").paragraphs[1]


def test_every_committed_token_has_its_probabilities():
    data = text_data("run", "prompt", ROUNDS, selected=0, live=False)["tokens"]
    assert data["text"] == [text for round_ in ROUNDS for text in round_.new_texts.raw]
    assert data["origin"] == [origin for round_ in ROUNDS for origin in round_.origins]
    for origin, q, p in zip(data["origin"], data["q"], data["p"], strict=True):
        assert 0 < p <= 1
        assert (q is None) == (origin in ("bonus", "target"))


def test_the_q_of_a_token_behind_a_merge_edge_is_the_candidates_own():
    round_ = next(s for s in ROUNDS if any(s.tree.merged[i] for i in s.accepted))
    place, flat = next((k, i) for k, i in enumerate(round_.accepted) if round_.tree.merged[i])
    parent, node = round_.tree.nodes[round_.tree.parents[flat]], round_.tree.nodes[flat]
    edges = list(zip(round_.merges.parents, round_.merges.nodes))
    shown = text_data("run", "", [round_], selected=None, live=False)["tokens"]["q"][place]
    assert shown == pytest.approx(math.exp(round_.merges.logq[edges.index((parent, node))]), abs=1e-4)


def test_the_table_has_a_row_for_each_node_and_a_p_for_each_verified_one():
    for round_ in ROUNDS:
        frame = node_frame(round_)
        assert frame["node"].tolist() == list(range(len(round_.graph.tokens)))
        verified = frame["copies"].gt(0) & frame["node"].gt(0)
        assert frame["p"].notna().tolist() == verified.tolist()


@pytest.mark.parametrize(
    ("text", "shown"),
    [(" the", "·the"), ("\n\t", "↵→"), ("", "∅"), ("\u202e", "\\u202e"), ("\x00", "\\u0000"), ("é🙂", "é🙂")],
)
def test_white_space_and_control_characters_are_visible(text, shown):
    assert visible(text) == shown


def test_plain_text_is_not_markdown():
    assert plain("a*b_[c](d) :red[e] $f$") == r"a\*b\_\[c\]\(d\) \:red\[e\] \$f\$"


AUTO = run_spec(drafting=of_method(method="auto"))
BEFORE = [5, 6, 7, 8, 1, 5, 6]  # 5 6 stood there before, and 7 8 followed


def looked_up(budget=2):
    """A round of method auto, its draft asked at the root alone, where it says 9 and 7:

    6 ─ 7 ─ 8     found in the text; the draft thinks of 7, too, and was not asked behind it
     ├─ 2         found among rejected hypotheses; the draft does not think of it
     └─ 9         the draft's own

    The target picks 7 and 8. Verified are `budget` nodes: 7 and 8 first.
    """
    graph = TokenGraph([6], None)
    graph.attach([7, 8], [math.log(0.7), math.log(0.9)], "lookup")
    graph.attach([2], [math.log(0.4)], "history")
    graph.grow([0], [[9, 7]], [[math.log(0.5), math.log(0.2)]], of_method(width=2, sibling_threshold=0.0))
    tree = flatten(graph, budget, 10)
    return _record(AUTO, 0, len(BEFORE) - 1, graph, tree, [{6: 7, 7: 8}.get(token, 0) for token in tree.tokens]).round


def said_of(node, round_=None):
    return " ".join(explain(round_ or looked_up(), head_of(AUTO), f"n{node}", BEFORE).paragraphs)


def test_where_a_token_was_looked_up_is_told_and_what_the_draft_said_of_it_afterwards():
    assert "Found in the text so far</b>, behind the same last 2 tokens; by" in said_of(1)
    assert "estimated at 70.0%" in said_of(1)
    assert "Asked afterwards, after" in said_of(1)
    assert "q = 20.0%</b>, its choice number 2 of 2" in said_of(1)
    assert "the same last 2 tokens, as number 2 of what follows there" in said_of(2)
    assert "The draft was not asked about it." in said_of(2)
    assert "Found among rejected hypotheses</b>, behind the same last tokens" in said_of(3)
    assert "the draft did not think of it" in said_of(3)
    assert "Found" not in said_of(4) and "the draft gave it <b>q = 50.0%" in said_of(4)


def test_of_a_token_that_was_looked_up_behind_a_hypothesis_it_is_told_behind_which():
    """The draft says 4 behind the 6 at the end; `6 4` stood at the beginning, and 7 8 followed."""
    before = [6, 4, 7, 8, 1, 6]
    graph = TokenGraph([6], None)
    graph.grow([0], [[4]], [[math.log(0.9)]], of_method(width=1))
    graph.attach([7, 8], [math.log(0.7), math.log(0.9)], "lookup", behind=1)
    tree = flatten(graph, 3, 10)
    round_ = _record(AUTO, 0, len(before) - 1, graph, tree, [0] * len(tree)).round
    said = " ".join(explain(round_, head_of(AUTO), "n3", before).paragraphs)
    assert f"the same last 2 tokens up to {round_.graph.texts.html[1]}, as number 2 of what" in said


def test_an_estimate_is_not_shown_as_the_drafts_q():
    meta = head_of(AUTO)
    measures = [explain(looked_up(), meta, f"n{node}").measures for node in (1, 2, 4)]
    assert {name: round(math.exp(logp), 2) for name, logp in measures[0].items()} == {
        "estimate": 0.7, "q": 0.2, "path estimate": 0.7, "p": 0.6}  # fmt: skip
    assert "q" not in measures[1] and "estimate" not in measures[2] and "path q" in measures[2]
    shown = text_data("run", "", [looked_up()], selected=None, live=False)
    assert shown["tokens"]["origin"][:2] == ["lookup", "lookup"]
    assert shown["tokens"]["q"] == [0.2, None, None]
    assert shown["tokens"]["rank"] == [1, None, None]
    assert [None if q != q else q for q in node_frame(looked_up())["q"].round(2)][1:] == [0.2, None, None, 0.5]
    assert node_frame(looked_up())["source"].tolist() == ["root", "lookup", "lookup", "history", "draft"]


def recycled():
    """6 ─ 7 ─ 8 and 6 ─ 8, which merged; the target picks 7 and 8. No draft was asked."""
    own = run_spec(drafting=of_method("recycle", merge_context=0))
    graph = TokenGraph([6], 0)
    seven = graph.offer(0, 7, math.log(0.5), "recycled")
    assert graph.offer(0, 8, math.log(0.1), "recycled") == graph.offer(seven, 8, math.log(0.4), "recycled")
    tree = flatten(graph, 10, 10)
    round_ = _record(own, 0, len(BEFORE) - 1, graph, tree, [{6: 7, 7: 8}.get(token, 0) for token in tree.tokens]).round
    return own, round_


def test_a_method_without_a_draft_says_in_its_own_words_where_a_token_was_found():
    own, round_ = recycled()
    said = " ".join(explain(round_, head_of(own), "n1", BEFORE).paragraphs)
    where = METHODS["recycle"].sources["recycled"]
    assert f"<b>Found {where}</b>; by how often tokens of its rank came true it was estimated at 50.0%." in said
    assert "draft " not in said and "forward" in said
    assert f"<b>2 nodes</b> were found {where}." in " ".join(story(round_, head_of(own)).paragraphs)


def test_a_merge_of_what_was_looked_up_has_an_estimate_and_no_q():
    own, round_ = recycled()
    found = explain(round_, head_of(own), "m0")
    assert "q" not in found.measures and math.exp(found.measures["estimate"]) == pytest.approx(0.4)
    assert "estimated at 40.0%" in " ".join(explain(round_, head_of(own), "n2").paragraphs)
    picture = graph_data(round_, run="run", frame=Frame(4, 300), show_pruned=False, selected=None)
    assert any(tip.endswith("estimate 40.0%") for tip in picture["edges"]["tip"])


def test_a_source_without_a_mark_of_its_own_is_drawn_as_looked_up_and_told_even_where_nobody_knows_it():
    round_ = recycled()[1]
    picture = graph_data(round_, run="run", frame=Frame(4, 300), show_pruned=False, selected=None)
    assert picture["nodes"]["source"][1] == "recycled"
    drawn = svg(picture, "title")
    assert SOURCE_MARKS["found"] in drawn and "looked up<" in drawn
    assert SOURCE_MARKS["found"] in mark("accepted", "", source="nobody's")
    shown = text_data("run", "", [replace(round_, origins=["nobody's"] * 3)], selected=None, live=False)
    assert shown["origins"]["nobody's"] == "looked up, and the target agreed"
    assert text_data("run", "", [round_], selected=None, live=False)["tokens"]["q"] == [None] * 3


def test_what_auto_left_alone_was_not_likely_to_pay():
    assert "another draft forward was not likely to pay" in said_of(4)
    assert "not likely enough to be reached to pay" in said_of(3)
    assert "budget" not in said_of(3) + said_of(4) + " ".join(story(looked_up(), head_of(AUTO)).paragraphs)


def test_the_story_of_a_round_says_who_brought_the_nodes():
    told = " ".join(story(looked_up(), head_of(AUTO)).paragraphs)
    assert "proposed <b>1 node</b> in 1 forward." in told
    assert "<b>2 nodes</b> were found in the text so far. <b>1 node</b> was found among rejected hypotheses." in told


def test_a_round_of_which_nothing_was_verified_promises_no_free_token():
    root = round_of(tree={"node": [0]}).tree
    round_ = replace(looked_up(budget=4), verified_nodes=0, accepted=[], tree=root)
    assert "Nothing was verified" in explain(round_, head_of(AUTO), "b").paragraphs[0]
    assert "None was likely to pay" in " ".join(story(round_, head_of(AUTO)).paragraphs)


def test_sources_are_in_the_legend_of_a_text_only_where_some_token_has_them():
    assert "lookup" in text_data("run", "", [looked_up()], selected=None, live=False)["origins"]
    assert not {"lookup", "history"} & set(text_data("run", "", ROUNDS, selected=None, live=False)["origins"])


def test_what_was_looked_up_is_marked_in_the_picture_and_in_its_file():
    picture = graph_data(looked_up(), run="run", frame=Frame(4, 300), show_pruned=False, selected=None)
    nodes = picture["nodes"]
    assert dict(zip(nodes["id"], nodes["source"])) == {
        "n0": "", "n1": "lookup", "n2": "lookup", "n3": "history", "n4": "", "b": ""}  # fmt: skip
    assert nodes["tip"][2] == "accepted\nfound in the text so far\nestimate 90.0%  ·  p 60.0%"
    assert "estimate 70.0%  ·  q 20.0%" in nodes["tip"][1]
    drawn = svg(picture, "title")
    assert "found in the text<" in drawn and "found among rejected<" in drawn
    plain_picture = graph_data(ROUNDS[0], run="run", frame=Frame(4, 300), show_pruned=False, selected=None)
    assert "found in the text<" not in svg(plain_picture, "title")


@pytest.mark.parametrize(("part", "column"), [("decisions", "rule"), ("graph", "depth"), ("graph", "token")])
def test_no_recorded_word_or_number_is_read_as_markup(part, column):
    """Each value of a column in turn is markup; of what needs it as a number, nothing is said at all."""
    record = next(one for one in RECORDS if "pruned" in one["decisions"]["kind"] and one["accepted"])
    evil = "<img src=x onerror=alert(1)>"
    for row in range(len(record[part][column])):
        spoilt = copy.deepcopy(record)
        spoilt[part][column][row] = evil
        round_ = RecordedRound.of(spoilt)
        for id in everything(RecordedRound.of(record)):
            try:
                found = explain(round_, META, id)
            except (TypeError, ValueError, LookupError):
                continue
            assert not any("<img" in text for text in (found.heading, *found.paragraphs))
