"""What cannot be read is refused by name; unfinished runs are flagged, and only complete ones left for averages."""

import json
import resource
import shutil
import time

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from fixtures.recorded import record_run

from analysis.load import complete, load
from gsd.errors import TraceError
from gsd.trace.tables import NAMES, SCHEMAS


def edit_head(folder, **changes):
    head = json.loads((folder / "run.json").read_text())
    (folder / "run.json").write_text(json.dumps(head | changes))


def newer(folder):
    edit_head(folder, schema=99)


def foreign(folder):
    (folder / "run.json").write_text('{"schema": 1, "model": "another program"}')
    shutil.rmtree(folder / "tables")


def damaged(folder):
    lines = (folder / "events.jsonl").read_text().splitlines()
    (folder / "events.jsonl").write_text("\n".join([lines[0], "{torn", *lines[2:], ""]))
    shutil.rmtree(folder / "tables")


def no_run(folder):
    shutil.rmtree(folder)
    folder.mkdir()


@pytest.mark.parametrize(("spoil", "reason"), [(newer, "schema 99"), (foreign, "not a trace"),
                                               (damaged, "5 of 6 rounds"), (no_run, "no run.json"),
                                               (shutil.rmtree, "no run.json")])  # fmt: skip
def test_what_cannot_be_read_is_refused_by_its_folder_and_reason_in_one_line(tmp_path, spoil, reason):
    good, bad = record_run(tmp_path), record_run(tmp_path)
    spoil(bad)
    with pytest.raises(TraceError, match=reason) as caught:
        load([good, bad])
    assert str(bad) in str(caught.value) and "\n" not in str(caught.value)


def test_a_copy_is_a_run_of_its_own_and_a_link_is_none(tmp_path):
    run, copy, link = record_run(tmp_path), tmp_path / "copy", tmp_path / "link"
    shutil.copytree(run, copy)
    link.symlink_to(run, target_is_directory=True)
    assert load([run, copy, link]).runs["run"].tolist() == [run.name, "copy"]


@pytest.mark.parametrize("end", [None, "failed", "cancelled"])
def test_unfinished_runs_are_loaded_flagged_and_not_averaged(tmp_path, end):
    other, good = record_run(tmp_path, end=end), record_run(tmp_path)
    frames = load([other, good])
    assert frames.runs["status"].tolist() == [end or "incomplete", "complete"]
    kept = complete(frames)
    for name in NAMES:
        assert set(getattr(kept, name)["run"]) == {good.name}
        alone = getattr(load([good]), name)  # whole numbers where no run of them lacks one
        pd.testing.assert_frame_equal(getattr(kept, name), alone, check_dtype=False)


def test_a_torn_run_is_loaded_up_to_the_tear_as_incomplete(tmp_path):
    run = record_run(tmp_path, end=None)
    events = run / "events.jsonl"
    events.write_bytes(events.read_bytes()[:-20])
    frames = load([run])
    assert frames.runs["status"].tolist() == ["incomplete"]
    assert len(frames.rounds) == 5


def test_broken_parquet_is_rebuilt_from_the_events(tmp_path):
    run = record_run(tmp_path)
    whole = load([run])
    (run / "tables" / "nodes.parquet").write_bytes(b"PAR1 no more")
    assert load([run]).nodes.equals(whole.nodes)


def test_no_folder_gives_empty_frames():
    assert all(getattr(load([]), name).empty for name in NAMES)


@pytest.mark.slow
@pytest.mark.timeout(120)
def test_two_hundred_runs_of_a_million_nodes_take_less_than_2_gb(tmp_path):
    """5,000 nodes a run with text and numbers of their own; the time is printed, being the machine's."""
    model = record_run(tmp_path)
    parts = {name: pq.read_table(model / "tables" / f"{name}.parquet") for name in NAMES}
    for name in ("nodes", "edges", "decisions"):
        parts[name] = grown(parts[name], 5_000)
    runs = [copy_run(model, tmp_path / f"run{i:03}", parts) for i in range(199)]
    for name in ("nodes", "edges", "decisions"):
        pq.write_table(parts[name], model / "tables" / f"{name}.parquet")

    before, start = peak_bytes(), time.perf_counter()
    frames = load([model, *runs])
    print(f"{len(frames.nodes):,} nodes of 200 runs in {time.perf_counter() - start:.1f} s, "
          f"{(peak_bytes() - before) / 1e9:.2f} GB more")  # fmt: skip
    assert len(frames.runs) == 200
    assert len(frames.nodes) == len(frames.edges) == len(frames.decisions) == 1_000_000
    assert len(frames.rounds) == 200 * 6
    assert peak_bytes() - before < 2e9


def grown(table, rows):
    """`table` repeated up to `rows` rows, its floats made distinct so that they do not compress away."""
    table = table.take(pa.array(np.arange(rows) % len(table)))
    dice = np.random.default_rng(0)
    for at, field in enumerate(table.schema):
        if pa.types.is_floating(field.type):
            table = table.set_column(at, field, pa.array(-dice.random(rows)))
    return table


def copy_run(model, folder, parts):
    """A run folder with the tables `parts` under its own name."""
    (folder / "tables").mkdir(parents=True)
    shutil.copy(model / "run.json", folder)
    for name, table in parts.items():
        named = table.set_column(0, "run", pa.repeat(pa.scalar(folder.name), len(table)))
        pq.write_table(named.cast(SCHEMAS[name]), folder / "tables" / f"{name}.parquet")
    return folder


def peak_bytes():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
