"""What every model behind the protocol owes the loop: a cache that is true after any compaction."""

import numpy as np
import pytest
import torch

from tests.models import CONFIGS, adapted, target_of


def logits(output: torch.Tensor) -> torch.Tensor:
    return output.float().clone()


@pytest.fixture(scope="module", params=CONFIGS)
def model(request):
    return adapted(target_of(request.param))


def plain(model, tokens: list[int]) -> torch.Tensor:
    """Logits of all positions, without cache or mask, [N, V]."""
    with torch.inference_mode():
        return model.model(input_ids=torch.tensor([tokens]), use_cache=False).logits[0]


def test_a_chain_in_pieces_is_the_chain(model):
    tokens = [3, 1, 4, 1, 5, 9, 2, 6]
    model.reset(32)
    model.forward(tokens[:3], [0, 1, 2], logits)
    model.forward(tokens[3:4], [3], logits)
    last = model.forward(tokens[4:], [4, 5, 6, 7], logits, rows=4)
    torch.testing.assert_close(last, plain(model, tokens)[4:], atol=2e-4, rtol=1e-3)
    assert model.length == 8


def test_each_branch_of_a_tree_is_its_own_text(model):
    """Prefix 3 1; branches 4-(5, 9) and 2, verified together."""
    model.reset(32)
    model.forward([3, 1], [0, 1], logits)
    mask = np.array([[1, 0, 0, 0], [1, 1, 0, 0], [1, 0, 1, 0], [0, 0, 0, 1]], dtype=bool)
    rows = model.forward([4, 5, 9, 2], [2, 3, 3, 2], logits, rows=4, mask=mask)
    for row, text in zip(rows, ([3, 1, 4], [3, 1, 4, 5], [3, 1, 4, 9], [3, 1, 2])):
        torch.testing.assert_close(row, plain(model, text)[-1], atol=2e-4, rtol=1e-3)


@pytest.mark.parametrize("slots", [[], [0], [1, 3], [0, 2], [0, 1, 2, 3]])
def test_what_is_kept_is_what_a_recomputation_gives(model, slots):
    """Every slot is its own branch of one chain; the kept ones, in order, must read as a text."""
    tree = [4, 5, 9, 2]
    kept = [tree[slot] for slot in slots]
    mask = np.zeros((4, 4), dtype=bool)
    positions = [0] * 4
    for rank, slot in enumerate(slots):
        mask[slot, slots[: rank + 1]] = True
        positions[slot] = 2 + rank
    for slot in set(range(4)) - set(slots):
        mask[slot, slot], positions[slot] = True, 2
    model.reset(32)
    model.forward([3, 1], [0, 1], logits)
    model.forward(tree, positions, logits, rows=4, mask=mask)
    model.keep(2, slots)
    assert model.length == 2 + len(slots)
    after = model.forward([7], [2 + len(slots)], logits)
    torch.testing.assert_close(after[0], plain(model, [3, 1, *kept, 7])[-1], atol=2e-4, rtol=1e-3)


def test_reset_forgets(model):
    model.reset(32)
    first = model.forward([5, 6], [0, 1], logits)
    model.reset(64)
    assert model.length == 0
    torch.testing.assert_close(model.forward([5, 6], [0, 1], logits), first)
