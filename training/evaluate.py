"""Measures the tiny pair on sets of prompts and prints the figures of each set, and of its kinds, as JSON.

    python -m training.evaluate [FOLDER] [--prompts FILE...] [--texts] [--timings]

Everything is greedy and in float32. FOLDER holds `target/` and `draft/`; this folder by default. The prompts are the
held-out ones beside this file by default.
"""

from __future__ import annotations

import argparse
import ast
import json
import time
from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, DynamicCache, PreTrainedModel, PreTrainedTokenizerBase

from gsd.config import RunSpec
from gsd.decode.prompts import read_prompts
from gsd.decode.runner import Runner
from gsd.methods import drafting
from gsd.models.places import BUNDLED
from gsd.spec import ModelSpec, Prompt
from gsd.trace.records import Tally

NEW_TOKENS = 96
DECODED_TOKENS = 64  # where the engine decodes: as in benchmarks/
METHODS = ("chain", "graph")
LOOP_LENGTH, LOOP_COUNT = 8, 3
CONTEXT = 256  # tokens in the cache when a forward is timed


@dataclass(frozen=True)
class Models:
    """The pair as transformers loads it."""

    target: PreTrainedModel
    draft: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase


@dataclass(frozen=True)
class Sample:
    """What the target wrote after one prompt, and how the draft ranks each of its tokens."""

    id: str
    kind: str
    prompt: str
    completion: str
    tokens: list[int]
    ranks: list[int]  # 0 where the token is the draft's first choice
    ended: bool

    @property
    def parses(self) -> bool:
        """Whether the prompt and the completion, cut at its last whole line, are Python."""
        whole = self.completion if self.ended else self.completion[: self.completion.rfind("\n") + 1]
        try:
            ast.parse(self.prompt + whole)
        except SyntaxError:
            return False
        return True

    @property
    def loops(self) -> bool:
        """Whether some run of LOOP_LENGTH tokens occurs more than LOOP_COUNT times."""
        runs = zip(*(self.tokens[start:] for start in range(LOOP_LENGTH)), strict=False)
        return max(Counter(runs).values(), default=0) > LOOP_COUNT


@torch.no_grad()
def sample(models: Models, line: Prompt) -> Sample:
    """Let the target write greedily after one prompt, and ask the draft about every token."""
    tokenizer = models.tokenizer
    prompt = tokenizer(line.prompt, return_tensors="pt")["input_ids"]
    text = models.target.generate(
        prompt, max_new_tokens=NEW_TOKENS, do_sample=False, attention_mask=torch.ones_like(prompt)
    )
    length = prompt.shape[1]
    written = text[0, length:]
    logits = models.draft(text).logits[0, length - 1 : -1]
    chosen = logits.gather(1, written[:, None])
    ranks = (logits > chosen).sum(1).tolist()
    ended = bool(written[-1] == tokenizer.eos_token_id)
    tokens = written.tolist()
    completion = tokenizer.decode(tokens[:-1] if ended else tokens)
    return Sample(line.id, line.kind, line.prompt, completion, tokens, ranks, ended)


def figures(samples: list[Sample]) -> dict[str, float | int]:
    """Agreement of the draft, and how many completions end, parse and loop."""
    ranks = [rank for one in samples for rank in one.ranks]
    return {
        "prompts": len(samples),
        "positions": len(ranks),
        "draft_first": round(sum(rank == 0 for rank in ranks) / len(ranks), 4),
        "draft_first_four": round(sum(rank < 4 for rank in ranks) / len(ranks), 4),
        "ended": sum(one.ended for one in samples),
        "parses": sum(one.parses for one in samples),
        "loops": sum(one.loops for one in samples),
    }


def acceptance_lengths(folder: Path, prompts: list[Prompt]) -> dict[str, float]:
    """Tokens that a round of the engine brings in the mean, by method, with the default settings."""
    target, draft = (ModelSpec(source=str(folder / name)) for name in ("target", "draft"))
    runner = Runner.load(target, draft, dtype="float32")
    lengths = {}
    for method in METHODS:
        tally = Tally()
        for prompt in prompts:
            spec = RunSpec(target=target, draft=draft, dtype="float32", prompt=prompt, detail="counters",
                           drafting=drafting(method), max_new_tokens=DECODED_TOKENS)  # fmt: skip
            for round_ in runner.rounds(spec, runner.encode(prompt)):
                tally.add(round_)
        lengths[method] = round(tally.totals()["mean_acceptance_length"], 2)
    return lengths


def evaluated(folder: Path, models: Models, file: Path, *, texts: bool) -> dict[str, Any]:
    """Figures of one set of prompts, all of them and by kind; every completion is printed where asked."""
    prompts = read_prompts(file).prompts
    kinds: dict[str, list[Sample]] = defaultdict(list)
    for one in (sample(models, prompt) for prompt in prompts):
        kinds[one.kind].append(one)
        if texts:
            print(f"--- {one.id} parses={one.parses} loops={one.loops}\n{one.prompt}{one.completion}")
    everything = [one for members in kinds.values() for one in members]
    return {
        "all": figures(everything) | {"acceptance_length": acceptance_lengths(folder, prompts)},
        **{kind: figures(members) for kind, members in kinds.items()},
    }


def _milliseconds(call: Callable[[], object], repeats: int = 25) -> float:
    """The fastest of the calls: what else the machine does only ever adds to a time."""
    times = []
    for _ in range(repeats):
        began = time.perf_counter()
        call()
        times.append(1000 * (time.perf_counter() - began))
    return round(min(times), 2)


@torch.no_grad()
def forward_time(model: PreTrainedModel, tokens: int) -> float:
    """Milliseconds of a forward of that many tokens after CONTEXT cached ones."""
    cache = DynamicCache(config=model.config)
    generator = torch.Generator().manual_seed(0)
    vocabulary = model.config.vocab_size
    model(torch.randint(vocabulary, (1, CONTEXT), generator=generator), past_key_values=cache)
    new = torch.randint(vocabulary, (1, tokens), generator=generator)

    def forward() -> None:
        model(new, past_key_values=cache)
        cache.crop(-tokens)

    forward()
    return _milliseconds(forward)


def timings(folder: Path) -> dict[str, float]:
    """Milliseconds of the forwards that speculation is made of, in both dtypes."""
    out = {}
    for dtype in ("float32", "bfloat16"):
        for name, counts in (("target", (1, 24)), ("draft", (1, 4))):
            model = AutoModelForCausalLM.from_pretrained(folder / name, dtype=getattr(torch, dtype)).eval()
            for count in counts:
                out[f"{name}_{dtype}_{count}"] = forward_time(model, count)
    return out


def main() -> None:
    """Print the figures, with every text and the timings where asked."""
    here = BUNDLED
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, nargs="?", default=here)
    parser.add_argument("--prompts", type=Path, nargs="+", default=[here / "prompts.jsonl"], metavar="FILE")
    parser.add_argument("--texts", action="store_true", help="print every completion too")
    parser.add_argument("--timings", action="store_true", help="time forwards too")
    options = parser.parse_args()
    tokenizer = AutoTokenizer.from_pretrained(options.folder / "target")
    target, draft = (
        AutoModelForCausalLM.from_pretrained(options.folder / name, dtype=torch.float32).eval()
        for name in ("target", "draft")
    )
    models = Models(target, draft, tokenizer)
    report = {file.stem: evaluated(options.folder, models, file, texts=options.texts) for file in options.prompts}
    if options.timings:
        report["milliseconds"] = timings(options.folder)
    print(json.dumps(report, indent=2))


if __name__ == "__main__":
    main()
