"""The command line: its JSON, its exit codes, and one clear line for every kind of bad input."""

import contextlib
import errno
import json
import signal
import subprocess
import sys
import time
from pathlib import Path
from subprocess import PIPE

import pytest
import torch
from settings import of_method
from transformers import AutoConfig, AutoTokenizer, LlamaConfig, LlamaForCausalLM

from analysis.export import metrics
from gsd.decode.runner import Runner
from gsd.errors import OutOfMemory
from gsd.lab.bench.measuring import interleaved
from gsd.methods import METHODS, PRESETS, settings_of
from gsd.models.places import BUNDLED
from gsd.trace.read import list_runs, read_run
from gsd.trace.tables import NAMES

PROMPT = "def add(first, second):"
GENERATE_KEYS = {
    "run", "text", "tokens", "new_tokens", "rounds", "draft_forwards", "target_forwards", "drafted_nodes",
    "verified_nodes", "merges", "mean_acceptance_length", "draft_acceptance_rate", "wall_ms", "draft_ms",
    "verify_ms", "overhead_ms", "tokens_per_s",
}  # fmt: skip
BENCH_KEYS = {
    "speedup", "speedup_worst", "speedup_best", "mean_acceptance_length", "draft_forwards", "target_forwards",
    "overhead_ms_per_round", "matches", "prompts",
}  # fmt: skip


def refused(result, *words):
    """Exit code 2, nothing on standard output, and one line that has all `words`."""
    code, out, err = result
    said = [line for line in err.splitlines() if line.startswith("gsd:")]
    assert (code, out, len(said)) == (2, "", 1), result
    assert "Traceback" not in err
    for word in words:
        assert word in said[0]


def test_generate_writes_one_json_object_and_a_trace(gsd, tmp_path):
    code, out, _ = gsd(
        "generate", "--prompt", PROMPT, "--max-new-tokens", 12, "--out", tmp_path, "--baseline", "--json"
    )
    result = json.loads(out)
    assert code == 0
    assert result.keys() >= GENERATE_KEYS | {"speedup", "matches_baseline"}
    assert result["matches_baseline"] is True
    assert result["new_tokens"] == len(result["tokens"]) <= 12
    assert (tmp_path / result["run"] / "events.jsonl").exists()


@pytest.mark.parametrize("switch", ["--no-lookup", "--history", "--no-calibrated"])
def test_each_part_of_auto_has_a_switch_of_its_own(gsd, tmp_path, switch):
    code, _, _ = gsd("generate", "--prompt", PROMPT, "--method", "auto", switch, "--max-new-tokens", 2,
                     "--out", tmp_path)  # fmt: skip
    [run] = list_runs(tmp_path)
    drafting = read_run(run).meta["spec"]["drafting"]
    changed = {name for name in drafting if drafting[name] != getattr(of_method(method="auto"), name)}
    assert code == 0 and changed == {switch.removeprefix("--").removeprefix("no-")}


@pytest.mark.parametrize(("option", "packed"), [([], True), (["--unpacked"], False), (["--in-rows"], False)])
def test_weights_can_be_left_unpacked(gsd, tmp_path, option, packed):
    gsd("generate", "--prompt", PROMPT, "--max-new-tokens", 2, "--out", tmp_path, *option)
    [run] = list_runs(tmp_path)
    assert read_run(run).meta["spec"]["packed"] is packed


def test_the_issue_command_runs_as_written(tmp_path):
    command = (
        "generate --pair tiny --method graph --width 4 --depth 6 --merge-context 1 --sibling-threshold 0.1 "
        "--prob-threshold 0.05 --budget 32 --max-new-tokens 16 --temperature 0 --seed 0 --trace full --json"
    ).split()
    done = subprocess.run(
        [sys.executable, "-m", "gsd", *command, "--prompt", "def quicksort(items):", "--out", str(tmp_path)],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert json.loads(done.stdout).keys() >= GENERATE_KEYS


def test_a_prompt_given_alone_moves_the_bar_on_token_by_token(gsd, monkeypatch):
    bars = []

    @contextlib.contextmanager
    def progress(what, total):
        bars.append([what, total])
        yield lambda *, to: bars[-1].append(to)

    monkeypatch.setattr("cli.decode.progress", progress)
    _, out, _ = gsd("generate", "--prompt", PROMPT, "--max-new-tokens", 9, "--trace", "none", "--json", "--method=ar")
    assert bars == [["tokens", 9, *range(1, json.loads(out)["new_tokens"] + 1)]]


def test_every_method_and_preset_gives_the_same_text(gsd, tmp_path):
    texts = set()
    for options in (["--method", "ar"], ["--method", "chain"], ["--method", "tree"], ["--preset", "paper"],
                    ["--preset", "wide", "--merge-context", "none"], ["--merge-context", "0"]):  # fmt: skip
        _, out, _ = gsd("generate", "--prompt", PROMPT, "--max-new-tokens", 24, "--trace", "none", "--json", *options)
        result = json.loads(out)
        assert result["run"] is None
        texts.add(result["text"])
    assert len(texts) == 1


def test_a_prompt_file_is_decoded_around_its_broken_line(gsd, tmp_path):
    path = tmp_path / "prompts.jsonl"
    path.write_text('{"id": "a", "prompt": "def f():"}\n{oops\n{"id": "c", "prompt": "class A:"}\n')
    code, out, err = gsd("generate", "--prompt-file", path, "--max-new-tokens", 4, "--out", tmp_path / "runs", "--json")
    result = json.loads(out)
    assert code == 2
    assert "line 2" in err
    assert [run["id"] for run in result["runs"]] == ["a", "c"]
    assert [line["line"] for line in result["skipped"]] == [2]
    assert len(list((tmp_path / "runs").iterdir())) == 2


def test_a_prompt_too_long_for_the_context_does_not_cost_the_others(gsd, tmp_path):
    path = tmp_path / "prompts.jsonl"
    rows = [{"id": "a", "prompt": "def f():"}, {"prompt": "x = 1 " * 3000}, {"id": "c", "prompt": "class A:"}]
    path.write_text("\n".join(json.dumps(row) for row in rows))
    code, out, err = gsd("generate", "--prompt-file", path, "--max-new-tokens", 4, "--trace", "none", "--json")
    result = json.loads(out)
    assert code == 2
    assert "line 2" in err
    assert [run["id"] for run in result["runs"]] == ["a", "c"]
    assert result["totals"]["new_tokens"] == sum(run["new_tokens"] for run in result["runs"]) == 8
    refused(gsd("bench", "--prompts", path, "--max-new-tokens", 4), "line 2", "context")


@pytest.mark.parametrize("option", ["--target-revision=main", "--draft-revision=main", "--trust-remote-code"])
def test_an_option_that_a_preset_pair_would_ignore_is_refused(gsd, option):
    refused(gsd("generate", "--prompt", PROMPT, "--pair", "tiny", option), "--target")


@pytest.mark.parametrize(
    ("method", "option"),
    [("auto", "--width=3"), ("chain", "--merge-context=1"), ("ar", "--budget=8"), ("graph", "--no-lookup")],
)
def test_a_setting_that_the_method_does_not_read_is_refused(gsd, method, option):
    refused(
        gsd("generate", "--prompt", PROMPT, "--method", method, option),
        option.partition("=")[0].replace("no-", ""),
        method,
    )


def test_bench_refuses_what_would_be_measured_under_a_wrong_name(gsd, tmp_path):
    path = tmp_path / "prompts.jsonl"
    path.write_text('{"prompt": "x"}\n')
    refused(gsd("bench", "--prompts", path, "--set", "graph.method=tree"), "graph.method=tree")
    refused(gsd("bench", "--prompts", path, "--set", "hf-lookup.depth=3"), "hf-lookup.depth=3")
    refused(gsd("bench", "--prompts", path, "--set", "auto.width=3"), "auto.width", "merge_context")


def test_bench_has_a_row_for_every_method(gsd, tmp_path):
    path = tmp_path / "prompts.jsonl"
    path.write_text('{"prompt": "def f():"}\n')
    code, out, _ = gsd("bench", "--prompts", path, "--max-new-tokens", 6, "--repeats", 1, "--json",
                       "--set", "graph.merge-context=none", "--set", "graph.width=2", "--set", "depth=3")  # fmt: skip
    report = json.loads(out)
    assert code == 0
    assert set(report["methods"]) == {"ar", "hf-greedy", "chain", "tree", "graph", "auto", "hf-assisted", "hf-lookup"}
    for row in report["methods"].values():
        assert row.keys() >= BENCH_KEYS
        assert row["matches"] == row["prompts"] == 1
    assert [one["kind"] for one in report["prompts"]] == [None]
    assert report["settings"]["drafting"]["graph"]["width"] == 2
    assert report["settings"]["drafting"]["graph"]["merge_context"] is None
    assert report["settings"]["drafting"]["chain"]["depth"] == 3
    assert report["settings"]["drafting"]["auto"].keys() == {"method", *settings_of(METHODS["auto"])}


def test_bench_runs_the_authors_settings_as_they_are(gsd, tmp_path):
    """Settings for all leave `paper` alone, its own do not; the draft is quantised for external methods as for ours."""
    path = tmp_path / "prompts.jsonl"
    path.write_text('{"prompt": "def f():"}\n')
    code, out, _ = gsd("bench", "--prompts", path, "--max-new-tokens", 4, "--repeats", 1, "--draft-quant", "int8",
                       "--methods", "paper,hf-assisted-q", "--set", "depth=3", "--set", "paper.budget=50", "--json",
                       "--csv", tmp_path / "calls.csv", "--markdown", tmp_path / "tables.md")  # fmt: skip
    report = json.loads(out)
    assert code == 0 and report["settings"]["draft"]["quantization"] == "int8"
    paper = of_method(**PRESETS["paper"]).model_dump(include={"method", *settings_of(METHODS["graph"])})
    assert report["settings"]["drafting"]["paper"] == {**paper, "budget": 50}
    assert len((tmp_path / "calls.csv").read_text().splitlines()) == 1 + len(report["methods"])
    assert "| `paper` |" in (tmp_path / "tables.md").read_text()


def test_bench_samples_where_a_temperature_is_given(gsd, tmp_path):
    path = tmp_path / "prompts.jsonl"
    path.write_text('{"prompt": "def f():"}\n')
    code, out, _ = gsd("bench", "--prompts", path, "--max-new-tokens", 4, "--repeats", 1, "--methods", "graph",
                       "--temperature", "0.8", "--top-k", 5, "--top-p", "0.9", "--seed", 3, "--json")  # fmt: skip
    report = json.loads(out)
    assert code == 0 and set(report["methods"]) == {"ar", "hf-sample", "graph"}
    assert report["methods"]["graph"]["matches"] is None
    assert report["settings"]["sampling"] == {"temperature": 0.8, "top_k": 5, "top_p": 0.9, "seed": 3, "draw": "gumbel"}


def test_bench_refuses_an_external_method_that_would_not_be_what_its_name_says(gsd, tmp_path):
    path = tmp_path / "prompts.jsonl"
    path.write_text('{"prompt": "x"}\n')
    refused(gsd("bench", "--prompts", path, "--methods", "hf-assisted-q"), "hf-assisted-q", "--draft-quant")
    refused(gsd("bench", "--prompts", path, "--methods", "hf-greedy", "--temperature", "1"), "hf-greedy", "hf-sample")


def test_query_answers_over_many_runs(gsd, tmp_path):
    for tokens in (2, 3):
        gsd("generate", "--prompt", PROMPT, "--max-new-tokens", tokens, "--out", tmp_path)
    runs = list_runs(tmp_path)
    asked = ("query", "SELECT new_tokens, kind FROM runs ORDER BY 1", *runs)
    code, out, _ = gsd(*asked, "--csv", tmp_path / "answer.csv", "--json")
    assert (code, json.loads(out)) == (0, {"rows": [{"new_tokens": n, "kind": None} for n in (2, 3)]})
    assert (tmp_path / "answer.csv").read_text() == '"new_tokens","kind"\n2,\n3,\n'
    code, out, _ = gsd(*asked)
    assert (code, [line.split()[0] for line in out.splitlines()]) == (0, ["new_tokens", "2", "3"])
    refused(gsd("query", "DROP VIEW runs", *runs), "one SELECT")
    refused(gsd("query", "SELECT 1", tmp_path / "nowhere"), "nowhere")


def test_export_writes_tables_and_metrics_and_a_bundle_runs_again(gsd, tmp_path):
    _, out, _ = gsd("generate", "--prompt", PROMPT, "--max-new-tokens", 6, "--out", tmp_path, "--json")
    run = tmp_path / json.loads(out)["run"]
    code, out, _ = gsd("export", run, "--csv", tmp_path / "csv", "--parquet", tmp_path / "parquet", "--bundle",
                       tmp_path / "run.zip", "--json")  # fmt: skip
    assert code == 0 and all(Path(file).exists() for file in json.loads(out)["files"])
    assert {path.stem for path in (tmp_path / "csv").iterdir()} == {
        "README",
        *NAMES,
        *metrics(),
        "speedup_by_round",
        "committed_tokens",
        "drafted_by_syntax",
    }
    assert {path.stem for path in (tmp_path / "parquet").iterdir()} == set(NAMES)
    code, out, _ = gsd("rerun", tmp_path / "run.zip", "--json")
    assert code == 0 and json.loads(out)["same"] is True
    assert "same" in gsd("rerun", tmp_path / "run.zip")[1]


def test_a_run_that_comes_out_otherwise_ends_with_1(gsd, tmp_path):
    gsd("generate", "--prompt", PROMPT, "--max-new-tokens", 6, "--out", tmp_path)
    [run] = list_runs(tmp_path)
    first, *others = (run / "events.jsonl").read_text().splitlines()
    round_ = json.loads(first)
    round_["new_tokens"][0] += 1
    (run / "events.jsonl").write_text("\n".join([json.dumps(round_), *others]) + "\n")
    gsd("export", run, "--bundle", tmp_path / "run.zip")
    code, out, _ = gsd("rerun", tmp_path / "run.zip", "--json")
    assert code == 1 and json.loads(out)["same"] is False


def test_a_prompt_that_would_become_other_tokens_now_is_told(gsd, tmp_path):
    """The tokenizer or its template may be others, or read the clock: what was recorded is decoded."""
    gsd("generate", "--prompt", PROMPT, "--max-new-tokens", 6, "--out", tmp_path)
    [run] = list_runs(tmp_path)
    head = json.loads((run / "run.json").read_text())
    head["spec"]["prompt"]["prompt"] = "class Other:"
    (run / "run.json").write_text(json.dumps(head))
    gsd("export", run, "--bundle", tmp_path / "run.zip")
    code, out, _ = gsd("rerun", tmp_path / "run.zip")
    assert code == 0 and f"{run.name} was decoded from its recorded prompt tokens: the prompt would now be" in out
    code, out, _ = gsd("rerun", tmp_path / "run.zip", "--json")
    assert code == 0 and json.loads(out)["runs"][0]["prompt"].startswith("the prompt would now be")


ONLY_CODE = (
    "{% if 'def' not in messages[0].content %}{{ raise_exception('no code') }}{% endif %}{{ messages[0].content }}"
)


@pytest.mark.parametrize("command", ["generate", "bench"])
def test_a_prompt_that_the_template_refuses_is_left_out_and_the_others_go_on(gsd, tmp_path, monkeypatch, command):
    from gsd.decode.runner import Runner

    load = Runner.of.__func__

    def loaded(cls, spec):
        runner = load(cls, spec)
        runner.tokenizer.chat_template = ONLY_CODE
        return runner

    monkeypatch.setattr(Runner, "of", classmethod(loaded))
    file = tmp_path / "prompts.jsonl"
    file.write_text('{"prompt": "def one():"}\n{"prompt": "Hello"}\n{"prompt": "def two():", "id": "b"}\n')
    options = ["--out", tmp_path, "--method", "chain"] if command == "generate" else ["--methods", "ar", "--repeats", 1]
    named = "--prompt-file" if command == "generate" else "--prompts"
    code, out, err = gsd(command, named, file, "--max-new-tokens", 2, "--json", *options)
    assert code == 2 and "line 2: " in err and "no code" in err and "--raw" in err and err.count("gsd: ") == 1
    told = json.loads(out)
    assert [one["id"] for one in told["runs" if command == "generate" else "prompts"]] == ["line-1", "b"]
    assert [one["line"] for one in told["skipped"]] == [2]


def test_what_was_compared_is_reported_where_a_later_run_of_the_bundle_cannot_be(gsd, tmp_path):
    """Bundles keep the order of the folders given; the second run's models are none."""
    for _ in range(2):
        gsd("generate", "--prompt", PROMPT, "--max-new-tokens", 6, "--out", tmp_path)
    runs = list_runs(tmp_path)
    head = json.loads((runs[1] / "run.json").read_text())
    head["spec"] |= {"pair": None, "target": head["spec"]["target"] | {"source": "./missing"}}
    (runs[1] / "run.json").write_text(json.dumps(head))
    gsd("export", *runs, "--bundle", tmp_path / "run.zip")
    code, out, err = gsd("rerun", tmp_path / "run.zip", "--json")
    assert code == 2 and "./missing" in err
    assert [run["run"] for run in json.loads(out)["runs"]] == [runs[0].name]


def test_code_that_comes_with_a_recorded_model_is_run_only_where_this_call_says_so(gsd, tmp_path):
    gsd("generate", "--prompt", PROMPT, "--max-new-tokens", 6, "--out", tmp_path)
    [run] = list_runs(tmp_path)
    head = json.loads((run / "run.json").read_text())
    head["spec"] |= {"pair": None, "target": {"source": "./foreign", "trust_remote_code": True}}
    (run / "run.json").write_text(json.dumps(head))
    gsd("export", run, "--bundle", tmp_path / "run.zip")
    refused(gsd("rerun", tmp_path / "run.zip"), "./foreign", "--trust-remote-code")
    refused(gsd("rerun", tmp_path / "run.zip", "--trust-remote-code"), "there is no folder or file ./foreign")
    named = ("rerun", tmp_path / "run.zip", "--load", "./foreign")
    refused(gsd(*named), "./foreign", "--trust-remote-code")
    refused(gsd(*named, "--trust-remote-code"), "there is no folder or file ./foreign")
    refused(gsd("rerun", tmp_path / "run.zip", "--load", "./other", "--trust-remote-code"), "./other", "./foreign")


@pytest.mark.parametrize("option", ["--pair", "--target", "--draft"])
def test_an_empty_name_of_a_model_is_refused(gsd, option):
    refused(gsd("generate", "--prompt", PROMPT, option, ""), option, "''")


def test_without_a_command_there_is_help(gsd):
    code, out, _ = gsd()
    assert code == 0 and "generate" in out and "Usage" in out


def test_a_stop_string_ends_the_text_before_it(gsd):
    options = ("generate", "--prompt", PROMPT, "--max-new-tokens", 30, "--trace", "none", "--json")
    text = json.loads(gsd(*options)[1])["text"]
    stop = text[12:16]
    result = json.loads(gsd(*options, "--stop", stop)[1])
    assert (result["stop"], result["text"]) == ("stop_string", text[: text.index(stop)])


def test_a_run_of_auto_runs_again_to_the_same_whatever_its_counts(gsd, tmp_path):
    gsd("generate", "--prompt", PROMPT, "--method", "auto", "--max-new-tokens", 6, "--out", tmp_path)
    [run] = list_runs(tmp_path)
    events = (run / "events.jsonl").read_text()
    end = json.loads(events.splitlines()[-1])
    end["totals"]["drafted_nodes"] += 1
    (run / "events.jsonl").write_text("\n".join([*events.splitlines()[:-1], json.dumps(end)]) + "\n")
    gsd("export", run, "--bundle", tmp_path / "run.zip")
    code, out, _ = gsd("rerun", tmp_path / "run.zip")
    assert code == 0 and f"counts are not held against {run.name}: method auto plans by the clock" in out
    code, out, _ = gsd("rerun", tmp_path / "run.zip", "--json")
    assert code == 0 and json.loads(out)["runs"][0]["fixed_work"] is False


def test_pairs_says_that_the_bundled_one_is_here(gsd):
    _, out, _ = gsd("pairs", "--json")
    here = {pair["name"]: pair["here"] for pair in json.loads(out)["pairs"]}
    assert here["tiny"] is True
    assert {"qwen2.5-coder", "llama-2-7b", "llama-2-70b"} <= here.keys()


def test_doctor_names_what_it_found(gsd):
    code, out, _ = gsd("doctor", "--json")
    findings = {finding["what"]: finding["value"] for finding in json.loads(out)["findings"]}
    assert code == 0
    assert findings["torch"] == torch.__version__
    assert findings["pair tiny"] == "here"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--pair", "nonesuch"], ["nonesuch", "tiny"]),
        (["--method", "beam"], ["beam", "graph"]),
        (["--preset", "slow"], ["slow", "paper"]),
        (["--nonesuch"], ["nonesuch"]),
        (["--depth", "0"], ["depth", "0"]),
        (["--width", "0"], ["width", "0"]),
        (["--width", "many"], ["width", "many"]),
        (["--budget", "0"], ["budget", "0"]),
        (["--sibling-threshold", "-0.1"], ["sibling-threshold", "-0.1"]),
        (["--prob-threshold", "-1"], ["prob-threshold", "-1"]),
        (["--merge-context", "-1"], ["merge-context", "-1"]),
        (["--merge-context", "some"], ["merge-context", "some"]),
        (["--temperature", "-1"], ["temperature", "-1"]),
        (["--top-p", "0"], ["top-p"]),
        (["--max-new-tokens", "0"], ["max-new-tokens", "0"]),
        (["--device", "tpu"], ["device", "tpu"]),
        (["--dtype", "int3"], ["dtype", "int3"]),
        (["--trace", "some"], ["trace", "some"]),
        (["--pair", "tiny", "--target", "x"], ["--pair", "--target"]),
    ],
)
def test_a_bad_option_is_named_with_its_value(gsd, arguments, words):
    refused(gsd("generate", "--prompt", PROMPT, *arguments), *words)


def test_an_empty_prompt_is_refused(gsd):
    refused(gsd("generate", "--prompt", ""), "prompt")


def test_no_prompt_is_refused(gsd):
    refused(gsd("generate"), "--prompt")


def test_an_unknown_command_is_refused(gsd):
    refused(gsd("decode"), "decode")


def test_an_unknown_bench_method_is_refused(gsd, tmp_path):
    path = tmp_path / "prompts.jsonl"
    path.write_text('{"prompt": "x"}\n')
    refused(gsd("bench", "--prompts", path, "--methods", "graph,magic"), "magic", "hf-assisted")
    refused(gsd("bench", "--prompts", path, "--set", "graph.depth"), "graph.depth")


def test_a_folder_that_is_no_model_is_refused(gsd, tmp_path):
    refused(gsd("generate", "--prompt", PROMPT, "--method", "ar", "--target", tmp_path), str(tmp_path), "config.json")


def test_a_draft_is_asked_for_where_the_method_needs_one(gsd):
    refused(gsd("generate", "--prompt", PROMPT, "--target", BUNDLED / "target"), "draft")


def test_vocabularies_that_differ_are_refused(gsd, tmp_path):
    tokenizer = AutoTokenizer.from_pretrained(BUNDLED / "target")
    tokenizer.save_pretrained(tmp_path)
    words = json.loads((tmp_path / "tokenizer.json").read_text())
    known = words["model"]["vocab"]
    one, other = (next(word for word, number in known.items() if number == wanted) for wanted in (300, 301))
    known[one], known[other] = 301, 300
    (tmp_path / "tokenizer.json").write_text(json.dumps(words))
    AutoConfig.from_pretrained(BUNDLED / "draft").save_pretrained(tmp_path)  # no weights are read
    refused(
        gsd("generate", "--prompt", PROMPT, "--target", BUNDLED / "target", "--draft", tmp_path), "vocabular", "300"
    )


def test_pickled_weights_are_refused(gsd, tmp_path):
    config = LlamaConfig(vocab_size=8, hidden_size=8, intermediate_size=8, num_hidden_layers=1, num_attention_heads=1)
    model = LlamaForCausalLM(config)
    model.save_pretrained(tmp_path)
    (tmp_path / "model.safetensors").unlink()
    torch.save(model.state_dict(), tmp_path / "pytorch_model.bin")
    AutoTokenizer.from_pretrained(BUNDLED / "target").save_pretrained(tmp_path)
    refused(gsd("generate", "--prompt", PROMPT, "--method", "ar", "--target", tmp_path), "safetensors")


def test_an_output_that_cannot_be_written_is_refused(gsd, tmp_path):
    (tmp_path / "file").write_text("")
    result = gsd("generate", "--prompt", PROMPT, "--out", tmp_path / "file" / "runs")
    refused(result, "cannot write", "a folder that can be written")


def test_a_full_disk_is_named_and_what_was_written_stays(gsd, tmp_path, monkeypatch):
    from gsd.trace.read import read_run
    from gsd.trace.writer import TraceWriter

    written = TraceWriter.round

    def fill_up(writer, record):
        if record["round"] == 1:
            monkeypatch.setattr(writer, "_events", _Full(writer._events))
        written(writer, record)

    monkeypatch.setattr(TraceWriter, "round", fill_up)
    result = gsd("generate", "--prompt", PROMPT, "--max-new-tokens", 32, "--out", tmp_path)
    refused(result, "disk is full", "another folder")
    run = read_run(next(tmp_path.iterdir()))
    assert (run.status, len(run.rounds)) == ("incomplete", 1)


class _Full:
    """A file on a disk without room."""

    def __init__(self, file):
        self._file = file

    def write(self, _):
        raise OSError(errno.ENOSPC, "No space left on device")

    def close(self):
        self._file.close()


def test_running_out_of_memory_names_what_to_lower(gsd, monkeypatch):
    from gsd.models.cache import KVCache

    def exhausted(self, capacity):
        raise torch.OutOfMemoryError("tried to allocate too much")

    monkeypatch.setattr(KVCache, "_allocate", exhausted)
    code, out, err = gsd("generate", "--prompt", PROMPT, "--trace", "none")
    assert (code, out) == (1, "")
    assert "out of memory" in err
    assert "fewer new tokens" in err


def test_help_and_pairs_load_no_torch():
    code = "import sys; from cli.main import main; main(['pairs']); sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True).returncode == 0


@pytest.mark.parametrize(
    ("number", "before"),
    [(signal.SIGINT, signal.SIG_DFL), (signal.SIGINT, signal.SIG_IGN), (signal.SIGTERM, signal.SIG_DFL)],
)
def test_an_interrupt_ends_with_130_and_leaves_the_rounds_in_the_trace(tmp_path, number, before):
    """SIGTERM does as well; a shell's background job begins with SIGINT ignored."""
    command = [sys.executable, "-m", "gsd", "generate", "--prompt", "# 1\n", "--method", "ar",
               "--max-new-tokens", "2000", "--temperature", "2", "--out", tmp_path]  # fmt: skip
    process = subprocess.Popen([str(part) for part in command], stdout=PIPE, stderr=PIPE, text=True,
                               preexec_fn=lambda: signal.signal(signal.SIGINT, before))  # fmt: skip
    while process.poll() is None and not any(path.read_text() for path in tmp_path.glob("*/events.jsonl")):
        time.sleep(0.05)
    process.send_signal(number)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130 and "interrupted" in err and "Traceback" not in err
    (folder,) = list_runs(tmp_path)
    run = read_run(folder)
    assert run.rounds and run.status == "incomplete"


def after_the_first(function):
    """`function`, interrupted from its second call on."""
    calls = []

    def interrupted(*args, **kwargs):
        calls.append(args)
        if len(calls) > 1:
            raise KeyboardInterrupt
        return function(*args, **kwargs)

    return interrupted


def test_what_was_decoded_before_an_interrupt_is_reported(gsd, tmp_path, monkeypatch):
    file = tmp_path / "prompts.jsonl"
    file.write_text('{"prompt": "a"}\n{"prompt": "b"}\n')
    monkeypatch.setattr("gsd.decode.runner.Runner.run", after_the_first(Runner.run))
    code, out, _ = gsd("generate", "--prompt-file", file, "--max-new-tokens", 4, "--trace", "none", "--json")
    assert code == 130 and [row["id"] for row in json.loads(out)["runs"]] == ["line-1"]


def test_what_was_measured_before_an_interrupt_is_reported(gsd, tmp_path, monkeypatch):
    file = tmp_path / "prompts.jsonl"
    file.write_text('{"prompt": "a"}\n{"prompt": "b"}\n')
    monkeypatch.setattr("gsd.lab.bench.measuring.interleaved", after_the_first(interleaved))
    code, out, _ = gsd("bench", "--prompts", file, "--methods", "ar", "--max-new-tokens", 4, "--repeats", 1, "--json")
    assert code == 130 and json.loads(out)["methods"]["ar"]["prompts"] == 1


def test_what_a_library_prints_is_kept_off_standard_output(gsd, tmp_path, monkeypatch):
    load = Runner.load
    chatty = lambda *args, **kwargs: print("chatter") or load(*args, **kwargs)  # noqa: E731
    monkeypatch.setattr("gsd.decode.runner.Runner.load", chatty)
    code, out, err = gsd("generate", "--prompt", PROMPT, "--max-new-tokens", 2, "--trace", "none", "--json")
    assert code == 0 and json.loads(out) and "chatter" in err


def test_a_folder_that_cannot_be_written_is_refused_before_models_load(gsd, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("in the way")
    monkeypatch.delattr("gsd.decode.runner.Runner.load")
    refused(gsd("generate", "--prompt", PROMPT, "--out", tmp_path / "file" / "runs"), "cannot write", "file")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--methods", "magic"], ["magic"]),
        (["--set", "depth=0"], ["depth", "0"]),
        (["--set", "breadth=1"], ["breadth"]),
        (["--preset", "slow"], ["slow"]),
        (["--temperature", "-1"], ["temperature", "-1"]),
        (["--pair", "nonesuch"], ["nonesuch"]),
        (["--methods", "hf-assisted-q", "--draft-quant", "none"], ["hf-assisted-q", "--draft-quant"]),
        (["--prompts", "nowhere.jsonl"], ["nowhere.jsonl"]),
        (["--resume"], ["--resume", "--csv"]),
        (["--csv", "FOLDER"], ["--csv", "folder"]),
        (["--markdown", "FOLDER"], ["--markdown", "folder"]),
        (["--csv", "/dev/null/calls.csv"], ["--csv", "/dev/null"]),
        (["--csv", "HELD"], ["--csv", "--resume"]),
    ],
    ids=lambda value: "",
)
def test_bench_finds_mistakes_before_models_load(gsd, tmp_path, monkeypatch, arguments, words):
    (tmp_path / "prompts.jsonl").write_text('{"prompt": "x"}\n')
    (tmp_path / "held.csv").write_text("prompt,kind\na,b\n")
    named = {"FOLDER": tmp_path, "HELD": tmp_path / "held.csv"}
    monkeypatch.delattr("gsd.decode.runner.Runner.load")
    given = [named.get(argument, argument) for argument in arguments]
    refused(gsd("bench", "--prompts", tmp_path / "prompts.jsonl", *given), *words)


def test_calibrate_finds_a_file_that_cannot_be_written_before_models_load(gsd, tmp_path, monkeypatch):
    monkeypatch.delattr("gsd.decode.runner.Runner.load")
    refused(gsd("calibrate", "--out", tmp_path), "--out", str(tmp_path), "folder")


def test_what_was_decoded_before_an_error_is_reported(gsd, tmp_path, monkeypatch):
    file = tmp_path / "prompts.jsonl"
    file.write_text('{"prompt": "a"}\n{"prompt": "b"}\n')
    run, calls = Runner.run, []

    def failing(*args, **kwargs):
        calls.append(args)
        if len(calls) > 1:
            raise OutOfMemory("out of memory: lower something")
        return run(*args, **kwargs)

    monkeypatch.setattr("gsd.decode.runner.Runner.run", failing)
    code, out, err = gsd("generate", "--prompt-file", file, "--max-new-tokens", 4, "--trace", "none", "--json")
    assert code == 1 and len(json.loads(out)["runs"]) == 1 and "lower something" in err


def test_bench_does_without_a_draft_where_no_method_needs_one(gsd, tmp_path):
    file = tmp_path / "prompts.jsonl"
    file.write_text('{"prompt": "a"}\n')
    target = ["--target", BUNDLED / "target", "--max-new-tokens", 4, "--repeats", 1, "--json"]
    code, out, _ = gsd("bench", "--prompts", file, "--methods", "ar,hf-lookup", *target)
    assert code == 0 and "hf-lookup" in json.loads(out)["methods"]
    refused(gsd("bench", "--prompts", file, "--methods", "graph", *target), "graph", "draft")
    refused(gsd("bench", "--prompts", file, "--methods", "hf-assisted", *target), "hf-assisted", "--draft")
