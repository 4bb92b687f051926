"""Between text and tokens: every token has a text, parts of characters are shown as bytes."""

import pytest
from tokenizers import Tokenizer, decoders, models, normalizers
from transformers import PreTrainedTokenizerFast

from gsd.config import Prompt
from gsd.errors import PromptError
from gsd.stops import StopRules
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


@pytest.fixture(scope="module")
def byte_fallback():
    """A tokenizer in sentencepiece's manner: `▁` for a space, one before the text, unknown characters as bytes."""
    pieces = ["<unk>", *(f"<0x{byte:02X}>" for byte in range(256)), "▁", "a", "b", "▁a"]
    vocabulary = {piece: i for i, piece in enumerate(pieces)}
    made = Tokenizer(models.BPE(vocabulary, [("▁", "a")], unk_token="<unk>", byte_fallback=True, fuse_unk=True))
    made.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    made.decoder = decoders.Sequence([decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(),
                                      decoders.Strip(" ", 1, 0)])  # fmt: skip
    return PreTrainedTokenizerFast(tokenizer_object=made, unk_token="<unk>")


def test_byte_fallback_shows_the_bytes_of_a_character_and_keeps_the_spaces(byte_fallback):
    """`ab é` is ▁a, b, ▁ and the two bytes of é; the first piece keeps the space that decoding drops."""
    tokens = byte_fallback.encode("ab é", add_special_tokens=False)
    assert TokenTexts(byte_fallback).all(tokens) == [" a", "b", " ", "<0xC3>", "<0xA9>"]
    assert byte_fallback.decode(tokens) == "ab é"


def test_a_stop_string_of_several_bytes_ends_the_text_at_its_last_one(byte_fallback):
    """Whatever came in one round: until é is whole it is no é."""
    tokens = byte_fallback.encode("ab éa", add_special_tokens=False)
    for size in range(1, len(tokens) + 1):
        rules = StopRules(50, strings=("é",), decode=byte_fallback.decode)
        rules.start(0, 100)
        cuts = [rules.cut(tokens[at : at + size], at) for at in range(0, 5, size)]
        assert [token for cut, _ in cuts for token in cut] == tokens[:5]
        assert [stop for _, stop in cuts] == [None] * (len(cuts) - 1) + ["stop_string"]


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
