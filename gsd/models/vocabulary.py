"""Whether the token ids of a target and a draft mean the same, as drafting rests on it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from gsd.errors import PairError
from gsd.spec import ModelSpec

SHOWN = 3  # tokens in a note


@dataclass(frozen=True, slots=True)
class Shared:
    """Ids below `tokens` mean the same to both; behind them one or both have tokens of their own."""

    tokens: int
    note: str


def check_pair(target: ModelSpec, draft: ModelSpec, target_tokenizer: Any, draft_tokenizer: Any) -> Shared | None:
    """None where both vocabularies are the same; refuses a draft whose token ids do not mean what the target's mean.

    Special or added tokens that one of them alone has, behind all that they share (a padding token), change nothing:
    the draft is asked for ids before them only, and the target, which picks every token, may still pick its own.
    """
    mine, theirs = target_tokenizer.get_vocab(), draft_tokenizer.get_vocab()
    if mine == theirs:
        return None
    common = mine.keys() & theirs.keys()
    last = max((mine[token] for token in common), default=-1)
    more = _added_behind(target_tokenizer, mine, common, last), _added_behind(draft_tokenizer, theirs, common, last)
    if last >= 0 and None not in more and all(mine[token] == theirs[token] for token in common):
        told = [f"{who} has {_told(tokens)}" for who, tokens in zip(("the target", "the draft"), more) if tokens]
        return Shared(last + 1, f"{' and '.join(told)} of its own behind the vocabulary: never drafted")
    odd = next((token for token in mine if theirs.get(token) != mine[token]), None) or next(
        iter(theirs.keys() - mine.keys())
    )
    raise PairError(
        f"target {target.source} and draft {draft.source} have different vocabularies "
        f"({len(mine)} and {len(theirs)} tokens; {odd!r} is {mine.get(odd)} and {theirs.get(odd)}): "
        "choose a draft of the target's family"
    )


def _added_behind(tokenizer: Any, vocabulary: dict[str, int], common: set[str], last: int) -> list[str] | None:
    """The tokens not in `common`, by id; None where one of them was not added, or stands before the `last` common."""
    own = sorted(vocabulary.keys() - common, key=vocabulary.__getitem__)
    added = tokenizer.get_added_vocab()
    return own if all(token in added and vocabulary[token] > last for token in own) else None


def _told(tokens: list[str]) -> str:
    names = ", ".join(map(repr, tokens[:SHOWN])) + (", …" if len(tokens) > SHOWN else "")
    return f"{len(tokens)} added token{'s' * (len(tokens) > 1)} ({names})"
