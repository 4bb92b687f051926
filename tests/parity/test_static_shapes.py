"""Forwards of fixed shapes give what the decoder's own forward gives. A recorder of ours stands for CUDA graphs."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from settings import of_method

from gsd.errors import ModelError
from gsd.models.hf import HFModel
from gsd.models.loading import load_model
from gsd.models.pairs import PAIRS
from gsd.models.static import COUNTS, FEWEST_SLOTS, STEP
from gsd.spec import ModelSpec
from tests.models import VOCABULARY, decode, half_agreeing, target_of, tokens_of
from tests.recording import recorded

ARCHITECTURES = ("llama", "qwen2", "qwen3", "mistral")


@pytest.fixture(scope="module", params=ARCHITECTURES)
def architecture(request):
    return request.param


def tree_mask(rng, count: int) -> np.ndarray:
    """[N, N]: each token sees itself and the ancestors of some earlier one."""
    mask = np.eye(count, dtype=bool)
    for i in range(1, count):
        if rng.random() < 0.8:
            mask[i] |= mask[rng.integers(i)]
    return mask


@given(st.lists(st.integers(1, 20), min_size=1, max_size=6), st.integers(0, 2**32 - 1))
def test_any_sequence_of_forwards_gives_the_same_logits(architecture, sizes, seed):
    """Trees of any size, parts of which are kept; the cache behind is the same, too, as later forwards read it."""
    rng = np.random.default_rng(seed)
    plain, (static, _) = HFModel(target_of(architecture), ModelSpec(source="random")), recorded(target_of(architecture))
    for model in (plain, static):
        model.reset(200)
    for size in sizes:
        tokens, mask = rng.integers(VOCABULARY, size=size).tolist(), tree_mask(rng, size)
        positions = [plain.length + int(row.sum()) - 1 for row in mask]
        rows = int(rng.integers(1, size + 1))
        base, kept = plain.length, sorted(rng.choice(size, rng.integers(size + 1), replace=False).tolist())
        answers = []
        for model in (plain, static):
            with torch.inference_mode():
                answers.append(model.forward(tokens, positions, torch.clone, rows=rows, mask=mask))
                model.keep(base, kept)
        assert answers[1].shape == answers[0].shape
        torch.testing.assert_close(answers[1], answers[0], rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("method", ["ar", "chain", "graph", "auto"])
def test_texts_are_the_same(architecture, method):
    target = target_of(architecture)
    spec = of_method(method=method, width=3, depth=5, prob_threshold=0.0)
    plain = [HFModel(model, ModelSpec(source="random")) for model in (target, half_agreeing(target))]
    static = [recorded(model)[0] for model in (target, half_agreeing(target))]
    assert tokens_of(decode(*static, [3, 1, 4], spec, count=40)) == tokens_of(decode(*plain, [3, 1, 4], spec, count=40))


def test_few_shapes_serve_all_forwards_and_more_tokens_than_those_go_as_they_come():
    model, recorder = recorded(target_of("llama"))
    model.reset(240)
    for count in range(1, COUNTS[-1] + 20):
        model.forward([1] * count, list(range(count)), torch.clone)
        model.keep(0, [])
    assert recorder.recorded == len(COUNTS)


def test_a_cache_that_moves_is_recorded_anew():
    """A replay would write to where the cache was."""
    model, recorder = recorded(target_of("llama"))
    model.reset(10)
    model.forward([1], [0], torch.clone)
    model.reset(FEWEST_SLOTS)
    model.forward([1], [0], torch.clone)
    assert recorder.recorded == 1
    model.reset(FEWEST_SLOTS + 1)
    model.forward([1], [0], torch.clone)
    assert recorder.recorded == 2


def test_a_long_cache_is_held_and_read_without_much_waste_and_in_few_shapes():
    """Up to 1,024 slots they double; then less than 1,024 are held beyond need, and less than a quarter is read."""
    model, _ = recorded(target_of("llama"))
    static, lengths = model._static, set()
    model.reset(34_000)
    for slots in range(1, 33_001):
        held, read = static.room(slots), static.read(slots)
        assert slots <= held < max(2 * slots, FEWEST_SLOTS + 1) and held - slots < STEP
        assert slots <= read and (read < 1.25 * slots or slots <= STEP)
        lengths.add(read)
    assert len(lengths) <= 3 + 4 * 6  # 256, 512, 1024, then four for each doubling up to 65,536
    assert max(lengths) <= model._cache.capacity < 34_000 + STEP


def test_what_a_long_cache_holds_is_that_of_the_decoder_itself(architecture):
    """1,030 tokens, then trees: 1,280 slots of 2,048 are read, and at the end of a cache no more than it has."""
    rng = np.random.default_rng(3)
    plain, (static, _) = HFModel(target_of(architecture), ModelSpec(source="random")), recorded(target_of(architecture))
    prompt = rng.integers(VOCABULARY, size=1030).tolist()
    tokens, mask = rng.integers(VOCABULARY, size=7).tolist(), tree_mask(rng, 7)
    answers = []
    for model in (plain, static):
        model.reset(1030 + 20)
        with torch.inference_mode():
            for start in range(0, 1030, 206):
                part = prompt[start : start + 206]
                model.forward(part, list(range(start, start + len(part))), lambda _: None)
            positions = [1030 + int(row.sum()) - 1 for row in mask]
            answers.append(model.forward(tokens, positions, torch.clone, rows=7, mask=mask))
    assert static._cache.capacity == 2 * STEP and static._static.read(1037) == 1280
    torch.testing.assert_close(answers[1], answers[0], rtol=1e-4, atol=1e-4)


def test_a_text_is_not_spoilt_by_an_earlier_one_that_overflowed():
    """Forwards of fixed shapes read slots that hold nothing, and no mask hides a NaN."""
    model, _ = recorded(target_of("llama"))
    model.reset(10)
    sound = model.forward([1, 2], [0, 1], torch.clone)
    model._cache._buffers[0].fill_(torch.nan)
    with pytest.raises(ModelError, match="not finite"):
        model.forward([3], [2], finite)
    model.reset(10)
    torch.testing.assert_close(model.forward([1, 2], [0, 1], finite), sound)


def finite(logits: torch.Tensor) -> torch.Tensor:
    if not logits.isfinite().all():
        raise FloatingPointError
    return logits.clone()


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("method", ["chain", "graph", "auto"])
def test_cuda_graphs_emit_the_same_texts(method):
    """On the last device there is, which need not be the current one; the longer texts have the caches move."""
    pair, device = PAIRS["tiny"], f"cuda:{torch.cuda.device_count() - 1}"
    texts = []
    for replayed in (True, False):
        models = [load_model(one, device, "float32", recorded=replayed) for one in (pair.target, pair.draft)]
        spec = of_method(method=method)
        texts.append([tokens_of(decode(*models, list(range(5, 25)), spec, count=count)) for count in (64, 300, 700)])
    assert texts[0] == texts[1]
