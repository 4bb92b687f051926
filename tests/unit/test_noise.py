"""Noise keyed by (seed, position, token): independent exponential numbers, whichever way one asks for them."""

import numpy as np
import pytest
import torch

from gsd.noise import BLOCK, Noise, exponential, noise_at
from gsd.testing import oracle
from gsd.verifying.sampling import gumbel_draw


def all_of(seed: int, positions: list[int], vocabulary: int) -> torch.Tensor:
    """E of every token, [P, V]."""
    noise, tokens = noise_at(seed, positions, vocabulary), torch.arange(vocabulary)
    rows = [noise.gumbel(torch.full_like(tokens, row), tokens) for row in range(len(positions))]
    return (-torch.stack(rows)).exp()


def kolmogorov(numbers: np.ndarray, rate: float) -> float:
    """The distance from an exponential law, times the root of the count: above 2.7 with odds of 1e-6."""
    numbers = np.sort(numbers.reshape(-1))
    law = 1 - np.exp(-rate * numbers)
    rounds = np.arange(len(numbers) + 1) / len(numbers)
    return max((rounds[1:] - law).max(), (law - rounds[:-1]).max()) * len(numbers) ** 0.5


@pytest.mark.parametrize("vocabulary", [5, BLOCK, 1000])
def test_the_noise_is_that_of_the_plain_twin(vocabulary):
    ours = all_of(2**62, [0, 9, 100_000], vocabulary)
    plain = [oracle.gumbel(2**62, position, vocabulary) for position in (0, 9, 100_000)]
    assert (-ours.log()).numpy() == pytest.approx(np.stack(plain), rel=1e-12, abs=1e-12)


def test_each_token_has_an_exponential_number_of_its_own():
    """By position, by token, and the least of tokens of the same and of other blocks: so they are independent."""
    numbers = all_of(3, list(range(3000)), 3 * BLOCK).numpy()
    for token in (0, 1, BLOCK - 1, BLOCK, 3 * BLOCK - 1):
        assert kolmogorov(numbers[:, token], 1) < 2.7
    for group in ([4, 5], [7, BLOCK + 7], list(range(BLOCK)), list(range(100, 300)), list(range(3 * BLOCK))):
        assert kolmogorov(numbers[:, group].min(1), len(group)) < 2.7
    assert kolmogorov(numbers[0], 1) < 2.7
    assert kolmogorov(np.diff(np.sort(numbers[:, 10:12], 1)), 1) < 2.7  # what the larger of two exceeds the other by


def test_seeds_and_positions_and_tokens_all_key_the_noise():
    numbers = torch.cat([all_of(seed, [1, 2, 11], 40) for seed in (1, 2, 11)])
    assert len(set(numbers.flatten().tolist())) == 9 * 40


def test_a_longer_vocabulary_only_adds_to_it():
    assert torch.equal(all_of(1, [5], 200), all_of(1, [5], 5000)[:, :200])


def test_what_bounds_the_noise_of_a_block_is_its_most():
    noise = noise_at(8, [3, 4], 4 * BLOCK)
    each = (-all_of(8, [3, 4], 4 * BLOCK).log()).view(2, 4, BLOCK)
    assert torch.allclose(each.amax(-1), noise.most, rtol=0, atol=1e-9)


@pytest.mark.parametrize("bits", [0, -1, 1, -(2**63), 2**63 - 1])
def test_the_uniform_number_is_strictly_between_0_and_1(bits, monkeypatch):
    monkeypatch.setattr("gsd.noise._bits", lambda key, index: torch.tensor([bits]))
    number = exponential(torch.tensor([0]), torch.tensor([0])).item()
    assert 0.0 < number < 40.0


@pytest.mark.parametrize("spread", [0.0, 0.5, 2.0, 10.0])
def test_few_tokens_get_noise_of_their_own_however_flat_the_law(spread, monkeypatch):
    """Of 400,000 one in a hundred at most; counted, as a clock would scatter."""
    asked, gumbel = [], Noise.gumbel
    monkeypatch.setattr(
        Noise, "gumbel", lambda self, rows, tokens: asked.append(len(tokens)) or gumbel(self, rows, tokens)
    )
    scores = spread * torch.randn(8, 50_000, generator=torch.Generator().manual_seed(0))
    gumbel_draw(scores, noise_at(1, list(range(8)), 50_000), list(range(8)))
    assert sum(asked) < 4_000
