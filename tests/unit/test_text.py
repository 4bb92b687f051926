"""Between text and tokens: every token has a text, parts of characters are shown as bytes."""

import pytest

from gsd.config import Prompt
from gsd.errors import PromptError
from gsd.text import TokenTexts, encode

TEXTS = ("def add(a, b):\n    return a + b\n", "x = 'é ü 漢字 😀'", "\t\t# tab", " leading", "a  b")


@pytest.mark.parametrize("text", TEXTS)
def test_the_pieces_put_together_are_the_text(tiny, text):
    """A part of a character is `<0xE2>`; undone, the pieces are the text's bytes."""
    texts = TokenTexts(tiny.tokenizer).all(tiny.tokenizer.encode(text))
    joined = b""
    for piece in texts:
        if piece.startswith("<0x"):
            joined += bytes(int(byte, 16) for byte in piece[3:-1].split("><0x"))
        else:
            joined += piece.encode()
    assert joined.decode() == text


def test_every_token_of_the_vocabulary_has_a_text_and_an_id_beyond_it_is_named(tiny):
    texts = TokenTexts(tiny.tokenizer)
    size = len(tiny.tokenizer)
    assert all(isinstance(texts[token], str) and "\ufffd" not in texts[token] for token in range(size))
    assert texts[size + 5] == f"<{size + 5}>"


def test_a_chat_prompt_needs_a_template(tiny):
    with pytest.raises(PromptError, match="chat"):
        encode(tiny.tokenizer, Prompt(prompt="hello", chat=True))
    assert encode(tiny.tokenizer, Prompt(prompt="hello")) == tiny.tokenizer.encode("hello")


def test_a_template_is_used_unless_told_otherwise(tiny):
    import copy

    tokenizer = copy.deepcopy(tiny.tokenizer)
    tokenizer.chat_template = "{% for m in messages %}[{{ m.role }}] {{ m.content }}{% endfor %}"
    assert tokenizer.decode(encode(tokenizer, Prompt(prompt="hello"))) == "[user] hello"
    assert tokenizer.decode(encode(tokenizer, Prompt(prompt="hello", chat=False))) == "hello"
