"""Every metric that is drawn is defined in docs/metrics.md, and its definition is found there."""

import pytest

from analysis import acceptance, edges, merged, overlap, similarity, speed
from analysis.definitions import definition, formula
from analysis.figures import modelled

METRICS = [name for module in (acceptance, edges, merged, overlap, similarity, speed) for name in module.METRICS]


@pytest.mark.parametrize("name", [*METRICS, *modelled.FIGURES, "speedup_by_round", "drafted_by_syntax"])
def test_every_metric_is_defined(name):
    assert definition(name)


def test_a_short_name_in_a_heading_is_found_by_its_full_one():
    assert definition("ngram_overlap_by_depth") == definition("ngram_overlap_by_round")
    assert "overlap     = shared / occurrences" in definition("ngram_overlap_by_depth")


def test_of_a_table_only_the_row_of_the_metric_is_shown():
    text = definition("acceptance_by_rank")
    assert "| `acceptance_by_rank` |" in text
    assert "| `acceptance_by_q` |" not in text
    assert "| frame | one row |\n|---|---|" in text


def test_a_formula_is_a_block_of_code_of_its_own():
    assert formula("redundancy_by_run").splitlines()[0] == "```text"
    assert "redundancy   = 1 − drafted / unrolled" in formula("redundancy_by_run")
    assert "Redundancy is 0 without" not in formula("redundancy_by_run")


def test_what_is_not_documented_is_refused():
    with pytest.raises(KeyError, match="no_such_metric"):
        definition("no_such_metric")
    with pytest.raises(KeyError, match="no formula"):
        formula("acceptance_by_rank")
