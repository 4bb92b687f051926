"""Tables of the command line: nothing of them is lost, however narrow the place."""

import os
import pty
import re
import subprocess
import sys

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
