"""A long-lived engine process: `python -m gsd.decode.worker`. It reads and writes one JSON object per line.

In, on standard input, `{"do": ...}`:

| do         | with                                                 |                                           |
|------------|------------------------------------------------------|-------------------------------------------|
| `run`      | `id`, `spec` (a `RunSpec`), `out` (folder), `baseline` | queue a run                             |
| `cancel`   | `id`                                                 | end that run after its current round      |
| `pause`    | `id`                                                 | hold that run after its current round     |
| `resume`   | `id`                                                 | let it go on                              |
| `unload`   |                                                      | give the models' memory back              |
| `shutdown` |                                                      | as closing standard input: cancel and exit |

Out, on standard output, `{"event": ...}`, each about a run with its `id`: `loading`, `loaded`,
`started` (`folder`), then one of `finished`, `cancelled`, `failed` (`error`, one line); without one:
`ready`, `unloaded`, `memory` (`host_bytes`, and `device_bytes` by device), `failed` for a line
that is no command. The text itself is in the trace; nothing of it goes through here.
"""

from __future__ import annotations

import json
import os
import queue
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, TextIO

from gsd.config import RunSpec
from gsd.decode.holder import PairHolder
from gsd.errors import GsdError, InputError
from gsd.machine.crowd import WAITS
from gsd.spec import build

EXIT_GRACE_S = 5.0  # how long a run may still take once nobody listens
PAUSE_POLL_S = 0.05  # how soon a run that is held hears that it may go on
NICENESS = 10  # of 19: the app and the browser go first where they share the cores


class Runner(Protocol):
    """What the worker needs of a loaded pair. `gsd.decode.runner.Runner` implements it."""

    def run(self, spec: RunSpec, out: Path | None, *, on_start: Callable, cancelled: Callable[[], bool],
            baseline: bool) -> Any: ...  # fmt: skip


@dataclass(slots=True)
class _Orders:
    """What was asked of a run that has not ended."""

    cancel: bool = False
    pause: bool = False


class Worker:
    """Runs one command after another. `cancel` also works during a run.

    `load` turns a `RunSpec` into a loaded runner. `memory` returns the bytes in use.
    """

    def __init__(self, load: Callable[[RunSpec], Runner], memory: Callable[[], dict], out: TextIO) -> None:
        self._pairs, self._memory, self._out = PairHolder(load), memory, out
        self._commands: queue.Queue[dict[str, Any]] = queue.Queue()
        self._orders: dict[str, _Orders] = {}  # of runs that have not ended; what is asked of others is forgotten
        self._closing = threading.Event()
        self._write_lock = threading.Lock()

    def serve(self, lines: Iterable[str]) -> None:
        """Work until `shutdown` or the end of `lines`. A separate thread reads them."""
        threading.Thread(target=self._listen, args=(lines,), daemon=True).start()
        self._say("ready")
        while (command := self._commands.get())["do"] != "shutdown":
            if command["do"] == "unload":
                self._unload()
            else:
                self._run(command)

    def _listen(self, lines: Iterable[str]) -> None:
        for line in lines:
            self._hear(line)
        self._close()

    def _hear(self, line: str) -> None:
        try:
            command = _parse(line)
        except InputError as error:
            self._say("failed", id=None, error=str(error))
            return
        do, orders = command["do"], self._orders.get(command.get("id", ""), _Orders())
        if do == "cancel":
            orders.cancel = True
        elif do in ("pause", "resume"):
            orders.pause = do == "pause"
        elif do == "shutdown":
            self._close()
        else:
            if do == "run":
                self._orders.setdefault(command["id"], orders)
            self._commands.put(command)

    def _close(self) -> None:
        """Cancel whatever is going; a forward or a load that will not end is not waited for."""
        self._closing.set()
        self._commands.put({"do": "shutdown"})
        deadline = threading.Timer(EXIT_GRACE_S, os._exit, args=(1,))
        deadline.daemon = True
        deadline.start()

    def _run(self, command: dict[str, Any]) -> None:
        name = command["id"]
        orders = self._orders.setdefault(name, _Orders())

        def ended() -> bool:
            return self._closing.is_set() or orders.cancel

        def cancelled() -> bool:
            """Asked between rounds, where a run can be held as well: no clock is running there."""
            while orders.pause and not ended():
                time.sleep(PAUSE_POLL_S)
            return ended()

        try:
            outcome, details = self._decode(command, ended, cancelled)
        except Exception as error:
            if not isinstance(error, GsdError):
                traceback.print_exc()
            outcome, details = "failed", {"error": _one_line(error)}
        self._orders.pop(name, None)
        self._say(outcome, id=name, **details)
        self._say("memory", **self._memory())

    def _decode(
        self, command: dict[str, Any], ended: Callable[[], bool], cancelled: Callable[[], bool]
    ) -> tuple[str, dict[str, Any]]:
        """The closing event of a run and its fields."""
        name, spec = command["id"], build(RunSpec, command["spec"])
        if ended():
            return "cancelled", {}
        runner = self._runner(name, spec)
        if ended():
            return "cancelled", {}
        result = runner.run(spec, Path(command["out"]), baseline=bool(command.get("baseline")), cancelled=cancelled,
                            on_start=lambda folder: self._say("started", id=name, folder=str(folder)))  # fmt: skip
        return ("cancelled" if result.status == "cancelled" else "finished"), {"folder": str(result.folder)}

    def _runner(self, name: str, spec: RunSpec) -> Runner:
        """The loaded pair of `spec`; loading is announced."""
        if self._pairs.holds(spec):
            return self._pairs.get(spec)
        self._say("loading", id=name, target=spec.target.source, draft=spec.draft and spec.draft.source)
        runner = self._pairs.get(spec)
        self._say("loaded", id=name)
        return runner

    def _unload(self) -> None:
        self._pairs.drop()
        self._say("unloaded")
        self._say("memory", **self._memory())

    def _say(self, event: str, **fields: Any) -> None:
        with self._write_lock:
            self._out.write(json.dumps({"event": event, **fields}) + "\n")
            self._out.flush()


def main() -> None:
    """Serve standard input. Whatever the libraries print goes to standard error."""
    give_way()
    out = claim_stdout()
    from gsd.decode.runner import (
        Runner as Pair,  # seconds of importing torch, before `ready` rather than in the first run
    )

    Worker(Pair.of, _memory, out).serve(sys.stdin)


def _parse(line: str) -> dict[str, Any]:
    try:
        command = json.loads(line)
        do = command["do"]
    except (ValueError, TypeError, KeyError):
        raise InputError(f"not a command: {line.strip()[:200]!r}; write one JSON object a line with 'do'") from None
    needs = {
        "run": {"id", "spec", "out"},
        "cancel": {"id"},
        "pause": {"id"},
        "resume": {"id"},
        "unload": set(),
        "shutdown": set(),
    }
    if not isinstance(do, str) or do not in needs:
        raise InputError(f"unknown command {do!r}; choose one of {', '.join(needs)}")
    if missing := needs[do] - command.keys():
        raise InputError(f"command {do!r} lacks {', '.join(sorted(missing))}")
    if not isinstance(command.get("id", ""), str):
        raise InputError(f"command {do!r} has the id {command['id']!r}; give a string")
    return command


def _one_line(error: Exception) -> str:
    text = " ".join(str(error).split())
    return text if isinstance(error, GsdError) else f"{type(error).__name__}: {text}"


def give_way() -> None:
    """Lower the priority of this process below the app and the browser. Call it before torch is loaded.

    By default a waiting thread of torch spins. If another process needs that core, this slows down both. Sleeping
    makes forwards of a small model up to a third longer on free cores, but the app leaves no core free.
    """
    os.environ.setdefault(WAITS, "passive")
    if hasattr(os, "nice"):  # not on Windows
        os.nice(NICENESS)


def claim_stdout() -> TextIO:
    """Keep the real standard output for the protocol, and redirect descriptor 1 to standard error."""
    out = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    sys.stdout = sys.stderr
    return out


def _memory() -> dict[str, Any]:
    """Bytes in use now: of this process, and of the tensors on each CUDA device."""
    import psutil
    import torch

    devices = range(torch.cuda.device_count())
    return {
        "host_bytes": psutil.Process().memory_info().rss,
        "device_bytes": {f"cuda:{i}": torch.cuda.memory_allocated(i) for i in devices},
    }


if __name__ == "__main__":
    main()
