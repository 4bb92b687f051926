"""The prompts that come with the app."""

from collections import Counter

import pytest

from app.prompt_library import KINDS, LIBRARY, prompts
from gsd.decode.prompts import read_prompts


def test_every_line_is_a_prompt_of_a_known_kind_with_an_id_of_its_own():
    read = read_prompts(LIBRARY)
    assert read.broken == []
    assert max(Counter(one.id for one in read.prompts).values()) == 1
    assert max(Counter(one.prompt for one in read.prompts).values()) == 1
    assert {one.kind for one in read.prompts} == set(KINDS)
    assert all(isinstance(one.chat, bool) for one in read.prompts)


def test_about_forty_at_least_three_of_a_kind_and_ten_for_the_bundled_pair():
    assert 40 <= len(prompts()) <= 50
    assert min(Counter(one.kind for one in prompts()).values()) >= 3
    assert sum(one.suits == "base" for one in prompts()) >= 10


def test_the_kinds_stand_together_and_the_first_prompt_suits_the_bundled_pair():
    kinds = [one.kind for one in prompts()]
    assert list(dict.fromkeys(kinds)) == list(KINDS)
    assert kinds == sorted(kinds, key=KINDS.index)
    assert prompts()[0].suits == "base"


@pytest.mark.parametrize("start", ["def ", "class ", "# ", '"""', "import "])
def test_the_bundled_pair_gets_what_it_knows_the_beginning_of_a_python_file(start):
    base = [one for one in prompts() if one.suits == "base"]
    assert any(one.prompt.startswith(start) for one in base)
    assert all(one.prompt.startswith(("def ", "class ", "# ", '"""', "import ")) for one in base)


def test_a_title_is_the_id_in_words():
    titles = {one.id: one.title for one in prompts()}
    assert titles["count-words"] == "Count words"
    assert titles["JSON-schema"] == "JSON schema"
