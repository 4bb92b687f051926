"""A token that one side alone has, behind all that both share, leaves drafting lossless: allowed, with a line."""

import pytest
from settings import of_method
from transformers import AutoModelForCausalLM, AutoTokenizer

from gsd.config import RunSpec
from gsd.decode.runner import Runner
from gsd.errors import PairError
from gsd.models.loading import load_stock, load_tokenizer
from gsd.models.places import BUNDLED
from gsd.models.vocabulary import check_pair
from gsd.spec import ModelSpec, Prompt
from gsd.testing import oracle

TARGET, DRAFT = (ModelSpec(source=str(BUNDLED / name)) for name in ("target", "draft"))
PAD = "[PAD]"


def padded(source, folder, *tokens):
    """The model with `tokens` added at the end, its matrices with a row each, and the head's far ahead of all."""
    tokenizer, model = AutoTokenizer.from_pretrained(source), AutoModelForCausalLM.from_pretrained(source)
    tokenizer.add_special_tokens({"pad_token": tokens[0]})
    tokenizer.add_tokens(list(tokens[1:]))
    model.resize_token_embeddings(len(tokenizer))
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return ModelSpec(source=str(folder))


def checked(target, draft):
    return check_pair(target, draft, load_tokenizer(target), load_tokenizer(draft))


def test_the_same_vocabularies_say_nothing():
    assert checked(TARGET, DRAFT) is None


@pytest.mark.parametrize("side", ["target", "draft", "both"])
def test_one_more_token_at_the_end_is_allowed_and_told(side, tmp_path):
    size = len(load_tokenizer(TARGET).get_vocab())
    target = padded(TARGET.source, tmp_path / "target", PAD) if side != "draft" else TARGET
    draft = padded(DRAFT.source, tmp_path / "draft", "<more>", "<yet>") if side != "target" else DRAFT
    shared = checked(target, draft)
    assert shared.tokens == size
    assert ("the target has 1 added token ('[PAD]')" in shared.note) == (side != "draft")
    assert ("the draft has 2 added tokens ('<more>', '<yet>')" in shared.note) == (side != "target")


def test_text_is_the_target_s_own_and_the_token_is_never_drafted(tmp_path):
    """The draft has a row of its own there, which it prefers to all others; the target never picks it."""
    target = padded(TARGET.source, tmp_path / "target", PAD)
    draft = padded(DRAFT.source, tmp_path / "draft", "<more>")
    weights = AutoModelForCausalLM.from_pretrained(draft.source)
    weights.get_output_embeddings().weight.data[-1] = 0
    weights.save_pretrained(draft.source)
    runner = Runner.load(target, draft, device="cpu", dtype="float32")
    assert any("'[PAD]'" in line for line in runner.notes())
    spec = RunSpec(
        target=target, draft=draft, prompt=Prompt(prompt="def quicksort(items):"), max_new_tokens=32,
        drafting=of_method(width=4, depth=5, prob_threshold=0.0, sibling_threshold=0.0),
    )  # fmt: skip
    size = len(load_tokenizer(TARGET).get_vocab())
    prompt = runner.encode(spec.prompt)
    rounds = list(runner.rounds(spec, prompt))
    assert max(token for round_ in rounds for token in round_.graph.tokens[1:]) < size
    assert sum(len(round_.accepted) for round_ in rounds) > 0
    stock = load_stock(target, "cpu", "float32")
    assert [token for round_ in rounds for token in round_.new_tokens] == oracle.generate(
        stock, prompt, 32, spec.sampling, runner.eos
    )


class Words:
    """A tokenizer by its words, of which some were added."""

    def __init__(self, words, *added):
        self._words, self._added = words, added

    def get_vocab(self):
        return dict(self._words)

    def get_added_vocab(self):
        return {word: self._words[word] for word in self._added}


BASE = {"a": 0, "b": 1, "c": 2}


@pytest.mark.parametrize(
    ("mine", "theirs"),
    [
        (Words({"a": 0, "b": 1, PAD: 2, "c": 3}, PAD), Words({"a": 0, "b": 1, "c": 3})),
        (Words({**BASE, PAD: 3}, PAD), Words({**BASE, PAD: 4}, PAD)),
        (Words({**BASE, PAD: 3}, PAD), Words({"a": 0, "b": 2, "c": 1})),
        (Words({**BASE, "d": 3}), Words(BASE)),
        (Words({PAD: 0}, PAD), Words({"<s>": 0}, "<s>")),
    ],
    ids=["among the shared", "another id", "two changed", "a word of its own", "nothing shared"],
)
def test_what_is_not_an_added_token_behind_all_shared_ones_is_refused(mine, theirs):
    for one, other in ((mine, theirs), (theirs, mine)):
        with pytest.raises(PairError, match="different vocabularies"):
            check_pair(TARGET, DRAFT, one, other)


def test_words_stand_for_tokenizers():
    assert check_pair(TARGET, DRAFT, Words({**BASE, PAD: 3}, PAD), Words(BASE)).tokens == 3
