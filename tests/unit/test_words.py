"""Token text in words: visible, harmless, and never longer than a line can bear."""

from analysis.words import setting, shortened, size
from gsd.trace.texts import LONGEST, code
from gsd.wording import counted


def test_markup_is_escaped_and_white_space_shown():
    assert code("<b> &\n") == "<code>&lt;b&gt;·&amp;↵</code>"


def test_of_a_very_long_token_the_beginning_and_its_length_are_shown():
    assert code("<" * 10_000) == f"<code>{'&lt;' * LONGEST}…</code> (10,000 characters)"
    assert "…" not in code("x" * LONGEST)


def test_a_long_text_is_cut_between_words():
    assert shortened("live  near\nthe", 13) == "live near the"
    assert shortened("live near the mountains", 20) == "live near the …"
    assert shortened("live near the mountains", 13) == "live near the …"
    assert shortened("a" * 50, 36) == "a" * 36 + " …"


def test_a_setting_that_is_not_used_is_off_and_nought_is_a_value():
    assert [setting(value) for value in (None, False, True, 0, 1, 0.5, "leaf")] == [
        "off", "off", "on", "0", "1", "0.5", "leaf"]  # fmt: skip


def test_one_of_a_thing_is_in_the_singular_and_thousands_are_set_apart():
    assert [counted(number, "round") for number in (0, 1, 2, 1.0, 1234.0, 12345)] == [
        "0 rounds", "1 round", "2 rounds", "1 round", "1,234 rounds", "12,345 rounds"]  # fmt: skip
    assert [counted(number, "thread") for number in (None, "8")] == ["None threads", "8 threads"]


def test_bytes_are_written_in_the_unit_that_fits():
    assert [size(count) for count in (0, 1, 999, 1000, 123_400, 4_500_000, 2_000_000_000_000)] == [
        "0 bytes", "1 byte", "999 bytes", "1.0 KB", "123 KB", "4.5 MB", "2,000 GB"]  # fmt: skip
