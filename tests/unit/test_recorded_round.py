"""A recorded round as a type: it holds what its line says, and works out once what follows."""

import itertools
import json
from dataclasses import FrozenInstanceError, fields, is_dataclass, replace
from pathlib import Path

import pytest
from fixtures.recorded import record_run, round_of, rounds, run_spec
from settings import of_method

from analysis.faces import GRAPH, TREE, VERIFIED, face, shared_by_merges
from gsd.errors import TraceError
from gsd.trace.read import list_runs, read_run
from gsd.trace.recorded_round import AFTER_END, RecordedRound, once
from gsd.trace.texts import LONGEST, Texts

TESTS = Path(__file__).parents[1]
RECORDED = [*list_runs(TESTS.parent / "app" / "samples"), TESTS / "fixtures" / "schema_1" / "sampled"]
SINGULAR = {  # a column -> what the schema calls it
    **{f"{name}s": name for name in ("token", "text", "parent", "depth", "node", "source", "forward", "kind", "rule",
                                     "value", "limit", "depth_shift", "ngram", "ngram_text", "choice",
                                     "choice_text", "rank", "verdict")},
}  # fmt: skip


def events(folder):
    return [json.loads(line) for line in (folder / "events.jsonl").read_text().splitlines()]


def written(value):
    """What a line of the trace says of a value of the type."""
    if isinstance(value, Texts):
        return value.raw
    if not is_dataclass(value):
        return value
    names = [one.name for one in fields(value) if one.compare]
    own = isinstance(value, RecordedRound)  # whose names are the schema's but for its number
    schema_s = {"number": "round"} if own else SINGULAR
    return {schema_s.get(name, name): written(getattr(value, name)) for name in names}


def as_a_line(round_):
    none = {} if round_.detailed else dict.fromkeys(("graph", "merges", "decisions", "tree"))
    drawn = {} if round_.draws else {"draws": None}
    return {"type": "round"} | written(round_) | none | drawn


@pytest.mark.parametrize("folder", RECORDED, ids=lambda folder: folder.name)
def test_a_recorded_run_comes_back_as_it_was_written(folder):
    lines = [event | {"type": "round"} for event in events(folder) if event["type"] != "end"]  # up to schema 3: step
    assert lines and [as_a_line(round_) for round_ in read_run(folder).rounds] == [
        with_draws(with_forwards(line)) for line in lines
    ]


def with_forwards(line):
    """An older line does not say which forward expanded a node: of these runs each expanded one depth."""
    if line["graph"] is None or "forward" in line["graph"]:
        return line
    graph = line["graph"]
    forward = [depth + 1 if was else 0 for depth, was in zip(graph["depth"], graph["expanded"])]
    return line | {"graph": graph | {"forward": forward}}


def with_draws(line):
    """An older line does not say that nothing was drawn."""
    return {"draws": None} | line


@pytest.mark.parametrize("changes", [
    {}, {"drafting": of_method(method="auto")}, {"drafting": of_method(method="ar")}, {"detail": "counters"},
])  # fmt: skip
def test_what_is_written_now_comes_back_as_it_was_written(tmp_path, changes):
    folder = record_run(tmp_path, **changes)
    assert [as_a_line(round_) for round_ in read_run(folder).rounds] == [*map(with_draws, events(folder)[:-1])]


def test_a_round_is_frozen_and_two_of_one_line_are_equal():
    [made] = itertools.islice(rounds(run_spec()), 1)
    assert made.round == made.round
    assert made.round.verdicts and made.round == made.round  # whatever was worked out meanwhile
    with pytest.raises(FrozenInstanceError):
        made.round.number = 7
    with pytest.raises(FrozenInstanceError):
        made.round.graph.tokens = []


def test_what_follows_is_made_once_for_a_round_and_anew_for_a_changed_one():
    [made] = itertools.islice(rounds(run_spec()), 1)
    round_ = made.round
    for name in (GRAPH, VERIFIED, TREE):
        assert face(round_, name, 6) is face(round_, name, 6)
    assert face(round_, GRAPH, 6) is face(round_)  # a depth is the tree's alone
    assert face(round_, TREE, 2) is not face(round_, TREE, 6)
    assert round_.verdicts is round_.verdicts and round_.graph.texts.html is round_.graph.texts.html
    cut = replace(round_, accepted=[], new_tokens=round_.new_tokens[:1])
    assert face(cut).spine == [0] and cut.reached == {0} and "accepted" not in cut.verdicts
    assert shared_by_merges(cut, 6) == shared_by_merges(round_, 6)


def test_once_tells_arguments_apart():
    calls = []

    @once
    def doubled(round_, number, *, more=0):
        calls.append(number)
        return 2 * number + more

    round_ = round_of()
    assert [doubled(round_, 1), doubled(round_, 2), doubled(round_, 1), doubled(round_, 1, more=1)] == [2, 4, 2, 3]
    assert calls == [1, 2, 1]
    assert doubled(round_of(), 1) == 2 and calls == [1, 2, 1, 1]


def test_the_ends_of_a_tree():
    """root ─ A ─ B, A ─ C: leaves B and C."""
    tree = round_of(tree={"parent": [-1, 0, 1, 1], "node": [0, 1, 2, 3]}).tree
    assert (tree.leaves, tree.hypotheses) == ([2, 3], [[1, 2], [1, 3]])
    assert tree.edge(3) == (1, 3)
    alone = round_of(tree={"parent": [-1]}).tree
    assert (alone.leaves, alone.hypotheses) == ([], [])


def test_behind_the_end_of_the_text_nothing_was_accepted_or_rejected():
    round_ = round_of(tree={"parent": [-1, 0, 1, 0]}, accepted=[1], new_tokens=[5], bonus=False)
    assert round_.verdicts == ["root", "accepted", AFTER_END, "rejected"]
    assert round_.last == 1 and not round_.rejected


def test_the_drafts_word_about_a_node_that_was_looked_up_is_a_decision():
    """A and B were looked up; the draft thought of A, too, and not of B. C is its own."""
    graph = {"source": ["root", "lookup", "lookup", "draft"], "logq": [0.0, -0.1, -0.2, -0.3]}
    round_ = round_of(graph=graph, decisions={"node": [1, 3], "rule": ["source", ""], "logq": [-2.0, -0.3]})
    assert round_.draft_logq == [0.0, -2.0, None, -0.3]


def test_texts_are_raw_visible_and_html():
    texts = Texts([" <b>", "", "\n", "&" * (LONGEST + 1)])
    assert texts.visible == ["·<b>", "∅", "↵", "&" * (LONGEST + 1)]
    assert texts.html[:3] == ["<code>·&lt;b&gt;</code>", "<code>∅</code>", "<code>↵</code>"]
    assert texts.html[3] == f"<code>{'&amp;' * LONGEST}…</code> ({LONGEST + 1} characters)"
    assert len(texts) == 4


@pytest.mark.parametrize("change", [
    lambda line: line.pop("ms"), lambda line: line.pop("graph"), lambda line: line["tree"].pop("choice"),
    lambda line: line.update(graph=[1]), lambda line: line.update(tree=None),
    lambda line: line.update(ms=None), lambda line: line.update(type="other"),
])  # fmt: skip
def test_a_line_that_is_no_round_is_named_with_its_number(tmp_path, change):
    folder = record_run(tmp_path, count=3)
    lines = events(folder)
    change(lines[1])
    (folder / "events.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    with pytest.raises(TraceError, match=r"not a trace of gsd \(round 2 of events.jsonl: ") as caught:
        read_run(folder)
    assert "\n" not in str(caught.value)
