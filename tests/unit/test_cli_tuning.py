"""`gsd probe`, `calibrate`, `tune` and `sweep` from end to end on the bundled pair, and what they refuse."""

import inspect
import json
import shlex
import shutil
from types import SimpleNamespace

import pandas as pd
import pytest
from fixtures.made_atlas import made_atlas
from settings import of_method

import gsd.lab.probe as gsd_probe
from analysis.tune import SETTINGS
from cli import tuning
from cli.main import main
from cli.probing import probe
from gsd.lab.atlas import Atlas, Bounds

GRID = "width=1..2,depth=1..3,merge_context=none,0,prob_threshold=0.0"
COUNTS = ["rounds", "draft_forwards", "drafted_nodes", "verified_nodes", "merges", "mean_acceptance_length"]


@pytest.fixture(scope="module")
def prompts(tmp_path_factory):
    file = tmp_path_factory.mktemp("prompts") / "prompts.jsonl"
    file.write_text('{"id": "add", "kind": "def", "prompt": "def add(a, b):\\n"}\n')
    return file


@pytest.fixture(scope="module")
def atlas(tmp_path_factory, prompts):
    folder = tmp_path_factory.mktemp("atlas")
    code = main(["probe", "--prompts", str(prompts), "--out", str(folder), "--width", "3", "--depth", "4",
                 "--frontier", "4", "--max-new-tokens", "16", "--json"])  # fmt: skip
    assert code == 0 and (folder / "costs.json").exists()
    return folder


def test_a_row_of_tune_is_what_generate_reports(gsd, atlas, prompts, tmp_path):
    code, out, _ = gsd("tune", atlas, "--grid", GRID, "--csv", tmp_path / "grid.csv", "--json")
    report = json.loads(out)
    table = pd.read_csv(tmp_path / "grid.csv", keep_default_na=False)
    assert code == 0 and len(table) == report["settings"] == len(report["rows"]) == 12
    assert {*SETTINGS, *COUNTS, "covered", "modelled_speedup"} <= set(table.columns)
    row = table[(table["width"] == 2) & (table["depth"] == 3) & (table["merge_context"] == "0")].iloc[0]
    _, out, _ = gsd("generate", "--prompt-file", prompts, "--width", 2, "--depth", 3, "--merge-context", 0,
                    "--prob-threshold", 0, "--max-new-tokens", 16, "--trace", "none", "--json")  # fmt: skip
    (run,) = json.loads(out)["runs"]
    assert {name: float(row[name]) for name in COUNTS} == pytest.approx({name: run[name] for name in COUNTS})


def test_tune_says_what_is_best_and_what_to_paste(gsd, atlas):
    code, out, _ = gsd("tune", atlas, "--grid", GRID)
    assert code == 0 and "12 settings, 12 covered" in out and "best for def" in out and "modelled" in out
    best = out.partition("best for all: ")[2].partition("\nbest for ")[0]
    given = shlex.split(best.partition("gsd generate ")[2])
    assert "--pair" in given and "--prompt" in given
    assert gsd("generate", *given, "--max-new-tokens", 2, "--trace", "none")[0] == 0


def test_what_is_to_be_pasted_is_a_prompt_of_the_kind(monkeypatch, capsys):
    """Also for prompts of no kind, and where a kind has the name of the whole."""
    monkeypatch.setattr("analysis.tune.command", lambda spec, text, row: text.given)
    texts = [SimpleNamespace(kind=kind, given=given) for kind, given in (("code", "a"), ("all", "b"), (None, "c"))]
    best = {"modelled_speedup": 1.0, "verified_nodes": 1, "rounds": 1, "mean_acceptance_length": 1.0, "options": ""}
    report = {"settings": 1, "covered": 1, "pareto": [best], "best": best,
              "best_by_kind": {"all": best, "prompts of no kind": best}}  # fmt: skip
    tuning._print_best(report, SimpleNamespace(texts=texts, meta={"spec": {}}))
    assert [line[-1] for line in capsys.readouterr().out.splitlines()[-3:]] == ["a", "b", "c"]


def test_what_an_atlas_lacks_is_filled_in_by_its_own_models(gsd, tmp_path, prompts):
    assert gsd("probe", "--prompts", prompts, "--out", tmp_path, "--width", 2, "--depth", 4, "--frontier", 1,
               "--max-new-tokens", 8, "--unpacked")[0] == 0  # fmt: skip
    assert Atlas.load(tmp_path).meta["spec"]["packed"] is False
    head = json.loads((tmp_path / "atlas.json").read_text())
    head["bounds"]["frontier"] = 8
    (tmp_path / "atlas.json").write_text(json.dumps(head))
    grid = "width=2,depth=4,frontier=8,prob_threshold=0,sibling_threshold=0"
    assert "1 setting, 0 covered" in gsd("tune", tmp_path, "--grid", grid)[1]
    _, out, _ = gsd("probe", "--out", tmp_path, "--fill", grid, "--json")
    assert json.loads(out)["expanded"] > 0
    assert "1 setting, 1 covered" in gsd("tune", tmp_path, "--grid", grid)[1]


def test_a_probe_that_was_broken_off_says_so_and_fill_records_the_rest(gsd, tmp_path, prompts, monkeypatch):
    """Two prompts, interrupted at the second: one text, one pending, no costs; then filled, both and costs."""
    two = tmp_path / "two.jsonl"
    two.write_text(prompts.read_text() + '{"id": "sub", "prompt": "def sub(a, b):\\n"}\n')
    record, begun = gsd_probe.probe_text, []

    def interrupted(*args):
        begun.append(args)
        if len(begun) == 2:
            raise KeyboardInterrupt
        return record(*args)

    out = tmp_path / "atlas"
    monkeypatch.setattr(gsd_probe, "probe_text", interrupted)
    gsd("probe", "--prompts", two, "--out", out, "--width", 2, "--depth", 2, "--frontier", 4, "--max-new-tokens", 6)
    monkeypatch.undo()
    grid = "width=1..2,depth=1..2,prob_threshold=0.0"
    assert [text.id for text in Atlas.load(out).texts] == ["add"] and not (out / "costs.json").exists()
    assert "1 of 2 prompts are not in this atlas" in (err := gsd("tune", out, "--grid", grid)[2]) and "--fill" in err
    assert gsd("probe", "--out", out, "--fill", grid)[0] == 0
    assert [text.id for text in Atlas.load(out).texts] == ["add", "sub"] and (out / "costs.json").exists()
    assert "not in this atlas" not in gsd("tune", out, "--grid", grid)[2]


def test_an_atlas_is_filled_by_its_own_models_alone(gsd, atlas, tmp_path):
    """Here the recorded draft had another vocabulary; a folder of another path but the same name is no matter."""
    shutil.copytree(atlas, tmp_path / "atlas")
    head = json.loads((atlas / "atlas.json").read_text())
    head["meta"]["spec"]["target"]["source"] = head["meta"]["target"]["source"] = "/elsewhere/target"
    (tmp_path / "atlas" / "atlas.json").write_text(json.dumps(head))
    assert gsd("probe", "--out", tmp_path / "atlas", "--fill", "width=1,depth=1")[0] == 0
    head["meta"]["draft"]["vocab_size"] = 99
    (tmp_path / "atlas" / "atlas.json").write_text(json.dumps(head))
    code, _, err = gsd("probe", "--out", tmp_path / "atlas", "--fill", "width=1,depth=1")
    assert code == 2 and "vocab_size 99" in err and "probe anew" in err


def test_without_a_grid_a_broad_one_within_the_bounds_is_tried(gsd, atlas):
    """Widths 1 2 3, depths 1 2 3 4, four merge contexts and three thresholds."""
    code, out, _ = gsd("tune", atlas, "--json")
    report = json.loads(out)
    assert code == 0 and report["settings"] == 3 * 4 * 4 * 3
    assert report["covered"] > report["settings"] / 2


def test_the_default_bounds_hold_the_default_settings():
    bounds = inspect.signature(probe).parameters
    Bounds(*(bounds[name].default for name in ("width", "depth", "frontier"))).check(of_method())


def test_curves_of_another_machine_can_be_named(gsd, atlas, tmp_path):
    code, out, _ = gsd("calibrate", "--out", tmp_path / "curves.json", "--repeats", 3)
    assert code == 0 and "a drafted node" in out
    curves = json.loads((tmp_path / "curves.json").read_text())
    curves["draft"]["ms"] = [1000.0 for _ in curves["draft"]["ms"]]  # a machine on which drafting never pays
    (tmp_path / "curves.json").write_text(json.dumps(curves))
    _, out, err = gsd("tune", atlas, "--grid", GRID, "--costs", tmp_path / "curves.json", "--json")
    assert json.loads(out)["best"]["modelled_speedup"] < 1.0
    assert "does not name" not in err


def test_curves_of_other_models_are_refused_and_those_that_name_none_are_said_to(gsd, atlas, tmp_path):
    costs, file = json.loads((atlas / "costs.json").read_text()), tmp_path / "curves.json"
    own = costs["machine"]["draft"]
    costs["machine"]["draft"] = own.replace("quantization none", "quantization int8")
    file.write_text(json.dumps(costs))
    code, _, err = gsd("tune", atlas, "--grid", "width=1,depth=1", "--costs", file)
    assert code == 2 and "quantization int8" in err and own in err and "gsd calibrate" in err
    costs["machine"]["draft"] = own.replace("float32", "bfloat16")
    file.write_text(json.dumps(costs))
    code, _, err = gsd("tune", atlas, "--grid", "width=1,depth=1", "--costs", file)
    assert code == 2 and "bfloat16" in err and own in err
    del costs["machine"]["draft"]
    file.write_text(json.dumps(costs))
    code, _, err = gsd("tune", atlas, "--grid", "width=1,depth=1", "--costs", file)
    assert code == 0 and "does not name its draft" in err and "its target" not in err


def test_an_atlas_that_was_cut_off_between_its_files_is_read_as_it_was(tmp_path):
    """The nodes of another text are there already, and the head that names it is not."""
    atlas = made_atlas()
    atlas.save(tmp_path)
    nodes = (tmp_path / "nodes.parquet").read_bytes()
    atlas.texts.pop()
    atlas.save(tmp_path)
    (tmp_path / "nodes.parquet").write_bytes(nodes)
    (text,) = Atlas.load(tmp_path).texts
    assert [len(tree) for tree in text.trees] == [len(tree) for tree in atlas.texts[0].trees]


def test_a_sweep_from_a_file_is_resumed(gsd, tmp_path):
    file = tmp_path / "sweep.yaml"
    file.write_text('pairs: [tiny]\nprompts: [{prompt: "a"}]\ngrid: {width: [1, 2]}\nmax_new_tokens: 2\nout: runs\n')
    first, second = (json.loads(gsd("sweep", file, "--json")[1]) for _ in range(2))
    assert len(first["runs"]) == 2 and first["skipped"] == 0 and second["skipped"] == 2
    assert first["runs"] == second["runs"] and not second["failures"]


def test_a_sweep_with_a_cell_that_fails_ends_with_1_and_the_others_are_there(gsd, tmp_path):
    file, beyond = tmp_path / "sweep.yaml", "x = 1\n" * 1000  # the context holds 2,048 tokens
    prompts = json.dumps([{"prompt": "a"}, {"prompt": beyond}])
    file.write_text(f"pairs: [tiny]\nprompts: {prompts}\nmax_new_tokens: 2\nout: runs\n")
    code, out, err = gsd("sweep", file, "--json")
    result = json.loads(out)
    assert code == 1 and len(result["runs"]) == len(result["failures"]) == 1
    assert "failed: the prompt has" in err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["tune", "ATLAS", "--grid", "width=9"], ["--width 9", "width 3"]),
        (["tune", "ATLAS", "--grid", "width=1,depth=1..5"], ["--depth 5", "depth 4"]),
        (["tune", "ATLAS", "--grid", "breadth=1"], ["breadth"]),
        (["tune", "nowhere", "--grid", "width=1"], ["nowhere", "gsd probe"]),
        (["tune", "ATLAS", "--grid", "width=1,depth=1", "--costs", "nowhere.json"], ["nowhere.json", "calibrate"]),
        (["tune", "ATLAS", "--grid", "width=1,depth=1", "--csv", "/dev/null/x.csv"], ["/dev/null", "--csv"]),
        (["probe", "--out", "x"], ["--prompts", "--fill"]),
        (["probe", "--out", "ATLAS", "--fill", "width=1", "--pair", "tiny"], ["--pair", "--fill"]),
        (["probe", "--out", "ATLAS", "--fill", "width=1", "--temperature", "0.0"], ["--temperature", "--fill"]),
        (["probe", "--out", "/dev/null/x", "--prompts", "PROMPTS"], ["/dev/null/x", "choose a folder"]),
        (["probe", "--out", "ATLAS", "--prompts", "PROMPTS"], ["holds an atlas", "--fill"]),
        (["probe", "--out", "x", "--prompts", "PROMPTS", "--frontier", "342"], ["--frontier", "341"]),
        (["calibrate", "--out", "/dev/null/x/c.json"], ["/dev/null", "choose a folder"]),
        (["sweep", "PROMPTS", "--gpus", "1"], ["--gpus 1", "ray"]),
        (["sweep", "nowhere.yaml"], ["nowhere.yaml"]),
        (["sweep", "PROMPTS", "--executor", "magic"], ["magic", "ray"]),
    ],
    ids=" ".join,
)
def test_bad_input_is_one_line_that_names_it(gsd, atlas, prompts, arguments, words):
    named = {"ATLAS": atlas, "PROMPTS": prompts}
    code, out, err = gsd(*(named.get(argument, argument) for argument in arguments))
    said = [line for line in err.splitlines() if line.startswith("gsd:")]
    assert (code, out, len(said)) == (2, "", 1), (code, out, err)
    assert all(word in said[0] for word in words) and "Traceback" not in err


def test_the_defaults_of_a_grid_are_those_of_generate(gsd, atlas):
    _, out, _ = gsd("tune", atlas, "--grid", "width=1,depth=2", "--json")
    (row,) = json.loads(out)["rows"]
    defaults = dict.fromkeys(SETTINGS) | of_method(width=1, depth=2).model_dump()
    assert {name: row[name] for name in SETTINGS} == defaults
