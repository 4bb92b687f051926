"""What became of the draws behind a node, in words. HTML; texts of tokens come escaped from the round."""

from __future__ import annotations

from analysis.explanation import raw
from gsd.drafting.choices import ACCEPTED, REJECTED
from gsd.trace.recorded_round import RecordedRound


def tests_of_draws(round_: RecordedRound, flat: int) -> list[str]:
    """A paragraph for each draw that the node of the verified tree stands for; none if nothing was drawn there.

    `draw 2 of 4, rejected: u = 0.81 is not below p / q = 0.3 / 0.5 = 0.6`
    """
    draws, tree = round_.draws, round_.tree
    rows = draws.behind(tree.parents[flat])
    return [_tested(round_, row, len(rows)) for row in rows if draws.tokens[row] == tree.tokens[flat]]


def residual_of_draws(round_: RecordedRound) -> str | None:
    """Where the target's own token came from if draws were rejected at the end of the accepted path, else None."""
    draws, tree, last = round_.draws, round_.tree, round_.last
    rejected = [row for row in draws.behind(last) if draws.verdicts[row] == REJECTED]
    if not round_.bonus or not rejected:
        return None
    place = "at the root" if last == 0 else f"after {tree.texts.html[last]}"
    what = {1: "The one draw", 2: "Both draws"}.get(len(rejected), f"All {len(rejected)} draws")
    return (f"{what} {place} {'was' if len(rejected) == 1 else 'were'} rejected. So {tree.choice_texts.html[last]} was "
            "drawn from the residual, what is left of p once each rejected draw's q is taken off.")  # fmt: skip


def _tested(round_: RecordedRound, row: int, count: int) -> str:
    draws = round_.draws
    u, p, q, verdict = draws.u[row], draws.p[row], draws.q[row], draws.verdicts[row]
    place = f"draw {draws.ranks[row] + 1} of {count}"
    if u is None or p is None or q is None:
        return f"<b>Not tested:</b> {place}, and one before it was accepted."
    passed = verdict == ACCEPTED
    left = ", p and q as the rejected draws before it left them" if draws.ranks[row] else ""
    return (f"<b>{raw(verdict).capitalize()}</b>, {place}: u = {u:.3g} is {'' if passed else 'not '}below p / q = "
            f"{p:.3g} / {q:.3g} = {p / q:.3g}{left}.")  # fmt: skip
