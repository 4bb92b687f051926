"""From a `RunSpec` to a decoded and recorded run. Command line, worker and benchmarks all use this."""

from __future__ import annotations

import contextlib
import platform
import statistics
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import transformers

import gsd
from gsd.config import RunSpec, run_digest
from gsd.decode.engine import Engine
from gsd.decode.stops import StopRules
from gsd.decode.text import Continuation, TokenTexts, encode, text_before_stop
from gsd.drafting.base import Parts
from gsd.errors import GsdError, InputError
from gsd.machine.crowd import crowd
from gsd.machine.environment import hardware
from gsd.methods import BASELINE, Method, drafting, method_named
from gsd.methods.base import Need
from gsd.models.choice import Held
from gsd.models.hf import HFModel
from gsd.models.loading import draft_device, load_model, load_tokenizer
from gsd.models.port import TargetPort
from gsd.models.settling import Settled, settle
from gsd.models.vocabulary import Shared, check_pair
from gsd.spec import Dtype, ModelSpec, Prompt, SamplingSpec, keeps_text
from gsd.trace.records import FirstChoices, Tally, round_record
from gsd.trace.round import Round
from gsd.trace.writer import TraceWriter

BASELINE_REPEATS = 3


@dataclass(frozen=True, slots=True)
class RunResult:
    """The result of a run. `run` and `folder` are None if no trace was written."""

    run: str | None
    folder: Path | None
    text: str
    tokens: list[int]
    totals: dict[str, Any]
    status: str  # complete or cancelled
    stop: str
    baseline: dict[str, Any] | None
    notes: tuple[str, ...] = ()  # what its user should know of how it went, a line each


@dataclass(frozen=True, slots=True)
class _Decoded:
    """The result of the loop."""

    tokens: list[int]
    totals: dict[str, Any]
    stop: str
    notes: tuple[str, ...]


class Runner:
    """A loaded pair. Runs one text at a time."""

    def __init__(
        self,
        target: HFModel,
        draft: HFModel | None,
        tokenizer: Any,
        settled: Settled = Settled(),  # noqa: B008
        shared: Shared | None = None,
    ) -> None:
        """`settled` says what auto chose. `shared` is the common part of two different vocabularies."""
        self.target = target
        self.draft = draft
        self.tokenizer = tokenizer
        self.settled = settled
        self._shared = shared
        if shared is not None and draft is not None:
            draft.vocab_size = min(draft.vocab_size, shared.tokens)
        self._texts = TokenTexts(tokenizer)
        self._memories: dict[str, Any] = {}  # by method, what it learned of this pair
        self._port: TargetPort | None = None  # made for the first method that reads the target

    @classmethod
    def load(
        cls,
        target: ModelSpec,
        draft: ModelSpec | None,
        *,
        device: str = "auto",
        dtype: Dtype = "auto",
        packed: bool = True,
    ) -> Runner:
        """Load a target and, unless only `ar` is wanted, a draft with the same vocabulary.

        `auto` is settled first. The draft loads before the target, so that a target on several devices leaves it room.
        """
        tokenizer = load_tokenizer(target)
        shared = None if draft is None else check_pair(target, draft, tokenizer, load_tokenizer(draft))
        chosen = settle(target, draft, device=device, dtype=dtype, packed=packed)
        drafting = None
        if chosen.draft is not None:
            held = Held() if chosen.draft.quantization == "none" else chosen.held
            drafting = load_model(chosen.draft, draft_device(device), chosen.dtype, packed=packed, held=held)
        whole = load_model(target, device, chosen.dtype, packed=packed)
        return cls(whole, drafting, tokenizer, chosen, shared)

    @classmethod
    def of(cls, spec: RunSpec) -> Runner:
        """Load the models of a run on its device, in its dtype and precision."""
        return cls.load(spec.target, spec.draft, device=spec.device, dtype=spec.dtype, packed=spec.packed)

    def as_decoded(self, spec: RunSpec) -> RunSpec:
        """The settings with the choices of auto filled in. A dtype that is a rule of the device stays auto."""
        made = spec.model_copy(update={"dtype": self.settled.dtype if spec.dtype == "auto" else spec.dtype})
        if spec.draft is None or spec.draft.quantization != "auto":
            return made
        kind = self.draft.spec.quantization if self.draft else "none"
        return made.model_copy(update={"draft": spec.draft.model_copy(update={"quantization": kind})})

    def notes(self) -> list[str]:
        """Notes for the user of this pair: tokens that only the target has, and what makes it slow."""
        shared = [self._shared.note] if self._shared else []
        return [*shared, *self.settled.notes, *filter(None, [crowd(torch.get_num_threads())])]

    @property
    def eos(self) -> frozenset[int]:
        """Token ids that end a text, according to the model and the tokenizer."""
        configured = self.target.model.generation_config.eos_token_id
        ids = configured if isinstance(configured, list) else [configured]
        return frozenset(i for i in (*ids, self.tokenizer.eos_token_id) if i is not None)

    def encode(self, prompt: Prompt) -> list[int]:
        """Token ids of a prompt, chat template included."""
        return encode(self.tokenizer, prompt)

    def token_texts(self, tokens: list[int]) -> list[str]:
        """Each token as it reads behind other text."""
        return self._texts.all(tokens)

    def run(
        self,
        spec: RunSpec,
        out: Path | None,
        *,
        prompt: list[int] | None = None,
        on_start: Callable[[Path], None] | None = None,
        on_round: Callable[[dict], None] | None = None,
        cancelled: Callable[[], bool] = lambda: False,
        baseline: bool = False,
    ) -> RunResult:
        """Decode `spec.prompt` and write its trace under `out` (None: no trace).

        `prompt`: recorded prompt tokens to decode again, instead of encoding the prompt. `on_round` gets the record of
        each round, outside the measured time. With `baseline` this method and `ar` then decode the prompt
        `BASELINE_REPEATS` more times in turn, to measure the speed-up.
        """
        self._require_draft(spec)
        prompt = self.encode(spec.prompt) if prompt is None else prompt
        with contextlib.ExitStack() as stack:
            writer = None
            if out is not None:
                writer = stack.enter_context(TraceWriter(out, spec.prompt.id, self._head(spec, prompt)))
                if on_start:
                    on_start(writer.folder)
            written = Continuation(self._texts, prompt)
            try:
                decoded = self._decode(
                    spec, prompt, cancelled, lambda round_: self._publish(round_, spec, written, writer, on_round)
                )
            except Exception as error:
                self._record_failure(writer, error)
                raise
            compared = None
            try:
                wanted = baseline and decoded.stop != "cancelled"
                compared = self._compare(spec, prompt, decoded, cancelled) if wanted else None
            finally:  # the text is whole, whatever becomes of the comparison
                result = self._result(spec, prompt, decoded, compared, writer)
            return result

    def rounds(self, spec: RunSpec, prompt: list[int]) -> Iterator[Round]:
        """The rounds of the engine for a tokenised prompt, without trace or text."""
        detail = spec.detail == "full"
        settings = spec.drafting
        method = method_named(settings.method)
        drafter = method.drafter(settings, self._parts(method, spec.sampling, record=detail))
        engine = Engine(self.target, drafter, method.rule(settings), spec.sampling, detail=detail)
        begin = (lambda: Continuation(self._texts, prompt, spec.stop)) if spec.stop else None
        stops = StopRules(spec.max_new_tokens, self.eos, begin)
        return engine.decode(prompt, stops)

    def _require_draft(self, spec: RunSpec) -> None:
        if spec.needs_draft and self.draft is None:
            raise InputError(f"method {spec.drafting.method!r} needs a draft model: name one with --draft")

    def _parts(self, method: Method, sampling: SamplingSpec, *, record: bool) -> Parts:
        """The parts that a drafter of `method` gets from this pair."""
        if method.name not in self._memories:
            self._memories[method.name] = method.memory()
        if Need.TARGET in method.needs and self._port is None:
            self._port = TargetPort(self.target)
        if self._port:
            self._port.capture(())  # what the last drafter asked for
        port = self._port if Need.TARGET in method.needs else None
        return Parts(port, self.draft, self.target.vocab_size, record, self._memories[method.name], sampling)

    def _decode(
        self, spec: RunSpec, prompt: list[int], cancelled: Callable[[], bool], publish: Callable[[Round], None]
    ) -> _Decoded:
        """Run the loop to its end or until `cancelled`, which is asked after every round."""
        tally, first, tokens, stop = Tally(), FirstChoices(greedy=spec.sampling.temperature == 0.0), [], "cancelled"
        for round_ in self.rounds(spec, prompt):
            tally.add(round_)
            first.add(round_)
            tokens += round_.new_tokens
            publish(round_)
            if round_.stop or cancelled():
                stop = round_.stop or stop
                break
        return _Decoded(tokens, tally.totals(), stop, tuple(filter(None, [first.note()])))

    def _result(
        self,
        spec: RunSpec,
        prompt: list[int],
        decoded: _Decoded,
        compared: dict[str, Any] | None,
        writer: TraceWriter | None,
    ) -> RunResult:
        """Close the trace, if there is one, and make the result."""
        stop = decoded.stop
        status = "cancelled" if stop == "cancelled" else "complete"
        text = self._texts.after(prompt, decoded.tokens)
        if stop == "stop_string":
            text = text_before_stop(self._texts, prompt, decoded.tokens, spec.stop)
        if writer:
            end = {"status": status, "stop": stop, "error": None, "text": text, "notes": list(decoded.notes)}
            writer.end({**end, "totals": decoded.totals, "baseline": compared})
        folder = writer.folder if writer else None
        run = folder.name if folder else None
        return RunResult(run, folder, text, decoded.tokens, decoded.totals, status, stop, compared, decoded.notes)

    def _publish(
        self, round_: Round, spec: RunSpec, written: Continuation, writer: TraceWriter | None, on_round: Callable | None
    ) -> None:
        if writer is None and on_round is None:
            return
        new_texts = [written.add(token) for token in round_.new_tokens]
        record = round_record(round_, self._texts.all, new_texts, detail=spec.detail == "full")
        if writer:
            writer.round(record)
        if on_round:
            on_round(record)

    def _compare(
        self, spec: RunSpec, prompt: list[int], decoded: _Decoded, cancelled: Callable[[], bool]
    ) -> dict[str, Any] | None:
        """The method against `ar` with everything else the same: warm, in turn, without a trace.

        Gives the totals of `ar`, the median ratio of tokens per second with its lowest and highest, and
        whether the tokens are the same (None if the method keeps only their law). None where it was cancelled before a
        pair of runs was whole.
        """
        own = spec.model_copy(update={"detail": "counters"})
        plain = own.model_copy(update={"drafting": drafting(BASELINE)})
        pairs: list[tuple[_Decoded, _Decoded]] = []
        for _ in range(1 + BASELINE_REPEATS):  # the first pair warms up
            reference = self._decode(plain, prompt, cancelled, _ignore)
            if cancelled():
                break
            again = self._decode(own, prompt, cancelled, _ignore)
            if cancelled():
                break
            pairs.append((reference, again))
        if len(pairs) < 2:
            return None
        ratios = [again.totals["tokens_per_s"] / reference.totals["tokens_per_s"] for reference, again in pairs[1:]]
        reference = pairs[-1][0]
        one_text = keeps_text(method_named(spec.drafting.method).keeps, spec.sampling.temperature)
        return {
            **reference.totals,
            "speedup": statistics.median(ratios),
            "speedup_low": min(ratios),
            "speedup_high": max(ratios),
            "repeats": len(ratios),
            "matches_baseline": decoded.tokens == reference.tokens if one_text else None,
        }

    def _record_failure(self, writer: TraceWriter | None, error: Exception) -> None:
        if writer is None:
            return
        line = f"{type(error).__name__}: {error}".splitlines()[0] if not isinstance(error, GsdError) else str(error)
        record = {"status": "failed", "stop": None, "error": line, "text": "", "totals": None, "baseline": None}
        with contextlib.suppress(GsdError):  # a disk that failed the run fails this line, too: it stays incomplete
            writer.end(record)

    def meta(self, spec: RunSpec) -> dict[str, Any]:
        """The head of a recording: settings, models, versions and machine."""
        decoded = self.as_decoded(spec)
        return {
            "spec": decoded.model_dump(mode="json"),
            "method": method_named(spec.drafting.method).described(),
            "digest": decoded.digest(),
            "asked_digest": spec.digest(),
            "target": self.target.describe(),
            "draft": self.draft.describe() if self.draft and spec.needs_draft else None,
            "versions": {
                "gsd": gsd.__version__,
                "python": platform.python_version(),
                "torch": torch.__version__,
                "transformers": transformers.__version__,
                "platform": platform.platform(),
            },
            "machine": hardware(self.target.devices),
            "notes": self.notes(),
        }

    def _head(self, spec: RunSpec, prompt: list[int]) -> dict[str, Any]:
        """The head of a run: `meta` and the prompt. The digest covers the prompt tokens, too."""
        meta = self.meta(spec)
        return meta | {
            "digest": run_digest(meta["digest"], prompt),
            "prompt_tokens": prompt,
            "prompt_texts": self._texts.all(prompt),
            "eos": sorted(self.eos),
        }


def _ignore(_: Round) -> None:
    """Does nothing with a round, if only the result matters."""
