"""Settings: frozen, checked when built, unknown keys refused, one digest for one meaning."""

import pytest
from pydantic import ValidationError
from settings import of_method

from gsd.config import RunSpec
from gsd.errors import InputError
from gsd.methods import METHODS, PRESETS, drafting, preset, settings_of
from gsd.spec import ModelSpec, Prompt, SamplingSpec, build

MODEL = ModelSpec(source="folder")
GRAPH = METHODS["graph"].Settings
RUN = {"target": MODEL, "draft": MODEL, "prompt": Prompt(prompt="x")}


@pytest.mark.parametrize(
    ("spec", "values", "option"),
    [
        (GRAPH, {"depth": 0}, "--depth 0"),
        (GRAPH, {"width": 0}, "--width 0"),
        (GRAPH, {"budget": 0}, "--budget 0"),
        (GRAPH, {"frontier": -1}, "--frontier -1"),
        (GRAPH, {"merge_context": -1}, "--merge-context -1"),
        (GRAPH, {"sibling_threshold": -0.1}, "--sibling-threshold -0.1"),
        (GRAPH, {"prob_threshold": 1.5}, "--prob-threshold 1.5"),
        (GRAPH, {"prob_threshold": float("nan")}, "--prob-threshold nan"),
        (GRAPH, {"method": "magic"}, "--method 'magic'"),
        (GRAPH, {"breadth": 3}, "--breadth 3"),
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
    build(RunSpec, {"target": MODEL, "prompt": RUN["prompt"], "drafting": of_method(method="ar")})


def test_settings_cannot_be_changed():
    with pytest.raises(ValidationError, match="frozen"):
        of_method().width = 9


def test_the_digest_is_of_the_meaning_and_survives_json():
    spec = RunSpec(**RUN)
    assert spec.digest() == RunSpec(**RUN).digest() == RunSpec.model_validate_json(spec.model_dump_json()).digest()
    others = [
        RunSpec(**RUN, max_new_tokens=65),
        RunSpec(**RUN, sampling=SamplingSpec(seed=1)),
        RunSpec(**RUN, drafting=of_method(merge_context=None)),
        RunSpec(**{**RUN, "prompt": Prompt(prompt="y")}),
    ]
    assert len({spec.digest(), *(other.digest() for other in others)}) == 5


@pytest.mark.parametrize(
    ("drafting", "beginning"),
    [
        (of_method(), "ae291ddc57fbbb8c"),
        (of_method("tree"), "38cb93b816500e8a"),
        (of_method("chain", depth=3), "38093b52dc6d7c8b"),
    ],
)
def test_a_digest_goes_on_meaning_what_it_meant_when_runs_were_recorded(drafting, beginning):
    spec = RunSpec(
        target=ModelSpec(source="t"), draft=ModelSpec(source="d"), prompt=Prompt(prompt="x"), drafting=drafting
    )
    assert spec.digest().startswith(beginning)


def test_a_draft_that_is_not_run_changes_no_digest():
    drafts = [ModelSpec(source="d"), ModelSpec(source="d", quantization="int8"), None]
    plain = [RunSpec(target=MODEL, draft=draft, prompt=Prompt(prompt="x"), drafting=of_method("ar"))
             for draft in drafts]  # fmt: skip
    assert len({spec.digest() for spec in plain}) == 1
    drafting = [RunSpec(target=MODEL, draft=draft, prompt=Prompt(prompt="x")) for draft in drafts[:2]]
    assert len({spec.digest() for spec in drafting}) == 2


# A value of each setting that is neither the default nor fixed by any method.
OTHER = dict(width=3, depth=5, merge_context=2, sibling_threshold=0.3, prob_threshold=0.2, prob_rule="local",
             prob_action="drop", frontier=7, budget=9, lookup=False, history=True, calibrated=False)  # fmt: skip


@pytest.mark.parametrize("name", OTHER)
@pytest.mark.parametrize("method", METHODS)
def test_a_setting_changes_draft_and_digest_where_the_method_reads_it_and_nowhere_else(method, name):
    plain, changed = of_method(method=method), of_method(method=method, **{name: OTHER[name]})
    read = name in settings_of(METHODS[method])
    assert (plain != changed) == read
    assert (RunSpec(**RUN, drafting=plain).digest() != RunSpec(**RUN, drafting=changed).digest()) == read


def test_what_a_method_fixes_is_not_to_be_set():
    for name, one in METHODS.items():
        fixed = one.Settings.model_fields.keys() - settings_of(one) - {"method"}
        drafted = of_method(method=name, **OTHER)
        assert all(getattr(drafted, setting) == one.Settings.model_fields[setting].default for setting in fixed)
        for setting in fixed & OTHER.keys():
            with pytest.raises(InputError, match=setting.replace("_", "-")):
                drafting(name, **{setting: OTHER[setting]})


def test_presets_build_and_an_unknown_one_is_refused_with_the_known():
    for name in PRESETS:
        drafting(**preset(name))
    assert of_method(**preset("paper")).budget == 100
    with pytest.raises(InputError, match=r"huge.*paper"):
        preset("huge")


@pytest.mark.parametrize("source", [" a/b", "a/b ", "a/b\xa0", "a\nb", "a\x00", "\u202ea", ""])
def test_a_source_is_what_is_shown_of_it(source):
    """A blank around it would be taken off somewhere, and what was agreed to would be another text."""
    with pytest.raises(ValidationError):
        ModelSpec(source=source)
