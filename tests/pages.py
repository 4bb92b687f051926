"""The pages of the documentation as tests read them: blocks to run, the output they show, and their links.

    ```console          commands behind `$ `, each with its output below it; a `\\` at a line's end goes on
    ```sh               commands alone, which end with 0
    ```python           runs; a ```text block right behind it is its output
    ```yaml             written to a file where the first line is `# NAME.yaml`

`<!-- not run: REASON -->` above a block keeps it from being run. In shown output, whole numbers are compared as they
are. A number with a point stands for any other. So do `m:ss` and a run's time and hash. `…` stands for any text, on a
line of its own for any lines.
"""

from __future__ import annotations

import contextlib
import glob
import io
import os
import re
import shlex
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote

from cli.main import main

ROOT = Path(__file__).resolve().parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
REASONS = ("opens a server", "downloads models", "needs a GPU", "installs packages", "takes minutes")

_BLOCK = re.compile(r"(?:<!-- not run: (?P<why>[^>]*) -->\n)?^```(?P<kind>\w*)\n(?P<body>.*?)^```$", re.M | re.S)
_NAMED = re.compile(r"# ([\w.-]+\.ya?ml)\b")
_SHELL = re.compile(r"[|<>;&$`]")
_LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)")
_HEADING = re.compile(r"^#{1,6} (.*)$", re.M)
_NOTE = re.compile(r"^gsd: note: .*\n", re.M)  # of this machine: busy cores, slow choices
_WILD = re.compile(
    r"(?P<any>…)|(?P<run>20\d{6}T\d+Z-(?P<slug>[\w-]+)-[0-9a-f]{8})|(?P<time>\d+:\d\d\b)|(?P<number>-?\d[\d,]*(?:\.\d+)+)"
)


@dataclass(frozen=True, slots=True)
class Block:
    """A fenced block: its language, its text, its line in the page, and why it is not run, if it is not."""

    kind: str
    body: str
    line: int
    why: str | None
    output: str | None = None  # of a Python block


def blocks(text: str) -> list[Block]:
    """All fenced blocks of a page, an output with the Python block before it."""
    found: list[Block] = []
    ended = 0
    for match in _BLOCK.finditer(text):
        block = Block(match["kind"], match["body"], text.count("\n", 0, match.start()) + 1, match["why"])
        follows = found and found[-1].kind == "python" and not text[ended : match.start()].strip()
        if block.kind == "text" and follows:
            last = found.pop()
            block = Block(last.kind, last.body, last.line, last.why, block.body)
        found.append(block)
        ended = match.end()
    return found


def commands(block: Block) -> Iterator[tuple[str, str]]:
    """Each command of a block with the output shown of it."""
    if block.kind == "sh":
        yield from ((line, "") for line in block.body.replace("\\\n", " ").splitlines() if line.strip())
        return
    for part in re.split(r"^\$ ", block.body, flags=re.M)[1:]:
        command, _, output = re.sub(r"\\\n\s*", "", part).partition("\n")
        yield command, output


class Shell:
    """One folder in which a page's blocks are run, one after the other; it looks like a checkout."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.names: dict[str, object] = {}
        for entry in ROOT.iterdir():
            if entry.is_dir() and not entry.name.startswith(".") and entry.name not in ("runs", "tables", "atlas"):
                (folder / entry.name).symlink_to(entry)
        self.tools = folder / ".tools"
        self.tools.mkdir()
        (self.tools / "gsd").write_text(f'#!/bin/sh\nexec "{sys.executable}" -m cli.main "$@"\n')
        (self.tools / "gsd").chmod(0o755)
        (self.tools / "python").symlink_to(sys.executable)

    def run(self, command: str) -> tuple[int, str]:
        """Exit code and output of a command. A plain `gsd …` is run in this process, which has torch loaded."""
        if not command.startswith("gsd ") or _SHELL.search(re.sub(r"'[^']*'|\"[^\"]*\"", "", command)):
            path = f"{self.tools}{os.pathsep}{os.environ['PATH']}"
            done = subprocess.run(["bash", "-c", f"set -o pipefail; {command}"], cwd=self.folder, text=True,
                                  stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                  env=os.environ | {"PATH": path, "PYTHONPATH": str(ROOT)})  # fmt: skip
            return done.returncode, done.stdout
        words = shlex.split(command)[1:]
        here = [sorted(glob.glob(word)) if "*" in word and " " not in word else [] for word in words]
        with self._here() as out:
            code = main([one for word, files in zip(words, here) for one in files or [word]])
        return code, out.getvalue()

    def python(self, source: str) -> str:
        """What a block writes. The blocks of a page share their names."""
        with self._here() as out:
            exec(compile(source, "page", "exec"), self.names)
        return out.getvalue()

    @staticmethod
    @contextlib.contextmanager
    def _here() -> Iterator[io.StringIO]:
        out = io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(out):
            yield out

    def write(self, text: str) -> None:
        """A block that names itself a file."""
        if named := _NAMED.match(text):
            (self.folder / named[1]).write_text(text)


def agrees(shown: str, written: str) -> bool:
    """Whether output is what a page shows, but for what differs from run to run; where it does not, both are said."""
    want, got = _lines(shown), _lines(_NOTE.sub("", written) if "gsd: note" not in shown else written)
    pattern = "".join(r"(?:.*\n)*?" if line == "…" else _line_pattern(line) + r"\n" for line in want)
    return re.fullmatch(pattern, "".join(line + "\n" for line in got)) is not None


def _lines(text: str) -> list[str]:
    """Lines with their indent; other blanks as one, as a table's columns are as wide as its numbers."""
    made = [re.sub(r"(?<=\S) +", " ", line).rstrip() for line in textwrap.dedent(text).splitlines()]
    while made and not made[-1]:
        made.pop()
    return made


def _line_pattern(line: str) -> str:
    made, end = "", 0
    for wild in _WILD.finditer(line):
        made += re.escape(line[end : wild.start()])
        if wild["any"]:
            made += ".*?"
        elif wild["run"]:
            made += rf"20\d{{6}}T\d+Z-{re.escape(wild['slug'])}-[0-9a-f]{{8}}"
        else:
            made += r"\d+:\d\d" if wild["time"] else r"-?\d[\d,]*(?:\.\d+)*"
        end = wild.end()
    return made + re.escape(line[end:])


def outside_blocks(text: str) -> str:
    """A page without its fenced blocks."""
    return re.sub(r"^```.*?^```$", "", text, flags=re.M | re.S)


def links(page: Path) -> list[str]:
    """Targets of a page's links and pictures that are not elsewhere on the web."""
    text = re.sub(r"`[^`\n]*`", "", outside_blocks(page.read_text()))
    return [target for target in _LINK.findall(text) if not re.match(r"[a-z]+:", target)]


def leads_somewhere(page: Path, target: str) -> bool:
    """Whether the file of a link is there, and the heading that it names in it."""
    name, _, anchor = unquote(target).partition("#")
    file = (page.parent / name).resolve() if name else page
    return file.exists() and (not anchor or anchor in _anchors(file.read_text()))


def _anchors(text: str) -> set[str]:
    """As GitHub names headings."""
    headings = _HEADING.findall(outside_blocks(text))
    return {re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-") for heading in headings}
