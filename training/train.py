"""Makes the tiny pair, one stage at a time: corpus, tokenizer, target, teach, draft.

    python -m training.train corpus WORK --sources FOLDER...   documents.jsonl
    python -m training.train tokenizer WORK                    tokenizer/, rows.npy
    python -m training.train target WORK --steps 1240          target/, checkpoint
    python -m training.train teach WORK --count 3000 --read 2500   lessons.npz
    python -m training.train draft WORK --steps 300 --batch 8      draft/

The draft learns from lessons: texts the target wrote or read, with the target's likeliest next
tokens at every position. `evaluate.py` then measures the pair.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers
from torch.nn import functional as F
from transformers import GenerationConfig, LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from gsd.models.places import BUNDLED
from training import corpus

VOCABULARY = 4096
END = "<|endoftext|>"
END_ID = 0
ROW = 256  # tokens of a training row
HELD_OUT_ROWS = 64  # the last rows of the corpus are for validation
POSITIONS = 2048
PIECES = r"\n| ?_*[A-Za-z]+|_+| ?[0-9]| ?[^\sA-Za-z0-9_]+|[ \t]+"
TARGET_SHAPE = {"num_hidden_layers": 12, "hidden_size": 192, "intermediate_size": 512}
TARGET_HEADS = {"num_attention_heads": 6, "num_key_value_heads": 3}
DRAFT_SHAPE = {"num_hidden_layers": 1, "hidden_size": 256, "intermediate_size": 1024}
DRAFT_HEADS = {"num_attention_heads": 8, "num_key_value_heads": 8}
TOP = 12  # likeliest tokens kept of every position of a lesson
NEW_TOKENS = 112  # tokens the target writes for one lesson, at most
WRITERS = 256  # texts written at once


def make_tokenizer(texts: Iterator[str]) -> PreTrainedTokenizerFast:
    """A byte-level BPE tokenizer that keeps line ends, indents and words apart."""
    tokenizer = Tokenizer(models.BPE())
    split = pre_tokenizers.Split(Regex(PIECES), behavior="isolated")
    encode_bytes = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([split, encode_bytes])
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY,
        special_tokens=[END],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        bos_token=END,
        eos_token=END,
        pad_token=END,
        model_max_length=POSITIONS,
        clean_up_tokenization_spaces=False,
    )


def save_tokenizer(tokenizer: PreTrainedTokenizerFast, folder: Path) -> None:
    """Write the tokenizer so that it loads by its usual class, wherever it was loaded from."""
    tokenizer.save_pretrained(folder)
    path = folder / "tokenizer_config.json"
    config = json.loads(path.read_text())
    kept = {key: value for key, value in config.items() if key not in ("backend", "is_local", "local_files_only")}
    path.write_text(json.dumps({**kept, "tokenizer_class": "PreTrainedTokenizerFast"}, indent=2) + "\n")


def pack(documents: list[list[int]]) -> np.ndarray:
    """Rows of ROW tokens. Every row begins with a document; the last document of a row is cut."""
    rows: list[list[int]] = []
    row: list[int] = []
    for tokens in documents:
        row += [*tokens, END_ID]
        if len(row) >= ROW:
            rows.append(row[:ROW])
            row = []
    return np.array(rows, dtype=np.uint16)


def new_model(shape: dict[str, int], heads: dict[str, int]) -> LlamaForCausalLM:
    """A fresh Llama with tied embeddings."""
    config = LlamaConfig(
        vocab_size=VOCABULARY,
        max_position_embeddings=POSITIONS,
        tie_word_embeddings=True,
        bos_token_id=END_ID,
        eos_token_id=END_ID,
        pad_token_id=END_ID,
        initializer_range=0.02,
        **shape,
        **heads,
    )
    return LlamaForCausalLM(config)


class Average:
    """An exponential moving average of a model's weights, good to save at any time."""

    def __init__(self, model: LlamaForCausalLM, decay: float) -> None:
        self.decay = decay
        self.weights = {name: value.detach().clone() for name, value in model.named_parameters()}

    @torch.no_grad()
    def update(self, model: LlamaForCausalLM, step: int) -> None:
        """Move towards the model's weights, faster in the first steps."""
        decay = min(self.decay, (step + 1) / (step + 10))
        for name, value in model.named_parameters():
            self.weights[name].lerp_(value, 1 - decay)

    def save(self, model: LlamaForCausalLM, tokenizer: PreTrainedTokenizerFast, folder: Path) -> None:
        """Write the averaged weights as a model folder in bfloat16."""
        copy = LlamaForCausalLM(model.config)
        copy.load_state_dict({**model.state_dict(), **self.weights, "lm_head.weight": self._embeddings()})
        copy.generation_config = GenerationConfig(
            do_sample=False, bos_token_id=END_ID, eos_token_id=END_ID, pad_token_id=END_ID
        )
        copy.to(torch.bfloat16).save_pretrained(folder)
        save_tokenizer(tokenizer, folder)

    def _embeddings(self) -> torch.Tensor:
        return self.weights["model.embed_tokens.weight"]


class Optimizers:
    """Muon for the matrices, AdamW for the embeddings and norms, under one schedule."""

    def __init__(self, model: LlamaForCausalLM, matrix_rate: float, other_rate: float) -> None:
        matrices = [p for name, p in model.named_parameters() if p.ndim == 2 and "embed" not in name]
        others = [p for name, p in model.named_parameters() if p.ndim != 2 or "embed" in name]
        self.members = [
            torch.optim.Muon(matrices, lr=matrix_rate, weight_decay=0.0, momentum=0.95),
            torch.optim.AdamW(others, lr=other_rate, weight_decay=0.0, betas=(0.9, 0.95)),
        ]
        self.rates = (matrix_rate, other_rate)

    def step(self, scale: float) -> None:
        """One update with the learning rates times `scale`."""
        for member, rate in zip(self.members, self.rates, strict=True):
            for group in member.param_groups:
                group["lr"] = rate * scale
            member.step()
            member.zero_grad()

    def state(self) -> list[dict]:
        """What `load` restores."""
        return [member.state_dict() for member in self.members]

    def load(self, states: list[dict]) -> None:
        """Continue from a saved state."""
        for member, state in zip(self.members, states, strict=True):
            member.load_state_dict(state)


def schedule(step: int, steps: int, warmup: int = 40, decay: float = 0.4) -> float:
    """Warm-up, a plateau, and a linear decay to nearly zero over the last `decay` of the steps."""
    if step < warmup:
        return (step + 1) / warmup
    return min(1.0, max(0.02, (steps - step) / (decay * steps)))


@dataclass
class Run:
    """One training run: what to train, on what, and where it goes."""

    model: LlamaForCausalLM
    tokenizer: PreTrainedTokenizerFast
    optimizers: Optimizers
    loss: Callable[[LlamaForCausalLM, np.ndarray], torch.Tensor]
    count: int  # training rows
    validation: np.ndarray  # indices of rows kept out of training
    folder: Path
    steps: int
    batch: int
    seed: int = 0

    def train(self, save_every: int = 100) -> None:
        """Train to the end, saving the averaged model and a checkpoint now and then."""
        checkpoint = self.folder.with_suffix(".pt")
        average = Average(self.model, 0.98)
        step, losses, began = 0, [], time.monotonic()
        if checkpoint.exists():
            step = self._resume(checkpoint, average)
        order = self._order(step)
        while step < self.steps:
            loss = self.loss(self.model, next(order))
            loss.backward()
            torch.nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
            self.optimizers.step(schedule(step, self.steps))
            average.update(self.model, step)
            losses.append(loss.item())
            step += 1
            if step % 20 == 0:
                print(f"step {step} loss {np.mean(losses[-20:]):.3f} {time.monotonic() - began:.0f} s", flush=True)
            if step % save_every == 0 or step == self.steps:
                average.save(self.model, self.tokenizer, self.folder)
                self._save(checkpoint, average, step)
                print(f"step {step} validation {self.validate():.4f}", flush=True)

    @torch.no_grad()
    def validate(self) -> float:
        """The mean loss on the rows kept out of training."""
        parts = np.array_split(self.validation, max(1, len(self.validation) // self.batch))
        return float(np.mean([self.loss(self.model, part).item() for part in parts]))

    def _order(self, step: int) -> Iterator[np.ndarray]:
        rng = np.random.default_rng(self.seed + step)
        rows = np.setdiff1d(np.arange(self.count), self.validation)
        while True:
            rng.shuffle(rows)
            for start in range(0, len(rows) - self.batch + 1, self.batch):
                yield rows[start : start + self.batch]

    def _save(self, path: Path, average: Average, step: int) -> None:
        state = {"model": self.model.state_dict(), "average": average.weights}
        torch.save({**state, "optimizers": self.optimizers.state(), "step": step}, path)

    def _resume(self, path: Path, average: Average) -> int:
        state = torch.load(path)
        self.model.load_state_dict(state["model"])
        average.weights = state["average"]
        self.optimizers.load(state["optimizers"])
        return state["step"]


def logits_of(model: LlamaForCausalLM, rows: torch.Tensor) -> torch.Tensor:
    """Logits of whole rows, computed in bfloat16."""
    with torch.autocast("cpu", dtype=torch.bfloat16):
        return model(input_ids=rows, use_cache=False).logits


def corpus_stage(work: Path, sources: list[Path], draws: int, prompts: Path) -> None:
    """Write documents.jsonl."""
    documents = corpus.build(sources, draws, prompts, seed=0)
    (work / "documents.jsonl").write_text("".join(json.dumps(text) + "\n" for text in documents))
    print(len(documents), "documents,", sum(map(len, documents)), "characters")


def read_documents(work: Path) -> list[str]:
    """The documents of the corpus stage."""
    return [json.loads(line) for line in (work / "documents.jsonl").read_text().splitlines()]


def tokenizer_stage(work: Path) -> None:
    """Write tokenizer/, unless there is one, and rows.npy."""
    documents = read_documents(work)
    if not (work / "tokenizer").exists():
        save_tokenizer(make_tokenizer(iter(documents)), work / "tokenizer")
    tokenizer = load_tokenizer(work)
    encoded = tokenizer(documents)["input_ids"]
    rows = pack(encoded)
    np.save(work / "rows.npy", rows)
    lengths = [len(tokens) for tokens in encoded]
    print(len(tokenizer), "tokens in the vocabulary,", sum(lengths), "in the corpus,", rows.shape, "rows")
    print("tokens of a document: mean", np.mean(lengths), "90 %", np.percentile(lengths, 90))


def load_tokenizer(work: Path) -> PreTrainedTokenizerFast:
    """The tokenizer of the tokenizer stage."""
    return PreTrainedTokenizerFast.from_pretrained(work / "tokenizer")


def target_stage(work: Path, steps: int, batch: int) -> None:
    """Write target/: next-token prediction on the corpus."""
    rows = np.load(work / "rows.npy")

    def loss(model: LlamaForCausalLM, chosen: np.ndarray) -> torch.Tensor:
        tokens = torch.from_numpy(rows[chosen].astype(np.int64))
        logits = logits_of(model, tokens[:, :-1])
        return F.cross_entropy(logits.flatten(0, 1).float(), tokens[:, 1:].flatten())

    model = new_model(TARGET_SHAPE, TARGET_HEADS)
    validation = np.arange(len(rows) - HELD_OUT_ROWS, len(rows))
    optimizers = Optimizers(model, 0.02, 0.004)
    Run(model, load_tokenizer(work), optimizers, loss, len(rows), validation, work / "target", steps, batch).train()


def beginnings(work: Path, tokenizer: PreTrainedTokenizerFast, count: int, rng: np.random.Generator) -> list[list[int]]:
    """Tokens of the first line or lines of `count` training documents."""
    documents = read_documents(work)
    chosen = rng.permutation(len(documents))[:count]
    texts = []
    for index in chosen:
        lines = documents[index].splitlines(keepends=True)
        texts.append("".join(lines[: rng.integers(1, max(2, min(4, len(lines))))]))
    return tokenizer(texts)["input_ids"]


@torch.no_grad()
def write_texts(
    model: LlamaForCausalLM, prompts: list[list[int]], temperature: float, generator: torch.Generator
) -> list[list[int]]:
    """Every prompt with what the model writes after it: greedily, or sampled at a temperature."""
    longest = max(map(len, prompts))
    tokens = torch.tensor([[END_ID] * (longest - len(prompt)) + prompt for prompt in prompts])
    mask = torch.tensor([[0] * (longest - len(prompt)) + [1] * len(prompt) for prompt in prompts])
    positions = (mask.cumsum(1) - 1).clamp(min=0)
    cache, written = None, torch.empty(len(prompts), 0, dtype=torch.long)
    while written.shape[1] < NEW_TOKENS and (written == END_ID).any(1).float().mean() < 0.95:
        with torch.autocast("cpu", dtype=torch.bfloat16):
            out = model(tokens, attention_mask=mask, position_ids=positions, past_key_values=cache, logits_to_keep=1)
        cache = out.past_key_values
        logits = out.logits[:, -1].float()
        if temperature:
            tokens = torch.multinomial((logits / temperature).softmax(-1), 1, generator=generator)
        else:
            tokens = logits.argmax(-1, keepdim=True)
        written = torch.cat([written, tokens], dim=1)
        mask = torch.cat([mask, torch.ones_like(tokens)], dim=1)
        positions = positions[:, -1:] + 1
    return [prompt + until_end(text) for prompt, text in zip(prompts, written.tolist(), strict=True)]


def until_end(text: list[int]) -> list[int]:
    """The text without its first end token and what follows."""
    return text[: text.index(END_ID)] if END_ID in text else text


def own_documents(work: Path, model: LlamaForCausalLM, count: int, sampled: float) -> list[list[int]]:
    """Texts that the target wrote after beginnings of training documents; a share of them sampled."""
    rng, generator = np.random.default_rng(1), torch.Generator().manual_seed(1)
    prompts = sorted(beginnings(work, load_tokenizer(work), count, rng), key=len)
    documents: list[list[int]] = []
    for start in range(0, len(prompts), WRITERS):
        temperature = 0.7 if rng.random() < sampled else 0.0
        documents += write_texts(model, prompts[start : start + WRITERS], temperature, generator)
        print(len(documents), "texts written", flush=True)
    rng.shuffle(documents)
    return documents


def teach_stage(work: Path, count: int, sampled: float, read: int) -> None:
    """Write lessons.npz: rows the target wrote and rows of the corpus, with its likeliest next tokens."""
    model = LlamaForCausalLM.from_pretrained(work / "target", dtype=torch.float32).eval()
    own = pack(own_documents(work, model, count, sampled))
    corpus_rows = np.load(work / "rows.npy")
    rows = np.concatenate([own, corpus_rows[: min(read, len(corpus_rows) - HELD_OUT_ROWS)]])
    print(len(own), "own rows,", len(rows), "rows", flush=True)
    indices, chances = likeliest(model, rows)
    np.savez(work / "lessons.npz", rows=rows, indices=indices, chances=chances, own=len(own))


@torch.no_grad()
def likeliest(model: LlamaForCausalLM, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The TOP likeliest next tokens at every position of the rows, and their probabilities."""
    indices, chances = [], []
    for start in range(0, len(rows), 16):
        logits = logits_of(model, torch.from_numpy(rows[start : start + 16].astype(np.int64)))
        top = logits.float().softmax(-1).topk(TOP)
        indices.append(top.indices.numpy().astype(np.uint16))
        chances.append(top.values.numpy().astype(np.float16))
    return np.concatenate(indices), np.concatenate(chances)


def draft_stage(work: Path, steps: int, batch: int) -> None:
    """Write draft/: distillation of the target's likeliest next tokens."""
    lessons = np.load(work / "lessons.npz")
    rows, indices, chances = lessons["rows"], lessons["indices"], lessons["chances"]

    def loss(model: LlamaForCausalLM, chosen: np.ndarray) -> torch.Tensor:
        logits = logits_of(model, torch.from_numpy(rows[chosen].astype(np.int64)))
        wanted = torch.from_numpy(indices[chosen].astype(np.int64))
        weights = torch.from_numpy(chances[chosen].astype(np.float32))
        weights = weights / weights.sum(-1, keepdim=True)
        return -(weights * logits.float().log_softmax(-1).gather(-1, wanted)).sum(-1).mean()

    model = new_model(DRAFT_SHAPE, DRAFT_HEADS)
    validation = np.arange(0, int(lessons["own"]), max(1, int(lessons["own"]) // 64))
    optimizers = Optimizers(model, 0.02, 0.004)
    Run(model, load_tokenizer(work), optimizers, loss, len(rows), validation, work / "draft", steps, batch).train()


def main() -> None:
    """Run one stage."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("stage", choices=("corpus", "tokenizer", "target", "teach", "draft"))
    parser.add_argument("work", type=Path, help="folder of everything that is made")
    parser.add_argument("--sources", type=Path, nargs="*", default=[], help="folders of Python sources")
    parser.add_argument("--synthetic", type=int, default=60_000, help="draws of synthetic definitions")
    parser.add_argument("--prompts", type=Path, default=BUNDLED / "prompts.jsonl")
    parser.add_argument("--steps", type=int, default=1500)
    parser.add_argument("--batch", type=int, default=16, help="rows of a step")
    parser.add_argument("--count", type=int, default=12_000, help="texts the target writes for the draft")
    parser.add_argument("--sampled", type=float, default=0.25, help="share of these that are sampled")
    parser.add_argument("--read", type=int, default=8000, help="rows of the corpus the draft learns from")
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    torch.manual_seed(0)
    options.work.mkdir(parents=True, exist_ok=True)
    if options.stage == "corpus":
        corpus_stage(options.work, options.sources, options.synthetic, options.prompts)
    elif options.stage == "tokenizer":
        tokenizer_stage(options.work)
    elif options.stage == "target":
        target_stage(options.work, options.steps, options.batch)
    elif options.stage == "teach":
        teach_stage(options.work, options.count, options.sampled, options.read)
    else:
        draft_stage(options.work, options.steps, options.batch)


if __name__ == "__main__":
    main()
