"""The atlas: the draft's candidates at every position of some texts, so that settings can be replayed.

With a fixed seed the emitted text does not depend on the drafter. So one wide draft tree without merges
at each position contains what narrower settings would have drafted there. `gsd.lab.probe` records an
atlas with models. Everything here is plain Python without torch.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from gsd.drafting.graph import ROOT, TokenGraph
from gsd.errors import InputError, TraceError
from gsd.methods import METHODS, MethodSettings
from gsd.trace.read import READABLE, as_of_today, other_version

SCHEMA = 4  # as of traces, whose settings it repeats
# What a file that is no atlas leads to.
_FOREIGN = (OSError, ValueError, LookupError, TypeError, AttributeError, RecursionError, pa.ArrowException)
PARTS = "text-*.parquet"  # texts recorded since the atlas was last saved, one file each
_ABOUT = b"gsd"  # in a part's schema: its text, and how many prompts were pending behind it
SLACK = 3  # times the bound on the frontier is probed: a merge or a sibling rule takes nodes out and lets others in
MOST_FRONTIER = 1024 // SLACK  # that a setting can be probed with
NODE_COLUMNS = pa.schema(
    [("text", pa.int32()), ("at", pa.int32()), ("token", pa.int32()), ("parent", pa.int32()), ("logq", pa.float64())]
)


@dataclass(frozen=True, slots=True)
class Bounds:
    """The widest setting that an atlas was made for. Settings within it can be replayed."""

    width: int
    depth: int
    frontier: int

    def check(self, settings: MethodSettings) -> None:
        """Raise `InputError` if settings exceed a bound, or if their method cannot be replayed."""
        if why := METHODS[settings.method].not_replayed:
            raise InputError(f"--method {settings.method}: {why}")
        for name, most in asdict(self).items():
            value = getattr(settings, name, 0)
            if value > most:
                raise InputError(
                    f"--{name} {value}: this atlas was probed with {name} {most}; name at most that, or probe anew"
                )


class DraftTree:
    """The draft's candidates at one position as a tree without merges: columns by node. Node 0 is the root.

    The children of an expanded node follow one another from `first_child`, the most probable first. -1: not expanded.
    """

    def __init__(self, root: int) -> None:
        self.tokens = [root]
        self.parents = [-1]
        self.depths = [0]
        self.logq = [0.0]
        self.first_child = [-1]

    def __len__(self) -> int:
        return len(self.tokens)

    def expand(self, node: int, tokens: Sequence[int], logq: Sequence[float]) -> None:
        """Add the draft's most probable tokens after `node` and their log q."""
        self.first_child[node] = len(self)
        count = len(tokens)
        self.tokens += tokens
        self.logq += logq
        self.parents += [node] * count
        self.depths += [self.depths[node] + 1] * count
        self.first_child += [-1] * count

    def child(self, node: int, token: int) -> int | None:
        """The child of `node` that bears `token`, if it is among those recorded."""
        child = self.first_child[node]
        while 0 <= child < len(self) and self.parents[child] == node:
            if self.tokens[child] == token:
                return child
            child += 1
        return None


class Regrowth:
    """Grows a token graph with some settings from a `DraftTree`, at most `depth` levels deep."""

    def __init__(self, tree: DraftTree, context: Sequence[int], settings: MethodSettings, depth: int) -> None:
        merge_context = getattr(settings, "merge_context", None)
        self.graph = TokenGraph(context[-(merge_context or 0) - 1 :], merge_context, record=False)
        self._growth = METHODS[settings.method].growth(settings, self.graph, depth)
        self._tree = tree
        self._width = getattr(settings, "width", 0)
        self.recorded = [ROOT]  # graph node -> node of the tree

    @property
    def frontier(self) -> list[int]:
        """Nodes of the graph that are to be expanded next; none at the end."""
        return self._growth.wanted()

    def wanted(self) -> list[int]:
        """Nodes of the tree that the next level needs and that were never expanded."""
        needed = (self.recorded[node] for node in self.frontier)
        return [node for node in needed if self._tree.first_child[node] < 0]

    def grow(self) -> None:
        """Grow one level; nothing of it may be `wanted`."""
        tree, graph, recorded, width = self._tree, self.graph, self.recorded, self._width
        starts = [tree.first_child[recorded[node]] for node in self.frontier]
        before = len(graph)
        self._growth.give(
            [tree.tokens[start : start + width] for start in starts],
            [tree.logq[start : start + width] for start in starts],
        )
        for node in range(before, len(graph)):
            start = tree.first_child[recorded[graph.parents[node]]]
            recorded.append(tree.tokens.index(graph.tokens[node], start))


@dataclass(slots=True)
class AtlasText:
    """One prompt with its text, and the draft's tree at each position.

    `trees[i]` is rooted at the token before `tokens[i]`. `capacity`: tokens that the text could have
    had at most, prompt included. `given` and `chat` are the prompt as it was asked, so that it can be
    decoded again; None where an atlas does not say.
    """

    id: str
    kind: str | None
    prompt: list[int]
    tokens: list[int]
    texts: list[str]  # each token decoded on its own
    capacity: int
    trees: list[DraftTree] = field(default_factory=list)
    given: str | None = None
    chat: bool | None = None

    def committed(self, at: int) -> list[int]:
        """The tokens up to the root of `trees[at]`."""
        return self.prompt + self.tokens[:at]

    def room(self, at: int) -> int:
        """How many more tokens could come there."""
        return self.capacity - len(self.prompt) - at


@dataclass(slots=True)
class Atlas:
    """Recorded texts with their bounds.

    `meta`: models, sampling and versions, as in a trace's run.json, and `pending`.
    """

    bounds: Bounds
    draft_context: int  # tokens that the draft model can see
    meta: dict[str, Any]
    texts: list[AtlasText]

    @property
    def pending(self) -> list[dict[str, Any]]:
        """Prompts that are not probed yet, each with `line` and `prompt`. Not empty if probing was interrupted."""
        return self.meta.get("pending", [])

    @property
    def unfinished(self) -> str:
        """What is missing and what to do, in words. Empty if nothing is."""
        if not self.pending:
            return ""
        asked = len(self.texts) + len(self.pending)
        return (f"probing broke off: {len(self.pending)} of {asked} prompts are not in this atlas; "
                "gsd probe --fill GRID with the same --out records them")  # fmt: skip

    @staticmethod
    def is_in(folder: Path) -> bool:
        """Whether a folder holds an atlas of any version, or parts of one."""
        return (folder / "atlas.json").exists() or any(folder.glob(PARTS))

    @staticmethod
    def pending_in(folder: Path) -> int:
        """How many prompts are still to be probed, without reading the nodes. Raises what reading may raise."""
        head = json.loads((folder / "atlas.json").read_bytes())
        newer = [about for number, about, _ in _parts(folder) if number >= len(head["texts"])]
        return newer[-1]["pending"] if newer else len(head["meta"].get("pending", []))

    def record(self, text: AtlasText, folder: Path) -> None:
        """Add a text, and write it alone, beside what was saved before it: the rest may be large. The first saves all.

        `pending` is to be that behind it. Raises `TraceError` where the folder cannot be written.
        """
        number = len(self.texts)
        self.texts.append(text)
        if not number:
            self.save(folder)
            return
        about = {"text": {name: getattr(text, name) for name in _HEAD}, "pending": len(self.pending)}
        table = _node_table([text], number)
        table = table.replace_schema_metadata({_ABOUT: json.dumps(about).encode()})
        partial = folder / f"text-{number:05}.parquet.partial"
        try:
            pq.write_table(table, partial, compression="zstd")
            partial.rename(partial.with_suffix(""))
        except OSError as error:
            raise TraceError(f"cannot write {folder}: {error.strerror or error}; choose another --out") from error

    def save(self, folder: Path) -> None:
        """Write `nodes.parquet`, then `atlas.json`: nodes of a text that it does not name yet are left out when read.

        Then parts go: those of texts that it names are not read any more. Raises `TraceError` where the folder cannot
        be written.
        """
        heads = [{name: getattr(text, name) for name in _HEAD} for text in self.texts]
        head = {"schema": SCHEMA, "bounds": asdict(self.bounds), "draft_context": self.draft_context,
                "meta": self.meta, "texts": heads}  # fmt: skip
        try:
            folder.mkdir(parents=True, exist_ok=True)
            pq.write_table(_node_table(self.texts), folder / "nodes.parquet.partial", compression="zstd")
            (folder / "atlas.json.partial").write_text(json.dumps(head, ensure_ascii=True, indent=1))
            for name in ("nodes.parquet", "atlas.json"):
                (folder / f"{name}.partial").rename(folder / name)
            for part in folder.glob(PARTS):
                part.unlink()
        except OSError as error:
            raise TraceError(f"cannot write {folder}: {error.strerror or error}; choose another --out") from error

    @classmethod
    def load(cls, folder: Path) -> Atlas:
        """Read an atlas. Raises `TraceError` if the folder holds none."""
        try:
            head = json.loads((folder / "atlas.json").read_text())
            if head["schema"] not in READABLE:
                raise TraceError(f"{folder}: atlas {other_version(head['schema'])}")
            texts, meta = [AtlasText(**text) for text in head["texts"]], as_of_today(head["meta"], head["schema"])
            pending = meta.get("pending", [])
            nodes = [_of_first(len(texts), pq.read_table(folder / "nodes.parquet", schema=NODE_COLUMNS))]
            for number, about, part in _parts(folder):
                if number == len(texts):
                    texts.append(AtlasText(**about["text"]))
                    meta["pending"] = pending[len(pending) - about["pending"] :]
                    nodes.append(pq.read_table(part, schema=NODE_COLUMNS))
            _grow_trees(texts, pa.concat_tables(nodes))
            return cls(Bounds(**head["bounds"]), head["draft_context"], meta, texts)
        except _FOREIGN as error:
            raise TraceError(f"{folder} is no atlas ({error}); make one with gsd probe") from None


_HEAD = ("id", "kind", "prompt", "tokens", "texts", "capacity", "given", "chat")


def _parts(folder: Path) -> Iterator[tuple[int, dict[str, Any], Path]]:
    """Number, text and file of each part, in order."""
    numbered = sorted((int(part.stem.partition("-")[2]), part) for part in folder.glob(PARTS))
    for number, part in numbered:
        yield number, json.loads(pq.read_schema(part).metadata[_ABOUT]), part


def _node_table(texts: Iterable[AtlasText], first: int = 0) -> pa.Table:
    """Every node but the roots, in the order in which they were added; texts are numbered from `first` on."""
    columns: dict[str, list] = {name: [] for name in NODE_COLUMNS.names}
    for number, text in enumerate(texts, first):
        for at, tree in enumerate(text.trees):
            columns["text"] += [number] * (len(tree) - 1)
            columns["at"] += [at] * (len(tree) - 1)
            columns["token"] += tree.tokens[1:]
            columns["parent"] += tree.parents[1:]
            columns["logq"] += tree.logq[1:]
    return pa.table(columns, schema=NODE_COLUMNS)


def _of_first(count: int, nodes: pa.Table) -> pa.Table:
    """The rows of the first so many texts: those of others are there where a save was cut off before `atlas.json`."""
    return nodes.filter(pc.less(nodes["text"], count))


def _grow_trees(texts: list[AtlasText], nodes: pa.Table) -> None:
    """Fill `trees` from the node table."""
    for text in texts:
        text.trees = [DraftTree(text.committed(at)[-1]) for at in range(len(text.tokens))]
    for (number, at), rows in nodes.to_pandas().groupby(["text", "at"], sort=False):
        tree = texts[number].trees[at]
        parents, tokens, logq = (rows[name].tolist() for name in ("parent", "token", "logq"))
        start = 0
        for end in range(1, len(parents) + 1):
            if not 0 <= parents[start] < len(tree):
                raise ValueError(f"a node of text {number} hangs on none before it")
            if end == len(parents) or parents[end] != parents[start]:
                tree.expand(parents[start], tokens[start:end], logq[start:end])
                start = end
