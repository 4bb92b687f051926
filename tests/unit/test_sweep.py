"""A sweep is the product of its lists, and each of its cells is there whole or not at all."""

import json
import shutil
from collections import Counter
from pathlib import Path

import pytest
import yaml
from fixtures.sweep_pair import HereAndNow

from analysis.load import load
from gsd.config import run_digest
from gsd.errors import InputError, TraceError
from gsd.lab.cells import FAILURES, folder_of, is_done, run_cell
from gsd.lab.sweep import Progress, SweepSpec, read_sweep, run_sweep
from gsd.methods import PRESETS
from gsd.trace.read import list_runs, read_run
from gsd.trace.tables import tables

ROOT = Path(__file__).parents[2]
SWEEP = yaml.safe_load((ROOT / "tests" / "fixtures" / "sweep.yaml").read_text())
TOO_LONG = {"id": "long", "prompt": "x = 1\n" * 2000}


@pytest.fixture
def sweep(tmp_path):
    """Writes a sweep file, by default the bundled one, and reads it."""

    def write(**changes) -> SweepSpec:
        values = {key: value for key, value in (SWEEP | changes).items() if value is not None}
        (tmp_path / "sweep.yaml").write_text(yaml.safe_dump(values))
        return read_sweep(tmp_path / "sweep.yaml")

    return write


def test_cells_are_pairs_by_settings_by_grid_by_prompts(sweep):
    """2 pairs x (chain by 2 depths, paper by 2 x 3 of both) x 2 prompts = 32 cells, those of a pair side by side."""
    cells = sweep(pairs=["tiny", {"target": "a/t", "draft": "a/d"}], grid={"depth": [2, 4], "width": [1, 2, 3]}).cells()
    assert len(cells) == 32
    assert [run.target.source for run in cells.values()][16:] == ["a/t"] * 16
    first, *_, last = cells.values()
    assert (first.pair, first.drafting.method, first.drafting.depth, first.prompt.id) == ("tiny", "chain", 2, "add")
    assert (last.pair, last.draft.source, last.drafting.depth, last.prompt.id) == (None, "a/d", 4, "loop")
    assert last.drafting.budget == PRESETS["paper"]["budget"]  # the grid is on top of the preset
    assert all(run.max_new_tokens == 24 and run.device == "cpu" for run in cells.values())
    assert all(run.digest() == digest for digest, run in cells.items())


def test_the_same_run_asked_for_twice_is_one_cell(sweep):
    cells = sweep(
        settings=[{"width": 2}, {"width": 2}, {"width": 2, "method": "graph"}], grid={"depth": [3, 3]}
    ).cells()
    assert len(cells) == 2  # the two prompts


def test_a_pair_takes_the_options_of_generate(sweep):
    held = {"pair": "tiny", "draft_quant": "int4"}
    own = {"target": "a/t", "draft": "a/d", "target_revision": "v1"}
    runs = list(sweep(pairs=[held, own], stop=["\n\n"], packed=False).cells().values())
    first, last = runs[0], runs[-1]
    assert (first.pair, first.draft.quantization, first.stop, first.packed) == ("tiny", "int4", ("\n\n",), False)
    assert (last.pair, last.target.revision, last.draft.revision) == (None, "v1", None)
    assert len({run.digest() for run in runs}) == len(runs) == 16


def test_plain_decoding_is_one_cell_whatever_drafts_are_swept(sweep):
    """Two prompts: `ar` once each, the chain with the draft whole and in 4 bits."""
    pairs = ["tiny", {"pair": "tiny", "draft_quant": "int4"}]
    cells = sweep(pairs=pairs, settings=[{"method": "ar"}, {"method": "chain"}], grid={}).cells()
    counts = Counter((run.drafting.method, run.draft.quantization) for run in cells.values())
    assert counts == {("ar", "none"): 2, ("chain", "none"): 2, ("chain", "int4"): 2}


def test_settings_that_draft_the_same_are_one_cell(sweep):
    """A tree never merges and a chain has width 1, whatever the grid says; only the graph has all four."""
    grid = {"merge_context": ["none", 0], "width": [2, 3]}
    cells = sweep(settings=[{"method": name} for name in ("ar", "chain", "tree", "graph")], grid=grid).cells()
    counts = Counter(run.drafting.method for run in cells.values())
    assert counts == {"ar": 2, "chain": 2, "tree": 4, "graph": 8}  # of two prompts


def test_what_is_left_out_has_the_defaults_of_a_run(sweep):
    left_out = dict.fromkeys(("settings", "grid", "max_new_tokens", "device", "dtype"))
    [run, _] = sweep(**left_out).cells().values()
    assert run == type(run)(pair="tiny", target=run.target, draft=run.draft, prompt=run.prompt)


@pytest.mark.parametrize("example, prompts", [(0, 2), (1, 20)])
def test_an_example_of_the_documentation_is_a_sweep_of_as_many_cells_as_it_says(tmp_path, example, prompts):
    text = (ROOT / "docs" / "sweep.md").read_text()
    (tmp_path / "sweep.yaml").write_text(text.split("```yaml\n")[example + 1].split("```")[0])
    (tmp_path / "prompts.jsonl").write_text("".join(f'{{"prompt": "{n}"}}\n' for n in range(prompts)))
    cells = read_sweep(tmp_path / "sweep.yaml").cells()
    assert f"With {prompts} prompts this makes {len(cells)} cells" in text


def test_none_is_no_merging_as_on_the_command_line(sweep):
    cells = sweep(settings=[{"merge_context": "none"}, {"merge_context": None}], grid=None).cells()
    assert {run.drafting.merge_context for run in cells.values()} == {None}
    assert len(cells) == 2


def test_prompts_and_out_are_relative_to_the_file(sweep, tmp_path, monkeypatch):
    monkeypatch.chdir("/")
    (tmp_path / "prompts.jsonl").write_text('{"prompt": "a", "kind": "code"}\n\n{"prompt": "b", "id": "b"}\n')
    spec = sweep(prompts="prompts.jsonl")
    assert [(one.id, one.kind) for one in spec.prompts] == [("line-1", "code"), ("b", None)]
    assert spec.out == tmp_path.resolve() / "out"


def test_prompts_inline_have_ids_by_their_place(sweep):
    assert [one.id for one in sweep(prompts=[{"prompt": "a"}, {"prompt": "b"}]).prompts] == ["prompt-1", "prompt-2"]


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"pears": ["tiny"]}, r"--pears \['tiny'\]: Extra"),
        ({"pairs": ["tinny"]}, r"unknown pair 'tinny'; choose one of tiny"),
        ({"pairs": []}, r"--pairs \[\]"),
        ({"pairs": [{"target": "a"}]}, r"method 'chain' needs a draft model"),
        ({"pairs": [{"draft_quant": "int4"}]}, r"name a pair, or a target and a draft"),
        ({"pairs": [{"draft": "a"}]}, r"--draft needs a --target"),
        ({"pairs": [{"pair": "tiny", "draft": "a"}]}, r"either --pair or --target"),
        ({"pairs": [{"pair": "tiny", "draft_quant": "int3"}]}, r"--draft-quant 'int3': choose auto, none, int8, int4"),
        ({"prompts": [{"id": "a", "prompt": "x"}, {"id": "a", "prompt": "y"}]}, r"id 'a' is that of two prompts"),
        ({"stop": [""]}, r"--stop.0 '': "),
        ({"pairs": None, "out": None}, r"lacks pairs, out$"),
        ({"prompts": []}, r"--prompts \[\]"),
        ({"prompts": ["a"]}, r"--prompts.0 'a': "),
        ({"prompts": [{"text": "a"}]}, r"--prompts.0.prompt .*: Field required"),
        ({"prompts": "nowhere.jsonl"}, r"nowhere.jsonl cannot be read"),
        ({"settings": ["quick"]}, r"unknown preset 'quick'; choose one of paper"),
        ({"settings": [{"widht": 3}]}, r"widht: graph does not read it; it reads budget"),
        ({"settings": [3]}, r"--settings.0\S* 3: "),
        ({"grid": {"width": [2, 0]}}, r"--width 0: Input should be greater"),
        ({"grid": {"width": 2}}, r"--grid.width 2: "),
        ({"grid": {"width": []}}, r"--grid.width \[\]: "),
        ({"sampling": {"temperature": -1}}, r"--sampling.temperature -1: "),
        ({"max_new_tokens": 0}, r"--max-new-tokens 0: "),
        ({"device": "tpu"}, r"--device 'tpu': "),
        ({"detail": "some"}, r"--detail 'some': "),
    ],
)
def test_a_value_that_is_wrong_is_refused_by_key_and_value_in_one_line(sweep, changes, error):
    with pytest.raises(InputError, match=error) as caught:
        sweep(**changes)
    assert "sweep.yaml" in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("a: [", "cannot be read: .*line 1"),
        ("- tiny", "a mapping"),
        ("yes: 1", "a mapping"),
        ("\x00", "cannot be read"),
    ],
)
def test_a_file_that_is_no_sweep_is_refused_in_one_line(tmp_path, text, error):
    (tmp_path / "sweep.yaml").write_text(text)
    with pytest.raises(InputError, match=error) as caught:
        read_sweep(tmp_path / "sweep.yaml")
    assert "\n" not in str(caught.value)


def test_a_broken_line_of_the_prompt_file_is_refused_before_anything_runs(sweep, tmp_path):
    (tmp_path / "prompts.jsonl").write_text('{"prompt": "a"}\n{"prompt": 3}\n')
    with pytest.raises(InputError, match=r"prompts.jsonl, line 2: key 'prompt' 3"):
        sweep(prompts="prompts.jsonl")


def test_each_run_lies_complete_under_its_digest_and_nothing_else_lies_there(sweep, tiny):
    spec = sweep()
    result = run_sweep(spec, HereAndNow(tiny))
    assert [folder.name for folder in result.runs] == [digest[:16] for digest in spec.cells()]
    assert sorted(list_runs(spec.out)) == sorted(result.runs)
    assert {path.name for path in spec.out.iterdir()} == {folder.name for folder in result.runs} | {".lock"}
    for folder, (digest, run) in zip(result.runs, spec.cells().items(), strict=True):
        trace = read_run(folder)
        known_by = run_digest(digest, trace.meta["prompt_tokens"])
        assert (trace.status, trace.meta["run"], trace.meta["digest"]) == ("complete", folder.name, known_by)
        assert trace.meta["spec"] == run.model_dump(mode="json")
        assert load([folder]).runs["run"].tolist() == [folder.name]
        assert len(load([folder]).nodes) == tables(trace)["nodes"].num_rows


def test_a_failing_cell_is_recorded_and_the_rest_goes_on_and_a_rerun_tries_it_again(sweep, tiny):
    spec, seen = sweep(prompts=[TOO_LONG, *SWEEP["prompts"]]), []
    result = run_sweep(spec, HereAndNow(tiny), seen.append)
    assert (len(result.runs), result.skipped, len(result.failures)) == (8, 0, 4)
    lines = [json.loads(line) for line in (spec.out / FAILURES).read_text().splitlines()]
    assert {line["digest"]: line["error"] for line in lines} == result.failures
    assert all("shorten it" in line["error"] and line["spec"]["prompt"] == TOO_LONG | {"kind": None, "chat": None}
               for line in lines)  # fmt: skip
    assert not list(spec.out.glob(".staging*"))

    again = HereAndNow(tiny)
    result = run_sweep(spec, again)
    assert (len(result.runs), result.skipped, len(result.failures)) == (8, 8, 4)
    assert {run.digest() for run in again.ran} == set(result.failures)
    assert len((spec.out / FAILURES).read_text().splitlines()) == 8


def test_progress_counts_up_to_the_total_and_the_time_left_down_to_zero(sweep, tiny):
    spec, seen = sweep(prompts=[TOO_LONG, SWEEP["prompts"][0]], settings=["fast"]), []
    run_sweep(spec, HereAndNow(tiny), seen.append)
    assert [(one.done, one.failed, one.total) for one in seen] == [
        (0, 0, 4),
        (0, 1, 4),
        (1, 1, 4),
        (1, 2, 4),
        (2, 2, 4),
    ]
    assert seen[0].left_s is None
    assert seen[1].left_s > 0
    assert seen[-1].left_s == 0
    seen.clear()
    run_sweep(sweep(prompts=SWEEP["prompts"][:1], settings=["fast"]), HereAndNow(tiny), seen.append)
    assert seen == [Progress(2, 0, 2, None)]


def test_what_is_no_complete_run_of_the_cell_is_neither_believed_nor_overwritten(sweep, tiny):
    spec = sweep(prompts=SWEEP["prompts"][:1], settings=[{"method": "chain"}])
    [first, second] = run_sweep(spec, HereAndNow(tiny)).runs
    events = (first / "events.jsonl").read_text().splitlines(keepends=True)
    (first / "events.jsonl").write_text("".join(events[:-1]))  # no end
    shutil.copytree(first, spec.out / "kept")
    again = run_sweep(spec, HereAndNow(tiny))
    assert again.runs == [second]
    [error] = again.failures.values()
    assert str(first) in error
    assert "move away" in error
    assert (first / "events.jsonl").read_text() == (spec.out / "kept" / "events.jsonl").read_text()


@pytest.mark.parametrize("end", ["", "{", "[]", '{"type":"round"}\n', '{"type":"end","status":"failed"}\n'])
def test_a_run_is_done_only_with_its_digest_and_a_complete_end(tmp_path, end):
    (tmp_path / "run.json").write_text('{"digest": "d"}')
    (tmp_path / "events.jsonl").write_text('{"type":"round"}\n{"type":"end","status":"complete"}\n')
    assert is_done(tmp_path, "d")  # as older versions wrote it
    assert not is_done(tmp_path, "e")
    head = {"digest": run_digest("d", [3, 1]), "asked_digest": "d", "prompt_tokens": [3, 1]}
    (tmp_path / "run.json").write_text(json.dumps(head))
    assert is_done(tmp_path, "d") and not is_done(tmp_path, "e")
    (tmp_path / "run.json").write_text(json.dumps(head | {"asked_digest": "e"}))
    assert not is_done(tmp_path, "d")
    (tmp_path / "run.json").write_text('{"digest": "d"}')
    assert not is_done(tmp_path / "nowhere", "d")
    (tmp_path / "events.jsonl").write_text(end)
    assert not is_done(tmp_path, "d")


def test_a_run_is_moved_to_its_final_name_in_one_step_and_not_before_it_is_complete(sweep, tiny):
    spec, written = sweep(prompts=SWEEP["prompts"][:1], settings=[{"method": "ar"}], grid=None), []
    [digest] = spec.cells()

    class Watched:
        def run(self, run, out):
            result = tiny.run(run, out)
            assert not folder_of(digest, spec.out).exists()
            written.append(result.folder.stat().st_ino)
            return result

    [folder] = run_sweep(spec, HereAndNow(Watched())).runs
    assert folder == folder_of(digest, spec.out)
    assert written == [folder.stat().st_ino]  # the very folder, renamed; a copy could be seen half done


def test_two_workers_that_finish_the_same_cell_leave_one_run(sweep, tiny):
    spec = sweep()
    (spec.out / ".staging").mkdir(parents=True)
    run = next(iter(spec.cells().values()))
    for _ in range(2):
        run_cell(tiny, run, spec.out)
    [folder] = list_runs(spec.out)
    assert is_done(folder, run.digest())
    assert not list((spec.out / ".staging").iterdir())


def test_a_worker_that_does_not_see_the_shared_folder_says_so(sweep, tiny):
    spec = sweep()
    with pytest.raises(TraceError, match="storage shared by all"):
        run_cell(tiny, next(iter(spec.cells().values())), spec.out)


def test_a_second_sweep_in_the_same_folder_is_refused(sweep, tiny):
    spec, refused = sweep(), []

    def start_another(_: Progress) -> None:
        if not refused:
            with pytest.raises(InputError, match="another sweep is at work in") as caught:
                run_sweep(spec, HereAndNow(tiny))
            refused.append(caught)

    assert len(run_sweep(spec, HereAndNow(tiny), start_another).runs) == 8
    assert refused
