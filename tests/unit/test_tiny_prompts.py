"""The bundled pair's sets of prompts: which are near its templates, and what is told of each."""

import json
import random
import sys
from pathlib import Path

import pytest

from gsd.config import RunSpec
from gsd.decode.prompts import read_prompts
from gsd.models.pairs import PAIRS
from gsd.spec import Prompt
from training import evaluate
from training.synthetic import draw_code

FOLDER = Path(__file__).parents[2] / "benchmarks" / "prompts"


@pytest.fixture(scope="module")
def drawn():
    """Lines of what the templates yield."""
    rng = random.Random(0)
    return {line.strip() for _ in range(5000) for line in draw_code(rng).splitlines()} - {""}


def known(prompt, drawn):
    """Lines of a prompt that the templates yield, but for methods that every class may have."""
    lines = {line.strip() for line in prompt.prompt.splitlines()}
    return {line for line in lines & drawn if not line.startswith("def __")}


def test_no_line_of_the_unseen_prompts_is_of_a_template(drawn):
    file = read_prompts(FOLDER / "tiny-unseen.jsonl")
    assert len(file.prompts) == 20 and not file.broken
    assert {prompt.id: known(prompt, drawn) for prompt in file.prompts if known(prompt, drawn)} == {}


def test_the_others_do_have_such_lines(drawn):
    assert sum(bool(known(prompt, drawn)) for prompt in read_prompts(FOLDER / "tiny.jsonl").prompts) >= 8


def test_each_set_is_told_apart_with_what_the_engine_accepts(tiny, monkeypatch, capsys, tmp_path):
    files = []
    for name, prompt in (("near", "def average(numbers):\n"), ("far", "import asyncio\n")):
        files.append(tmp_path / f"{name}.jsonl")
        files[-1].write_text(json.dumps({"id": "a", "kind": name, "prompt": prompt}) + "\n")
    monkeypatch.setattr(sys, "argv", ["evaluate", "--prompts", *map(str, files)])
    monkeypatch.setattr(evaluate, "NEW_TOKENS", 8)
    monkeypatch.setattr(evaluate, "DECODED_TOKENS", 12)
    evaluate.main()
    report = json.loads(capsys.readouterr().out)
    assert {name: set(figures) for name, figures in report.items()} == {"near": {"all", "near"}, "far": {"all", "far"}}
    models = {"target": PAIRS["tiny"].target, "draft": PAIRS["tiny"].draft}
    for name, prompt in (("near", "def average(numbers):\n"), ("far", "import asyncio\n")):
        spec = RunSpec(**models, prompt=Prompt(prompt=prompt), max_new_tokens=12, dtype="float32")  # graph by default
        told = report[name]["all"]["acceptance_length"]["graph"]
        assert told == round(tiny.run(spec, None).totals["mean_acceptance_length"], 2)
