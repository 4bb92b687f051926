"""The command line: `gsd` or `python -m gsd`.

Results go to standard output, everything else to standard error. Bad input ends with one line and
exit code 2. Only commands that decode import torch, and only after their options are checked.
"""

from __future__ import annotations

import contextlib
import errno
import os
import sys

import typer
from typer.exceptions import TyperException

from cli.benchmark import bench
from cli.decode import generate
from cli.inspect import doctor, pairs
from cli.output import CLOSED_PIPE, give_up_streams, harmless, prepare_streams
from cli.probing import probe
from cli.runs import export, query, rerun
from cli.signals import interruptible
from cli.sweeping import sweep
from cli.tuning import calibrate, tune
from gsd.errors import GsdError, InputError
from gsd.machine.crowd import settle_waits

FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
INTERRUPTED = 130  # what typer makes of Ctrl-C
COMMANDS = (generate, bench, sweep, export, query, rerun, probe, calibrate, tune, pairs, doctor)
app = typer.Typer(add_completion=False, rich_markup_mode=None, help="GSD lab: graph-structured speculative decoding.")
for command in COMMANDS:
    app.command()(command)
# Former names still work.
app.command("replay", hidden=True)(rerun)
FORMER = {"--in-rows": "--unpacked"}


def main(arguments: list[str] | None = None) -> int:
    """Run the command line and return the exit code. Without arguments it shows the help."""
    given = sys.argv[1:] if arguments is None else arguments
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
    os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
    settle_waits()
    prepare_streams()
    try:
        code = _run([FORMER.get(one, one) for one in given] or ["--help"])
    except (GsdError, TyperException) as error:
        message = error.format_message() if isinstance(error, TyperException) else str(error)
        return _told(message, error.exit_code)
    except BrokenPipeError:  # whoever read it, as `head` does, has had enough
        give_up_streams()
        return CLOSED_PIPE
    if code == INTERRUPTED:
        return _told("interrupted; what was finished is above or in the trace", code)
    return code


def _run(arguments: list[str]) -> int:
    """Run the command and return its exit code. Raises `BrokenPipeError` if nobody reads its output."""
    try:
        with interruptible():
            code = app(args=arguments, prog_name="gsd", standalone_mode=False) or 0
        sys.stdout.flush()
    except SystemExit as error:  # what typer makes of a closed pipe
        if isinstance(error.__context__, BrokenPipeError):
            raise error.__context__ from None
        raise
    except OSError as error:
        if error.filename is not None or error.errno not in FULL:  # it was not for want of room to write
            raise
        give_up_streams()
        raise InputError(
            f"cannot write the output: {error.strerror}; free some space or redirect it elsewhere"
        ) from None
    return code


def _told(message: str, code: int) -> int:
    """Print why the command ends, in one line on standard error. Returns `code`."""
    with contextlib.suppress(OSError):
        print(f"gsd: {harmless(' '.join(message.split()))}", file=sys.stderr, flush=True)
    give_up_streams()
    return code
