"""Cost curves: interpolation, the fit and its error, what a run adds up to, and what is no curve."""

import json

import pytest

from gsd.errors import TraceError
from gsd.lab.cost import Costs, Curve, Overhead

STRAIGHT = Curve([1, 2, 4], [10.0, 12.0, 16.0], [9.0] * 3, [17.0] * 3)  # 8 + 2 N
STEP = Curve([1, 4, 8], [4.0, 4.0, 8.0], [4.0] * 3, [8.0] * 3)
COSTS = Costs(STEP, STRAIGHT, Overhead(round_ms=0.5, level_ms=0.25, node_ms=0.125), 9.0, {"processor": "made up"})


def test_between_and_beyond_the_measured_sizes_the_curve_is_straight():
    assert STRAIGHT.at([1, 3, 4, 10]).tolist() == [10.0, 14.0, 16.0, 28.0]
    assert STEP.at([2, 6, 12]).tolist() == [4.0, 6.0, 12.0]


def test_beyond_the_largest_size_nothing_gets_cheaper():
    falling = Curve([1, 2], [5.0, 4.0], [5.0, 4.0], [5.0, 4.0])
    assert falling.at(10) == 4.0


def test_the_line_and_how_far_it_is_off():
    line = STRAIGHT.line()
    assert (line.fixed_ms, line.per_token_ms) == pytest.approx((8.0, 2.0)) and line.error < 1e-9
    assert STEP.line().error > 0.05


def test_a_run_is_its_forwards_and_the_engine_around_them():
    """Two rounds, three draft forwards, ten nodes: 4+4+6 draft, 12+16 target, 2·0.5 + 3·0.25 + 10·0.125 engine."""
    assert COSTS.run_ms([1, 3, 6], [2, 4], 10) == pytest.approx(14 + 28 + 3.0)


def test_curves_are_the_same_after_they_were_saved(tmp_path):
    COSTS.save(tmp_path / "new" / "costs.json")
    assert Costs.load(tmp_path / "new" / "costs.json") == COSTS


def test_a_curve_of_one_size_is_none(tmp_path):
    """Beyond its end nothing could be said."""
    COSTS.save(tmp_path / "costs.json")
    values = json.loads((tmp_path / "costs.json").read_text())
    values["draft"] = {name: sizes[:1] for name, sizes in values["draft"].items()}
    (tmp_path / "costs.json").write_text(json.dumps(values))
    with pytest.raises(TraceError, match="fewer than two sizes"):
        Costs.load(tmp_path / "costs.json")


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"schema": 9}', '{"schema": 1, "draft": {}}'])
def test_what_is_no_cost_file_is_refused_by_name(tmp_path, content):
    (tmp_path / "costs.json").write_text(content)
    with pytest.raises(TraceError, match=r"costs\.json"):
        Costs.load(tmp_path / "costs.json")


def test_a_file_that_cannot_be_written_is_refused(tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(TraceError, match="--out"):
        COSTS.save(tmp_path / "file" / "costs.json")


def test_plain_decoding_takes_the_prompts_forward_and_then_plain_rounds():
    """4 prompt tokens: 16 ms and half a millisecond of engine; two more tokens, 9 ms each."""
    assert COSTS.plain_run_ms(4, 3) == 16.0 + 0.5 + 2 * 9.0
    assert COSTS.run_ms([], [4, 1, 1], 0) == COSTS.plain_run_ms(4, 3)
