"""What the command line shows: tables of which nothing is lost, however narrow the place, and how far the work is."""

import os
import pty
import re
import subprocess
import sys

from gsd.cli.output import progress

SAY = """from gsd.cli.output import print_table
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
    monkeypatch.setattr("gsd.cli.output.time.monotonic", lambda: next(clock))
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
    monkeypatch.setattr("gsd.cli.output.time.monotonic", lambda: next(clock))
    with progress("tokens", 8) as advance:
        for count in (1, 3, 5, 7):
            advance(to=count)
    lines = capfd.readouterr().err.splitlines()
    assert [line.partition(" gone")[0] for line in lines] == ["tokens 3 of 8, 0:31", "tokens 7 of 8, 1:02"]
