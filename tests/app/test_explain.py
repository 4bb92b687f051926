"""What the page says in words: true to the record, and safe whatever the tokens are."""

import copy
import itertools
import math
from html.parser import HTMLParser

import pytest
from fixtures.recorded import rounds, run_spec

from app.components.node_table import node_frame
from app.components.token_text import text_data
from app.explain import explain
from app.words import plain, visible
from gsd.config import DraftSpec

SPEC = run_spec(drafting=DraftSpec(width=5, depth=6, frontier=4, merge_context=0, prob_threshold=0.05, budget=20))
STEPS = [made.record for made in itertools.islice(rounds(SPEC), 30)]
META = SPEC.model_dump(mode="json")


def everything(step):
    """Every id that the round has."""
    yield from (f"n{i}" for i in range(len(step["graph"]["token"])))
    yield from (f"m{i}" for i in range(len(step["merges"]["node"])))
    yield from (f"c{i}" for i, kind in enumerate(step["decisions"]["kind"]) if kind == "pruned")
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
    for step in STEPS:
        for id in everything(step):
            found = explain(step, META, id)
            for text in (found.heading, *found.paragraphs):
                parsed = Parsed(text)
                assert parsed.tags <= {"b", "i", "code"}
                assert parsed.nested == [] and parsed.open == []
                shown.update(parsed.codes)
    assert {"<b>", "`", "&amp;", "↵", "→"} <= shown


@pytest.mark.parametrize("id", ["n999", "m999", "c999", "n", "x1", "n-1", "n1.5", "n²", ""])
def test_what_is_not_there_has_no_explanation(id):
    assert explain(STEPS[0], META, id) is None


def test_a_path_cut_by_a_stop_rule_has_no_bonus_to_explain():
    step = copy.deepcopy(STEPS[0])
    step["bonus"] = False
    assert explain(step, META, "b") is None


def test_a_round_without_a_draft_promises_no_free_token():
    step = copy.deepcopy(STEPS[0])
    step["drafted_nodes"] = 0
    [said] = explain(step, META, "b").paragraphs
    assert "Nothing was drafted" in said
    assert "costs no forward" in explain(STEPS[0], META, "b").paragraphs[0]


def words(step, node):
    return " ".join(explain(step, META, f"n{node}").paragraphs)


def test_verdicts_agree_with_the_record():
    seen = set()
    for step in STEPS:
        tree, accepted = step["tree"], {step["tree"]["node"][i] for i in step["accepted"]}
        for node in range(1, len(step["graph"]["token"])):
            said = words(step, node)
            verdict = next(word for word in ("Accepted", "Rejected", "Not verified") if word in said)
            wanted = "Accepted" if node in accepted else "Rejected" if node in tree["node"] else "Not verified"
            assert verdict == wanted
            seen.add(verdict)
    assert len(seen) == 3


def test_reasons_agree_with_the_decisions():
    said = {"leaf": "Kept as a leaf", "capped": "Not expanded"}
    seen = set()
    for step in STEPS:
        decisions = step["decisions"]
        for kind, node in zip(decisions["kind"], decisions["node"]):
            if kind in said:
                assert said[kind] in words(step, node)
                seen.add(kind)
    assert seen == set(said)


def test_a_merge_later_or_earlier_says_by_how_much():
    step = next(step for step in STEPS if -2 in step["merges"]["depth_shift"])
    index = step["merges"]["depth_shift"].index(-2)
    assert "2 levels later" in explain(step, META, f"m{index}").paragraphs[1]


def test_every_committed_token_has_its_probabilities():
    data = text_data("run", "prompt", STEPS, selected=0, live=False)["tokens"]
    assert data["text"] == [text for step in STEPS for text in step["new_texts"]]
    assert data["origin"] == [origin for step in STEPS for origin in step["origins"]]
    for origin, q, p in zip(data["origin"], data["q"], data["p"], strict=True):
        assert 0 < p <= 1
        assert (q is None) == (origin in ("bonus", "target"))


def test_the_q_of_a_token_behind_a_merge_edge_is_the_candidates_own():
    step = next(s for s in STEPS if any(s["tree"]["merged"][i] for i in s["accepted"]))
    place, flat = next((k, i) for k, i in enumerate(step["accepted"]) if step["tree"]["merged"][i])
    parent, node = step["tree"]["node"][step["tree"]["parent"][flat]], step["tree"]["node"][flat]
    edges = list(zip(step["merges"]["parent"], step["merges"]["node"]))
    shown = text_data("run", "", [step], selected=None, live=False)["tokens"]["q"][place]
    assert shown == pytest.approx(math.exp(step["merges"]["logq"][edges.index((parent, node))]), abs=1e-4)


def test_the_table_has_a_row_for_each_node_and_a_p_for_each_verified_one():
    for step in STEPS:
        frame = node_frame(step)
        assert frame["node"].tolist() == list(range(len(step["graph"]["token"])))
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
