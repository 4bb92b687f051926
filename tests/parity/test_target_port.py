"""What a drafter reads of the target is what transformers computes: hidden states, keys and values, logits, angles."""

from __future__ import annotations

import copy
import random

import numpy as np
import pytest
import torch
from settings import of_method
from torch import nn
from transformers import AutoModelForCausalLM, DynamicCache

from gsd.models.base import catch_up
from gsd.models.hf import HFModel
from gsd.models.loading import load_model
from gsd.models.pack import pack
from gsd.models.pairs import PAIRS
from gsd.models.port import TargetPort
from gsd.spec import ModelSpec
from gsd.testing import oracle
from tests.models import CONFIGS, VOCABULARY, adapted, decode, half_agreeing, tokens_of
from tests.recording import recorded

KINDS = ("llama", "mistral", "qwen2", "qwen3")
LAYERS = 4
POINTS = (*range(LAYERS + 1), "final")
# Behind the prompt: branches 4-(5, 9) and 2, verified together; 4-9 is kept.
TREE = np.array([[1, 0, 0, 0], [1, 1, 0, 0], [1, 0, 1, 0], [0, 0, 0, 1]], dtype=bool)
# What is left out: nothing, all, attention alone, perceptrons alone, the first layer, the last, and odd sets.
SKIPPED = [
    ((), ()), (range(LAYERS), range(LAYERS)), (range(LAYERS), ()), ((), range(LAYERS)), ((0,), (0,)), ((3,), (3,)),
    ((0, 2), (1,)), ((1, 2), (0, 2, 3)), ((2, 3), (2, 3)),
]  # fmt: skip


def stock_of(name: str) -> nn.Module:
    """A random model of four layers whose norms and biases are not all ones and noughts."""
    torch.manual_seed(0)
    config = CONFIGS[name].__class__(**{**CONFIGS[name].to_dict(), "num_hidden_layers": LAYERS, "layer_types": None})
    model = AutoModelForCausalLM.from_config(config).eval().requires_grad_(False)
    for weight_name, weight in model.named_parameters():
        if "norm" in weight_name or "bias" in weight_name:
            weight.add_(0.3 * torch.randn(weight.shape))
    return model


def native(model: nn.Module) -> HFModel:
    return adapted(copy.deepcopy(model))


def packed(model: nn.Module) -> HFModel:
    made = native(model)
    made.convert(pack)
    return made


def graphed(model: nn.Module) -> HFModel:
    return recorded(copy.deepcopy(model))[0]


@pytest.fixture(scope="module", params=KINDS)
def stock(request):
    return stock_of(request.param)


@pytest.fixture(params=[native, graphed])
def target(request, stock):
    return request.param(stock)


def nothing(_: torch.Tensor) -> None:
    """The reduction of a forward of which only the cache is wanted."""


def hidden_states(stock: nn.Module, tokens: list[int]) -> dict:
    """What transformers computes of a text at each point, [N, E]; behind the last layer by a hook."""
    seen = []
    hook = stock.model.layers[-1].register_forward_hook(
        lambda _, __, out: seen.append(out if isinstance(out, torch.Tensor) else out[0])
    )
    states = stock(input_ids=torch.tensor([tokens]), use_cache=False, output_hidden_states=True).hidden_states
    hook.remove()
    return {**{j: states[j][0] for j in range(LAYERS)}, LAYERS: seen[0][0], "final": states[-1][0]}


def close(ours: torch.Tensor, theirs: torch.Tensor) -> None:
    """To float32's rounding: the largest relative difference seen is 1e-6."""
    assert ours.shape == theirs.shape
    assert (ours - theirs).abs().max() <= 2e-5 * theirs.abs().max()


def check_all(port: TargetPort, stock: nn.Module, text: list[int]) -> None:
    """Hidden states, logits, keys and values of a cached text are those that transformers computes at once."""
    theirs = hidden_states(stock, text)
    for point in POINTS:
        close(port.features(point), theirs[point])
    output = stock(input_ids=torch.tensor([text]), past_key_values=DynamicCache(config=stock.config), use_cache=True)
    close(port.embed(text), theirs[0])
    close(port.norm(port.features(LAYERS)), port.features("final"))
    close(port.head(port.norm(port.features(LAYERS))), output.logits[0])
    for layer, cached in enumerate(output.past_key_values.layers):
        keys, values = port.keys_values(layer)
        close(keys, cached.keys[0])
        close(values, cached.values[0])


@pytest.fixture
def small_chunks(monkeypatch):
    monkeypatch.setattr("gsd.models.base.PREFILL_CHUNK", 16)


def prefilled(target: HFModel, prompt: list[int]) -> None:
    """Cache a prompt as the loop does: in chunks, then what is left."""
    target.reset(len(prompt) + 60)
    rest = catch_up(target, prompt)
    target.forward(rest, list(range(target.length, len(prompt))), nothing)


@pytest.mark.parametrize("make", [native, packed, graphed])
def test_all_that_is_read_is_what_transformers_computes(make, stock, small_chunks):
    """Over prefill chunks, a tree of which a branch is kept, a token, and a chain; row i is token i of the text."""
    target = make(stock)
    prompt = random.Random(1).choices(range(VOCABULARY), k=57)
    port = TargetPort(target)
    port.capture(POINTS)
    prefilled(target, prompt)
    check_all(port, stock, prompt)
    target.forward([4, 5, 9, 2], [57, 58, 58, 57], nothing, rows=4, mask=TREE)
    close(port.features(2)[58], hidden_states(stock, [*prompt, 4, 5])[2][58])  # before the commit, by slot
    target.keep(57, [0, 2])
    check_all(port, stock, [*prompt, 4, 9])
    target.forward([8], [59], nothing)
    target.forward([6, 0, 6], [60, 61, 62], nothing, rows=2)
    check_all(port, stock, [*prompt, 4, 9, 8, 6, 0, 6])


def test_a_prompt_of_many_hundreds_of_tokens_is_captured_whole(stock):
    """Two chunks of the true size and a rest, more tokens than a recorded forward takes."""
    config = stock.config.__class__(**{**stock.config.to_dict(), "max_position_embeddings": 2048})
    long = AutoModelForCausalLM.from_config(config).eval().requires_grad_(False)
    for make in (native, graphed):
        target = make(long)
        prompt = random.Random(2).choices(range(VOCABULARY), k=1200)
        port = TargetPort(target)
        port.capture([1, LAYERS, "final"])
        prefilled(target, prompt)
        theirs = hidden_states(long, prompt)
        for point in (1, LAYERS, "final"):
            close(port.features(point), theirs[point])


@pytest.mark.parametrize("method", ["ar", "chain", "graph"])
def test_after_every_round_row_i_is_token_i_of_the_text(target, stock, small_chunks, method):
    prompt = [3, 1, 4] * 9
    port = TargetPort(target)
    port.capture(POINTS)
    sizes = []
    keep = target.keep

    def kept(base: int, slots: list[int]) -> None:
        keep(base, slots)
        sizes.append({point: port.features(point).clone() for point in POINTS})

    target.keep = kept
    spec = of_method(method=method, width=3, depth=4, prob_threshold=0.0)
    text = prompt + tokens_of(decode(target, adapted(half_agreeing(stock)), prompt, spec, count=24))
    assert text[len(prompt) :] == oracle.generate(stock, prompt, 24)
    theirs = hidden_states(stock, text)
    assert len(sizes[-1][0]) == len(text) - 1
    for after in sizes:
        for point in POINTS:
            close(after[point], theirs[point][: len(after[point])])


def test_logits_are_the_same_to_the_bit_whether_something_is_captured_or_not(target):
    """So that a text depends in no near tie on what its drafter reads."""
    answers = []
    for points in ((), POINTS):
        TargetPort(target).capture(points)
        prefilled(target, [3, 1, 4, 1, 5, 9, 2, 6])
        answers.append(target.forward([4, 5, 9, 2], [8, 9, 9, 8], torch.clone, rows=3, mask=TREE))
    assert torch.equal(*answers)


def test_what_is_captured_may_change_from_text_to_text(target, stock):
    """A recorded forward writes where its buffer was when it was recorded: it is not graphed for another."""
    port = TargetPort(target)
    text = [3, 1, 4, 1, 5]
    for points in ([2], [2], [], ["final", 0], [], [1, 2], POINTS):
        port.capture(points)
        target.reset(20 if points != POINTS else 700)  # the last moves all
        logits = target.forward(text, list(range(5)), torch.clone, rows=5)
        theirs = hidden_states(stock, text)
        close(logits, stock(torch.tensor([text])).logits[0])
        for point in points:
            close(port.features(point), theirs[point])
        text = [(token + 1) % VOCABULARY for token in text]


def test_recordings_are_made_anew_only_for_hidden_states_that_lie_elsewhere(stock):
    target, recorder = recorded(copy.deepcopy(stock))
    port = TargetPort(target)
    skipping = port.skipping((1,), ())
    counts = []
    for points in ((), (2,), (2,), (), (0, "final"), ()):
        port.capture(points)
        target.reset(20)
        for model in (target, skipping):
            model.forward([3], [target.length], nothing)
        counts.append(recorder.recorded // 2)
    assert counts == [1, 2, 2, 2, 3, 3]
    target.reset(700)
    skipping.forward([3], [0], nothing)
    assert recorder.recorded == 7


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_cuda_graphs_write_the_same_hidden_states():
    """Of the target and of what it drafts without some sublayers; points change between texts, and the cache moves."""
    models = [load_model(PAIRS["tiny"].target, "cuda", "float32", recorded=graphed) for graphed in (True, False)]
    ports = [TargetPort(model) for model in models]
    drafting = [port.skipping((1, 5), (2, 7)) for port in ports]
    for points, room in (((), 40), ((3, "final"), 40), ((), 40), ((0, 12), 40), ((0, 12), 2000)):
        taken = []
        for model, port, skipping in zip(models, ports, drafting):
            port.capture(points)
            model.reset(room)
            model.forward(list(range(5, 17)), list(range(12)), nothing)
            drafted = skipping.forward([7, 8], [12, 13], torch.clone, rows=2)
            model.keep(12, [])
            logits = model.forward([4, 5, 9, 2], [12, 13, 13, 12], torch.clone, rows=4, mask=TREE)
            model.keep(12, [0, 2])
            taken.append([drafted, logits, *(port.features(point).clone() for point in points)])
        for one, other in zip(*taken, strict=True):
            torch.testing.assert_close(one, other, rtol=1e-3, atol=1e-3)


def test_angles_are_those_of_transformers_within_and_beyond_the_table(target, stock):
    target.reset(10)
    port = TargetPort(target)
    for positions in ([0, 3, 9], [2, 2, 200]):
        cos, sin = stock.model.rotary_emb(torch.empty(1, 1), torch.tensor([positions]))
        ours = port.rotary(positions)
        close(ours[0], cos[0])
        close(ours[1], sin[0])


class Nothing(nn.Module):
    """Stands for a sublayer and adds nothing to the residual stream."""

    def __init__(self, attention: bool) -> None:
        super().__init__()
        self._attention = attention

    def forward(self, hidden_states: torch.Tensor, **_: object):
        nought = torch.zeros_like(hidden_states)
        return (nought, None) if self._attention else nought


def without(stock: nn.Module, attention, mlp) -> nn.Module:
    """transformers' model with sublayers that add nothing."""
    made = copy.deepcopy(stock)
    for layer in attention:
        made.model.layers[layer].self_attn = Nothing(True)
    for layer in mlp:
        made.model.layers[layer].mlp = Nothing(False)
    return made


def naive_draft(stock: nn.Module, prompt: list[int], drafted: list[int], attention, mlp) -> torch.Tensor:
    """Logits [N, V] of drafted tokens: the text through the whole model, then these one by one through the rest of it.

    Masks and positions are given, as transformers reads them off the first layer's cache.
    """
    cache = DynamicCache(config=stock.config)
    stock(input_ids=torch.tensor([prompt]), past_key_values=cache, use_cache=True)
    rest, rows = without(stock, attention, mlp), []
    for i, token in enumerate(drafted):
        mask = torch.zeros(1, 1, 1, len(prompt) + i + 1)
        place = torch.tensor([[len(prompt) + i]])
        output = rest(input_ids=torch.tensor([[token]]), position_ids=place, attention_mask=mask, past_key_values=cache)
        rows.append(output.logits[0, -1])
    return torch.stack(rows)


@pytest.mark.parametrize(("attention", "mlp"), SKIPPED)
def test_skipping_gives_the_logits_of_a_model_whose_sublayers_add_nothing(target, stock, attention, mlp):
    """A token, a chain, and a tree with two branches; the target behind them is as if nothing had been drafted."""
    prompt = [3, 1, 4, 1, 5, 9, 2, 6]
    prefilled(target, prompt)
    skipping = TargetPort(target).skipping(attention, mlp)
    before = [part.clone() for layer in range(LAYERS) for part in TargetPort(target).keys_values(layer)]
    forwards = target.counter.forwards
    drafted = [skipping.forward([7], [8], torch.clone), skipping.forward([0, 2], [9, 10], torch.clone, rows=2)]
    tree = skipping.forward([4, 5, 9, 2], [11, 12, 12, 11], torch.clone, rows=4, mask=TREE)
    assert skipping.counter.forwards == 3 and target.counter.forwards == forwards
    assert skipping.length == target.length == 15
    close(torch.cat(drafted), naive_draft(stock, prompt, [7, 0, 2], attention, mlp))
    for row, path in zip(tree, ([4], [4, 5], [4, 9], [2])):
        close(row, naive_draft(stock, prompt, [7, 0, 2, *path], attention, mlp)[-1])
    target.keep(8, [])
    after = [part for layer in range(LAYERS) for part in TargetPort(target).keys_values(layer)]
    assert all(torch.equal(one, other) for one, other in zip(before, after, strict=True))
    close(target.forward([7], [8], torch.clone), stock(torch.tensor([[*prompt, 7]])).logits[0, -1:])


def test_skipping_nothing_is_the_target_itself_to_the_bit(target):
    prefilled(target, [3, 1, 4, 1, 5])
    whole = TargetPort(target).skipping((), ())
    answers = []
    for model in (target, whole):
        answers.append(model.forward([2, 6, 5], [5, 6, 7], torch.clone, rows=3))
        model.keep(5, [])
    assert torch.equal(*answers)


def test_skipping_all_goes_from_the_embedding_to_the_norm_and_the_head(target):
    prefilled(target, [3, 1, 4])
    port = TargetPort(target)
    logits = port.skipping(range(LAYERS), range(LAYERS)).forward([7, 2], [3, 4], torch.clone, rows=2)
    close(logits, port.head(port.norm(port.embed([7, 2]))))


def test_hidden_states_of_drafted_tokens_are_those_of_the_skipping_model(target, stock):
    """Up to an early exit those are the target's own."""
    port = TargetPort(target)
    port.capture([2, LAYERS])
    prefilled(target, [3, 1, 4])
    port.skipping((2, 3), (2, 3)).forward([7], [3], nothing)
    close(port.features(2), hidden_states(stock, [3, 1, 4, 7])[2])
    close(port.features(LAYERS)[3], port.features(2)[3])


@pytest.mark.parametrize(("attention", "mlp"), [((), ()), ((1,), (2, 3)), ((0, 1, 2, 3), (0, 1, 2, 3))])
def test_a_text_drafted_by_the_skipping_target_is_the_oracles(target, stock, small_chunks, attention, mlp):
    """Greedy, a chain of four a round, with hidden states captured all along."""
    prompt, text = [3, 1, 4] * 9, []
    port = TargetPort(target)
    port.capture(POINTS)
    skipping = port.skipping(attention, mlp)
    prefilled(target, prompt[:-1])
    accepted = 0
    while len(text) < 40:
        committed = prompt + text
        root = base = len(committed) - 1
        chain = [committed[-1]]
        for i in range(4):
            chain.append(skipping.forward(chain[-1:], [root + i], picked)[-1])
        target.keep(base, [])
        picks = target.forward(chain, list(range(root, root + 5)), picked, rows=5)
        right = next((i for i in range(4) if picks[i] != chain[i + 1]), 4)
        target.keep(base, list(range(right + 1)))
        text += picks[: right + 1]
        accepted += right
    assert text == oracle.generate(stock, prompt, len(text))
    check_all(port, stock, (prompt + text)[:-1])
    assert (attention, mlp) != ((), ()) or accepted == 4 * len(text) // 5


def picked(logits: torch.Tensor) -> list[int]:
    return logits.argmax(-1).tolist()


@pytest.mark.parametrize("name", ["gpt2", "gpt_neox", "gemma", "llama"])
def test_of_transformers_own_forward_there_are_hidden_states_and_the_head(name, small_chunks):
    """Before each layer and behind the final norm, over chunks and a tree; and keys and values."""
    torch.manual_seed(0)
    stock = AutoModelForCausalLM.from_config(CONFIGS[name]).eval().requires_grad_(False)
    target = HFModel(stock, ModelSpec(source="random"), native=False)
    port = TargetPort(target)
    points = [0, 1, "final"]
    port.capture(points)
    prompt = random.Random(3).choices(range(VOCABULARY), k=37)
    prefilled(target, prompt)
    target.forward([4, 5, 9, 2], [37, 38, 38, 37], nothing, rows=4, mask=TREE)
    target.keep(37, [0, 2])
    text = [*prompt, 4, 9]
    output = stock(torch.tensor([text]), output_hidden_states=True, use_cache=True)
    for point in points:
        close(port.features(point), output.hidden_states[-1 if point == "final" else point][0])
    close(port.head(port.features("final")), output.logits[0])
    for layer, cached in enumerate(output.past_key_values.layers):
        close(port.keys_values(layer)[0], cached.keys[0])
    assert torch.equal(port.embed([3, 1]), stock.get_input_embeddings()(torch.tensor([3, 1])))
