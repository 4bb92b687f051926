"""A cell of a sweep: one run in its own folder, identified by its digest. No torch."""

from __future__ import annotations

import json
import tempfile
from collections import deque
from pathlib import Path
from typing import TYPE_CHECKING

from gsd.config import RunSpec
from gsd.errors import TraceError
from gsd.trace.read import read_run
from gsd.trace.tables import write_tables

if TYPE_CHECKING:
    from gsd.decode.runner import Runner

STAGING = ".staging"
FAILURES = "failures.jsonl"


def run_cell(runner: Runner, spec: RunSpec, out: Path) -> None:
    """Decode one cell in a staging folder, then move the run to its final folder.

    A worker given up for lost may still finish its cell beside the next one's: the first run stays.
    """
    if not (out / STAGING).is_dir():
        raise TraceError(f"{out} on this machine is not where the sweep is: `out` must be storage shared by all")
    digest = spec.digest()
    final = folder_of(digest, out)
    with tempfile.TemporaryDirectory(dir=out / STAGING, prefix=f"{final.name}-") as staging:
        run = runner.run(spec, Path(staging)).folder
        if run is None:
            raise TraceError(f"{out}: the run was decoded and left no trace")
        _rename_inside(run, final.name)
        try:
            run.rename(final)
        except OSError as error:
            if not is_done(final, digest):
                raise TraceError(f"no run can be put at {final} ({error.strerror}): move away what is there") from None


def folder_of(digest: str, out: Path) -> Path:
    """The final folder of a cell."""
    return out / digest[:16]


def is_done(folder: Path, digest: str) -> bool:
    """Whether `folder` holds a complete run of settings with that digest, by its head and its last event alone.

    Whatever tokens its prompt became. An older run's digest is that of its settings.
    """
    try:
        head = json.loads((folder / "run.json").read_bytes())
        with (folder / "events.jsonl").open("rb") as events:
            [last] = deque(events, maxlen=1)
        asked = head.get("asked_digest", head["digest"])  # with auto as such; older runs knew no other
        return asked == digest and json.loads(last)["status"] == "complete"
    except (OSError, ValueError, KeyError, TypeError):
        return False


def _rename_inside(run: Path, name: str) -> None:
    """The name that head and tables give is that of the folder."""
    head = json.loads((run / "run.json").read_bytes()) | {"run": name}
    (run / "run.json").write_text(json.dumps(head, ensure_ascii=True, indent=1))
    write_tables(read_run(run), run / "tables")


def record_failure(out: Path, digest: str, spec: RunSpec, error: str) -> None:
    line = json.dumps({"digest": digest, "spec": spec.model_dump(mode="json"), "error": error})
    try:
        with (out / FAILURES).open("a") as file:
            file.write(line + "\n")
    except OSError as problem:
        raise TraceError(f"cannot write {out / FAILURES}: {problem.strerror or problem}") from None
