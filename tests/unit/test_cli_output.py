"""What the command line writes, of which nothing is lost, however narrow the place, and how far the work is."""

import json
import os
import pty
import re
import subprocess
import sys

import pytest

from cli.output import progress

SAY = """from cli.output import print_table
print_table(["name", "note"], [["a-very-long-name/of-a-target", "[warm] " + "a note of several words " * 6 + "end"]])"""
NARROW = os.environ | {"COLUMNS": "24", "TERM": "xterm"}


def test_a_pipe_gets_every_row_on_one_line():
    """Also what looks like rich's markup."""
    out = subprocess.run([sys.executable, "-c", SAY], capture_output=True, text=True, check=True, env=NARROW).stdout
    head, row = out.splitlines()
    assert head.split() == ["name", "note"]
    assert row.split()[:2] == ["a-very-long-name/of-a-target", "[warm]"] and row.endswith("words end")


def test_a_narrow_terminal_wraps_and_cuts_nothing():
    own, its = pty.openpty()
    subprocess.run([sys.executable, "-c", SAY], stdout=its, check=True, env=NARROW)
    os.close(its)
    lines = re.sub("\x1b\\[[0-9;]*m", "", os.read(own, 100_000).decode()).splitlines()
    os.close(own)
    assert max(map(len, lines)) <= 24 and "\u2026" not in "".join(lines)
    letters = sorted("".join("".join(lines).split()))
    cells = "name note a-very-long-name/of-a-target [warm]" + "a note of several words " * 6 + "end"
    assert letters == sorted(cells.replace(" ", ""))


def test_where_no_terminal_is_each_step_is_a_line_and_what_was_done_before_says_nothing_of_the_rest(monkeypatch, capfd):
    clock = iter([0.0, 0.0, 100.0, 160.0, 220.0, 400.0])  # begun; 2 of 5 done earlier; warm; three more
    monkeypatch.setattr("cli.output.time.monotonic", lambda: next(clock))
    with progress("prompts", 5) as advance:
        advance(to=2)
        advance(to=2)
        advance(note="p3")
        advance(note="[p4]")
        advance()
    assert capfd.readouterr().err.splitlines() == [
        "prompts 2 of 5, 0:00 gone",
        "prompts 3 of 5, 2:40 gone, about 2:00 left: p3",
        "prompts 4 of 5, 3:40 gone, about 1:00 left: [p4]",
        "prompts 5 of 5, 6:40 gone",
    ]


def test_small_steps_are_told_from_time_to_time(monkeypatch, capfd):
    clock = iter([0.0, 10.0, 31.0, 40.0, 62.0])
    monkeypatch.setattr("cli.output.time.monotonic", lambda: next(clock))
    with progress("tokens", 8) as advance:
        for count in (1, 3, 5, 7):
            advance(to=count)
    lines = capfd.readouterr().err.splitlines()
    assert [line.partition(" gone")[0] for line in lines] == ["tokens 3 of 8, 0:31", "tokens 7 of 8, 1:02"]


TEXT = "é 漢 \ud800 \udce9"  # halves of surrogate pairs among it, which no encoding holds
COMMAND = f"""import sys
from cli import main as cli
from cli.output import console, print_json, print_table
from gsd.errors import InputError

@cli.app.command()
def say(how: str):
    text = {TEXT!a}
    if how == "refusal":
        raise InputError(text)
    for _ in range(2000 if how == "much" else 1):
        print(text)
    if how != "much":
        print_table([text], [[text]])
        print_json({{"text": text}})
        console.print(text, markup=False, highlight=False)

sys.exit(cli.main(["say", sys.argv[1]]))"""
HELD = {"LANG=C": {"LANG": "C", "LC_ALL": "C"},
        "no UTF-8 mode": {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
        "ascii": {"PYTHONIOENCODING": "ascii"}, "strict": {"PYTHONIOENCODING": "ascii:strict"},
        "latin-1": {"PYTHONIOENCODING": "latin-1"}, "utf-8": {"PYTHONIOENCODING": "utf-8"}}  # fmt: skip


def said(how, **more):
    return subprocess.run([sys.executable, "-c", COMMAND, how], **({"capture_output": True} | more))


@pytest.mark.parametrize("held", HELD)
def test_a_character_that_a_stream_cannot_hold_is_written_as_its_code(held):
    """As plain text, in tables, on standard error and in a refusal; JSON has codes of its own anyway."""
    environment = os.environ | HELD[held]
    done = said("once", env=environment)
    assert (done.returncode, b"Traceback" in done.stderr) == (0, False)
    plain, head, row, answer = done.stdout.decode(errors="surrogateescape").splitlines()
    assert json.loads(answer) == {"text": TEXT}
    for line in (plain, head.rstrip(), row.rstrip(), done.stderr.decode(errors="surrogateescape").strip()):
        assert line.endswith(r" \ud800 \udce9")
        assert held != "utf-8" or line.startswith("é 漢 ")
        assert "ascii" not in HELD[held].get("PYTHONIOENCODING", "") or line.startswith(r"\xe9 \u6f22 ")
    refused = said("refusal", env=environment)
    assert refused.returncode == 2 and refused.stderr.startswith(b"gsd: ") and refused.stderr.count(b"\n") == 1


@pytest.mark.parametrize("how", ["once", "much", "refusal"])
@pytest.mark.parametrize("closed", ["stdout", "stderr", "both"])
def test_a_pipe_that_nobody_reads_ends_it_without_a_word(how, closed):
    """As behind `head`: what a shell reports of any program that wrote to nobody, or the code of what went wrong."""
    reading, writing = os.pipe()
    os.close(reading)
    streams = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    streams |= dict.fromkeys(streams if closed == "both" else [closed], writing)
    done = said(how, capture_output=False, **streams)
    os.close(writing)
    meets = closed != "stderr" or how == "once"  # `much` writes nothing to standard error
    assert done.returncode == (2 if how == "refusal" else 141 if meets else 0)
    assert not done.stderr or (how == "refusal" and done.stderr.count(b"\n") == 1)


@pytest.mark.parametrize("how", ["once", "much", "refusal"])
def test_streams_that_are_closed_or_full(how):
    shut = subprocess.run(["sh", "-c", f'exec "$0" -c "$1" {how} >&- 2>&-', sys.executable, COMMAND])
    assert shut.returncode == (2 if how == "refusal" else 0)
    with open("/dev/full", "wb") as full:
        done = said(how, capture_output=False, stdout=full, stderr=subprocess.PIPE)
    assert done.returncode == 2 and done.stderr.count(b"gsd: ") == 1 and b"Traceback" not in done.stderr
