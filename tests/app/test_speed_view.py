"""The Speed view through AppTest: empty, with a run in every scope, measured beside modelled."""

import json
from dataclasses import replace
from statistics import median

import pytest
from fixtures.recorded import meta, record_run, run_spec
from settings import of_method

from analysis.speed import ar_ms_per_token
from app.library import SAMPLES
from gsd.lab.cost import Costs, Curve, Overhead
from gsd.trace.read import list_runs, read_run

COSTS = Costs(Curve([1, 3], [1.0, 3.0], [1.0, 3.0], [1.0, 3.0]), Curve([1, 2], [9.0, 10.0], [9.0, 10.0], [9.0, 10.0]),
              Overhead(1.0, 0.5, 0.25), 10.0, {})  # fmt: skip


@pytest.fixture
def run(tmp_path):
    return record_run(tmp_path / "runs", count=8)


def charts(page):
    return [element.proto.id.rpartition("chart ")[2] for element in page.get("plotly_chart")]


def metrics(page):
    return {metric.label: metric.value for metric in page.metric}


def behind(page, label):
    """The note of a figure."""
    return next(metric.proto.delta_description for metric in page.metric if metric.label == label)


def test_without_a_run_the_samples_are_offered_and_one_opens(speed):
    page = speed()
    assert not page.exception
    offers = [button for button in page.button if button.key and button.key.startswith("open ")]
    offers[0].click().run()
    assert not page.exception
    assert "time_by_phase_and_round" in charts(page)


@pytest.mark.parametrize("name", [folder.name for folder in list_runs(SAMPLES)])
def test_every_sample_has_its_figures(speed, name):
    page = speed(run=name)
    assert not page.exception
    assert not page.error
    assert float(metrics(page)["Tokens per second"]) > 0


@pytest.mark.parametrize("tab", ["Time", "Acceptance", "Draft quality", "Cost model"])
@pytest.mark.parametrize("scope", ["round", "run", "runs"])
def test_every_section_stands_in_every_scope(speed, run, scope, tab):
    page = speed(run=run.name, scope=scope, tab=tab)
    assert not page.exception
    assert charts(page) or page.info


def test_without_a_baseline_it_says_how_to_get_one(speed, run):
    page = speed(run=run.name)
    assert metrics(page)["Speed-up, measured"] == "–"
    assert behind(page, "Speed-up, measured") == "tick “Measure a baseline”"
    assert any("Measure a baseline" in info.value for info in page.info)
    assert "speedup_by_round" not in charts(page)


def test_an_ar_run_of_the_same_prompt_is_no_baseline(speed, run, tmp_path):
    record_run(tmp_path / "runs", count=8, drafting=of_method(method="ar"))
    page = speed(run=run.name)
    assert metrics(page)["Speed-up, measured"] == "–"
    assert "speedup_by_round" not in charts(page)


def test_of_one_round_the_speedup_is_that_of_the_recorded_one(speed):
    run = next(read_run(folder) for folder in list_runs(SAMPLES) if read_run(folder).end["baseline"])
    page = speed(run=run.meta["run"], scope="round", round="2")
    expected = len(run.rounds[1].new_tokens) * ar_ms_per_token(run) / run.rounds[1].ms.total
    assert metrics(page)["Recorded round, cold"] == f"{expected:.2f}×"
    assert "Speed-up, measured" not in metrics(page)


def test_several_runs_have_their_warm_medians_by_method_and_no_cold_rounds_under_the_same_name(speed):
    names, by_method = [folder.name for folder in list_runs(SAMPLES)], {}
    for run in map(read_run, list_runs(SAMPLES)):
        if run.end["baseline"]:
            by_method.setdefault(run.meta["spec"]["drafting"]["method"], []).append(run.end["baseline"]["speedup"])
    page = speed(run=names[0], scope="runs", runs=",".join(names))
    shown = metrics(page)
    assert by_method and not {"Speed-up, measured", "Recorded round, cold"} & shown.keys()
    for method, ratios in by_method.items():
        assert shown[f"Speed-up, measured: {method}"] == f"{median(ratios):.2f}×"
        many = f"{min(ratios):.2f}–{max(ratios):.2f}, {len(ratios)} warm runs"
        assert behind(page, f"Speed-up, measured: {method}") == (many if len(ratios) > 1 else "1 warm run")


def test_the_primary_speedup_is_that_of_warm_repeats_and_the_chart_says_that_it_is_another(speed):
    """A sample timed `ar` in turn; its recorded rounds were cold."""
    run = next(folder for folder in list_runs(SAMPLES) if read_run(folder).end["baseline"])
    baseline = read_run(run).end["baseline"]
    page = speed(run=run.name)
    assert metrics(page)["Speed-up, measured"] == f"{baseline['speedup']:.2f}×"
    described = behind(page, "Speed-up, measured")
    assert described == f"{baseline['speedup_low']:.2f}–{baseline['speedup_high']:.2f}, 3 warm repeats"
    [length] = [metric for metric in page.metric if metric.label == "Mean acceptance length"]
    assert "a stop rule cut counts one too many" in length.help
    assert behind(page, "Tokens per second") == (
        f"cold; warm {baseline['speedup'] * baseline['tokens_per_s']:.1f}, ar {baseline['tokens_per_s']:.1f}"
    )
    [speed] = [metric for metric in page.metric if metric.label == "Tokens per second"]
    assert "*Cold*" in speed.help
    [title] = [element.proto.body for element in page.get("html") if "slower than ar" in element.proto.body]
    assert "×" not in title.partition("</b>")[0] and "cold and traced" in title


def test_what_is_missing_is_told_without_raw_markup(speed, run):
    [told] = [info.value for info in speed(run=run.name).info if "Measure a baseline" in info.value]
    assert "`--baseline`" in told and "\\" not in told


@pytest.mark.parametrize(("kind", "language"), [("maths", None), ("code", "python"), ("json", "json")])
def test_syntax_is_read_where_the_text_is_code(speed, kind, language):
    """The samples: prose is read as no language, unless one asks for it."""
    runs = {read_run(folder).meta["spec"]["prompt"]["kind"]: folder.name for folder in list_runs(SAMPLES)}
    page = speed(run=runs[kind], tab="Draft quality")
    assert not page.exception
    [chosen] = [box for box in page.selectbox if "syntax" in box.label]
    assert (chosen.value, "drafted_by_syntax" in charts(page)) == (language, language is not None)
    chosen.set_value("python").run()
    assert "drafted_by_syntax" in charts(page)


@pytest.fixture
def atlas(tmp_path):
    """The head of an atlas of the made-up models, and cost curves."""
    folder = tmp_path / "runs" / "atlas"
    COSTS.save(folder / "costs.json")
    (folder / "atlas.json").write_text(json.dumps({"meta": meta(run_spec())}))
    return folder


def test_measured_and_modelled_stand_side_by_side_where_the_curves_are_of_its_models(speed, run, atlas):
    page = speed(run=run.name, tab="Cost model")
    assert charts(page) == ["cost_curves", "modelled_by_phase", "modelled_by_round"]
    assert metrics(page)["Speed-up, modelled"].endswith("×")
    assert "Speed-up, measured" in metrics(page)


def test_curves_of_other_models_are_not_applied(speed, run, atlas):
    other = meta(run_spec())
    other["target"] = other["target"] | {"parameters": 7}
    (atlas / "atlas.json").write_text(json.dumps({"meta": other}))
    page = speed(run=run.name, tab="Cost model")
    assert charts(page) == ["cost_curves"]
    assert any("target parameters 7, not 1000000" in info.value for info in page.info)
    assert metrics(page)["Speed-up, modelled"] == "–"
    [modelled] = [metric for metric in page.metric if metric.label == "Speed-up, modelled"]
    assert modelled.proto.delta_description and "target parameters 7, not 1000000" in modelled.help


def test_curves_of_another_machine_are_not_applied(speed, run, atlas):
    here = read_run(run).meta["machine"]
    replace(COSTS, machine=here | {"threads": 4}).save(atlas / "costs.json")
    page = speed(run=run.name, tab="Cost model")
    assert charts(page) == ["cost_curves"]
    assert any("threads 4, not 2" in info.value for info in page.info)


def test_every_sample_is_modelled_by_the_curves_of_the_sample_atlas(speed):
    """Made with the same models on the same machine, whether their `run.json` says all of it or not."""
    for folder in list_runs(SAMPLES):
        if read_run(folder).meta["draft"]:
            page = speed(run=folder.name)
            assert metrics(page)["Speed-up, modelled"].endswith("×")
            rounds = len(read_run(folder).rounds)
            assert behind(page, "Speed-up, modelled") == f"of {rounds} rounds, curves of six-kinds-atlas"


def test_a_run_of_counts_alone_shows_its_times(speed, tmp_path):
    page = speed(run=record_run(tmp_path / "runs", detail="counters").name)
    assert not page.exception
    assert "time_by_phase_and_round" in charts(page)


@pytest.mark.parametrize("end", [None, "cancelled", "failed"])
def test_a_run_that_did_not_end_well_shows_what_there_is(speed, tmp_path, end):
    run = record_run(tmp_path / "runs", end=end)
    for tab in ("Time", "Acceptance", "Draft quality"):
        page = speed(run=run.name, tab=tab)
        assert not page.exception
        assert charts(page)
