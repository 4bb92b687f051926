"""Speed-ups are tokens against measured time, and the phases make up the whole of it."""

import pytest
from fixtures.recorded import end_record, meta, record_run, rounds, run_spec

from analysis.figures import speed as figures
from analysis.load import load
from analysis.speed import (
    COLUMNS,
    METRICS,
    PHASES,
    ar_ms_per_token,
    speedup_by_round,
    time_by_phase,
    time_by_phase_and_round,
)
from gsd.errors import InputError
from gsd.trace.read import read_run
from gsd.trace.writer import TraceWriter


def write_run(out, ms, *, baseline=None, **changes):
    """A complete run whose rounds took the given milliseconds by phase, the others 0."""
    spec = run_spec(**changes)
    made = [one for one, _ in zip(rounds(spec), ms)]
    with TraceWriter(out, spec.prompt.id, meta(spec)) as writer:
        for one, times in zip(made, ms):
            one.record["ms"] = dict.fromkeys(PHASES, 0.0) | times | {"total": sum(times.values())}
            writer.round(one.record)
        writer.end(end_record("complete", made) | {"baseline": baseline})
    return writer.folder


def baseline(new_tokens, wall_ms):
    return {"new_tokens": new_tokens, "wall_ms": wall_ms, "speedup": 1.0, "matches_baseline": True}


@pytest.fixture
def two_rounds(tmp_path):
    """Round 0 takes 20 ms, round 1 takes 10; `ar` took 60 ms for 12 tokens, 5 ms each."""
    times = [{"draft": 5.0, "verify": 15.0}, {"draft": 2.0, "verify": 6.0, "grow": 1.5, "other": 0.5}]
    return write_run(tmp_path / "runs", times, baseline=baseline(12, 60.0))


def test_speed_up_of_each_round_and_so_far_by_hand(two_rounds):
    """With a and b new tokens: 5a/20, then 5b/10; in all 5 (a + b) / 30."""
    frames, ar_ms = load([two_rounds]), ar_ms_per_token(read_run(two_rounds))
    assert ar_ms == 5.0
    a, b = frames.rounds["new_tokens"]
    rows = speedup_by_round(frames, {two_rounds.name: ar_ms})
    assert rows["speedup"].tolist() == pytest.approx([5 * a / 20, 5 * b / 10])
    assert rows["speedup_so_far"].tolist() == pytest.approx([5 * a / 20, 5 * (a + b) / 30])
    assert rows["tokens_so_far"].tolist() == [a, a + b]
    assert rows["ar_ms"].tolist() == [5.0 * a, 5.0 * b]


def test_time_by_phase_by_hand(two_rounds):
    frames = load([two_rounds])
    rows = time_by_phase(frames).set_index("phase")
    assert rows["ms"].to_dict() == {
        "draft": 7.0,
        "verify": 21.0,
        "grow": 1.5,
        "flatten": 0.0,
        "commit": 0.0,
        "other": 0.5,
    }
    assert rows["share"].to_dict() == pytest.approx({phase: ms / 30 for phase, ms in rows["ms"].items()})
    assert rows.loc["draft", "ms_per_token"] == 7.0 / frames.rounds["new_tokens"].sum()
    second = time_by_phase_and_round(frames).query("round == 1").set_index("phase")["share"]
    assert second.to_dict() == {"draft": 0.2, "verify": 0.6, "grow": 0.15, "flatten": 0, "commit": 0, "other": 0.05}


def test_a_run_without_a_baseline_has_no_speed_up_and_says_so(tmp_path, two_rounds):
    bare = write_run(tmp_path / "bare", [{"verify": 1.0}])
    with pytest.raises(InputError, match=f"{bare.name} has no measured baseline.*--baseline"):
        ar_ms_per_token(read_run(bare))
    rows = speedup_by_round(load([bare, two_rounds]), {two_rounds.name: 5.0})
    assert set(rows["run"]) == {two_rounds.name}


def test_figures_draw_the_frames_and_their_titles_say_what_was_measured(two_rounds):
    frames = load([two_rounds])
    rows = speedup_by_round(frames, {two_rounds.name: 5.0})
    made = figures.speedup_by_round(rows)
    assert [list(trace.y) for trace in made.data] == [rows["speedup"].tolist(), rows["speedup_so_far"].tolist()]
    assert made.layout.title.text == "0 of 2 recorded rounds are slower than ar, measured"
    [as_fast_as_ar] = made.layout.shapes
    assert (as_fast_as_ar.name, as_fast_as_ar.showlegend) == ("as fast as ar", True) and not made.layout.annotations
    assert f"{rows['speedup_so_far'].iloc[-1]:.2f}× together, cold and traced" in made.layout.title.subtitle.text
    stacked = figures.time_by_phase_and_round(time_by_phase_and_round(frames))
    assert [sum(trace.y[round_] for trace in stacked.data) for round_ in (0, 1)] == pytest.approx([20.0, 10.0])
    assert stacked.layout.title.text == "70% of the time goes to verify, 23% to draft"
    per_token = figures.time_by_phase(time_by_phase(frames))
    assert per_token.layout.title.text.endswith(" ms a token") and two_rounds.name not in str(per_token.layout)
    assert sum(trace.x[0] for trace in per_token.data) == pytest.approx(30.0 / frames.rounds["new_tokens"].sum())
    for stack in (stacked, per_token):
        assert len({trace.marker.pattern.shape for trace in stack.data}) == len(PHASES)


def test_no_figure_without_a_baseline_nor_of_two_runs_at_once(tmp_path, two_rounds):
    other = record_run(tmp_path)
    frames = load([two_rounds, other])
    with pytest.raises(InputError, match="nothing to draw"):
        figures.speedup_by_round(speedup_by_round(frames, {}))
    with pytest.raises(InputError, match="2 runs in one figure"):
        figures.time_by_phase_and_round(time_by_phase_and_round(frames))


def test_over_recorded_runs_the_phases_sum_up_and_the_last_row_is_the_whole(tmp_path):
    kinds = ((9, "complete", "full"), (4, None, "full"), (5, "complete", "counters"))
    folders = [record_run(tmp_path, count=count, end=end, detail=detail) for count, end, detail in kinds]
    frames = load(folders)
    wall = frames.rounds.groupby("run")["total_ms"].sum()
    for rows, by in ((time_by_phase(frames), ["run"]), (time_by_phase_and_round(frames), ["run", "round"])):
        assert rows.groupby(by)["share"].sum().tolist() == pytest.approx([1.0] * rows.groupby(by).ngroups)
        assert rows.groupby("run")["ms"].sum().to_dict() == pytest.approx(wall.to_dict())
        assert rows["phase"].tolist() == list(PHASES) * (len(rows) // len(PHASES))
    assert time_by_phase(frames)["run"].drop_duplicates().tolist() == [folder.name for folder in folders]
    speedups = speedup_by_round(frames, dict.fromkeys(wall.index, 2.5))
    last = speedups.groupby("run")[["tokens_so_far", "speedup_so_far"]].last()
    tokens = frames.rounds.groupby("run")["new_tokens"].sum()
    assert last["tokens_so_far"].to_dict() == tokens.to_dict()
    assert last["speedup_so_far"].to_dict() == pytest.approx((tokens * 2.5 / wall).to_dict())
    assert {*speedups, *(name for metric in METRICS.values() for name in metric(frames))} == set(COLUMNS)


def test_several_runs_are_lines_over_their_tokens(two_rounds, tmp_path):
    """The second run takes half the time of the first: its line ends at twice the speed-up."""
    fast = write_run(tmp_path / "runs", [{"verify": 10.0}, {"verify": 5.0}], baseline=baseline(12, 60.0))
    rows = speedup_by_round(load([two_rounds, fast]), {two_rounds.name: 5.0, fast.name: 5.0})
    lines = [line for line in figures.speedup_so_far(rows).data if line.mode == "lines+markers"]
    assert [list(line.x) for line in lines] == [part.tolist() for _, part in rows.groupby("run")["tokens_so_far"]]
    assert lines[1].y[-1] == pytest.approx(2 * lines[0].y[-1])
    assert lines[0].marker.symbol != lines[1].marker.symbol
    title = figures.speedup_so_far(rows).layout.title.text
    assert title == f"{lines[0].y[-1]:.2f}× to {lines[1].y[-1]:.2f}× as fast as ar in 2 runs, measured"
    with pytest.raises(InputError, match="nothing to draw"):
        figures.speedup_so_far(rows.iloc[:0])
