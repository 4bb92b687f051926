"""`gsd sweep`: run a grid of settings from one file."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from cli import options
from cli.output import print_json, progress, say
from gsd.errors import InputError
from gsd.lab.executors import LocalExecutor, RayExecutor
from gsd.lab.sweep import read_sweep, run_sweep


def sweep(
    file: Annotated[Path, typer.Argument(help="YAML file with pairs, prompts and settings: docs/sweep.md.")],
    executor: Annotated[
        str, typer.Option(metavar="local|ray", help="Where cells run: on this machine, or on Ray.")
    ] = "local",
    workers: Annotated[
        int | None, typer.Option(min=1, help="Cells to run at a time. By default one, or with Ray as many as fit.")
    ] = None,
    gpus: Annotated[float, typer.Option(min=0.0, help="GPUs of each Ray worker.")] = 0.0,
    named: options.Load = None,
    trust_remote_code: options.TrustNamed = False,
    as_json: options.Json = False,
) -> None:
    """Run the cells of a sweep that are not done yet. If a cell fails, that is recorded and the others go on."""
    executors: dict[str, Callable[[], LocalExecutor | RayExecutor]] = {
        "local": lambda: LocalExecutor(workers or 1),
        "ray": lambda: RayExecutor(workers, gpus),
    }
    if executor not in executors:
        raise InputError(f"--executor {executor!r}: choose local or ray")
    if gpus and executor == "local":
        raise InputError(f"--gpus {gpus:g} is for --executor ray: local workers use the device that the file names")
    spec = read_sweep(file, named or (), trust=trust_remote_code)
    with progress("cells", len(spec.cells())) as advance:
        result = run_sweep(spec, executors[executor](), lambda now: advance(to=now.done + now.failed))
    if as_json:
        print_json({"runs": [str(folder) for folder in result.runs], "skipped": result.skipped,
                    "failures": result.failures})  # fmt: skip
    else:
        print("\n".join(str(folder) for folder in result.runs))
    for digest, error in result.failures.items():
        say(f"{digest[:16]} failed: {error}")
    if result.failures:
        raise typer.Exit(1)
