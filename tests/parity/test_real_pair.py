"""The real pair in float32: the graph's text is plain decoding's."""

import os
import random
from pathlib import Path

import pytest
from replays import compare, random_settings
from settings import of_method

from gsd.config import RunSpec
from gsd.lab.atlas import Atlas, Bounds
from gsd.lab.probe import probe_text
from gsd.models.pairs import PAIRS, available
from gsd.spec import ModelSpec, Prompt

TEXTS = ("def is_prime(n):\n", "# Read a CSV file and print its header\n")
NEW_TOKENS = 24


@pytest.fixture(scope="module")
def real():
    from gsd.decode.runner import Runner

    pair = PAIRS["qwen2.5-coder"]
    if not available(pair):
        pytest.skip("the 1.5B/0.5B pair is not under $GSD_MODELS")
    return Runner.load(pair.target, pair.draft, device="cpu", dtype="float32")


@pytest.mark.realpair
@pytest.mark.timeout(1800)
def test_graph_emits_what_ar_emits(real):
    pair = PAIRS["qwen2.5-coder"]
    accepted = 0
    for text in TEXTS:
        texts = {}
        for method in ("ar", "graph"):
            spec = RunSpec(
                target=pair.target, draft=pair.draft, prompt=Prompt(prompt=text, chat=False),
                drafting=of_method(method=method, merge_context=0), max_new_tokens=NEW_TOKENS,
            )  # fmt: skip
            rounds = list(real.rounds(spec, real.encode(spec.prompt)))
            texts[method] = [token for round_ in rounds for token in round_.new_tokens]
            accepted += sum(len(round_.accepted) for round_ in rounds)
        assert texts["graph"] == texts["ar"]
    assert accepted > NEW_TOKENS / 2


@pytest.mark.realpair
@pytest.mark.timeout(1800)
def test_an_atlas_says_what_real_runs_do(real):
    """Twelve random settings, count for count; at least ten are covered."""
    pair, bounds, dice = PAIRS["qwen2.5-coder"], Bounds(width=3, depth=4, frontier=3), random.Random(3)
    run = RunSpec(target=pair.target, draft=pair.draft, prompt=Prompt(prompt=TEXTS[0], chat=False), max_new_tokens=16)
    atlas = Atlas(bounds, real.draft.context_length, {}, [probe_text(real, run, bounds)])
    assert compare(real, atlas, [run], [random_settings(dice, bounds) for _ in range(12)]) >= 0.8


@pytest.mark.realpair
@pytest.mark.timeout(1800)
def test_a_gguf_file_is_loaded_and_decodes():
    from gsd.models.loading import load_model, load_tokenizer

    file = next(iter(sorted(Path(os.environ.get("GSD_MODELS", "nowhere")).glob("*0.5b*.gguf"))), None)
    if file is None:
        pytest.skip("no GGUF file under $GSD_MODELS")
    model = load_model(ModelSpec(source=str(file)), "cpu", "float32")
    tokens = load_tokenizer(ModelSpec(source=str(file))).encode("def add(a, b):\n    return a +")
    model.reset(len(tokens))
    best = model.forward(tokens, list(range(len(tokens))), lambda logits: logits.argmax(-1).tolist())
    assert load_tokenizer(ModelSpec(source=str(file))).decode(best) == " b"
