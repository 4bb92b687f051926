"""Settings: frozen, checked when built, unknown keys refused, one digest for one meaning."""

import pytest
from pydantic import ValidationError

from gsd.config import RunSpec
from gsd.errors import InputError
from gsd.spec import FIXED, HEEDED, PRESETS, DraftSpec, ModelSpec, Prompt, SamplingSpec, build, preset

MODEL = ModelSpec(source="folder")
RUN = {"target": MODEL, "draft": MODEL, "prompt": Prompt(prompt="x")}


@pytest.mark.parametrize(
    ("spec", "values", "option"),
    [
        (DraftSpec, {"depth": 0}, "--depth 0"),
        (DraftSpec, {"width": 0}, "--width 0"),
        (DraftSpec, {"budget": 0}, "--budget 0"),
        (DraftSpec, {"frontier": -1}, "--frontier -1"),
        (DraftSpec, {"merge_context": -1}, "--merge-context -1"),
        (DraftSpec, {"sibling_threshold": -0.1}, "--sibling-threshold -0.1"),
        (DraftSpec, {"prob_threshold": 1.5}, "--prob-threshold 1.5"),
        (DraftSpec, {"prob_threshold": float("nan")}, "--prob-threshold nan"),
        (DraftSpec, {"method": "magic"}, "--method 'magic'"),
        (DraftSpec, {"breadth": 3}, "--breadth 3"),
        (SamplingSpec, {"temperature": -1.0}, "--temperature -1.0"),
        (
            SamplingSpec,
            {"temperature": 1e-38},
            "--temperature 1e-38: give 0, which is greedy",
        ),
        (SamplingSpec, {"temperature": float("inf")}, "--temperature inf"),
        (SamplingSpec, {"top_p": 0.0}, "--top-p 0.0"),
        (SamplingSpec, {"top_k": -1}, "--top-k -1"),
        (SamplingSpec, {"seed": -1}, "--seed -1"),
        (Prompt, {"prompt": ""}, "--prompt ''"),
        (RunSpec, {**RUN, "max_new_tokens": 0}, "--max-new-tokens 0"),
        (RunSpec, {**RUN, "device": "tpu"}, "--device 'tpu'"),
        (RunSpec, {**RUN, "stop": ("",)}, "--stop.0 ''"),
    ],
    ids=str,
)
def test_a_bad_value_is_one_line_that_names_option_and_value(spec, values, option):
    with pytest.raises(InputError) as error:
        build(spec, values)
    assert str(error.value).startswith(option) and "\n" not in str(error.value)


def test_drafting_without_a_draft_is_refused_and_ar_does_without():
    with pytest.raises(InputError, match="draft"):
        build(RunSpec, {"target": MODEL, "prompt": RUN["prompt"]})
    build(RunSpec, {"target": MODEL, "prompt": RUN["prompt"], "drafting": DraftSpec(method="ar")})


def test_settings_cannot_be_changed():
    with pytest.raises(ValidationError, match="frozen"):
        DraftSpec().width = 9


def test_the_digest_is_of_the_meaning_and_survives_json():
    spec = RunSpec(**RUN)
    assert spec.digest() == RunSpec(**RUN).digest() == RunSpec.model_validate_json(spec.model_dump_json()).digest()
    others = [
        RunSpec(**RUN, max_new_tokens=65),
        RunSpec(**RUN, sampling=SamplingSpec(seed=1)),
        RunSpec(**RUN, drafting=DraftSpec(merge_context=None)),
        RunSpec(**{**RUN, "prompt": Prompt(prompt="y")}),
    ]
    assert len({spec.digest(), *(other.digest() for other in others)}) == 5


@pytest.mark.parametrize(
    ("drafting", "beginning"),
    [
        (DraftSpec(), "ae291ddc57fbbb8c"),
        (DraftSpec(method="auto", history=True), "b7cf08db077e47b8"),
        (DraftSpec(method="auto", history=False), "04e4bf0096db7f16"),
    ],
)
def test_a_digest_goes_on_meaning_what_it_meant_when_runs_were_recorded(drafting, beginning):
    spec = RunSpec(
        target=ModelSpec(source="t"), draft=ModelSpec(source="d"), prompt=Prompt(prompt="x"), drafting=drafting
    )
    assert spec.digest().startswith(beginning)


def test_a_draft_that_is_not_run_changes_no_digest_and_the_earlier_one_is_known():
    """Before, the draft was in that of `ar`, too; these are the beginnings that it then had."""
    drafts = [ModelSpec(source="d"), ModelSpec(source="d", quantization="int8"), None]
    plain = [RunSpec(target=MODEL, draft=draft, prompt=Prompt(prompt="x"), drafting=DraftSpec(method="ar"))
             for draft in drafts]  # fmt: skip
    assert len({spec.digest() for spec in plain}) == 1
    earlier = [[digest[:16] for digest in spec.earlier_digests()] for spec in plain]
    assert earlier == [["f8b044153fefd97f"], ["787aa093fff56abb"], []]
    drafting = [RunSpec(target=MODEL, draft=draft, prompt=Prompt(prompt="x")) for draft in drafts[:2]]
    assert len({spec.digest() for spec in drafting}) == 2 and drafting[0].earlier_digests() == []


# A value of each setting that is neither the default nor fixed by any method.
OTHER = dict(width=3, depth=5, merge_context=2, sibling_threshold=0.3, prob_threshold=0.2, prob_rule="local",
             prob_action="drop", frontier=7, budget=9, lookup=False, history=True, calibrated=False)  # fmt: skip


@pytest.mark.parametrize("name", OTHER)
@pytest.mark.parametrize("method", HEEDED)
def test_a_setting_changes_draft_and_digest_where_the_method_reads_it_and_nowhere_else(method, name):
    plain, changed = DraftSpec(method=method), DraftSpec(method=method, **{name: OTHER[name]})
    read = name in HEEDED[method]
    assert (plain.as_drafted() != changed.as_drafted()) == read
    assert (RunSpec(**RUN, drafting=plain).digest() != RunSpec(**RUN, drafting=changed).digest()) == read


def test_what_a_name_fixes_is_not_read_and_drafted_settings_draft_the_same_again():
    for method, fixed in FIXED.items():
        drafted = DraftSpec(method=method, **OTHER).as_drafted()
        assert not fixed.keys() & HEEDED[method]
        assert fixed.items() <= drafted.model_dump().items() and drafted.as_drafted() == drafted


def test_presets_build_and_an_unknown_one_is_refused_with_the_known():
    for name in PRESETS:
        build(DraftSpec, preset(name))
    assert DraftSpec(**preset("paper")).budget == 100
    with pytest.raises(InputError, match=r"huge.*paper"):
        preset("huge")


@pytest.mark.parametrize("source", [" a/b", "a/b ", "a/b\xa0", "a\nb", "a\x00", "\u202ea", ""])
def test_a_source_is_what_is_shown_of_it(source):
    """A blank around it would be taken off somewhere, and what was agreed to would be another text."""
    with pytest.raises(ValidationError):
        ModelSpec(source=source)
