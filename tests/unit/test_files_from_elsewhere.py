"""Files of others that are no bundles: what is wrong with them is one line. The app listens to this machine alone."""

import json
import tomllib

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from fixtures.made_atlas import save_atlas

from analysis.catalog import read_head
from analysis.leaderboard import read_bench
from gsd.errors import InputError, TraceError
from gsd.lab.atlas import NODE_COLUMNS, Atlas
from gsd.lab.cost import COSTS_FILE, Costs
from gsd.trace.read import read_run

DEEP = "[" * 200_000


def test_the_app_listens_to_this_machine_alone_wherever_it_is_started_from(pytestconfig):
    """Streamlit reads the folder that it is started in and that of the script, which wins."""
    for place in (".streamlit", "app/.streamlit"):
        config = tomllib.loads((pytestconfig.rootpath / place / "config.toml").read_text())
        assert config["server"]["address"] == "localhost"


def test_json_that_nests_without_end_is_refused_in_one_line(tmp_path):
    for name in ("run.json", "atlas.json", COSTS_FILE):
        (tmp_path / name).write_text(DEEP)
    for read in (read_run, Atlas.load, lambda folder: Costs.load(folder / COSTS_FILE)):
        with pytest.raises(TraceError) as caught:
            read(tmp_path)
        assert "\n" not in str(caught.value)
    with pytest.raises(InputError, match="no result of a benchmark"):
        read_bench(DEEP.encode(), "bench.json")


@pytest.mark.parametrize("value", ["7", float("nan"), None, True])
def test_cost_curves_of_anything_but_numbers_are_refused(tmp_path, value):
    curve = {"tokens": [1, 2], "ms": [1.0, 2.0], "low_ms": [1.0, 2.0], "high_ms": [1.0, 2.0]}
    whole = {"schema": 2, "draft": curve, "target": curve, "plain_ms": 1.0, "machine": {},
             "overhead": {"round_ms": 0.1, "level_ms": 0.1, "node_ms": 0.1}}  # fmt: skip
    file = tmp_path / COSTS_FILE
    file.write_text(json.dumps(whole))
    assert Costs.load(file).plain_ms == 1.0
    for changed in (whole | {"plain_ms": value}, whole | {"draft": curve | {"ms": [1.0, value]}}):
        file.write_text(json.dumps(changed))
        with pytest.raises(TraceError, match="holds no cost curves"):
            Costs.load(file)


@pytest.mark.parametrize("parent", [-2, 10**6])
def test_an_atlas_whose_nodes_hang_on_none_is_refused(tmp_path, parent):
    save_atlas(tmp_path)
    nodes = pq.read_table(tmp_path / "nodes.parquet").to_pandas()
    nodes.loc[len(nodes) - 1, "parent"] = parent
    pq.write_table(pa.Table.from_pandas(nodes, NODE_COLUMNS, preserve_index=False), tmp_path / "nodes.parquet")
    with pytest.raises(TraceError, match="is no atlas"):
        Atlas.load(tmp_path)


def test_a_title_cannot_turn_the_direction_of_what_stands_behind_it(tmp_path):
    (tmp_path / "title.txt").write_text("safe\u202eexe.txt\x1b[2J", encoding="utf-8")
    assert read_head(tmp_path).title == "safe\ufffdexe.txt\ufffd[2J"
