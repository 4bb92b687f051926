"""The rule that compares laws: draws of the draft are accepted by p / q, one after another at each node.

With draws x of a law Q at a node whose outcome is to have the law P: accept x with probability min(1, P[x] / Q[x]); on
rejection go on with P ← norm((P − Q)₊) and, without replacement, with Q ← norm(Q without x). When no draw is left, draw
from P. One draw of Q so tested gives the law P, as min(P, Q) comes of acceptance and (P − Q)₊ of rejection; after a
rejection the same holds of the pair that is left, however it came about. So the outcome has the target's law whatever
the draft is, provided that Q is the very law that was drawn from and that no draw is left out once it was seen.
Leviathan et al., 2211.17192; Miao et al., 2305.09781; Yang et al., 2401.06706.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F

from gsd.drafting.choices import ACCEPTED, REJECTED, UNTESTED, Choices, DrawTest
from gsd.drafting.tree import Draws, FlatTree
from gsd.noise import uniform
from gsd.spec import Keeps, SamplingSpec
from gsd.verifying.base import Verdict
from gsd.verifying.match import Match, walk
from gsd.verifying.sampling import as_choices, as_choices_in_full, by_node, drawn, filtered, likeliest

STREAM = "accept"  # of the uniform numbers
Numbers = Sequence[Sequence[float]]


@dataclass(frozen=True, slots=True)
class Tested:
    """What testing draws of F nodes, K each at most, came to.

    `accepted` [F] the accepted token, -1 where none was. `left` [F, V] the law of the outcome where none was. `p`, `q`
    [F, K] both laws of each draw when it was tested, NaN where it was not.
    """

    accepted: torch.Tensor
    left: torch.Tensor
    p: torch.Tensor
    q: torch.Tensor


class Ratio:
    """A node's outcome is an accepted draw, or drawn from what the rejected ones leave of the target's law.

    Where nothing was drawn that is the target's own pick, and so it is everywhere at temperature 0.
    """

    keeps = Keeps.LAW

    def reduce(
        self,
        logits: torch.Tensor,
        sampling: SamplingSpec,
        positions: list[int],
        tree: FlatTree,
        *,
        detail: bool,
        top: int = 0,
    ) -> Choices:
        """All nodes at once, see `recursive_rejection`; in float64, as differences of laws lose digits."""
        draws = tree.draws
        if draws is None or not sampling.temperature:
            return Match().reduce(logits, sampling, positions, tree, detail=detail, top=top)
        scores = filtered(logits, sampling)  # [N, V]
        rows = torch.tensor(draws.nodes, device=logits.device)
        unknown = logits.shape[-1] - draws.scores.shape[-1]  # tokens that the draft does not know: q = 0
        q_scores = F.pad(draws.scores.to(logits.device).double(), (0, unknown), value=-torch.inf)
        u = uniforms(sampling.seed, [positions[node] for node in draws.nodes], draws.tokens)
        p = scores[rows].double().softmax(-1)
        tested = recursive_rejection(p, q_scores, draws.tokens, u, replacement=draws.replacement)
        left = scores.index_copy(0, rows, tested.left.log().float())
        outcomes = drawn(left, sampling.seed, positions)
        outcomes = outcomes.index_copy(0, rows, torch.where(tested.accepted < 0, outcomes[rows], tested.accepted))
        if not detail:
            return as_choices(logits, outcomes, top)
        most, told = likeliest(logits, top), [_by_rank(part, rows, len(tree)) for part in (tested.p, tested.q)]
        logp = scores.log_softmax(-1)
        choices, host = as_choices_in_full(logp, outcomes, tree.tokens, tree.parents, [*most, *told])
        ranks = tested.p.shape[-1]
        host_p, host_q = (list(zip(*part)) for part in (host[-2 * ranks : -ranks], host[-ranks:]))  # [N][K] each
        return replace(choices, top=by_node(host[: -2 * ranks]), tests=_tests(draws, u, host_p, host_q))

    def verdict(self, tree: FlatTree, choices: Choices) -> Verdict:
        """The walk along the outcomes."""
        return Verdict((walk(tree, choices.tokens),))


def recursive_rejection(
    p: torch.Tensor, q_scores: torch.Tensor, tokens: list[list[int]], u: list[list[float]], *, replacement: bool
) -> Tested:
    """Test the draws of F nodes, rank by rank: `p` [F, V] the target's laws, `q_scores` [F, V] logits of the draft's.

    `tokens` [F][K] in draw order, and for each a number of [0, 1) in `u`; both float64 on the device of `p`. A token
    that the target cannot give never passes, whatever u. Where rounding leaves nothing of P - Q, P stays as it is.
    """
    ranks = max(map(len, tokens))
    candidates = torch.tensor([row + [0] * (ranks - len(row)) for row in tokens], device=p.device)
    there = torch.tensor([[rank < len(row) for rank in range(ranks)] for row in tokens], device=p.device)
    numbers = torch.tensor([row + [0.0] * (ranks - len(row)) for row in u], dtype=p.dtype, device=p.device)
    accepted = torch.full((len(p),), -1, device=p.device)
    found_p, found_q = [], []
    for rank in range(ranks):
        token = candidates[:, rank : rank + 1]
        q = law_left(q_scores)
        asked = there[:, rank] & (accepted < 0)
        own_p, own_q = p.gather(-1, token)[:, 0], q.gather(-1, token)[:, 0]
        passes = asked & (numbers[:, rank] * own_q < own_p)
        rejected = (asked & ~passes)[:, None]
        accepted = torch.where(passes, token[:, 0], accepted)
        found_p.append(own_p.masked_fill(~asked, torch.nan))
        found_q.append(own_q.masked_fill(~asked, torch.nan))
        p = torch.where(rejected, residual(p, q), p)
        if not replacement:
            q_scores = q_scores.scatter(-1, token, q_scores.gather(-1, token).masked_fill(rejected, -torch.inf))
    return Tested(accepted, p, torch.stack(found_p, -1), torch.stack(found_q, -1))


def law_left(scores: torch.Tensor) -> torch.Tensor:
    """The law of the next draw, [F, V]: the softmax of logits, -∞ where a token is gone."""
    return scores.softmax(-1)


def residual(p: torch.Tensor, q: torch.Tensor) -> torch.Tensor:
    """norm((P − Q)₊), [F, V]; P where nothing is left of it."""
    more = (p - q).clamp_min(0.0)
    total = more.sum(-1, keepdim=True)
    return torch.where(total > 0.0, more / total, p)


def uniforms(seed: int, positions: list[int], tokens: list[list[int]]) -> list[list[float]]:
    """A number of [0, 1) for each draw, by the position of its node's outcome and its rank: [F][K]."""
    return [
        [uniform(seed, position, f"{STREAM}:{rank}") for rank in range(len(row))]
        for position, row in zip(positions, tokens, strict=True)
    ]


def _by_rank(part: torch.Tensor, rows: torch.Tensor, nodes: int) -> torch.Tensor:
    """[F, K] -> [K, N], to go to the host with numbers of all nodes."""
    return part.new_full((nodes, part.shape[-1]), torch.nan).index_copy(0, rows, part).T


def _tests(draws: Draws, u: list[list[float]], p: Numbers, q: Numbers) -> list[DrawTest]:
    """`p` and `q` [N][K] as on the host; NaN: not tested."""
    made = []
    for node, tokens, numbers in zip(draws.nodes, draws.tokens, u, strict=True):
        for rank, (token, number) in enumerate(zip(tokens, numbers)):
            own_p, own_q = p[node][rank], q[node][rank]
            if math.isnan(own_p):
                made.append(DrawTest(node, rank, token, None, None, None, UNTESTED))
                continue
            verdict = ACCEPTED if number * own_q < own_p else REJECTED
            made.append(DrawTest(node, rank, token, number, own_p, own_q, verdict))
    return made
