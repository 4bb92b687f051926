"""The sampler against its plain twin: a full sort, and noise for every token, in float64."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from gsd.spec import MIN_TEMPERATURE, SamplingSpec
from gsd.testing import oracle
from gsd.verifying.sampling import NUCLEUS_GUESS, choose, law, pick

SPECS = [
    SamplingSpec(temperature=1.0),
    SamplingSpec(temperature=0.3, seed=5),
    SamplingSpec(temperature=2.5, top_k=3),
    SamplingSpec(temperature=1.0, top_k=10_000),
    SamplingSpec(temperature=1.0, top_p=0.5),
    SamplingSpec(temperature=1.3, top_p=0.01),
    SamplingSpec(temperature=0.8, top_k=7, top_p=0.9, seed=2**62),
]


def logits_of(seed: int, rows: int, vocabulary: int, spread: float = 3.0) -> torch.Tensor:
    return spread * torch.randn(rows, vocabulary, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("spec", SPECS, ids=str)
@pytest.mark.parametrize("vocabulary", [2, 13, 4 * NUCLEUS_GUESS])
def test_the_law_is_the_plain_one(spec, vocabulary):
    logits = logits_of(1, 8, vocabulary, 0.5 if vocabulary > NUCLEUS_GUESS else 3.0)  # flat: past the guess
    ours = law(logits, spec).exp().numpy()
    plain = np.stack([oracle.law(row.numpy(), spec) for row in logits])
    assert ((ours > 0) == (plain > 0)).all()
    assert ours == pytest.approx(plain, abs=1e-6)


@pytest.mark.parametrize("spec", [SamplingSpec(), *SPECS], ids=str)
def test_the_draw_is_the_plain_one(spec):
    """Seeds are fixed; two tokens within rounding of a tie (odds 1e-6 each) would show once and for all."""
    logits = logits_of(2, 400, 50)
    positions = list(range(7, 407))
    plain = [oracle.next_token(row.numpy(), spec, position) for row, position in zip(logits, positions)]
    assert pick(logits, spec, positions).tokens == plain
    detailed = choose(logits, spec, positions, [0] * 400, [-1, *range(399)])
    assert detailed.tokens == plain


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_the_law_of_a_target_in_half_precision_is_computed_in_float32(dtype):
    """With eight bits a nucleus and a draw would be another law's."""
    logits, positions = logits_of(4, 60, 50).to(dtype), list(range(60))
    spec = SamplingSpec(temperature=0.7, top_p=0.9, seed=5)
    assert law(logits, spec).dtype == torch.float32
    assert torch.equal(law(logits, spec), law(logits.float(), spec))
    assert pick(logits, spec, positions) == pick(logits.float(), spec, positions)


@settings(max_examples=300)
@given(st.lists(st.sampled_from([0.0, 1.0, 2.0]), min_size=2, max_size=9), st.integers(0, 9), st.floats(0.05, 1.0))
def test_equals_at_a_cutoff_are_all_kept(values, top_k, top_p):
    spec = SamplingSpec(temperature=1.0, top_k=top_k, top_p=top_p)
    p = law(torch.tensor([values]), spec)[0].exp().tolist()
    if top_p == 1.0:  # else a sum in another order may fall on the other side of the cut-off
        assert [one > 0 for one in p] == [one > 0 for one in oracle.law(np.array(values), spec)]
    for one, p_one in zip(values, p):
        for two, p_two in zip(values, p):
            assert p_one == pytest.approx(p_two) if one == two else True
    assert sum(p) == pytest.approx(1.0, abs=1e-5)


def test_choose_reports_the_probabilities_of_picks_and_of_drafted_tokens():
    logits = logits_of(3, 3, 9)
    spec = SamplingSpec(temperature=0.7)
    parents, tokens = [-1, 0, 1], [4, 2, 8]
    choices = choose(logits, spec, [5, 6, 7], tokens, parents)
    logp = (logits / 0.7).log_softmax(-1)
    assert choices.logp == pytest.approx([logp[i, t].item() for i, t in enumerate(choices.tokens)])
    assert choices.node_logp == pytest.approx([0.0, logp[0, 2].item(), logp[1, 8].item()])


def test_a_token_that_the_filter_removed_is_never_drawn():
    spec = SamplingSpec(temperature=5.0, top_k=2)
    logits = logits_of(4, 1, 20).expand(2000, -1)
    drawn = set(pick(logits, spec, list(range(2000))).tokens)
    assert drawn == set(logits[0].topk(2).indices.tolist())


@pytest.mark.parametrize("vocabulary", [1, 127, 128, 129, 3000])
@pytest.mark.parametrize("spread", [0.0, 1.0, 5.0, 1e4])
@pytest.mark.parametrize("spec", [SPECS[0], SPECS[6]], ids=str)
def test_few_tokens_get_noise_and_yet_the_best_of_all_is_drawn(vocabulary, spread, spec):
    logits = logits_of(5, 60, vocabulary, spread)
    positions = [number // 3 for number in range(60)]  # several nodes of one depth
    plain = [oracle.next_token(row.numpy(), spec, position) for row, position in zip(logits, positions)]
    assert pick(logits, spec, positions).tokens == plain


def test_a_draw_does_not_depend_on_what_is_drawn_beside_it():
    logits, spec, positions = logits_of(6, 40, 500), SamplingSpec(temperature=0.9, seed=4), list(range(3, 43))
    alone = [pick(row[None], spec, [position]).tokens[0] for row, position in zip(logits, positions)]
    assert pick(logits, spec, positions).tokens == alone
    assert pick(logits.flip(0), spec, positions[::-1]).tokens == alone[::-1]


def test_rounding_changes_about_as_few_draws_as_can_be():
    """No two laws can be drawn from alike more often than 1 − TV; shared noise does it with (1 − TV) / (1 + TV).

    The bound is five standard deviations above that, odds 3e-7. An inverse cumulative law breaks it: a small change
    moves each of its thousands of boundaries.
    """
    logits = logits_of(7, 100, 4096, 2.0)
    shifted = logits + logits_of(8, 100, 4096, 1e-3)
    spec, positions = SamplingSpec(temperature=1.0), list(range(100))
    apart = (law(logits, spec).exp() - law(shifted, spec).exp()).abs().sum(-1) / 2
    odds = 100 * (2 * apart / (1 + apart)).sum().item()  # of 100 seeds a row
    flips = {"gumbel": 0, "inverse": 0}
    for draw in flips:
        for seed in range(100):
            drawn = spec.model_copy(update={"seed": seed, "draw": draw})
            pairs = zip(pick(logits, drawn, positions).tokens, pick(shifted, drawn, positions).tokens)
            flips[draw] += sum(one != other for one, other in pairs)
    assert flips["gumbel"] <= odds + 5 * odds**0.5 < flips["inverse"]


def test_logits_that_are_not_finite_are_found_out():
    for bad in (torch.nan, torch.inf):
        logits = logits_of(9, 3, 300)
        logits[1, 250] = bad
        with pytest.raises(FloatingPointError):
            pick(logits, SamplingSpec(temperature=1.0), [1, 2, 3])


def test_the_lowest_temperature_is_finite_and_picks_the_argmax():
    """Logits far larger than any model's."""
    logits = logits_of(3, 16, 64, 1e4)
    positions = list(range(16))
    assert pick(logits, SamplingSpec(temperature=MIN_TEMPERATURE), positions) == pick(logits, SamplingSpec(), positions)
