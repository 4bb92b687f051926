"""Measures the tiny pair on its held-out prompts and prints the figures as JSON.

    python -m gsd.models.tiny.evaluate [FOLDER] [--texts] [--timings]

Everything is greedy and in float32. FOLDER holds `target/` and `draft/`; this folder by default.
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

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, DynamicCache, PreTrainedModel, PreTrainedTokenizerBase

NEW_TOKENS = 96
LOOP_LENGTH, LOOP_COUNT = 8, 3
CONTEXT = 256  # tokens in the cache when a forward is timed


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
def sample(
    target: PreTrainedModel, draft: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, line: dict[str, str]
) -> Sample:
    """Let the target write greedily after one prompt, and ask the draft about every token."""
    prompt = tokenizer(line["prompt"], return_tensors="pt")["input_ids"]
    text = target.generate(prompt, max_new_tokens=NEW_TOKENS, do_sample=False, attention_mask=torch.ones_like(prompt))
    length = prompt.shape[1]
    written = text[0, length:]
    logits = draft(text).logits[0, length - 1 : -1]
    chosen = logits.gather(1, written[:, None])
    ranks = (logits > chosen).sum(1).tolist()
    ended = bool(written[-1] == tokenizer.eos_token_id)
    tokens = written.tolist()
    completion = tokenizer.decode(tokens[:-1] if ended else tokens)
    return Sample(line["id"], line["kind"], line["prompt"], completion, tokens, ranks, ended)


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
    here = Path(__file__).parent
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, nargs="?", default=here)
    parser.add_argument("--prompts", type=Path, default=here / "prompts.jsonl")
    parser.add_argument("--texts", action="store_true", help="print every completion too")
    parser.add_argument("--timings", action="store_true", help="time forwards too")
    options = parser.parse_args()
    tokenizer = AutoTokenizer.from_pretrained(options.folder / "target")
    target, draft = (
        AutoModelForCausalLM.from_pretrained(options.folder / name, dtype=torch.float32).eval()
        for name in ("target", "draft")
    )
    lines = [json.loads(line) for line in options.prompts.read_text().splitlines()]
    samples = [sample(target, draft, tokenizer, line) for line in lines]
    kinds = defaultdict(list)
    for one in samples:
        kinds[one.kind].append(one)
        if options.texts:
            print(f"--- {one.id} parses={one.parses} loops={one.loops}\n{one.prompt}{one.completion}")
    report: dict[str, object] = {"all": figures(samples)}
    report |= {kind: figures(members) for kind, members in kinds.items()}
    if options.timings:
        report["milliseconds"] = timings(options.folder)
    print(json.dumps(report, indent=2))


if __name__ == "__main__":
    main()
