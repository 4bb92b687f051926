"""Grids over a hand-made atlas: what is replayed can be followed with a pencil.

The text is A B C D after the prompt P. The draft says, behind every position, the right token with
q = 0.6 and X with q = 0.3, two levels deep. So a chain of depth 2 takes two rounds for four tokens
(A B and the bonus C; then D), and plain decoding four.
"""

import math
import shlex

import pytest
from settings import of_method

from analysis.replay import Replayer, Round
from analysis.tune import (
    as_row,
    best_by_kind,
    command,
    pareto,
    parse_grid,
    report,
    settings_of,
    summary,
    to_paste,
    tune,
)
from cli import decode
from cli.main import main
from gsd.config import RunSpec
from gsd.decode.recorded import as_recorded
from gsd.errors import InputError, TraceError
from gsd.lab.atlas import Atlas, AtlasText, Bounds, DraftTree
from gsd.lab.cost import Costs, Curve, Overhead
from gsd.spec import ModelSpec, Prompt, SamplingSpec

P, A, B, C, D, X = 9, 1, 2, 3, 4, 7
TEXT = [A, B, C, D]
LOGQ = [math.log(0.6), math.log(0.3)]
FLAT = Costs(Curve([1, 64], [1.0, 1.0], [1.0] * 2, [1.0] * 2), Curve([1, 64], [10.0, 10.0], [10.0] * 2, [10.0] * 2),
             Overhead(0.0, 0.0, 0.0), 10.0, {})  # fmt: skip
CHAIN = of_method(method="chain", depth=2, prob_threshold=0.0)


def tree(at: int) -> DraftTree:
    """Behind position `at`: the next token or X, and behind the next token the one after it or X."""
    made = DraftTree([P, *TEXT][at])
    for node in range(0, 2 * min(2, len(TEXT) - at - 1), 2):
        made.expand(max(node - 1, 0), [TEXT[at + node // 2], X], LOGQ)
    return made


@pytest.fixture
def replayer():
    text = AtlasText("one", "made", [P], TEXT, list("ABCD"), 5, [tree(at) for at in range(4)])
    return Replayer(Atlas(Bounds(width=2, depth=2, frontier=2), 64, {}, [text]))


def test_a_chain_of_two_takes_two_rounds(replayer):
    (replay,) = replayer.replay(CHAIN)
    assert replay.rounds == [Round(0, (1, 1), 2, 2, 0, 2, 3), Round(3, (), 0, 0, 0, 0, 1)]
    assert (replay.mean_acceptance_length, replay.coverage) == (2.0, 1.0)


def test_a_budget_of_one_node_accepts_one(replayer):
    (replay,) = replayer.replay(CHAIN.model_copy(update={"budget": 1}))
    assert [one.accepted for one in replay.rounds] == [1, 1]
    assert [one.verified_nodes for one in replay.rounds] == [1, 1]


def test_the_second_draft_forward_takes_what_is_not_cached(replayer):
    """After a round with one accepted node of two drafted, the root and the bonus: the leaf was never expanded."""
    (replay,) = replayer.replay(CHAIN.model_copy(update={"depth": 1}))
    assert [one.forwards for one in replay.rounds] == [(1,), (2,)]


def test_the_modelled_speedup_is_the_ratio_of_modelled_times(replayer):
    """Plain: 4 forwards of 10 ms. The chain: 2 of them, and 2 draft forwards of 1 ms."""
    rows = tune(replayer, [CHAIN, of_method(method="ar")], FLAT)
    assert rows["modelled_speedup"].tolist() == pytest.approx([40 / 22, 1.0])


def test_without_curves_there_is_no_speedup(replayer):
    table = summary(tune(replayer, [CHAIN], None))
    assert table["modelled_speedup"].isna().all() and table["rounds"].tolist() == [2]
    assert report(tune(replayer, [CHAIN], None), table)["best"] is None


def test_a_setting_that_is_not_covered_has_no_figures(replayer):
    """A node wider than the trees were grown: X was never expanded."""
    spec = of_method(width=2, depth=2, frontier=2, prob_threshold=0.0, sibling_threshold=0.0)
    table = summary(tune(replayer, [spec, CHAIN], FLAT))
    assert table["covered"].tolist() == [False, True]
    assert table.loc[0, ["rounds", "mean_acceptance_length", "modelled_speedup"]].isna().all()
    assert 0 <= table.loc[0, "coverage"] < 1


def test_the_front_holds_what_no_other_setting_beats(replayer):
    specs = [CHAIN, CHAIN.model_copy(update={"depth": 1}), of_method(method="ar")]
    table = summary(tune(replayer, specs, FLAT))
    front = pareto(table)
    assert front["verified_nodes"].is_monotonic_increasing and front["modelled_speedup"].is_monotonic_increasing
    for _, row in table.iterrows():
        assert ((front["modelled_speedup"] >= row["modelled_speedup"])
                & (front["verified_nodes"] <= row["verified_nodes"])).any()  # fmt: skip
    assert best_by_kind(tune(replayer, specs, FLAT))["depth"].tolist() == [2]


def test_a_grid_is_every_combination_and_defaults_for_the_rest():
    grid = parse_grid("width=1..3,merge-context=none,0,prob_threshold=0.1")
    assert grid == {"width": [1, 2, 3], "merge_context": [None, "0"], "prob_threshold": ["0.1"]}
    specs = settings_of(grid)
    assert len(specs) == 6 and {spec.depth for spec in specs} == {of_method().depth}
    assert {(spec.width, spec.merge_context) for spec in specs} == {(w, c) for w in (1, 2, 3) for c in (None, 0)}


@pytest.mark.parametrize(
    ("text", "word"),
    [("breadth=1", "breadth"), ("3", "3"), ("width=3..1", "3..1"), ("width=a..b", "a..b"), ("width=1,width=2", "twice"),
     ("width=0", "--width"), ("", "OPTION=VALUES")],
)  # fmt: skip
def test_a_bad_grid_is_refused_by_its_value(text, word):
    with pytest.raises(InputError, match=word):
        settings_of(parse_grid(text))


def test_what_to_paste_names_what_differs_from_the_defaults():
    rows = [{**of_method().model_dump(), "width": 2, "merge_context": "none"}]
    assert to_paste(rows[0]) == "--width 2 --merge-context none"
    chain = of_method(method="chain", depth=3)
    assert to_paste(as_row(chain)) == "--method chain --depth 3"


OWN = {"target": ModelSpec(source="my/target", revision="v1", trust_remote_code=True),
       "draft": ModelSpec(source="my/draft", quantization="int8", trust_remote_code=True)}  # fmt: skip
TINY = {"pair": "tiny", "target": ModelSpec(source="tiny/target"), "draft": ModelSpec(source="tiny/draft")}


@pytest.mark.parametrize(
    "asked",
    [OWN | {"sampling": SamplingSpec(temperature=0.7, top_k=9, top_p=0.9, seed=3), "max_new_tokens": 7,
            "device": "cpu", "dtype": "bfloat16", "packed": False, "prompt": Prompt(prompt="it's  so", chat=False)},
     TINY | {"prompt": Prompt(prompt="P")}],
    ids=["own models", "a pair"],
)  # fmt: skip
def test_the_command_decodes_as_the_atlas_did(asked, monkeypatch, tmp_path):
    """Read by `gsd generate`, it gives the atlas's own spec, drafted by the setting; no trust comes from an atlas."""
    read = []

    class Decoding:
        def __init__(self, file, specs, **_):
            read.extend(specs)

        def run(self, *_, **__):
            pass

    monkeypatch.setattr(decode, "_Decoding", Decoding)
    monkeypatch.chdir(tmp_path)
    drafting, recorded = of_method(method="tree", width=2), RunSpec(**asked)
    text = AtlasText("t", None, [P], TEXT, [], 9, [], given=recorded.prompt.prompt, chat=recorded.prompt.chat)
    words = shlex.split(command(recorded.model_dump(mode="json"), text, as_row(drafting)))
    assert words[0] == "gsd" and "--trust-remote-code" not in words and not main(words[1:])
    (spec,) = read
    recorded = as_recorded(asked) if not recorded.pair else recorded
    if spec.pair:  # its models are wherever the preset has them
        spec = spec.model_copy(update={"target": recorded.target, "draft": recorded.draft})
    assert spec.digest() == recorded.model_copy(update={"drafting": drafting}).digest()
    assert spec.packed == recorded.packed


def test_a_setting_named_twice_counts_once():
    assert len(settings_of(parse_grid("width=1..3,2,prob_threshold=0.4,0.40"))) == 3
    one = settings_of(parse_grid("method=chain,width=1..6,merge_context=none,0,1"))  # of which a chain reads nothing
    assert one == [of_method(method="chain")]


def test_beyond_the_draft_s_context_nothing_is_drafted(replayer):
    """The draft sees three tokens: a round that begins there drafts nothing, as in the engine."""
    replayer.atlas.draft_context = 2
    (replay,) = replayer.replay(CHAIN)
    assert [one.drafted_nodes for one in replay.rounds] == [1, 0, 0]
    assert sum(one.new_tokens for one in replay.rounds) == 4


@pytest.mark.parametrize(
    "head", ["[]", "{}", '{"schema": 1}', '{"schema": 2}', '{"schema": 1, "texts": [{"id": "x"}]}']
)
def test_a_damaged_atlas_is_refused_by_name(tmp_path, head):
    (tmp_path / "atlas.json").write_text(head)
    with pytest.raises(TraceError, match=tmp_path.name):
        Atlas.load(tmp_path)
