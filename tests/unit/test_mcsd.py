"""Method mcsd: its settings, its draws, and what is said of them."""

import json
import math
from collections import Counter

import pytest
import torch
from settings import of_method

from analysis.explain import explain
from analysis.round_whatif import RoundReplay
from analysis.story import story
from gsd.config import RunSpec
from gsd.decode.runner import Runner
from gsd.drafting.base import Parts
from gsd.errors import InputError, TraceError
from gsd.lab.atlas import Bounds
from gsd.lab.bench.report import notes
from gsd.methods import METHODS, drafting
from gsd.models.pairs import pair
from gsd.spec import Keeps, ModelSpec, Prompt, SamplingSpec, build, keeps_text
from gsd.testing.table_model import TableModel, random_table, table_pair
from gsd.trace.form import _check_round, _Wrong
from gsd.trace.recorded_round import RecordedRound
from gsd.trace.records import round_record
from tests.models import decode, tokens_of

PROMPT = [1, 2]
SAMPLED = SamplingSpec(temperature=1.0, seed=3)
BOTH = pytest.mark.parametrize("replacement", [False, True])


def rounds_of(sampling=SAMPLED, count=24, seed=0, vocabulary=6, **settings):
    target, draft = table_pair(vocabulary, seed)
    return decode(target, draft, PROMPT, of_method("mcsd", **settings), sampling, count)


@pytest.mark.parametrize(("widths", "said"), [
    ("4,0,2", "--widths '4,0,2': give up to 8 levels a width each, from 1 to 64, as 4,2,2"),
    ("65", "--widths '65': give up to 8 levels a width each, from 1 to 64, as 4,2,2"),
    ("4,two", "--widths '4,two': give up to 8 levels a width each, from 1 to 64, as 4,2,2"),
    ("", "--widths '': give up to 8 levels a width each, from 1 to 64, as 4,2,2"),
    (",".join("1" * 9), "--widths '1,1,1,1,1,1,1,1,1': give up to 8 levels a width each, from 1 to 64, as 4,2,2"),
    ("9" * 5000, f"--widths '{'9' * 99}…: give up to 8 levels a width each, from 1 to 64, as 4,2,2"),
    ("8,8,8", "--widths '8,8,8': that makes 584 nodes, and 512 are verified at most: give less"),
])  # fmt: skip
def test_a_shape_that_is_none_is_refused_in_a_line(widths, said):
    with pytest.raises(InputError) as refused:
        drafting("mcsd", widths=widths)
    assert str(refused.value) == said


def test_a_shape_is_written_one_way():
    """So that runs of one shape have one digest; one level may be a number, as a sweep's file has it."""
    assert drafting("mcsd", widths=" 4, 2 ") == drafting("mcsd", widths="04,2")
    assert drafting("mcsd", widths=3).shape == [3]
    assert drafting("mcsd", widths="1,1,1,1,1,1,1,1").shape == [1] * 8


@pytest.mark.parametrize(("settings", "sampling", "said"), [
    ({"replacement": True}, {}, "method 'mcsd': at temperature 0 all draws with replacement are one token: leave "
                                "replacement out, or sample"),
    ({}, {"temperature": 1.0, "draw": "inverse"}, "method 'mcsd': rule ratio draws by Gumbel noise alone, not by an "
                                                  "inverse cumulative law: choose rule match"),
])  # fmt: skip
def test_what_does_not_go_together_is_refused_before_a_model_is_loaded(settings, sampling, said):
    model = ModelSpec(source="x")
    values = {"target": model, "draft": model, "prompt": Prompt(prompt="x"), "sampling": SamplingSpec(**sampling)}
    with pytest.raises(InputError) as refused:
        build(RunSpec, {**values, "drafting": drafting("mcsd", **settings)})
    assert str(refused.value) == said
    parts = Parts(None, table_pair(4, 0)[1], 4, record=True, sampling=SamplingSpec(**sampling))
    with pytest.raises(InputError, match="method 'mcsd'"):
        METHODS["mcsd"].drafter(drafting("mcsd", **settings), parts)


def test_all_of_the_shape_is_drafted_and_verified():
    first = rounds_of(vocabulary=40)[0]
    assert [first.tree.depths.count(depth) for depth in range(4)] == [1, 4, 8, 16]
    assert first.draft_forwards == 3 and len(first.graph.draws) == 1 + 4 + 8
    assert first.graph.merges == [] and {one.kind for one in first.graph.decisions} == {"added"}


def test_a_small_vocabulary_ends_the_draws_and_room_the_levels():
    first, *_, last = rounds_of(vocabulary=3, widths="8,2")
    assert sorted(first.graph.draws[0]) == [0, 1, 2]
    assert max(last.tree.depths) <= len(last.new_tokens) + 1
    assert all(len(round_.tree) == 1 for round_ in rounds_of(count=1))


@BOTH
def test_draws_are_kept_in_order_and_a_token_drawn_again_is_one_node_and_two_draws(replacement):
    again = 0
    for round_ in rounds_of(replacement=replacement, count=60):
        graph, drawn = round_.graph, round_.tree.draws
        for parent, tokens in graph.draws.items():
            children = [graph.tokens[child] for child, _ in graph.out_edges[parent]]
            assert children == list(dict.fromkeys(tokens))
            again += len(tokens) - len(children)
        if drawn:
            nodes = [round_.tree.nodes[flat] for flat in drawn.nodes]
            assert {node: tokens for node, tokens in zip(nodes, drawn.tokens)} == graph.draws
    assert (again > 0) == replacement


@BOTH
def test_draws_have_the_draft_s_law_at_the_run_s_temperature(replacement):
    """Pairs of draws behind the root over 4,000 seeds; chi-square, and a right one fails once in a million runs."""
    table = random_table(4, 5)
    draft, sampling = TableModel(table), SamplingSpec(temperature=0.7, top_k=1)  # the filter is the target's alone
    found: Counter[tuple[int, ...]] = Counter()
    for seed in range(4000):
        parts = Parts(None, draft, 4, record=False, sampling=sampling.model_copy(update={"seed": seed}))
        drafter = METHODS["mcsd"].drafter(drafting("mcsd", widths="2", replacement=replacement), parts)
        drafter.start(8)
        found[tuple(drafter.draft(PROMPT, 1).draws[0])] += 1
    q = (table[1, 2] / 0.7).double().softmax(-1).tolist()
    law = {}
    for one in range(4):
        for other in range(4):
            rest = q[other] if replacement else 0.0 if one == other else q[other] / (1 - q[one])
            law[one, other] = q[one] * rest
    assert all(law[pair] > 0 for pair in found)
    statistic = sum((found[pair] - 4000 * share) ** 2 / (4000 * share) for pair, share in law.items() if share)
    degrees = torch.tensor((sum(share > 0 for share in law.values()) - 1) / 2)
    assert torch.special.gammaincc(degrees, torch.tensor(statistic / 2)) > 1e-6


def test_a_token_that_the_draft_cannot_give_is_not_drawn():
    table = random_table(5, 1)
    table[..., 3:] = -torch.inf
    parts = Parts(None, TableModel(table), 5, record=True, sampling=SAMPLED)
    drafter = METHODS["mcsd"].drafter(drafting("mcsd", widths="5,2"), parts)
    drafter.start(64)
    graph = drafter.draft(PROMPT, 8)
    assert sorted(graph.draws[0]) == [0, 1, 2] and all(map(math.isfinite, graph.logq))


def test_at_temperature_0_and_by_the_rule_of_match_the_text_is_plain_decoding_s():
    target, draft = table_pair(6, 0)
    hot = SamplingSpec(temperature=1.2, seed=9)
    for sampling, settings in ((SamplingSpec(), {}), (hot, {"rule": "match"})):
        plain = decode(target, draft, PROMPT, of_method("ar"), sampling, 40)
        made = decode(target, draft, PROMPT, of_method("mcsd", **settings), sampling, 40)
        assert tokens_of(made) == tokens_of(plain) and len(made) < len(plain)
    plain = decode(target, draft, PROMPT, of_method("ar"), hot, 40)
    one, again = (decode(target, draft, PROMPT, of_method("mcsd"), hot, 40) for _ in range(2))
    assert tokens_of(one) == tokens_of(again) != tokens_of(plain)


def test_what_keeps_the_text():
    assert keeps_text(Keeps.TEXT, 1.0) and keeps_text(Keeps.LAW, 0.0)
    assert not keeps_text(Keeps.LAW, 1.0) and not keeps_text(Keeps.LOSSY, 0.0)


# What is recorded and said.


def recorded(round_, *, detail=True):
    def texts(tokens):
        return [f"<{token}>" for token in tokens]

    record = round_record(round_, texts, texts(round_.new_tokens), detail=detail)
    return json.loads(json.dumps(record, allow_nan=False))


def test_the_trace_has_every_draw():
    for round_ in rounds_of(count=60):
        line = recorded(round_)
        read = RecordedRound.of(line)
        _check_round(read)
        made = round_.tree.draws
        if line["draws"]:
            columns = {**vars(read.draws), "texts": read.draws.texts.raw}
            assert [*columns.values()] == [*line["draws"].values()]
        assert len(read.draws) == (sum(map(len, made.tokens)) if made else 0)
        for row in range(len(read.draws)):
            u, p, q = (column[row] for column in (read.draws.u, read.draws.p, read.draws.q))
            if read.draws.verdicts[row] == "untested":
                assert u is p is q is None
            else:
                assert (u < p / q) == (read.draws.verdicts[row] == "accepted")
        walked = [made.nodes.index(flat) for flat in (0, *round_.accepted) if made and flat in made.nodes]
        for place, row in enumerate(walked[: len(round_.accepted)]):
            own = read.draws.behind(made.nodes[row])
            accepted = [read.draws.tokens[one] for one in own if read.draws.verdicts[one] == "accepted"]
            assert accepted == [round_.new_tokens[place]]


def test_a_trace_without_draws_reads_as_before():
    """Older ones do not have the key, and counts alone have none."""
    [first, *_] = rounds_of()
    line = recorded(first)
    assert line["draws"] and recorded(first, detail=False)["draws"] is None
    assert recorded(rounds_of(SamplingSpec())[0])["draws"] is None
    del line["draws"]
    read = RecordedRound.of(line)
    _check_round(read)
    assert len(read.draws) == 0 and read.draws.behind(0) == []


@pytest.mark.parametrize(("column", "value"), [
    ("parent", 99), ("rank", -1), ("u", "x"), ("p", 2.0), ("q", 0.0), ("q", None), ("verdict", "<b>"), ("text", 3),
])  # fmt: skip
def test_draws_of_somebody_else_s_trace_are_checked(column, value):
    line = recorded(rounds_of()[0])
    line["draws"][column][0] = value
    with pytest.raises((_Wrong, TraceError)):
        _check_round(RecordedRound.of(line))


def meta():
    return {"spec": {"drafting": of_method("mcsd").model_dump()}, "method": METHODS["mcsd"].described()}


def test_the_app_says_why_a_draw_was_accepted_or_rejected():
    said, ends = [], []
    for round_ in [*rounds_of(count=100), *rounds_of(count=100, widths="2,1")]:
        read = RecordedRound.of(recorded(round_))
        ends.append(story(read, meta()).paragraphs[-1])
        for node in range(1, len(read.graph)):
            said += explain(read, meta(), f"n{node}").paragraphs
    tests = [words for words in said if "draw " in words and ":" in words]
    assert any(
        words.startswith("<b>Accepted</b>, draw 1 of 4: u = ") and " is below p / q = " in words for words in tests
    )
    assert any(words.startswith("<b>Rejected</b>, draw 2 of 4: u = ") and " is not below p / q = " in words
               and words.endswith("p and q as the rejected draws before it left them.") for words in tests)  # fmt: skip
    assert any(words.startswith("<b>Not tested:</b> draw ") for words in tests)
    assert any(words.startswith("Both draws at the root were rejected. So <") for words in ends)
    assert any(words.startswith("The one draw after <") for words in ends)
    assert not any("picked" in words for words in said)


@pytest.mark.parametrize(("temperature", "said"), [
    (0.0, []), (1.0, ["mcsd: the law of texts is that of plain decoding, and the texts are others"]),
])  # fmt: skip
def test_a_benchmark_says_whose_texts_differ_and_calls_it_no_fault(temperature, said):
    settings = {
        "sampling": {"temperature": temperature},
        "drafting": {name: {"method": name} for name in ("ar", "mcsd")},
    }
    assert notes({"prompts": [], "prompts_given": 0, "methods": {}, "settings": settings}) == said


def test_no_setting_of_a_round_that_was_drawn_is_replayed():
    read = [RecordedRound.of(recorded(round_)) for round_ in rounds_of()]
    head = {"prompt_tokens": PROMPT, "prompt_texts": ["<1>", "<2>"], "draft": {"context_length": 256}}
    with pytest.raises(InputError, match="method mcsd keeps only the law of texts"):
        RoundReplay(meta() | head, read, 0)
    with pytest.raises(InputError, match="--method mcsd: it draws its candidates by chance"):
        Bounds(8, 8, 8).check(drafting("mcsd"))


@pytest.mark.parametrize(("sampling", "same"), [(SamplingSpec(), True), (SamplingSpec(temperature=1.0), None)])
def test_a_baseline_s_text_is_compared_where_it_must_be_the_same(sampling, same):
    target, draft = pair("tiny").target, pair("tiny").draft
    spec = RunSpec(target=target, draft=draft, prompt=Prompt(prompt="def add(a, b):"), sampling=sampling,
                   drafting=drafting("mcsd"), max_new_tokens=6)  # fmt: skip
    found = Runner.of(spec).run(spec, None, baseline=True)
    assert found.baseline["matches_baseline"] is same
