"""Interrupts: SIGTERM acts like Ctrl-C, and both also work in the background of a shell."""

from __future__ import annotations

import contextlib
import signal
import threading
import time
from collections.abc import Iterator

ENDING = (signal.SIGINT, signal.SIGTERM)
ONE_REQUEST_S = 1.0  # `timeout` and a terminal signal a process and its group: it gets the same request twice


@contextlib.contextmanager
def interruptible() -> Iterator[None]:
    """Let both signals raise `KeyboardInterrupt` inside, so that finished work is reported and kept.

    A shell without job control starts `command &` with SIGINT ignored, and Python keeps that.
    """
    if threading.current_thread() is not threading.main_thread():  # where no handler can be set
        yield
        return
    asked_at = -ONE_REQUEST_S

    def interrupt(*_: object) -> None:
        nonlocal asked_at
        repeated = time.monotonic() - asked_at < ONE_REQUEST_S
        if not repeated:
            asked_at = time.monotonic()
            raise KeyboardInterrupt

    before = {number: signal.signal(number, interrupt) for number in ENDING}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
