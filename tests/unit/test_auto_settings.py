"""Method auto where settings are compared: it has none to compare, so no atlas replays it and a grid has it once."""

import pytest
from fixtures.recorded import run_spec
from settings import of_method

from gsd.errors import InputError
from gsd.lab.atlas import Bounds
from gsd.lab.sweep import SweepSpec

WIDEST = Bounds(64, 64, 1024)  # every number of method auto lies within


@pytest.mark.parametrize("bounds", [WIDEST, Bounds(4, 8, 4)])
def test_no_atlas_replays_auto_and_it_is_named(bounds):
    with pytest.raises(InputError, match=r"^--method auto: .*name graph, tree or chain$"):
        bounds.check(of_method(method="auto"))


def test_a_sweep_has_auto_once_whatever_the_grid_says_of_what_it_does_not_heed(tmp_path):
    prompt = run_spec().prompt
    cells = SweepSpec(pairs=["tiny"], prompts=[prompt], settings=[{"method": "auto"}, {"method": "graph"}],
                      grid={"width": [2, 3], "budget": [8, 16]}, out=tmp_path).cells().values()  # fmt: skip
    methods = [cell.drafting.method for cell in cells]
    assert (methods.count("auto"), methods.count("graph")) == (1, 4)


def test_a_sweep_decodes_once_what_drafts_the_same(tmp_path):
    """Of graph and auto with two values of a setting that either reads alone, two runs each."""
    grid = {"method": ["auto", "graph"], "lookup": [True, False], "prob_rule": ["path", "local"]}
    cells = SweepSpec(pairs=["tiny"], prompts=[run_spec().prompt], grid=grid, out=tmp_path).cells().values()
    read = [(one.drafting.method, getattr(one.drafting, "lookup", None), one.drafting.prob_rule) for one in cells]
    assert sorted(read) == [
        ("auto", False, "path"), ("auto", True, "path"), ("graph", None, "local"), ("graph", None, "path"),
    ]  # fmt: skip
