"""The bundled pair in float32: the graph over 54 beginnings, and each setting of a grid by name."""

import itertools

import pytest
from settings import of_method

from gsd.config import RunSpec
from gsd.methods import MethodSettings
from gsd.models.pairs import PAIRS
from gsd.spec import Prompt

COUNT = 10
BEGINNINGS = [
    "def quicksort(items):\n", "def add(a, b):\n", "def read_lines(path):\n    ", "class Stack:\n",
    "class Node:\n    def ",
    "import os\n", "from collections import ", "for i in range(", "while True:\n    ", "if not items:\n    return ",
    "# Sort the names\n", '"""Parse a date.', "def is_prime(n):\n    if n < 2:\n", "return sum(", "x = [", "try:\n    ",
    "with open(path) as file:\n", "def fibonacci(n):\n    a, b = 0, 1\n", "@property\ndef ", "lambda x: ", 
    "def mean(values):\n",
    "print(", "raise ValueError(", "async def ", "def test_", "self.items = ", "total = 0\nfor ", "{'a': 1, ",
    "def reverse(text):\n    return ", "class Point:\n    def __init__(self, x, y):\n        self.x = x\n",
    "def count_vowels(word):\n", "names = sorted(", "def gcd(a, b):\n    while b:\n", "assert ", "yield ", "elif ",
    "def flatten(nested):\n    result = []\n", "for key, value in ", "return [x for x in ", "def __repr__(self):\n    ",
    "import json\n\n\ndef load(", "    ", "\n", "é = ", "def binary_search(items, target):\n    low, high = 0, ",
    "def merge(left, right):\n", "matrix = [[0] * ", "def factorial(n):\n    if n == 0:\n        return 1\n",
    "def is_palindrome(text):\n", "words = text.split(", "def unique(items):\n    seen = set()\n",
    "class Queue:\n    \"\"\"",
    "def clamp(value, low, high):\n    return ", "def word_count(text):\n    counts = {}\n",
]  # fmt: skip
METHODS = ["ar", "chain", "tree", "graph", "auto"]
GRID = [
    *({"width": w, "depth": d} for w, d in ((1, 1), (2, 8), (6, 3), (8, 2))),
    *({"merge_context": k, "width": 4, "prob_threshold": 0.0, "budget": 64} for k in (None, 0, 1, 2, 3)),
    *({"budget": b, "merge_context": 0, "prob_threshold": 0.001} for b in (1, 2, 8, 128)),
    *({"prob_rule": rule, "prob_action": action, "prob_threshold": 0.2, "merge_context": 0}
      for rule, action in itertools.product(("path", "local"), ("leaf", "drop"))),
    {"frontier": 1, "merge_context": 0}, {"frontier": 16, "sibling_threshold": 0.0, "merge_context": 0},
    {"sibling_threshold": 1.0}, {"prob_threshold": 1.0},
]  # fmt: skip


def run_spec(text: str, drafting: MethodSettings, count: int = COUNT) -> RunSpec:
    pair = PAIRS["tiny"]
    return RunSpec(
        target=pair.target, draft=pair.draft, prompt=Prompt(prompt=text, chat=False), drafting=drafting,
        max_new_tokens=count, detail="counters",
    )  # fmt: skip


def emitted(tiny, spec: RunSpec) -> list[int]:
    return [token for round_ in tiny.rounds(spec, tiny.encode(spec.prompt)) for token in round_.new_tokens]


def test_the_graph_emits_the_oracles_text_on_every_beginning(tiny, plain):
    assert len(set(BEGINNINGS)) >= 50
    for text in BEGINNINGS:
        spec = run_spec(text, of_method(merge_context=0))
        assert emitted(tiny, spec) == plain(spec), text


@pytest.mark.parametrize("at", range(len(GRID)), ids=lambda at: ",".join(f"{k}={v}" for k, v in GRID[at].items()))
def test_each_setting_emits_the_oracles_text(tiny, plain, at):
    """Every setting meets three of the prompts."""
    for text in (BEGINNINGS * 2)[3 * at % 54 :][:3]:
        spec = run_spec(text, of_method(method="graph", **GRID[at]))
        assert emitted(tiny, spec) == plain(spec), (text, GRID[at])


def test_the_graph_merges_and_accepts_on_these_prompts(tiny):
    """Else parity would be the parity of plain decoding."""
    merges = accepted = 0
    for text in BEGINNINGS[:12]:
        spec = run_spec(text, of_method(method="graph", merge_context=0, prob_threshold=0.0, budget=64), 24)
        for round_ in tiny.rounds(spec, tiny.encode(spec.prompt)):
            merges += len(round_.graph.merges)
            accepted += len(round_.accepted)
    assert merges >= 100 and accepted >= 50


@pytest.mark.gpu
def test_cpu_and_cuda_emit_the_same_text(tiny):
    """Greedy, float32, TF32 off by default for matrix products."""
    import torch

    from gsd.decode.runner import Runner

    if not torch.cuda.is_available():
        pytest.skip("no CUDA device")
    pair = PAIRS["tiny"]
    cuda = Runner.load(pair.target, pair.draft, device="cuda", dtype="float32")
    for text in BEGINNINGS[:20]:
        for method in METHODS:
            spec = run_spec(text, of_method(method=method, merge_context=0), 32)
            assert emitted(cuda, spec) == emitted(tiny, spec), (text, method)
