"""Drafts from all that followed the end of the text before: a suffix automaton with counts.

Where `Lookup`, its plain twin, knows the latest place of a match of 2 to 8 tokens, the automaton knows every place of a
match of any length, and how often each token followed. The idea of such drafts: SuffixDecoding, Oliaro et al.,
2411.04975, with a suffix tree. The automaton: Blumer et al., 1985; of several texts: Mohri et al., 2009.
"""

from __future__ import annotations

import heapq
import math

from gsd.drafting.base import Parts
from gsd.drafting.best_first import grow_best_first
from gsd.drafting.graph import ROOT, TokenGraph
from gsd.drafting.null import NullDrafter
from gsd.drafting.tree import FlatTree, flatten

SOURCE = "suffix"
EMPTY = 0  # the state of the empty match
COUNTED = 64  # suffixes of the text that an appended token is counted for, the longest ones
WIDEST = 16  # tokens looked at behind one match, the most frequent ones
UNSEEN = 1.0  # occurrences that whatever followed shorter matches is worth
MOST_TOKENS = 1 << 16  # of all texts that are remembered; the next text then begins anew


class SuffixAutomaton:
    """Every run of tokens of some texts, of which the last may still grow; each text begins with `begin`.

    A state stands for runs that end at the same places, of which `lengths` has the longest. What it links to stands for
    the next shorter suffix that ends at more places. Appending takes amortised constant time: the states passed are
    paid for by the length of the match, and counting goes `COUNTED` links. So counts are exact unless a text repeats
    itself more often than that; then they are too low for the shortest matches.
    """

    def __init__(self) -> None:
        self.tokens = 0  # of all texts
        self.lengths = [0]
        self._links = [-1]
        self._next: list[dict[int, int]] = [{}]  # token -> state
        self._counts = [0]  # places where a state's runs end
        self._last = EMPTY  # of the whole last text

    def begin(self) -> None:
        """What is appended from here on is another text: no match runs across the seam."""
        self._last = EMPTY

    def append(self, token: int) -> None:
        """Append a token to the last text."""
        self.tokens += 1
        before = self._last
        if token in self._next[before]:  # the whole text stood in an earlier one
            self._last = self._exactly(before, token)
        else:
            self._last = self._new(self.lengths[before] + 1, EMPTY, {}, 0)
            while before >= 0 and token not in self._next[before]:
                self._next[before][token] = self._last
                before = self._links[before]
            if before >= 0:
                self._links[self._last] = self._exactly(before, token)
        state, left = self._last, COUNTED
        while state != EMPTY and left:
            self._counts[state] += 1
            state, left = self._links[state], left - 1

    def end(self) -> int:
        """The state of the longest suffix of the last text behind which something stood before; `EMPTY`: none."""
        return self._followed(self._last)

    def after(self, state: int, token: int) -> int:
        """The same as `end`, were `token` to stand behind the run of that state."""
        while token not in self._next[state] and state != EMPTY:
            state = self._links[state]
        return self._followed(self._next[state].get(token, EMPTY))

    def shorter(self, state: int) -> int:
        """The state of the next shorter suffix that stood at more places."""
        return self._links[state]

    def followers(self, state: int) -> dict[int, int]:
        """The tokens that followed the runs of a state, and how often each did."""
        return {token: self._counts[there] for token, there in self._next[state].items()}

    def _followed(self, state: int) -> int:
        while state != EMPTY and not self._next[state]:
            state = self._links[state]
        return state

    def _exactly(self, before: int, token: int) -> int:
        """The state whose longest run is that of `before` and `token`; split off where a longer run has it."""
        there = self._next[before][token]
        if self.lengths[there] == self.lengths[before] + 1:
            return there
        split = self._new(self.lengths[before] + 1, self._links[there], dict(self._next[there]), self._counts[there])
        self._links[there] = split
        while before >= 0 and self._next[before].get(token) == there:
            self._next[before][token] = split
            before = self._links[before]
        return split

    def _new(self, length: int, link: int, following: dict[int, int], count: int) -> int:
        self.lengths.append(length)
        self._links.append(link)
        self._next.append(following)
        self._counts.append(count)
        return len(self.lengths) - 1


class Texts:
    """The automaton of the texts of a pair. It lasts from text to text."""

    def __init__(self) -> None:
        self.automaton = SuffixAutomaton()

    def begin(self) -> SuffixAutomaton:
        """For another text: with those before it, as long as they are not too many."""
        if self.automaton.tokens > MOST_TOKENS:
            self.automaton = SuffixAutomaton()
        self.automaton.begin()
        return self.automaton


class SuffixDrafter(NullDrafter):
    """Drafts the likeliest continuations of the longest match, and of shorter ones as far as it is asked to."""

    def __init__(self, parts: Parts, *, depth: int, budget: int, shorter: int, earlier: bool) -> None:
        super().__init__()
        self.slots = budget
        self._depth = depth
        self._shorter = shorter
        self._texts: Texts | None = parts.memory if earlier else None
        self._record = parts.record
        self._automaton = SuffixAutomaton()
        self._read = 0  # committed tokens in the automaton
        self._seen: dict[int, tuple[int, dict[int, int]]] = {}  # in this round, by state: what followed it

    def start(self, capacity: int) -> None:
        """Begin a new text."""
        self._automaton = SuffixAutomaton() if self._texts is None else self._texts.begin()
        self._read = 0

    def draft(self, committed: list[int], max_depth: int) -> TokenGraph:
        """Read what was committed, and draft what followed its end before, at most `max_depth` deep."""
        for token in committed[self._read :]:
            self._automaton.append(token)
        self._read, self._seen = len(committed), {}
        graph = TokenGraph(committed[-1:], None, record=self._record)
        states = {ROOT: self._automaton.end()}

        def following(node: int) -> list[tuple[int, float]]:
            if node != ROOT:
                states[node] = self._automaton.after(states[graph.parents[node]], graph.tokens[node])
            return [(token, math.log(share)) for token, share in self._estimates(states[node])]

        grow_best_first(graph, self.slots, min(max_depth, self._depth), SOURCE, following)
        return graph

    def flatten(self, graph: TokenGraph, max_depth: int) -> FlatTree:
        """All of it."""
        return flatten(graph, self.slots, max_depth)

    def _estimates(self, state: int) -> list[tuple[int, float]]:
        """How probably each token comes next, falling: its share behind the match, and behind shorter ones the rest.

        Of n occurrences of the match, c had the token behind it: (c + u · r) / (n + u), with r the same of the next
        shorter match, 0 beyond the last one, and u what is held in reserve for what never followed.
        """
        chain: list[int] = []
        while state != EMPTY and len(chain) <= self._shorter:
            chain.append(state)
            state = self._automaton.shorter(state)
        shares: dict[int, float] = {}
        for one in reversed(chain):
            occurrences, most = self._followers(one)
            shares = {
                token: (most.get(token, 0) + UNSEEN * shares.get(token, 0.0)) / (occurrences + UNSEEN)
                for token in [*most, *(token for token in shares if token not in most)]
            }
        return sorted(shares.items(), key=lambda one: -one[1])

    def _followers(self, state: int) -> tuple[int, dict[int, int]]:
        """How often anything followed, and how often the most frequent tokens did."""
        if state not in self._seen:
            counts = self._automaton.followers(state)
            most = counts if len(counts) <= WIDEST else {
                token: counts[token] for token in heapq.nlargest(WIDEST, counts, key=counts.__getitem__)
            }  # fmt: skip
            self._seen[state] = sum(counts.values()), most
        return self._seen[state]
