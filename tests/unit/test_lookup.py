"""Looking up how a text went on when it last stood where it stands now."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from gsd.drafting.lookup import LONGEST_MATCH, SHORTEST_MATCH, Continuation, Lookup

TOKENS = st.lists(st.integers(0, 3), max_size=60)


def indexed(tokens):
    lookup = Lookup()
    lookup.extend(tokens)
    return lookup


def test_the_continuation_is_what_followed_the_latest_longest_match():
    """`1 2` was followed by 3, later by 4; `9 1 2` only by 3."""
    lookup = indexed([9, 1, 2, 3, 5, 1, 2, 4, 6])
    assert lookup.find([7, 1, 2], 8) == Continuation([4, 6], 2)
    assert lookup.find([9, 1, 2], 2) == Continuation([3, 5], 3)


def test_the_end_of_the_text_does_not_match_itself():
    assert indexed([1, 2, 3]).find([1, 2, 3], 4) is None


def test_one_token_is_no_match():
    assert indexed([1, 2, 3]).find([5, 1], 4) is None


def test_nothing_is_found_across_the_seam_of_two_sequences():
    """`3 4` ends the first; `4 50` stands in neither."""
    lookup = indexed([1, 2, 3, 4])
    lookup.end()
    lookup.extend([50, 51, 52])
    assert lookup.find([9, 3, 4], 4) is None
    assert lookup.find([4, 50], 4) is None
    assert lookup.find([9, 2, 3], 4) == Continuation([4], 2)
    assert lookup.find([50, 51], 4) == Continuation([52], 2)


@given(TOKENS, TOKENS, st.integers(1, 9))
def test_what_is_found_stands_there(tokens, more, most):
    """Against a plain search: the last place of the longest suffix, of 2 to 8 tokens, with something behind it."""
    lookup = indexed(tokens)
    lookup.extend(more)
    text = tokens + more
    expected = None
    for length in range(min(LONGEST_MATCH, len(text)), SHORTEST_MATCH - 1, -1):
        places = [at for at in range(length, len(text)) if text[at - length : at] == text[-length:]]
        if places:
            expected = Continuation(text[places[-1] : places[-1] + most], length)
            break
    assert lookup.find(text, most) == expected
