"""A round under other settings: what the replay says is what drafting anew with them would have done.

The oracle drafts from a made-up law whose candidates depend on the tree path alone, once with the recorded
settings and once with the others.
"""

import itertools
import math
import random
from dataclasses import replace

import pytest
from fixtures.recorded import _record, round_of, run_spec
from settings import of_method

from analysis.faces import GRAPH, TREE, VERIFIED, face
from analysis.layout import layout
from analysis.round_whatif import Changed, RoundReplay, Uncovered
from gsd.drafting.graph import TokenGraph
from gsd.drafting.tree import flatten
from gsd.errors import InputError
from gsd.methods import METHODS

PROMPT = [3, 13]
VOCABULARY = 6
RECORDED = of_method(width=4, depth=5, frontier=4, merge_context=1, sibling_threshold=0.05, prob_threshold=0.02,
                     budget=16)  # fmt: skip
OTHERS = [{"width": 2}, {"depth": 3}, {"frontier": 2}, {"merge_context": 0}, {"merge_context": None}, {"budget": 5},
          {"budget": 64}, {"sibling_threshold": 0.4}, {"prob_threshold": 0.2}, {"prob_threshold": 0.0},
          {"depth": 9}, {"width": 3, "depth": 4, "budget": 40}]  # fmt: skip


def law(path, seed):
    """The candidates behind a path, the likeliest first."""
    dice = random.Random(repr((seed, path)))
    shares = sorted((dice.expovariate(1.0) ** 2 for _ in range(VOCABULARY)), reverse=True)
    tokens = dice.sample(range(VOCABULARY), VOCABULARY)
    return tokens, [math.log(share / sum(shares)) for share in shares]


def to(graph, node):
    """The tokens of a node's tree path."""
    path = []
    while node:
        path.insert(0, graph.tokens[node])
        node = graph.parents[node]
    return tuple(path)


def draft(spec, seed):
    graph = TokenGraph(PROMPT[-(spec.merge_context or 0) - 1 :], spec.merge_context)
    frontier = [0]
    for _ in range(spec.depth):
        rows = [law(to(graph, node), seed) for node in frontier]
        frontier = graph.grow(frontier, [tokens for tokens, _ in rows], [logq for _, logq in rows], spec)
        if not frontier:
            break
    return graph


def run(seed, *, room=40):
    """A run of one recorded round, with the text that the target goes on with behind it."""
    graph = draft(RECORDED, seed)
    tree = flatten(graph, RECORDED.budget, room)
    text = [random.Random(seed).choice(range(VOCABULARY)) for _ in range(4)]
    children = dict(zip(zip(tree.parents, tree.tokens), range(len(tree))))
    if seed % 2:  # every other target agrees with the draft for a while
        best = max((i for i in range(len(tree))), key=lambda i: tree.depths[i])
        path = []
        while best:
            path.insert(0, tree.tokens[best])
            best = tree.parents[best]
        text = path[: 1 + seed % 4] + text
    choices, last = [0] * len(tree), 0
    for token in text:
        choices[last] = token
        if (last, token) not in children:
            break
        last = children[last, token]
    made = _record(run_spec(drafting=RECORDED), 0, len(PROMPT) - 1, graph, tree, choices)
    rest = text[len(made.new_tokens) :]
    later = round_of(new_tokens=rest, new_texts=list(map(str, rest)), stop="length")
    spec = run_spec(drafting=RECORDED, max_new_tokens=room).model_dump(mode="json")
    model = {"context_length": 512}
    meta = {
        "spec": spec,
        "method": METHODS["graph"].described(),
        "prompt_tokens": PROMPT,
        "prompt_texts": ["a", "b"],
        "target": model,
        "draft": model,
    }
    return meta, [made.round, later], text


def walked(tree, text):
    children = dict(zip(zip(tree.parents, tree.tokens), range(len(tree))))
    last, count = 0, 0
    for token in text:
        if (last, token) not in children:
            return count
        last, count = children[last, token], count + 1
    return count


def paths(graph):
    """Nodes by their tree path."""
    return {to(graph, node) for node in range(len(graph))}


def union_paths(changed, marks):
    graph = changed.round.graph
    found = set()
    for node in range(len(graph.tokens)):
        path, at = [], node
        while at:
            path.insert(0, graph.tokens[at])
            at = graph.parents[at]
        if changed.marks[node] in marks:
            found.add(tuple(path))
    return found


def test_what_is_covered_is_what_drafting_anew_does():
    covered = uncovered = 0
    for seed, change in itertools.product(range(24), OTHERS):
        meta, rounds, text = run(seed)
        replay = RoundReplay(meta, rounds, 0)
        spec = replay.start.model_copy(update=change)
        found = replay.under(spec)
        if isinstance(found, Uncovered):
            uncovered += 1
            assert found.texts
            continue
        covered += 1
        anew = draft(spec, seed)
        tree = flatten(anew, spec.budget, 40)
        assert (found.after.drafted, found.after.verified) == (len(anew) - 1, len(tree) - 1)
        assert found.after.merges == len(anew.merges)
        assert found.after.accepted == walked(tree, text)
        assert union_paths(found, {"", "gained"}) == paths(anew)
        before = draft(replay.start, seed)
        assert union_paths(found, {"lost"}) == paths(before) - paths(anew)
        assert union_paths(found, {"gained"}) == paths(anew) - paths(before)
    assert covered > 100 and uncovered > 20, (covered, uncovered)


def test_what_other_settings_draft_comes_level_by_level_whatever_came_first_in_the_recording():
    """The recording says that its nodes were expanded one at a time, in the order in which they came."""
    for seed, change in itertools.product(range(8), OTHERS):
        meta, rounds, _ = run(seed)
        graph = rounds[0].graph
        forwards = [sum(graph.expanded[: node + 1]) * was for node, was in enumerate(graph.expanded)]
        rounds[0] = replace(rounds[0], graph=replace(graph, forwards=forwards))
        replay = RoundReplay(meta, rounds, 0)
        found = replay.under(replay.start.model_copy(update=change))
        if isinstance(found, Changed):
            union = found.round.graph
            came = zip(union.drafted_in, union.depths, found.marks)
            assert all(forward == depth for forward, depth, mark in came if mark != "lost")


def test_the_recorded_settings_change_nothing():
    for seed in range(8):
        meta, rounds, _ = run(seed)
        replay = RoundReplay(meta, rounds, 0)
        found = replay.under(replay.start)
        assert found.before == found.after
        assert set(found.marks) == {""}
        assert found.round.tree.nodes == rounds[0].tree.nodes
        assert found.round.accepted == rounds[0].accepted


def test_what_changed_can_be_drawn_by_every_face():
    for seed, change in itertools.product(range(8), OTHERS):
        meta, rounds, _ = run(seed)
        replay = RoundReplay(meta, rounds, 0)
        found = replay.under(replay.start.model_copy(update=change))
        if isinstance(found, Changed):
            for name in (GRAPH, VERIFIED, TREE):
                one = face(found.round, name, RECORDED.depth)
                made = layout(found.round, one)
                assert len(set(made.nodes)) == len(one)


def test_what_the_target_said_is_kept_and_the_rest_is_not_known():
    meta, rounds, _ = run(1)
    replay = RoundReplay(meta, rounds, 0)
    found = replay.under(replay.start.model_copy(update={"budget": 64}))
    said = found.round.tree.target_logp[1:]
    assert any(math.isnan(logp) for logp in said)
    assert sum(not math.isnan(logp) for logp in said) == len(rounds[0].tree.nodes) - 1


def cut_off(stop):
    """A run that broke off, as rounds do that have no other behind them yet, right behind this:

    root ─ a ─ b    recorded with budget 1: `a` is verified and accepted, and `b` is the target's own.

    With budget 2 `b` would be verified and accepted, and whatever the target says behind it is unknown.
    """
    graph = TokenGraph(PROMPT[-1:], None)
    spec = of_method(width=1, depth=2, frontier=1, merge_context=None, sibling_threshold=0.0, prob_threshold=0.0,
                     budget=1)  # fmt: skip
    graph.grow(graph.grow([0], [[1]], [[-0.1]], spec), [[2]], [[-0.1]], spec)
    made = _record(run_spec(drafting=spec), 0, len(PROMPT) - 1, graph, flatten(graph, 1, 40), [1, 2])
    meta, _, _ = run(0)
    meta = meta | {"spec": run_spec(drafting=spec, max_new_tokens=40).model_dump(mode="json")}
    return RoundReplay(meta, [replace(made.round, stop=stop)], 0), spec


@pytest.mark.parametrize("stop", [None, "cancelled"])
def test_what_the_target_says_behind_a_text_that_breaks_off_is_not_known(stop):
    replay, spec = cut_off(stop)
    assert replay.under(spec).after.accepted == 1
    found = replay.under(spec.model_copy(update={"budget": 2}))
    assert isinstance(found, Uncovered) and found.model == "target" and len(found.texts) == 1


@pytest.mark.parametrize("stop", ["eos", "length", "stop_string"])
def test_a_text_that_ended_by_a_rule_goes_on_nowhere(stop):
    replay, spec = cut_off(stop)
    found = replay.under(spec.model_copy(update={"budget": 2}))
    assert found.after.accepted == 2


def test_what_is_wanted_is_named_by_the_text_of_its_path():
    for seed in range(8):
        meta, rounds, _ = run(seed)
        found = RoundReplay(meta, rounds, 0).under(RECORDED.model_copy(update={"merge_context": None}))
        if isinstance(found, Uncovered):
            graph = rounds[0].graph
            merged = {graph.texts.raw[node] for node in rounds[0].merges.nodes}
            assert any(text.endswith(tuple(merged)) for text in found.texts)
            return
    raise AssertionError("no round here wants a node")


def test_a_room_that_ends_the_draft_early_ends_it_there_again():
    meta, rounds, _ = run(2)
    short = meta | {"spec": run_spec(drafting=RECORDED, max_new_tokens=1).model_dump(mode="json")}
    with pytest.raises(InputError, match="rules other than"):
        RoundReplay(short, rounds, 0)  # with room for one token nothing would have been drafted


AUTO = of_method(method="auto", merge_context=1)


def auto_run(seed, *, asked=12):
    """A run of one round by method auto: a chain that was looked up, then the likeliest nodes expanded, some at once.

    The first of the chain is what the draft thinks of, too; of the others it need not.
    """
    spec = AUTO
    graph = TokenGraph(PROMPT[-2:], spec.merge_context)
    first = law((), seed)[0][0]
    graph.attach([first, *random.Random(seed).choices(range(VOCABULARY), k=3)], [-0.5] * 4, "lookup")
    while sum(graph.expanded) < asked:
        unasked = [node for node in range(len(graph)) if not graph.expanded[node]]
        nodes = sorted(sorted(unasked, key=lambda node: -graph.path_logq[node])[:2])
        nodes = [
            node for node in nodes if node == 0 or graph.expanded[graph.parents[node]] or graph.sources[node] != "draft"
        ]
        rows = [law(to(graph, node), seed) for node in nodes]
        graph.grow(nodes, [tokens for tokens, _ in rows], [logq for _, logq in rows], spec)
    tree = flatten(graph, spec.budget, 40)
    made = _record(run_spec(drafting=AUTO), 0, len(PROMPT) - 1, graph, tree, [first] * len(tree))
    meta, _, _ = run(seed)
    spec = run_spec(drafting=AUTO, max_new_tokens=40).model_dump(mode="json")
    meta = meta | {"spec": spec, "method": METHODS["auto"].described()}
    return meta, [replace(made.round, stop="length")], made.new_tokens


def test_of_a_round_of_auto_it_is_told_what_graph_would_have_done_without_what_was_looked_up():
    covered = uncovered = unthought = 0
    for seed, change in itertools.product(range(24), [{}, *OTHERS]):
        meta, rounds, text = auto_run(seed)
        replay = RoundReplay(meta, rounds, 0)
        assert not replay.as_recorded and replay.start.method == "graph"
        spec = replay.start.model_copy(update=change)
        found = replay.under(spec)
        if isinstance(found, Uncovered):
            uncovered += 1
            continue
        covered += 1
        anew = draft(spec, seed)
        assert (found.after.drafted, found.after.merges) == (len(anew) - 1, len(anew.merges))
        assert found.after.accepted == walked(flatten(anew, spec.budget, 40), text)
        assert union_paths(found, {"", "gained"}) == paths(anew)
        graph = found.round.graph
        unthought += any(graph.sources[i] == "lookup" for i, mark in enumerate(found.marks) if mark == "lost")
    assert covered > 50 and uncovered > 20 and unthought > 20, (covered, uncovered, unthought)


def test_the_settings_for_a_round_of_auto_reach_as_far_as_its_draft_did():
    meta, rounds, _ = auto_run(3)
    replay = RoundReplay(meta, rounds, 0)
    depths = [d for d, was in zip(rounds[0].graph.depths, rounds[0].graph.expanded) if was]
    assert (replay.most.width, replay.most.depth) == (6, max(depths) + 1)
    assert replay.start.width == of_method().width and replay.start.prob_threshold == of_method().prob_threshold
    assert replay.start.depth <= replay.most.depth and replay.start.frontier <= replay.most.frontier


def test_a_round_of_auto_that_asked_no_draft_has_nothing_to_grow_again():
    meta, rounds, _ = auto_run(0, asked=0)
    with pytest.raises(InputError, match="the draft was not asked"):
        RoundReplay(meta, rounds, 0)


def test_counts_alone_cannot_be_asked():
    meta, rounds, _ = run(0)
    with pytest.raises(InputError, match="counts alone"):
        RoundReplay(meta, [replace(rounds[0], graph=round_of().graph)], 0)
