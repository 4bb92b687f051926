"""A stranger's package, installed by pip: its method is everywhere, and its page in the docs is its code."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from gsd.methods import METHODS

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "tests" / "fixtures" / "plugin_package"
PAGE = (ROOT / "docs" / "methods.md").read_text()


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """The environment of a process that has the package."""
    folder = tmp_path_factory.mktemp("site")
    package = shutil.copytree(PACKAGE, tmp_path_factory.mktemp("package") / "pair")  # building writes beside the source
    subprocess.run([sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--no-build-isolation", "--no-index",
                    "--target", folder, package], check=True, capture_output=True, text=True)  # fmt: skip
    return os.environ | {"PYTHONPATH": os.pathsep.join([str(folder), str(ROOT)])}


def gsd(installed, folder, *command):
    done = subprocess.run([sys.executable, "-m", "gsd", *command], cwd=folder, env=installed, capture_output=True,
                          text=True)  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_it_decodes_with_settings_of_its_own_and_its_run_can_be_read_without_it(installed, tmp_path):
    asked = ("--prompt", "x = 1\nx = 1\nx", "--max-new-tokens", "12", "--json")
    plain = json.loads(gsd(installed, tmp_path, "generate", "--method", "ar", *asked))
    made = json.loads(gsd(installed, tmp_path, "generate", "--method", "pair", "--tokens", "4", *asked))
    assert made["tokens"] == plain["tokens"] and made["draft_forwards"] == 0 and made["rounds"] < plain["rounds"]
    assert "--tokens" in gsd(installed, tmp_path, "generate", "--help")

    from analysis.catalog import read_head
    from analysis.load import load
    from gsd.trace.read import read_run

    folder = tmp_path / "runs" / made["run"]
    assert "pair" not in METHODS  # here
    assert read_head(folder).spec["drafting"] == {"method": "pair", "tokens": 4}
    told = read_run(folder).meta["method"]
    assert (told["title"], told["keeps"]) == ("Pair", "text")
    assert told["sources"] == {"echo": "where the last token stood before"}
    frames = load([folder])
    assert frames.runs["method"].tolist() == ["pair"] and "echo" in set(frames.nodes["source"])


def test_it_takes_part_in_a_benchmark_and_in_a_sweep(installed, tmp_path):
    prompts = tmp_path / "prompts.jsonl"
    prompts.write_text('{"id": "one", "prompt": "x = 1\\nx = 1\\nx"}\n')
    report = json.loads(gsd(installed, tmp_path, "bench", "--prompts", prompts, "--methods", "pair,chain", "--set",
                            "pair.tokens=3", "--max-new-tokens", "8", "--repeats", "1", "--json"))  # fmt: skip
    assert report["methods"]["pair"]["matches"] == 1
    assert report["settings"]["drafting"]["pair"] == {"method": "pair", "tokens": 3}
    sweep = tmp_path / "sweep.yaml"
    sweep.write_text("pairs: [tiny]\nprompts: prompts.jsonl\nmax_new_tokens: 8\nout: swept\n"
                     "settings: [{method: pair}]\ngrid: {tokens: [1, 2]}\n")  # fmt: skip
    gsd(installed, tmp_path, "sweep", sweep)
    assert len(list((tmp_path / "swept").glob("*/run.json"))) == 2


def test_it_is_in_the_app_with_its_own_widget(installed, tmp_path):
    say = f"""if True:
        from streamlit.testing.v1 import AppTest
        at = AppTest.from_file({str(ROOT / "app" / "main.py")!r}, default_timeout=60).run()
        at.session_state["method"] = "pair"
        at.run()
        assert not at.exception, at.exception
        [tokens] = [one for one in at.sidebar.number_input if one.key == "tokens"]
        print(tokens.label, tokens.value, tokens.min, tokens.max)"""
    env = installed | {"GSD_RUNS": str(tmp_path)}
    done = subprocess.run([sys.executable, "-c", say], cwd=ROOT, env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["Tokens", "2", "1.0", "8.0"]


def test_one_that_is_broken_is_told_by_name_and_the_others_go_on(installed, tmp_path):
    broken = tmp_path / "gsd_broken-1.dist-info"
    broken.mkdir()
    (broken / "METADATA").write_text("Metadata-Version: 2.1\nName: gsd-broken\nVersion: 1\n")
    (broken / "entry_points.txt").write_text("[gsd.methods]\nbroken = nowhere:Broken\nar = gsd_pair:Pair\n")
    env = installed | {"PYTHONPATH": os.pathsep.join([installed["PYTHONPATH"], str(tmp_path)])}
    done = subprocess.run([sys.executable, "-m", "gsd", "generate", "--prompt", "x", "--method", "broken"],
                          cwd=ROOT, env=env, capture_output=True, text=True)  # fmt: skip
    assert done.returncode == 2
    assert "method 'broken': nowhere:Broken does not load: ModuleNotFoundError" in done.stderr


def test_the_contract_holds_for_it(installed, tmp_path):
    (tmp_path / "test_pair.py").write_text(
        "from gsd.testing.contract import MethodContract\nfrom gsd_pair import Pair\n\n\n"
        "class TestPair(MethodContract):\n    method = Pair()\n"
    )
    done = subprocess.run([sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", tmp_path], env=installed,
                          cwd=tmp_path, capture_output=True, text=True)  # fmt: skip
    assert done.returncode == 0, done.stdout
    assert "7 passed" in done.stdout


def test_the_page_shows_this_package_and_every_method():
    for name in ("gsd_pair.py", "pyproject.toml"):
        assert (PACKAGE / name).read_text() in PAGE
    assert len((PACKAGE / "gsd_pair.py").read_text().splitlines()) <= 40
    assert method_table() in PAGE


def method_table() -> str:
    """The rows of the page's table."""
    rows = []
    for name, one in METHODS.items():
        told = one.summary.partition(". ")[0]
        paper = f"[{one.paper}](https://arxiv.org/abs/{one.paper})" if one.paper else ""
        rows.append(f"| `{name}` | {told} | {paper} | {', '.join(sorted(one.needs))} | {one.keeps} |")
    return "\n".join(rows)
