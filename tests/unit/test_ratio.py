"""The rule of ratios, by exact enumeration: every list of draws with its probability, and u integrated out.

A draw is accepted with probability min(1, P / Q), whatever comes behind it. So with u just below 1, where only a sure
draw passes, one call of the rule gives P and Q of every draw that can come to be tested, and what is left behind them.
"""

from dataclasses import replace
from itertools import product

import pytest
import torch

from gsd.drafting.choices import ACCEPTED, REJECTED, UNTESTED
from gsd.drafting.tree import Draws, FlatTree
from gsd.noise import noise_at, uniform
from gsd.spec import SamplingSpec
from gsd.verifying import ratio
from gsd.verifying.match import Match
from gsd.verifying.ratio import Ratio, recursive_rejection
from gsd.verifying.sampling import law

P, Q = [0.5, 0.3, 0.2], [0.2, 0.5, 0.3]
A, B, C = range(3)
SURE = 1 - 2.0**-53  # the largest u
SAMPLED = SamplingSpec(temperature=0.7, top_k=4, seed=5)


def lists_of_draws(q, count, *, replacement):
    """Every list of `count` draws, fewer where the law holds no more, with its probability."""
    found = {(): 1.0}
    for _ in range(count):
        longer = {}
        for drawn, share in found.items():
            left = [0.0 if token in drawn and not replacement else own for token, own in enumerate(q)]
            if sum(left) == 0.0:
                longer[drawn] = share
            for token, own in enumerate(left):
                if own:
                    longer[(*drawn, token)] = share * own / sum(left)
        found = longer
    return found


def decided(p, q, drawn, u=SURE, *, replacement=False):
    """The rule on lists of draws behind nodes of one law each."""
    rows = len(drawn)
    return recursive_rejection(
        torch.tensor([p] * rows, dtype=torch.float64),
        torch.tensor([q] * rows, dtype=torch.float64).log(),
        [list(one) for one in drawn],
        [[u] * len(one) if isinstance(u, float) else list(u) for one in drawn],
        replacement=replacement,
    )


def emitted(p, q, count, *, replacement=False, kept=lambda token: True):
    """The law of the outcome [V], and how probable it is that a draw is accepted. `kept`: which draws are tested."""
    lists = lists_of_draws(q, count, replacement=replacement)
    drawn = [[token for token in one if kept(token)] for one in lists]
    found = decided(p, q, drawn, replacement=replacement)
    law, accepted = torch.zeros(len(p), dtype=torch.float64), 0.0
    for row, (one, share) in enumerate(zip(drawn, lists.values())):
        for rank, token in enumerate(one):
            own_p, own_q = float(found.p[row, rank]), float(found.q[row, rank])
            if own_p != own_p:
                break  # behind a draw that was sure to pass
            passes = share * min(1.0, own_p / own_q)
            law[token] += passes
            accepted += passes
            share -= passes
        law += share * found.left[row] if found.accepted[row] < 0 else 0.0
    return law, accepted


@pytest.mark.parametrize(("count", "replacement", "share"), [(1, False, 0.70), (2, False, 0.8086), (2, True, 0.76)])
def test_the_example(count, replacement, share):
    """p = (.5, .3, .2), q = (.2, .5, .3): how often a draw is accepted."""
    law, accepted = emitted(P, Q, count, replacement=replacement)
    assert accepted == pytest.approx(share, abs=5e-5)
    assert law.tolist() == pytest.approx(P, abs=1e-12)


def test_draws_of_the_example_one_by_one():
    """Draws (b, a): b passes with .6; else P = (1, 0, 0) and Q = (.4, 0, .6), and a passes."""
    assert decided(P, Q, [[B, A]], [0.59, SURE]).accepted.tolist() == [B]
    found = decided(P, Q, [[B, A]], [0.61, SURE])
    assert found.accepted.tolist() == [A]
    assert found.p[0].tolist() == pytest.approx([0.3, 1.0]) and found.q[0].tolist() == pytest.approx([0.5, 0.4])
    only = decided(P, Q, [[B]], [0.61])
    assert only.accepted.tolist() == [-1] and only.left[0].tolist() == pytest.approx([1.0, 0.0, 0.0])


def pairs_of_laws():
    """Laws that agree in part, that share no token, that are equal, and that hold few tokens."""
    generator = torch.Generator().manual_seed(1)
    for size in (2, 3, 4, 5):
        for _ in range(6):
            p, q = torch.randn(2, size, generator=generator, dtype=torch.float64).mul(2).softmax(-1).tolist()
            yield p, q
    yield [0.5, 0.5, 0.0, 0.0], [0.0, 0.0, 0.25, 0.75]
    yield [1.0, 0.0, 0.0], [0.0, 1.0, 0.0]
    yield [0.25, 0.25, 0.5], [0.25, 0.25, 0.5]
    yield [0.2, 0.0, 0.8], [0.6, 0.4, 0.0]
    yield [0.5, 0.5 - 1e-12, 1e-12], [1e-12, 1e-9, 1 - 1e-9 - 1e-12]


@pytest.mark.parametrize("replacement", [False, True])
@pytest.mark.parametrize("count", [1, 2, 3, 5])
def test_the_outcome_has_exactly_the_target_s_law(count, replacement):
    for p, q in pairs_of_laws():
        law, _ = emitted(p, q, count, replacement=replacement)
        assert law.tolist() == pytest.approx(p, abs=1e-9), (p, q)


def test_the_plain_rule_is_off_by_nothing():
    assert off() < 1e-9


def test_a_residual_that_is_taken_twice_is_noticed(monkeypatch):
    once = ratio.residual
    monkeypatch.setattr(ratio, "residual", lambda p, q: once(once(p, q), q))
    assert off() > 0.01


def test_a_law_that_is_not_normalised_again_is_noticed(monkeypatch):
    monkeypatch.setattr(ratio, "law_left", lambda scores: scores.exp())
    assert off() > 0.01


def test_a_draw_that_is_dropped_by_a_threshold_is_noticed():
    assert off(threshold=0.25) > 0.01


def off(threshold=0.0):
    """The greatest distance (total variation) of three draws' outcome from the target's law."""
    found = []
    for p, q in pairs_of_laws():
        law, _ = emitted(p, q, 3, kept=lambda token, q=q: q[token] >= threshold)
        found.append(0.5 * float((law - torch.tensor(p, dtype=torch.float64)).abs().sum()))
    return max(found)


def test_a_token_that_the_target_cannot_give_never_passes():
    """Not even where u is 0: the test is strict."""
    found = decided([0.0, 0.4, 0.6], Q, [[A, B]], [0.0, 0.0])
    assert found.accepted.tolist() == [-1] and found.left.tolist() == [[0.0, 0.0, 1.0]]


def test_where_rounding_leaves_nothing_p_stays():
    found = decided(P, P, [[A]], [0.5])
    assert found.accepted.tolist() == [A]
    assert ratio.residual(torch.tensor([P]), torch.tensor([P])).tolist() == [pytest.approx(P)]


def test_a_law_so_peaked_that_the_rest_is_nothing_beside_it_is_renormalised():
    """Of logits 5,000 apart the second law is not 0 / 0."""
    scores = torch.tensor([[0.0, -5000.0, -5001.0]], dtype=torch.float64)
    p = torch.tensor([[0.0, 0.5, 0.5]], dtype=torch.float64)
    found = recursive_rejection(p, scores, [[A, B]], [[0.0, SURE]], replacement=False)
    assert found.q[0].tolist() == pytest.approx([1.0, 0.7310586])


# The whole rule, on a tree.

TOKENS = 7


def tree_of(draws: list[list[int]], seed: int, vocabulary: int = TOKENS, *, replacement: bool = False):
    """A root with children, the first of which has children, too: both with laws of their own; and logits [N, V]."""
    generator = torch.Generator().manual_seed(seed)
    first, second = (list(dict.fromkeys(row)) for row in draws)
    tokens = [0, *first, *second]
    parents = [-1, *[0] * len(first), *[1] * len(second)]
    depths = [0, *[1] * len(first), *[2] * len(second)]
    flat = list(range(len(tokens)))
    scores = torch.randn(2, vocabulary, generator=generator)
    drawn = Draws([0, 1], draws, scores, replacement)
    tree = FlatTree(tokens, parents, depths, flat, [False] * len(flat), [0.0] * len(flat), drawn)
    return tree, 2 * torch.randn(len(flat), TOKENS, generator=generator)


@pytest.mark.parametrize("detail", [False, True])
def test_the_rule_is_its_plain_twin(detail):
    """Node by node and draw by draw in plain Python, with the same numbers, one draft of a smaller vocabulary."""
    outcomes = set()
    for seed in range(300):
        replacement, vocabulary = seed % 3 == 0, TOKENS - seed % 2
        draws = [[3, 1, 3], [2, 4]] if replacement else [[3, 1, 5], [2, 4]]
        tree, logits = tree_of(draws, seed, vocabulary, replacement=replacement)
        sampling = SAMPLED.model_copy(update={"seed": seed})
        positions = [9 + depth for depth in tree.depths]
        choices = Ratio().reduce(logits, sampling, positions, tree, detail=detail)
        plain = [plain_outcome(tree, logits, sampling, positions, node) for node in range(len(tree))]
        assert choices.tokens == [token for token, _ in plain]
        verdicts = [verdict for node in (0, 1) for verdict in plain[node][1]]
        assert [test.verdict for test in choices.tests] == (verdicts if detail else [])
        outcomes.update(tuple(made) for _, made in plain)
    assert {(ACCEPTED, UNTESTED), (REJECTED, ACCEPTED), (REJECTED, REJECTED)} <= outcomes


def plain_outcome(tree, logits, sampling, positions, node):
    """The outcome of one node, and what became of its draws."""
    p = law(logits, sampling)[node].double().exp().tolist()
    made: list[str] = []
    if node in tree.draws.nodes:
        row = tree.draws.nodes.index(node)
        left = tree.draws.scores[row].double().exp().tolist() + [0.0] * (TOKENS - tree.draws.scores.shape[-1])
        for rank, token in enumerate(tree.draws.tokens[row]):
            q = [own / sum(left) for own in left]
            if uniform(sampling.seed, positions[node], f"accept:{rank}") < p[token] / q[token]:
                untested = len(tree.draws.tokens[row]) - rank - 1
                return token, [*made, ACCEPTED, *[UNTESTED] * untested]
            made.append(REJECTED)
            more = [max(a - b, 0.0) for a, b in zip(p, q)]
            p = [own / sum(more) for own in more] if sum(more) else p
            if not tree.draws.replacement:
                left[token] = 0.0
    noise, tokens = noise_at(sampling.seed, [positions[node]], TOKENS), torch.arange(TOKENS)
    scores = torch.tensor(p, dtype=torch.float64).log() + noise.gumbel(torch.zeros_like(tokens), tokens)
    return int(scores.argmax()), made


def test_what_the_trace_holds_of_a_draw():
    """Of the example's numbers: the second draw is tested against what the first one's rejection left."""
    tree, _ = tree_of([[B, A], [A]], 0, 3)
    tree = replace(tree, draws=replace(tree.draws, scores=torch.tensor([Q, Q]).log()))
    logits = torch.tensor([P] * len(tree)).log()
    seed = next(seed for seed in range(99) if uniform(seed, 1, "accept:0") > 0.6)
    sampling = SamplingSpec(temperature=1.0, seed=seed)
    choices = Ratio().reduce(logits, sampling, [1 + depth for depth in tree.depths], tree, detail=True)
    first, second, other = choices.tests
    assert (first.node, first.rank, first.token, first.verdict) == (0, 0, B, REJECTED)
    assert (first.p, first.q) == (pytest.approx(0.3), pytest.approx(0.5)) and first.u > 0.6
    assert (second.rank, second.token, second.verdict, second.p) == (1, A, ACCEPTED, pytest.approx(1.0))
    assert second.q == pytest.approx(0.4)
    assert other.node == 1 and choices.tokens[0] == A
    assert choices.logp[0] == pytest.approx(torch.tensor(0.5).log())  # the target's own p of the outcome


def test_without_draws_it_is_the_rule_of_match():
    """Behind a node of which nothing was drawn, and at temperature 0."""
    tree, logits = tree_of([[3, 1], [2]], 4)
    bare, positions = replace(tree, draws=None), list(tree.depths)
    for sampling, one in ((SAMPLED, bare), (SamplingSpec(), tree)):
        for detail in (False, True):
            same = [rule.reduce(logits, sampling, positions, one, detail=detail, top=2) for rule in (Ratio(), Match())]
            assert same[0] == same[1]
    leaves = [node for node in range(len(tree)) if node not in tree.draws.nodes]
    drawn, picked = (rule.reduce(logits, SAMPLED, positions, tree, detail=True, top=2) for rule in (Ratio(), Match()))
    assert [drawn.tokens[node] for node in leaves] == [picked.tokens[node] for node in leaves]
    assert drawn.top == picked.top and drawn.node_logp == picked.node_logp


def test_logits_that_are_not_finite_are_refused():
    for bad, detail in product((torch.nan, torch.inf), (False, True)):
        tree, logits = tree_of([[3, 1], [2]], 0)
        logits[1, 2] = bad
        with pytest.raises(FloatingPointError):
            Ratio().reduce(logits, SAMPLED, list(tree.depths), tree, detail=detail)
