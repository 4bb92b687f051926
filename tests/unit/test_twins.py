"""A twin differs in merging alone, and what merging saved is the difference of two runs."""

import pytest
from fixtures.recorded import record_run, run_spec
from settings import of_method

from analysis.load import load
from analysis.twins import COUNTS, is_unmerged_twin, merging_saved
from gsd.spec import Prompt, SamplingSpec

MERGING = of_method(width=4, depth=6, frontier=5, merge_context=1, prob_threshold=0.05, budget=24)


def spec(**changes):
    return run_spec(**changes).model_dump(mode="json")


def drafting(**changes):
    return spec(drafting=of_method(**{**MERGING.model_dump(), **changes}))


@pytest.mark.parametrize("changes", [{"method": "tree"}, {"merge_context": None},
                                     {"method": "tree", "merge_context": None}])  # fmt: skip
def test_the_tree_of_the_same_settings_is_a_twin(changes):
    assert is_unmerged_twin(drafting(), drafting(**changes))


def test_a_switch_that_auto_alone_reads_hides_no_twin():
    assert is_unmerged_twin(drafting(lookup=False), drafting(method="tree", calibrated=False))


@pytest.mark.parametrize("changes", [{}, {"merge_context": 0}, {"method": "tree", "width": 3}, {"method": "chain"},
                                     {"method": "ar", "merge_context": None}])  # fmt: skip
def test_other_drafting_is_none(changes):
    assert not is_unmerged_twin(drafting(), drafting(**changes))


def test_a_run_that_does_not_merge_has_no_twin():
    assert not is_unmerged_twin(drafting(method="tree"), drafting(method="tree"))


@pytest.mark.parametrize("changes", [{"sampling": SamplingSpec(seed=1)}, {"prompt": Prompt(prompt="other")},
                                     {"max_new_tokens": 41}])  # fmt: skip
def test_another_prompt_or_sampling_is_none(changes):
    tree = of_method(**{**MERGING.model_dump(), "method": "tree"})
    assert is_unmerged_twin(drafting(), spec(drafting=tree))
    assert not is_unmerged_twin(drafting(), spec(drafting=tree, **changes))


def test_names_and_detail_do_not_matter():
    tree = spec(drafting=of_method(**{**MERGING.model_dump(), "method": "tree"}), detail="counters",
                prompt=Prompt(id="other", prompt=run_spec().prompt.prompt, kind="code"))  # fmt: skip
    assert is_unmerged_twin(drafting(), tree)


def test_saved_is_the_twin_minus_the_run(tmp_path):
    graph = record_run(tmp_path, drafting=MERGING)
    tree = record_run(tmp_path, drafting=of_method(**{**MERGING.model_dump(), "method": "tree"}))
    runs = load([graph, tree]).runs.set_index("run")
    saved = merging_saved(runs.reset_index(), graph.name, tree.name)
    for name in COUNTS:
        assert saved[f"saved_{name}"] == runs.loc[tree.name, name] - runs.loc[graph.name, name]
