"""Between text and tokens: every token has a text, parts of characters are shown as bytes."""

import random

import pytest

from gsd.decode.stops import StopRules
from gsd.decode.text import CONTEXT, MOST_OPEN, Continuation, TokenTexts, encode, text_before_stop
from gsd.errors import PromptError
from gsd.spec import Prompt
from gsd.trace.pieces import joined
from tests.forms import FORMS

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


@pytest.fixture(scope="module", params=FORMS)
def form(request):
    return FORMS[request.param]()


@pytest.fixture(scope="module", params=["sentencepiece", "metaspace"])
def byte_fallback(request):
    """Tokenizers in sentencepiece's manner: `▁` for a space, one before the text, unknown characters as bytes."""
    return FORMS[request.param]()


def plain(tokenizer, tokens):
    return tokenizer.decode(tokens, clean_up_tokenization_spaces=False)


def difference(tokenizer, prompt, tokens):
    """What the tokens add to the prompt's text, by the whole decodings."""
    before, after = plain(tokenizer, prompt), plain(tokenizer, prompt + tokens)
    assert after.startswith(before)
    return after[len(before) :]


def some_tokens(tokenizer, seed, count=40):
    """A prompt that ends with a whole character, and what comes behind it: any tokens, or few other parts of them."""
    dice, texts = random.Random(seed), TokenTexts(tokenizer)
    ordinary = [token for token in range(len(tokenizer)) if token not in texts.special]
    whole = [token for token in ordinary if not texts.is_part(token)]
    drawn = ordinary if seed % 2 else whole + dice.sample(ordinary, 3)
    prompt = [dice.choice(ordinary) for _ in range(dice.randrange(6))] + [dice.choice(whole)]
    return prompt, [dice.choice(drawn) for _ in range(dice.randrange(count))]


@pytest.mark.parametrize("seeds", [range(300), pytest.param(range(300, 5000), marks=pytest.mark.slow)])
def test_a_continuation_is_the_difference_of_two_decodings_whole_and_token_by_token(form, seeds):
    """Whatever the tokens are, bytes that make no character among them; the pieces put together are the same."""
    texts, readable = TokenTexts(form), 0
    for seed in seeds:
        prompt, tokens = some_tokens(form, seed)
        wanted, written = difference(form, prompt, tokens), Continuation(texts, prompt)
        pieces = [written.add(token) for token in tokens]
        assert texts.after(prompt, tokens) == written.text == wanted
        if "\ufffd" not in wanted:
            readable += 1
            assert joined(pieces) == wanted
    assert readable > len(seeds) / 10


def test_a_token_reads_alike_in_a_draft_and_in_the_text(form):
    """But where its blank is its neighbour's (`word ends`), which no token alone can tell."""
    if form.backend_tokenizer.decoder.__class__.__name__ == "BPEDecoder":
        pytest.skip("the blank behind a word is its last token's")
    texts = TokenTexts(form)
    for seed in range(200):
        prompt, tokens = some_tokens(form, seed)
        written = Continuation(texts, prompt)
        assert [written.add(token) for token in tokens] == texts.all(tokens)


def test_special_tokens_are_shown_and_are_no_part_of_the_text(form):
    texts, dice = TokenTexts(form), random.Random(0)
    for seed in range(100):
        prompt, tokens = some_tokens(form, seed)
        mixed = list(tokens)
        for _ in range(3):
            mixed.insert(dice.randrange(len(mixed) + 1), dice.choice(sorted(texts.special)))
        written = Continuation(texts, prompt)
        pieces = [written.add(token) for token in mixed]
        assert written.text == texts.after(prompt, mixed) == difference(form, prompt, tokens)
        shown = [piece.strip() for piece, token in zip(pieces, mixed) if token in texts.special]
        assert shown == [texts.special[token] for token in mixed if token in texts.special]


@pytest.mark.parametrize("ends", ["the", "<s>", "▁"])
def test_the_first_blank_of_a_continuation_is_kept(byte_fallback, ends):
    """Behind a word, a special token and a blank: at the start of a text alone decoding drops it."""
    prompt, tokens = byte_fallback.convert_tokens_to_ids([ends]), byte_fallback.convert_tokens_to_ids(["▁a", "▁▁", "b"])
    texts = TokenTexts(byte_fallback)
    written = Continuation(texts, prompt)
    assert [written.add(token) for token in tokens] == texts.all(tokens) == [" a", "  ", "b"]
    assert written.text == texts.after(prompt, tokens) == " a  b"


@pytest.mark.parametrize("kind", ["any", "whole", "parts"])
def test_a_long_text_costs_no_more_a_token_than_a_short_one(form, monkeypatch, kind):
    """Tokens that are decoded again for each one that comes: a few, and of a character's parts as many as stay open."""
    texts, dice = TokenTexts(form), random.Random(2)
    ordinary = [token for token in range(len(form)) if token not in texts.special]
    chosen = [token for token in ordinary if kind == "any" or texts.is_part(token) == (kind == "parts")] or ordinary
    written, decoded, decode = Continuation(texts, [chosen[0]], ("no such string",)), [], texts.decode
    monkeypatch.setattr(texts, "decode", lambda tokens: decoded.append(len(tokens)) or decode(tokens))
    for token in (dice.choice(chosen) for _ in range(3000)):
        written.add(token)
        written.stop_at()
    assert max(decoded) <= CONTEXT + MOST_OPEN + 9 and sum(decoded) / 3000 < 2 * (CONTEXT + MOST_OPEN)


def test_blanks_stay_as_they_were_written_whatever_the_tokenizer_would_tidy(form):
    """`clean_up_tokenization_spaces` is on in these: with it `a .` would be `a.`."""
    written = [piece for piece in ("▁a", "Ġa", "a", "a</w>") if piece in form.get_vocab()][:1]
    written += [piece for piece in ("▁", "Ġ") if piece in form.get_vocab()][:1]
    written += [piece for piece in (".", ".</w>") if piece in form.get_vocab()][:1]
    tokens = form.convert_tokens_to_ids(written)
    assert TokenTexts(form).after(tokens[:1], tokens).endswith("a .")


def test_byte_fallback_shows_the_bytes_of_a_character_and_keeps_the_spaces(byte_fallback):
    """`ab ü` is ▁a, b, ▁ and the two bytes of ü; the first piece keeps the space that decoding drops."""
    tokens = byte_fallback.encode("ab ü\n", add_special_tokens=False)
    assert TokenTexts(byte_fallback).all(tokens) == [" a", "b", " ", "<0xC3>", "<0xBC>", "\n"]
    assert byte_fallback.decode(tokens) == "ab ü\n"


@pytest.mark.parametrize("string", ["ü", " b", "b ü", "n't"])
def test_a_stop_string_ends_the_text_at_its_last_token(byte_fallback, string):
    """Whatever came in one round: until ü is whole it is no ü; and a blank that begins a continuation is one."""
    prompt = byte_fallback.encode("a", add_special_tokens=False)
    tokens = byte_fallback.encode("a b ün'ta", add_special_tokens=False)[1:]
    texts = TokenTexts(byte_fallback)
    last = next(n for n in range(1, 9) if string in difference(byte_fallback, prompt, tokens[:n]))
    for size in range(1, len(tokens) + 1):
        rules = StopRules(50, text=lambda: Continuation(texts, prompt, (string,)))
        rules.start(0, 100)
        cuts = [rules.cut(tokens[at : at + size], at) for at in range(0, last, size)]
        assert [token for cut, _ in cuts for token in cut] == tokens[:last]
        assert [stop for _, stop in cuts] == [None] * (len(cuts) - 1) + ["stop_string"]
    whole = difference(byte_fallback, prompt, tokens)
    assert text_before_stop(texts, prompt, tokens, (string,)) == whole[: whole.index(string)]


def test_a_stop_string_is_found_in_a_long_run_of_parts(form):
    """A run of bytes longer than what is decoded together, which begins and ends within characters."""
    texts, run = TokenTexts(form), "สวัสดีครับ" * 12
    tokens = form.encode(f"a {run}ไป", add_special_tokens=False)
    if not all(map(texts.is_part, tokens[-30:])):
        pytest.skip("it has no parts of characters")
    assert text_before_stop(texts, tokens[:1], tokens, ("ไป",)).endswith(run)
    assert text_before_stop(texts, tokens[:1], tokens, ("ัสดีครับสวัส",)).endswith("สว")


@pytest.mark.parametrize(("string", "written", "text"), [
    ("<|im_end|>", "the ▁b </s> ▁a <|im_end|> ▁a", "the b a"),
    ("<|im_end|>", "<|im_end|> the", ""),
    ("b<|im_end|>", "the ▁b <|im_end|>", "the "),
    ("b<|im_end|>", "the ▁b </s> <|im_end|> the", "the bthe"),
    ("<|im_end|> a", "the ▁b <|im_end|> ▁a", "the b"),
    ("</s><|im_end|>", "the ▁b </s> ▁a </s> <|im_end|> ▁a", "the b a"),
    (" b</s> a<|im_end|> a", "the ▁b </s> ▁a <|im_end|> ▁a ▁a", "the"),
    ("b a a", "the ▁b </s> ▁a <|im_end|> ▁a", "the "),
    ("im_end", "the <|im_end|> ▁a", "the a"),
    ("|", "the <|im_end|> ▁a", "the a"),
    ("s", "the </s> ▁a", "the a"),
])  # fmt: skip
def test_a_stop_string_with_special_tokens_is_looked_for_in_the_text_with_them(byte_fallback, string, written, text):
    """What is shown is the text without them, up to the string; and no part of a special token is text."""
    prompt, tokens = map(byte_fallback.convert_tokens_to_ids, (["▁a"], written.split()))
    assert text_before_stop(TokenTexts(byte_fallback), prompt, tokens, ("zz", string)) == text


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


@pytest.mark.parametrize(("template", "reason"), [
    ("{{ raise_exception('A system\n prompt is needed') }}", "A system prompt is needed"),
    ("{% for m in", "unexpected"),
    ("{{ not_there() }}", "not_there"),
    ({"rag": "{{ messages }}"}, "rag"),
    ("{{ messages[7].content.x }}", "element 7"),
])  # fmt: skip
def test_a_template_that_cannot_be_applied_is_told_in_one_line_with_a_way_out(template, reason):
    tokenizer = FORMS["byte-level"]()
    tokenizer.chat_template = template
    with pytest.raises(PromptError, match=r"--raw") as refused:
        encode(tokenizer, Prompt(id="mine", prompt="hello"))
    assert reason in str(refused.value) and "'mine'" in str(refused.value) and "\n" not in str(refused.value)
    assert encode(tokenizer, Prompt(prompt="the cat", chat=False)) == tokenizer.encode("the cat")
