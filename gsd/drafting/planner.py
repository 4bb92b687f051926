"""The planner of method `auto`: it learns costs, rate and acceptance from the rounds themselves. No torch.

A draft level or a verified node is worth its time if the tokens that it is expected to bring, divided by its cost,
beat the present rate of text. With `worth` tokens gained and `ms` spent, the planner maximises `worth - rate · ms`. The
best rate is the one that this rule itself attains (Dinkelbach's method for ratios). So it is the rate of the last
rounds, without those that found most of their tokens in the text.

Rate and costs are both measured in present milliseconds. If a shared machine slows down, both change alike for the
sizes that recur.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from time import perf_counter

import numpy as np

LARGEST = 129  # tokens of the largest forward that is planned: 128 nodes and the root
KEPT = 8  # timings of one size that its median is taken of
REMEMBERED = 256  # forwards whose timings count
WINDOW = 24  # rounds that the rate is taken of
HELD = 4  # rounds that a plan holds for, once it is made of so many
SHORTEST_PAUSE, LONGEST_PAUSE = 8, 64  # rounds without a draft, before it is tried again
FORESEEN = 4  # tokens of a chain that is not drafted yet
SURE = 0.95  # how often it is the first of the draft's choices, where one of them comes true
FEWEST = 8  # nodes, at least, that a node's price is taken of: among fewer it is a matter of a kernel's steps
PRICED_FIRST, NODE_PRICED_FIRST = 0.3, 0.03  # tokens that a draft forward, and a node, cost while no rate is known
GROWTH = 0.02  # of a one-token forward's time, what a further token adds, where nothing is measured

_SIZES = np.arange(LARGEST + 1)
_GUESS = 1.0 + GROWTH * _SIZES


class LiveCurve:
    """Milliseconds of a forward by its number of tokens, learned from the forwards made, engine time included.

    Each size stands for the (lower) median of its last timings; between sizes a straight line, beyond them the
    first guess's slope. A larger forward is never taken to be cheaper: what a hiccup made dear is corrected by the
    next larger size. What corrects itself in no other way is left out: a size that was timed but once, where
    others were more often (it may have been a hiccup, after which nothing so large would be tried again), and what
    was timed before the last `REMEMBERED` forwards (the machine may have been faster or slower).
    """

    def __init__(self) -> None:
        self._forwards = 0
        self._timings: dict[int, deque[tuple[int, float]]] = {}  # tokens -> number of the forward, milliseconds
        self._table: np.ndarray | None = None

    def observe(self, tokens: int, ms: float) -> None:
        """One forward of `tokens` tokens took `ms`."""
        if tokens <= LARGEST:
            self._forwards += 1
            self._timings.setdefault(tokens, deque(maxlen=KEPT)).append((self._forwards, ms))
            self._table = None

    def table(self) -> np.ndarray:
        """[LARGEST + 1] milliseconds by number of tokens; all 0 where nothing was observed."""
        if self._table is None:
            self._table = self._estimates()
        return self._table

    def _estimates(self) -> np.ndarray:
        if not self._timings:
            return np.zeros(LARGEST + 1)
        since = self._forwards - REMEMBERED
        timings = {size: sorted(ms for number, ms in last if number > since) for size, last in self._timings.items()}
        recurring = [size for size, ms in timings.items() if len(ms) > 1]
        sizes = sorted(recurring or (size for size, ms in timings.items() if ms))
        middle = [timings[size][(len(timings[size]) - 1) // 2] for size in sizes]
        medians = np.minimum.accumulate(middle[::-1])[::-1]
        table = np.interp(_SIZES, sizes, medians)
        # Outside what is measured: the first guess's shape, scaled to the nearest measured size.
        low, high = sizes[0], sizes[-1]
        table[:low] = medians[0] / _GUESS[low] * _GUESS[:low]
        table[high:] = medians[-1] / _GUESS[high] * _GUESS[high:]
        table[0] = 0.0
        return table


class Acceptance:
    """The share of drafted tokens that the target picks, by their q, given that their parent was reached.

    q itself, corrected by what was seen among its like: bins of the logit of q, each with the mean
    difference of outcome and q. A bin without outcomes corrects nothing.
    """

    BINS = 12
    PRIOR = 12.0  # outcomes that q itself is worth
    MOST = 100.0  # outcomes of a bin that are remembered; then the old ones count half: texts differ

    def __init__(self) -> None:
        self._count = [0.0] * self.BINS
        self._surplus = [0.0] * self.BINS  # outcomes minus q, summed

    def estimate(self, q: float) -> float:
        """Probability that the target picks a token of probability `q`."""
        place = self._bin(q)
        corrected = q + self._surplus[place] / (self._count[place] + self.PRIOR)
        return min(max(corrected, 1e-4), 0.9999)

    def learn(self, q: float, picked: bool) -> None:
        """The target picked, or did not pick, a token of probability `q`."""
        place = self._bin(q)
        if self._count[place] >= self.MOST:
            self._count[place] /= 2
            self._surplus[place] /= 2
        self._count[place] += 1
        self._surplus[place] += picked - q

    def _bin(self, q: float) -> int:
        q = min(max(q, 1e-6), 1 - 1e-6)
        return min(max(int(math.log(q / (1 - q)) + self.BINS / 2), 0), self.BINS - 1)


class Trust:
    """The share of looked-up tokens that the target picks, by the length of the match before them.

    A token in the middle of a continuation stands behind a match that is longer by the tokens before it.
    """

    PRIOR = (0.1, 0.2, 0.4, 0.55, 0.65, 0.75, 0.8, 0.85, 0.9)  # by length, before anything was seen
    WEIGHT = 6.0  # outcomes that it is worth
    MOST = 200.0

    def __init__(self) -> None:
        self._hits = [self.WEIGHT * share for share in self.PRIOR]
        self._count = [self.WEIGHT] * len(self.PRIOR)

    def estimate(self, matched: int) -> float:
        """Probability that the target picks the token behind a match of that length."""
        place = min(matched, len(self.PRIOR) - 1)
        return self._hits[place] / self._count[place]

    def learn(self, matched: int, picked: bool) -> None:
        """The target picked, or did not pick, the token behind a match of that length."""
        place = min(matched, len(self.PRIOR) - 1)
        if self._count[place] > self.MOST:
            self._hits[place] /= 2
            self._count[place] /= 2
        self._hits[place] += picked
        self._count[place] += 1


@dataclass(frozen=True, slots=True)
class Round:
    """Tokens and milliseconds of one round."""

    tokens: int
    nodes: int  # verified, the root among them
    drafted: list[int]  # sizes of the draft's forwards
    found: bool  # whether most of the tokens were looked up alone


class Planner:
    """Costs of draft and target, the rate, and how often drafted tokens are accepted. Kept for each loaded pair.

    Costs are learned from the forwards made, unless curves are given.
    """

    def __init__(self, draft: LiveCurve | None = None, target: LiveCurve | None = None) -> None:
        self.drafted = Acceptance()
        self.confirmed = Acceptance()  # of looked-up tokens, once the draft was asked
        self.found = {"lookup": Trust(), "history": Trust()}
        self.hit = 0.8  # how often the target's token is among the children of a node that was expanded and reached
        self._draft, self._target = draft or LiveCurve(), target or LiveCurve()
        self._rounds: deque[Round] = deque(maxlen=WINDOW)
        self._number = 0  # rounds begun
        self._sizes: list[int] = []  # of the present round's drafting, and its times
        self._began = self._draft_began = self._drafting_ms = 0.0
        self._idle, self._patience = 0, SHORTEST_PAUSE
        self._plan()

    def begin(self) -> None:
        """Begin a round. It is planned with what is known now, or was known a few rounds ago."""
        if len(self._rounds) < WINDOW or self._number % HELD == 0:
            self._plan()
        self._number += 1
        self._began, self._drafting_ms, self._sizes = perf_counter(), 0.0, []

    def _plan(self) -> None:
        """The rate, and the prices at that rate: in tokens, for the time that a forward or a further node takes."""
        rate, target = self.rate, self._target.table()
        longer = target[2:] - target[1]  # by nodes behind the root, from 1
        self._verifying = rate * longer if rate else NODE_PRICED_FIRST * _SIZES[1:-1]
        self._node_price = float(self._verifying[self._usual - 1]) / self._usual
        self._drafting = (rate * self._draft.table()).tolist() if rate else [PRICED_FIRST] * (LARGEST + 1)

    def end(self, nodes: int, tokens: int, *, found: bool) -> None:
        """End a round that verified so many nodes, the root included, and committed so many tokens.

        `found`: most of them were looked up alone. What is found costs next to nothing, and says nothing of what the
        tokens take that come when nothing is found any more: such rounds count for the rate where there are no others.
        """
        self._rounds.append(Round(tokens, nodes, self._sizes, found))
        self._target.observe(nodes, (perf_counter() - self._began) * 1e3 - self._drafting_ms)

    def begin_forward(self) -> None:
        """Begin a draft forward, with the engine's work around it."""
        self._draft_began = perf_counter()

    def end_forward(self, tokens: int) -> None:
        """End a draft forward of so many tokens."""
        ms = (perf_counter() - self._draft_began) * 1e3
        self._draft.observe(tokens, ms)
        self._drafting_ms += ms
        self._sizes.append(tokens)

    def learn_hit(self, hit: bool) -> None:
        """Whether the target's token was among the children of a reached and expanded node."""
        self.hit += 0.05 * (hit - self.hit)

    @property
    def overdue(self) -> bool:
        """Whether nothing was drafted for so long that it is time to see if that has changed."""
        return self._idle >= self._patience

    def drafted_as_planned(self) -> None:
        """The round drafted because it was likely to pay."""
        self._idle, self._patience = 0, SHORTEST_PAUSE

    def idle(self) -> None:
        """The round drafted nothing, as nothing was likely to pay."""
        self._idle += 1

    def tried(self, accepted: bool) -> None:
        """The round drafted only as that was overdue: where it succeeded it is tried again at once, else later."""
        self._idle, self._patience = 0, 1 if accepted else min(2 * self._patience, LONGEST_PAUSE)

    @property
    def _usual(self) -> int:
        """Nodes behind the root that the last rounds verified, in the mean: sizes whose times are well known."""
        return max(sum(one.nodes - 1 for one in self._rounds) // max(len(self._rounds), 1), FEWEST)

    @property
    def rate(self) -> float:
        """Tokens per ms where nothing is found, at what forwards take now, and no less than plain decoding has.

        0 at first.
        """
        rounds = [one for one in self._rounds if not one.found] or self._rounds
        if not rounds:
            return 0.0
        target, draft = self._target.table().tolist(), self._draft.table().tolist()
        ms = sum(target[one.nodes] + sum(draft[size] for size in one.drafted) for one in rounds)
        return max(sum(one.tokens for one in rounds) / ms, 1 / target[1])

    def worth_expanding(self, gains: Sequence[float]) -> int:
        """How many of the nodes to expand in one draft forward. 0: stop drafting.

        `gains`: the tokens that the children of each node are expected to bring, in the order to take them.
        """
        best, most, total = 0, 0.0, 0.0
        for count, gain in enumerate(gains, 1):
            total += gain - self._node_price
            value = total - self._drafting[count]
            if value > most:
                best, most = count, value
        return best

    def beyond(self, reach: float) -> float:
        """Tokens, less their price, of the chain that the draft may go on with behind the child of a node."""
        price, hit = self._drafting[1] + self._node_price, SURE * self.hit
        tokens, reached = 0.0, reach * hit * hit
        for _ in range(FORESEEN):
            tokens += max(reached - price, 0.0)
            reached *= hit
        return tokens

    def worth_verifying(self, logp: Sequence[float]) -> int:
        """How many of the flat nodes to verify; `logp`: log-probabilities that the walk reaches them, falling."""
        count = min(len(logp), LARGEST - 1)
        if not count:
            return 0
        value = np.exp(np.asarray(logp[:count])).cumsum() - self._verifying[:count]
        best = int(value.argmax())
        return best + 1 if value[best] > 0 else 0
