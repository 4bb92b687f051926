"""The house itself: imports run down, none in a circle, and nothing branches on a method's name."""

import ast
import re
from pathlib import Path

import pytest

from gsd.methods import METHODS

ROOT = Path(__file__).parents[2]
# From the ground up; a room imports those before it, and itself.
FLOORS = (
    "gsd.errors", "gsd.wording", "gsd.spec", "gsd.noise", "gsd.machine", "gsd.models", "gsd.drafting", "gsd.verifying",
    "gsd.methods", "gsd.config", "gsd.trace", "gsd.decode", "gsd.lab", "gsd.testing", "analysis", "cli",
    "gsd.__main__", "app",
)  # fmt: skip
BESIDE = {"cli", "app"}  # neither knows the other
# Literals that are a method's name and something else: devices and number types, widgets, parts of a record, faces.
OTHERWISE = re.compile(
    r"""\b(device|dtype|quantization|kind|draft_quant|device_map|torch_dtype)\b|(?<!METHODS)\[["'](graph|tree)["']\]|"tree"\s*(,|:|\]|\))"""
)


def modules() -> dict[str, Path]:
    found = {}
    for room in ("gsd", "analysis", "cli", "app"):
        for path in (ROOT / room).rglob("*.py"):
            found[".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")] = path
    return found


MODULES = modules()


def imported(path: Path) -> set[str]:
    """Modules of the house that a file imports anywhere, inside of functions as well."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {one.name for one in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names = {f"{node.module}.{one.name}" for one in node.names}
            found |= {name if name in MODULES else node.module for name in names}
    return found & MODULES.keys()


IMPORTS = {name: imported(path) - {name} for name, path in MODULES.items()}


def floor(module: str) -> int:
    [found] = [i for i, room in enumerate(FLOORS) if module == room or module.startswith(f"{room}.")]
    return found


def test_every_module_has_a_room():
    assert all(floor(name) >= 0 for name in MODULES if name != "gsd")


def test_no_import_runs_up():
    arrows = [(name, other) for name in MODULES.keys() - {"gsd"} for other in IMPORTS[name] - {"gsd"}]
    beside = [{one.split(".")[0] for one in arrow} == BESIDE for arrow in arrows]
    assert [arrow for arrow, no in zip(arrows, beside) if no or floor(arrow[1]) > floor(arrow[0])] == []


def test_no_imports_run_in_a_circle():
    circles, done = [], set()

    def visit(name: str, way: tuple[str, ...]) -> None:
        if name in way:
            circles.append((*way[way.index(name) :], name))
        elif name not in done:
            for other in IMPORTS[name]:
                visit(other, (*way, name))
            done.add(name)

    for name in MODULES:
        visit(name, ())
    assert circles == []


def branches(path: Path) -> list[tuple[int, str]]:
    """Comparisons and subscripts of a file that name a method."""
    found = []
    source = path.read_text().splitlines()
    for node in ast.walk(ast.parse(path.read_text())):
        parts = []
        if isinstance(node, ast.Compare):
            parts = [node.left, *node.comparators]
        elif isinstance(node, ast.Subscript):
            parts = [node.slice] if isinstance(node.value, ast.Name) and node.value.id in ("METHODS", "OWN") else []
        elif isinstance(node, ast.MatchValue):
            parts = [node.value]
        flat = [leaf for part in parts for leaf in ast.walk(part)]
        if any(isinstance(leaf, ast.Constant) and leaf.value in METHODS for leaf in flat):
            line = source[node.lineno - 1].strip()
            if not OTHERWISE.search(line):
                found.append((node.lineno, line))
    return found


@pytest.mark.parametrize("name", [name for name in MODULES if not name.startswith("gsd.methods")])
def test_nothing_branches_on_a_method_s_name(name):
    assert branches(MODULES[name]) == []


def test_a_branch_on_a_name_is_found(tmp_path):
    file = tmp_path / "bad.py"
    file.write_text('if settings.method == "auto" or name in ("chain", "ar"):\n    x = METHODS["graph"]\n')
    assert len(branches(file)) == 3
