"""An atlas grows by what is new, and can be read at whatever moment probing ends."""

import json
import shutil
from types import SimpleNamespace

import pytest
from fixtures.made_atlas import made_atlas

import gsd.lab.probe as gsd_probe
from app.library import atlas_labels
from cli.probing import _record
from gsd.config import RunSpec
from gsd.errors import PromptError
from gsd.lab.atlas import Atlas

WHOLE = ("atlas.json", "nodes.parquet")
MODELS = {"target": {"source": "t"}, "draft": {"source": "d"}}


def pending(count):
    return [{"line": n, "prompt": {"id": f"p{n}", "prompt": "x"}} for n in range(1, count + 1)]


def blank(count):
    """An atlas without texts yet, and the texts to record, of which the last has a tree of other nodes."""
    atlas = made_atlas({"pending": pending(count)})
    texts, atlas.texts = [atlas.texts[n % 2] for n in range(count)], []
    return atlas, texts


def columns(text):
    return [(tree.tokens, tree.parents, tree.depths, tree.logq, tree.first_child) for tree in text.trees]


def same(found, texts, left):
    assert [columns(text) for text in found.texts] == [columns(text) for text in texts]
    assert [(text.id, text.tokens) for text in found.texts] == [(text.id, text.tokens) for text in texts]
    assert [one["line"] for one in found.pending] == [one["line"] for one in left]


def test_each_prompt_writes_its_own_text_and_nothing_else_anew(tmp_path, monkeypatch):
    """Five prompts, of which the third cannot be decoded: after each the atlas holds the texts so far."""
    atlas, texts = blank(5)
    asked, seen, left = iter(range(5)), [], pending(5)

    def probe(*_):
        number = next(asked)
        if number:
            done = [text for n, text in enumerate(texts[:number]) if n != 2]
            same(Atlas.load(tmp_path), done, left[number if number != 3 else 2 :])
            seen.append([((tmp_path / name).stat().st_ino, (tmp_path / name).stat().st_mtime_ns) for name in WHOLE])
            assert atlas_labels({"a": tmp_path})["a"].startswith(f"a · {len(Atlas.load(tmp_path).pending)} not probed")
        if number == 2:
            raise PromptError("too long")
        return texts[number]

    monkeypatch.setattr(gsd_probe, "probe_text", probe)
    [broken] = _record(SimpleNamespace(), RunSpec(**MODELS, prompt={"prompt": "x"}), atlas, tmp_path)
    assert broken.line == 3 and len(seen) == 4 and all(one == seen[0] for one in seen)
    same(Atlas.load(tmp_path), [text for n, text in enumerate(texts) if n != 2], [])
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(WHOLE)


def test_what_was_recorded_before_a_kill_is_there_and_goes_on(tmp_path):
    """Two texts of three, and no last save; the third is recorded onto what was loaded."""
    atlas, texts = blank(3)
    for text in texts[:2]:
        atlas.pending.pop(0)
        atlas.record(text, tmp_path)
    again = Atlas.load(tmp_path)
    same(again, texts[:2], pending(3)[2:])
    assert Atlas.pending_in(tmp_path) == 1
    again.pending.pop(0)
    again.record(texts[2], tmp_path)
    again.save(tmp_path)
    same(Atlas.load(tmp_path), texts, [])


@pytest.mark.parametrize("saved", [("nodes.parquet",), WHOLE])
def test_a_last_save_that_was_cut_off_adds_no_node_twice(tmp_path, saved):
    """The nodes are replaced and the head is not, or both are; the parts are there still."""
    atlas, texts = blank(3)
    for text in texts:
        atlas.pending.pop(0)
        atlas.record(text, tmp_path)
    shutil.copytree(tmp_path, tmp_path / "after")
    atlas.save(tmp_path / "after")
    for name in saved:
        shutil.copy(tmp_path / "after" / name, tmp_path)
    same(Atlas.load(tmp_path), texts, [])
    assert Atlas.pending_in(tmp_path) == 0


def test_parts_without_their_atlas_are_not_taken_for_those_of_another(tmp_path):
    atlas, texts = blank(2)
    for text in texts:
        atlas.record(text, tmp_path)
    (tmp_path / "atlas.json").unlink()
    assert Atlas.is_in(tmp_path)


def test_a_head_alone_that_says_nothing_pending_has_none(tmp_path):
    made_atlas().save(tmp_path)
    assert (
        Atlas.pending_in(tmp_path) == 0 and "pending" not in json.loads((tmp_path / "atlas.json").read_text())["meta"]
    )
