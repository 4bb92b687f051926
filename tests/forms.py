"""Small tokenizers in the forms that real ones have."""

from __future__ import annotations

from tokenizers import AddedToken, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast

SPECIAL = ("<s>", "</s>", "<|im_end|>")
BYTES = [f"<0x{byte:02X}>" for byte in range(256)]
PIECES = ["▁", "▁▁", "▁▁▁▁", "a", "b", "the", "▁a", "▁b", "▁the", ".", ",", "漢", "é", "n't", "�"]


def sentencepiece(*, metaspace: bool = False) -> PreTrainedTokenizerFast:
    """Llama 2's form: `▁` for a blank and one before the text, unknown characters as bytes.

    Converted tokenizers have it in two ways: a normaliser and a chain of decoders, or one for words (`metaspace`).
    """
    vocabulary = {piece: i for i, piece in enumerate(["<unk>", *SPECIAL, *BYTES, *PIECES])}
    merges = [("▁", "▁"), ("▁▁", "▁▁"), ("▁", "a"), ("▁", "b"), ("▁", "the")]
    made = Tokenizer(models.BPE(vocabulary, merges, unk_token="<unk>", byte_fallback=True, fuse_unk=True))
    if metaspace:
        made.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="first", split=False)
        made.decoder = decoders.Sequence([decoders.ByteFallback(), decoders.Metaspace(prepend_scheme="first")])
    else:
        made.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
        made.decoder = decoders.Sequence([decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(),
                                          decoders.Strip(" ", 1, 0)])  # fmt: skip
    return _whole(made, unk_token="<unk>")


def byte_level() -> PreTrainedTokenizerFast:
    """GPT-2's form, as in Qwen and Llama 3: tokens are bytes, which need not be whole characters."""
    made = Tokenizer(models.BPE())
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = decoders.ByteLevel()
    texts = ["the cat sat on the mat.\n    return 漢字 é  a , b\n"] * 9
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    made.train_from_iterator(texts, trainers.BpeTrainer(vocab_size=290, initial_alphabet=alphabet, show_progress=False))
    return _whole(made)


def word_pieces() -> PreTrainedTokenizerFast:
    """BERT's form: blanks between words are not in the tokens, `##` goes on with a word."""
    words = ["[UNK]", *SPECIAL, "the", "cat", "a", "b", "##s", "##ed", ".", ","]
    made = Tokenizer(models.WordPiece({word: i for i, word in enumerate(words)}, unk_token="[UNK]"))
    made.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    made.decoder = decoders.WordPiece(cleanup=False)
    return _whole(made, unk_token="[UNK]")


def word_ends() -> PreTrainedTokenizerFast:
    """The first GPT's form: a word's last token ends with `</w>`, a blank where another word follows."""
    pieces = ["<unk>", *SPECIAL, "c", "at", "the</w>", "at</w>", "cat</w>", "a</w>", "s</w>", ".</w>"]
    made = Tokenizer(models.BPE({piece: i for i, piece in enumerate(pieces)}, [], unk_token="<unk>",
                                end_of_word_suffix="</w>"))  # fmt: skip
    made.decoder = decoders.BPEDecoder(suffix="</w>")
    return _whole(made, unk_token="<unk>")


def letters() -> PreTrainedTokenizerFast:
    """One token a letter."""
    vocabulary = {chr(code): code for code in range(128)}
    made = Tokenizer(models.BPE(vocabulary, []))
    made.decoder = decoders.Fuse()
    return PreTrainedTokenizerFast(tokenizer_object=made)


FORMS = {"byte-level": byte_level, "sentencepiece": sentencepiece, "metaspace": lambda: sentencepiece(metaspace=True),
         "word pieces": word_pieces, "word ends": word_ends}  # fmt: skip


def _whole(made: Tokenizer, **more: str) -> PreTrainedTokenizerFast:
    made.add_special_tokens([AddedToken(one, special=True, normalized=False) for one in SPECIAL])
    return PreTrainedTokenizerFast(tokenizer_object=made, bos_token="<s>", eos_token="</s>",
                                   clean_up_tokenization_spaces=True, **more)  # fmt: skip
