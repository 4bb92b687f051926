"""The target's choice at every verified node: argmax, or one draw keyed by (seed, position).

A draw is the argmax of log p + g, with Gumbel noise g keyed by (seed, position, token), see `gsd.noise`. So a text of
such picks depends on prompt and seed alone: every method and every setting whose rule follows them emits the same text,
as in greedy decoding. As there, two nearly tied tokens can change places if a forward rounds differently.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch
import torch.nn.functional as F

from gsd.drafting.choices import Choices
from gsd.models.base import require_finite
from gsd.noise import BLOCK, Noise, noise_at, uniform
from gsd.spec import SamplingSpec

NUCLEUS_GUESS = 1024  # most probable tokens that nearly always hold the nucleus
BOUNDS = 8  # blocks of tokens that are tried first
SLACK = 1e-9  # of a bound on scores in float64: far more than they round


def law(logits: torch.Tensor, spec: SamplingSpec) -> torch.Tensor:
    """Log-probabilities after temperature, top-k and top-p, in that order, [N, V] float32.

    Ties at a cut-off are kept, so that the law does not depend on an order among equals.
    Temperature 0 gives the unfiltered law at temperature 1, of which the argmax is taken.
    """
    return filtered(logits, spec).log_softmax(-1)


def filtered(logits: torch.Tensor, spec: SamplingSpec) -> torch.Tensor:
    """Logits divided by the temperature, with −∞ for filtered tokens, [N, V] float32."""
    logits = logits.float()
    if spec.temperature == 0.0:
        return logits
    logits = logits / spec.temperature
    if 0 < spec.top_k < logits.shape[-1]:
        cutoff = logits.topk(spec.top_k).values[:, -1:]
        logits = logits.masked_fill(logits < cutoff, -torch.inf)
    if spec.top_p < 1.0:
        logits = logits.masked_fill(logits < _nucleus_cutoff(logits, spec.top_p), -torch.inf)
    return logits


def pick(logits: torch.Tensor, spec: SamplingSpec, positions: list[int], top: int = 0) -> Choices:
    """The target's token for each row of [N, V], and its `top` likeliest; `positions` [N] of the tokens to pick.

    Raises `FloatingPointError` where a row is not finite: NaN goes before every number in argmax.
    """
    return as_choices(logits, picks(logits, spec, positions), top)


def as_choices(logits: torch.Tensor, outcomes: torch.Tensor, top: int = 0) -> Choices:
    """The outcomes [N] on the host, see `pick`."""
    score = logits.gather(-1, outcomes[:, None])[:, 0]
    host = torch.cat([torch.stack([outcomes.double(), score.double()]), *likeliest(logits, top)]).tolist()
    require_finite(host[1])  # that was the one transfer
    return Choices(_whole(host[0]), top=by_node(host[2:]))


def choose(
    logits: torch.Tensor,
    spec: SamplingSpec,
    positions: list[int],
    tokens: list[int],
    parents: list[int],
    top: int = 0,
) -> Choices:
    """The target's picks with their probabilities and those of the drafted tokens, for the trace; see `pick`.

    Raises `FloatingPointError` where a row is not finite.
    """
    picked = picks(logits, spec, positions)
    choices, most = as_choices_in_full(law(logits, spec), picked, tokens, parents, likeliest(logits, top))
    return replace(choices, top=by_node(most))


def as_choices_in_full(
    logp: torch.Tensor, outcomes: torch.Tensor, tokens: list[int], parents: list[int], more: Sequence[torch.Tensor]
) -> tuple[Choices, list[list[float]]]:
    """The outcomes [N] with their log p and that of the drafted tokens, by `logp` [N, V]; and `more`, [R, N] each.

    Raises `FloatingPointError` where the outcome's is not finite.
    """
    rows = torch.tensor([max(parent, 0) for parent in parents], device=logp.device)
    drafted = torch.tensor(tokens, device=logp.device)
    node_logp = logp[rows, drafted]
    outcome_logp = logp.gather(-1, outcomes[:, None])[:, 0]
    rows_to_host = torch.stack([outcomes.double(), outcome_logp.double(), node_logp.double()])
    host = torch.cat([rows_to_host, *more]).tolist()  # the one transfer
    require_finite(host[1])
    return Choices(_whole(host[0]), host[1], [0.0, *host[2][1:]]), host[3:]


def likeliest(logits: torch.Tensor, top: int) -> list[torch.Tensor]:
    """The `top` likeliest tokens of each row, [N, V] -> [K, N]; nothing where none is asked for."""
    return [logits.topk(min(top, logits.shape[-1])).indices.T.double()] if top else []


def _whole(numbers: list[float]) -> list[int]:
    return [int(number) for number in numbers]


def by_node(rows: list[list[float]]) -> list[list[int]]:
    """[K][N] -> [N][K]."""
    return [_whole(list(node)) for node in zip(*rows)]


def picks(logits: torch.Tensor, spec: SamplingSpec, positions: list[int]) -> torch.Tensor:
    """Argmax of the logits, the first of equals, or a draw from their law; [N, V] -> [N].

    By `max`, as torch's `argmax` takes five times as long on a CPU: 4 ms for 16 rows of a vocabulary of 152,000.
    """
    if spec.temperature == 0.0:
        return logits.max(-1).indices
    if spec.draw == "inverse":
        return _inverse_draw(filtered(logits, spec), spec.seed, positions)
    if 0 < spec.top_k < logits.shape[-1] or spec.top_p < 1.0:
        return drawn(filtered(logits, spec), spec.seed, positions)
    return drawn(logits, spec.seed, positions, spec.temperature)  # divided where it is looked at: the same numbers


def drawn(logits: torch.Tensor, seed: int, positions: list[int], temperature: float = 1.0) -> torch.Tensor:
    """One draw from the law of each row, with the noise of the target's own picks there, [N, V] -> [N]."""
    distinct = sorted(set(positions))
    noise = noise_at(seed, distinct, logits.shape[-1], logits.device)
    return gumbel_draw(logits, noise, [distinct.index(position) for position in positions], temperature)


def gumbel_draw(logits: torch.Tensor, noise: Noise, rows: list[int], temperature: float = 1.0) -> torch.Tensor:
    """The argmax of logits / temperature + Gumbel noise, in float64, the first of equals, [N, V] -> [N].

    `rows` [N] says which position of `noise` each row of logits is for. Few tokens need noise of their own, and yet
    the argmax is that over all of them: no token gets more noise than its block has at most, so whatever with that
    much stays below what some token really comes to cannot win. Tried are the token of the best score, which wins
    where a law is peaked, and those with most noise, one of which wins where it is flat. Asks the host three times.
    Raises `FloatingPointError` where a row holds NaN or +∞, or nothing but −∞.
    """
    count, vocabulary = logits.shape
    of_row = torch.tensor(rows, device=logits.device)
    if vocabulary % BLOCK:
        logits = F.pad(logits, (0, -vocabulary % BLOCK), value=-torch.inf)
    blocks = logits.view(count, -1, BLOCK)  # [N, blocks, BLOCK]
    most = noise.most[of_row]  # [N, blocks]
    top = blocks.amax(-1)
    best = top.argmax(-1)
    best = best * BLOCK + blocks[torch.arange(count, device=logits.device), best].argmax(-1)
    bound = top.float() / temperature + most
    highest = bound.topk(min(BOUNDS, bound.shape[-1])).indices  # [N, K] blocks, whose tokens of most noise are tried
    tried = torch.cat([best[:, None], highest * BLOCK + noise.place[of_row].gather(-1, highest)], -1)
    floor = logits.gather(-1, tried).float() / temperature + noise.gumbel(of_row[:, None], tried)
    floor = floor.amax(-1)
    require_finite(floor.tolist())
    floor = floor[:, None] - SLACK
    row, block = (bound >= floor).nonzero(as_tuple=True)
    likely = blocks[row, block].float() / temperature + most[row, block][:, None] >= floor[row]
    pair, inside = likely.nonzero(as_tuple=True)
    row, token = row[pair], block[pair] * BLOCK + inside
    value = logits[row, token].float() / temperature + noise.gumbel(of_row[row], token)
    highest = torch.full((count,), -torch.inf, dtype=value.dtype, device=value.device)
    won = value == highest.scatter_reduce(0, row, value, "amax")[row]
    return torch.full((count,), vocabulary, device=value.device).scatter_reduce(0, row[won], token[won], "amin")


def _inverse_draw(scores: torch.Tensor, seed: int, positions: list[int]) -> torch.Tensor:
    """Draw as traces of schema 1 did: invert the cumulative law in token order, with one number per position.

    Kept to decode those again. Each of the V boundaries of a running sum can be a near tie.
    """
    cumulative = scores.log_softmax(-1).double().exp().cumsum(-1)
    points = [uniform(seed, position) for position in positions]
    scaled = torch.tensor(points, dtype=torch.float64, device=scores.device)[:, None] * cumulative[:, -1:]
    return torch.searchsorted(cumulative, scaled, right=True)[:, 0].clamp_(max=scores.shape[-1] - 1)


def _nucleus_cutoff(logits: torch.Tensor, top_p: float) -> torch.Tensor:
    """The smallest logit of the smallest set of tokens that holds `top_p`, [N, 1]; asks the host, as a rule once."""
    total = logits.logsumexp(-1, keepdim=True)
    for count in (min(NUCLEUS_GUESS, logits.shape[-1]), logits.shape[-1]):
        values = logits.topk(count).values
        cumulative = (values - total).exp().cumsum(-1)
        if bool((cumulative[:, -1] >= top_p).all()):
            break
    inside = (cumulative < top_p).sum(-1, keepdim=True).clamp_(max=values.shape[-1] - 1)
    return values.gather(-1, inside)
