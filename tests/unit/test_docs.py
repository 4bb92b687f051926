"""README and docs: their commands and Python run, the output is what they show, and links lead somewhere.

How a page says what is run is in `tests/pages.py`.
"""

import re
import subprocess

import pytest
import torch

from tests.pages import (
    PAGES,
    REASONS,
    ROOT,
    Block,
    Shell,
    agrees,
    blocks,
    commands,
    leads_somewhere,
    links,
    outside_blocks,
)

NAMES = [page.name for page in PAGES]
RUN = ("console", "sh", "python", "yaml")
MOST_NOT_RUN = 10


@pytest.mark.skipif(torch.cuda.is_available(), reason="pages show what a CPU writes")
@pytest.mark.parametrize("page", PAGES, ids=NAMES)
def test_what_a_page_shows_is_what_happens(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("GSD_MODELS", raising=False)
    shell = Shell(tmp_path)
    for block in blocks(page.read_text()):
        if block.kind in RUN and block.why is None:
            _check(block, shell, page.name)


def _check(block: Block, shell: Shell, name: str) -> None:
    place = f"{name}:{block.line}"
    if block.kind == "yaml":
        shell.write(block.body)
    elif block.kind == "python":
        written = shell.python(block.body)
        assert block.output is None or agrees(block.output, written), _differ(place, block.output, written)
    else:
        for command, shown in commands(block):
            code, written = shell.run(command)
            assert code == 0, f"{place}: {command}\n{written}"
            assert block.kind == "sh" or agrees(shown, written), _differ(f"{place}: {command}", shown, written)


def _differ(place, shown, written):
    return f"{place}\n--- shown\n{shown}\n--- written\n{written}"


def test_only_what_cannot_be_run_here_is_left_out():
    left_out = [block for page in PAGES for block in blocks(page.read_text()) if block.why is not None]
    assert len(left_out) <= MOST_NOT_RUN
    assert {block.why for block in left_out} <= set(REASONS)
    assert all(block.kind in RUN for block in left_out)


@pytest.mark.parametrize("page", PAGES, ids=NAMES)
def test_no_command_stands_where_it_is_not_run(page):
    """In an indented block, or in one of another kind."""
    text = page.read_text()
    assert not re.findall(r"^ {4}(?:\$ )?(?:gsd|python|pip|streamlit) .*$", outside_blocks(text), re.M)
    for block in blocks(text):
        assert block.kind in (*RUN, "text"), f"{page.name}:{block.line}"
        assert block.kind != "text" or not re.search(r"^\$? ?(gsd|python|pip) ", block.body, re.M)
        assert block.kind != "console" or block.body.startswith("$ "), f"{page.name}:{block.line}"


MARKDOWN = [ROOT / name for name in subprocess.run(["git", "ls-files", "*.md"], cwd=ROOT, capture_output=True,
                                                   text=True).stdout.split()] or PAGES  # fmt: skip


@pytest.mark.parametrize("page", MARKDOWN, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_to_files_and_headings(page):
    assert [target for target in links(page) if not leads_somewhere(page, target)] == []


def test_every_page_is_reached_from_the_readme():
    assert {f"docs/{page.name}" for page in PAGES[1:]} <= {target.partition("#")[0] for target in links(PAGES[0])}


def test_the_readme_is_short():
    assert len(PAGES[0].read_text().splitlines()) <= 130


@pytest.mark.parametrize("page", PAGES, ids=NAMES)
def test_lines_of_prose_are_no_longer_than_those_of_code(page):
    lines = outside_blocks(page.read_text()).splitlines()
    assert max(len(line) for line in lines if not line.startswith(("|", "![", "    "))) <= 120


@pytest.mark.parametrize("shown, written, same", [
    ("64 tokens, 3.20x\n", "64 tokens, 2.9x\n", True),
    ("64 tokens\n", "65 tokens\n", False),
    ("a\n…\nz\n", "a\nb\nc\nz\n", True),
    ("a … z\n", "a b z\n", True),
    ("a\nz\n", "a\nb\nz\n", False),
    ("runs/20260101T000000000000Z-prompt-00000000", "runs/20270203T111111111111Z-prompt-abcdef01\n", True),
    ("runs/20260101T000000000000Z-prompt-00000000", "runs/20270203T111111111111Z-other-abcdef01\n", False),
    ("run  rate\na    1.5\n", "run  rate   \na    10.25  \n", True),
    ("0:01 gone\n", "gsd: note: busy\n0:12 gone\n", True),
])  # fmt: skip
def test_shown_output_is_compared_but_for_what_differs_from_run_to_run(shown, written, same):
    assert agrees(shown, written) is same
