"""The command line: `gsd` or `python -m gsd`. One file per family of commands.

Results go to standard output, everything else to standard error. Bad input ends with one line and
exit code 2. torch is imported only by the commands that decode, as they begin to work.
"""

from __future__ import annotations

import os
import sys

import typer
from typer.exceptions import TyperException

from gsd.cli.benchmark import bench
from gsd.cli.decode import generate
from gsd.cli.inspect import doctor, pairs
from gsd.cli.output import harmless
from gsd.cli.runs import export, query, replay
from gsd.cli.signals import interruptible
from gsd.cli.sweeping import sweep
from gsd.cli.tuning import calibrate, probe, tune
from gsd.errors import GsdError

INTERRUPTED = 130  # what typer makes of Ctrl-C
COMMANDS = (generate, bench, sweep, export, query, replay, probe, calibrate, tune, pairs, doctor)
app = typer.Typer(add_completion=False, rich_markup_mode=None, help="GSD lab: graph-structured speculative decoding.")
for command in COMMANDS:
    app.command()(command)


def main(arguments: list[str] | None = None) -> int:
    """Run the command line, without arguments its help; returns the exit code."""
    given = sys.argv[1:] if arguments is None else arguments
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
    os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
    try:
        with interruptible():
            code = app(args=given or ["--help"], prog_name="gsd", standalone_mode=False) or 0
    except (GsdError, TyperException) as error:
        message = error.format_message() if isinstance(error, TyperException) else str(error)
        print(f"gsd: {harmless(' '.join(message.split()))}", file=sys.stderr)
        return error.exit_code
    if code == INTERRUPTED:
        print("gsd: interrupted; what was finished is above or in the trace", file=sys.stderr)
    return code
