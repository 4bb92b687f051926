"""Acceptance by syntax: which syntax of the committed code came from the draft. After ASTxplainer (2308.03873).

Works on events (`gsd.trace.read_run`), as only they have each token's text and origin. Offsets are
bytes of UTF-8, as both `ast` and tree-sitter count.
"""

from __future__ import annotations

import ast
import importlib
import re
import tokenize
import warnings
from collections.abc import Iterator, Sequence
from itertools import accumulate
from typing import Any

import pandas as pd

from analysis.acceptance import wilson
from gsd.errors import InputError
from gsd.trace.pieces import as_bytes
from gsd.trace.read import RunTrace

LANGUAGES = {
    "python": ("python", "py", "python3"),
    "javascript": ("javascript", "js"),
    "json": ("json",),
    "bash": ("bash", "sh", "shell"),
    "sql": ("sql",),
}  # name -> tags of a fenced code block

SPACE, OUTSIDE, UNPARSED, END = "(space)", "(outside)", "(unparsed)", "(end)"
COLUMNS = {
    "run": "name: the run's folder",
    "kind": "name: kind of the run's prompt; empty where it has none",
    "status": "name: complete, cancelled, failed or incomplete; only complete runs are pooled",
    "language": "name: language that the text was read as",
    "round": "index: round of the run, from 0",
    "index": "index: place of the token among the run's new tokens, from 0",
    "text": "text: the token, decoded on its own",
    "origin": "name: draft, merge (behind or at a merge edge), lookup or history (found in the text, or among rejected "
    "hypotheses), another source's name, bonus or target (the target's own)",
    "type": "name: innermost syntax node at the token's first character that is no space; (space): it has none, "
    "(outside): not in a code block, (unparsed): behind the part that parses, (end): it ends the text",
    "runs": "count: complete runs pooled in this row",
    "tokens": "tokens: committed tokens of the type",
    "drafted": "tokens: those of them that were hypotheses, merges and what was looked up included",
    "merged": "tokens: those of them from behind or at a merge edge",
    "share": "share: drafted / tokens",
    "low": "share: lower end of the Wilson 95 % interval of the share",
    "high": "share: upper end of the Wilson 95 % interval of the share",
}

TOKEN_COLUMNS = ("run", "kind", "status", "language", "index", "round", "text", "origin", "type")
_Span = tuple[int, int, str]  # first byte, byte behind the last, type


def committed_tokens(run: RunTrace, language: str) -> pd.DataFrame:
    """One row a committed token: its origin and the innermost syntax node at its first visible character.

    The code is what stands in the fenced blocks tagged with the language; where there is none, the
    whole text with the prompt in front of it (without, where the prompt went through a chat template).
    Python is cut to the longest prefix of whole lines that parses; tree-sitter reads on behind errors.

    Raises `InputError` for a language that is not one of `LANGUAGES`.
    """
    if language not in LANGUAGES:
        raise InputError(f"no grammar for language {language!r}; choose among {', '.join(LANGUAGES)}")
    rows = _tokens(run)
    tokens, eos = rows.pop("token"), run.meta["eos"]
    pieces = [b"" if token in eos else as_bytes(text) for token, text in zip(tokens, rows["text"])]
    types = _types(_prompt_in_front(run), b"".join(pieces), language)
    starts = [0, *accumulate(map(len, pieces))]
    rows["type"] = [_type_of(piece, start, types) for piece, start in zip(pieces, starts)]
    about = {"run": run.name, "kind": run.meta["spec"]["prompt"]["kind"], "status": run.status}
    return pd.DataFrame({**about, "language": language, "index": range(len(pieces)), **rows})


def written_in(run: RunTrace) -> str | None:
    """The language that the text is to be read as: that of its first fenced block with a known tag, or of its kind.

    Otherwise Python, where the kind is `code` or most of the text parses; prose is no language at all, so None.
    """
    kind = run.meta["spec"]["prompt"]["kind"]
    named = _fenced(run) or (kind if kind in LANGUAGES else None)
    if named or kind == "code":
        return named or "python"
    types = committed_tokens(run, "python")["type"]
    return "python" if (types == UNPARSED).mean() < 0.5 else None


def language_of(run: RunTrace) -> str:
    """The language that the first fenced block with a known tag names; Python where there is none."""
    return _fenced(run) or "python"


def _fenced(run: RunTrace) -> str | None:
    text = b"".join(map(as_bytes, (text for round_ in run.rounds for text in round_.new_texts.raw)))
    tags = (found.group(1).decode().lower() for found in re.finditer(rb"^```[ ]*(\w+)", text, re.M))
    named = {tag: language for language, tags in LANGUAGES.items() for tag in tags}
    return next((named[tag] for tag in tags if tag in named), None)


def drafted_by_syntax(tokens: pd.DataFrame) -> pd.DataFrame:
    """Drafted / committed tokens by language and syntax type, over the complete runs of `committed_tokens`."""
    complete = tokens[tokens["status"] == "complete"]
    own = complete["origin"].isin(["bonus", "target"])
    marked = complete.assign(drafted=~own, merged=complete["origin"] == "merge")
    groups = marked.groupby(["language", "type"])
    rows = groups.agg(runs=("run", "nunique"), tokens=("run", "size"), drafted=("drafted", "sum"),
                      merged=("merged", "sum")).reset_index()  # fmt: skip
    low, high = wilson(rows["drafted"].to_numpy(), rows["tokens"].to_numpy())
    return rows.assign(share=rows["drafted"] / rows["tokens"], low=low, high=high)


def _tokens(run: RunTrace) -> dict[str, list[Any]]:
    rows: dict[str, list[Any]] = {"round": [], "token": [], "text": [], "origin": []}
    for round_ in run.rounds:
        rows["round"] += [round_.number] * len(round_.new_tokens)
        rows["token"] += round_.new_tokens
        rows["text"] += round_.new_texts.raw
        rows["origin"] += round_.origins
    return rows


def _prompt_in_front(run: RunTrace) -> bytes:
    """The prompt where the text goes on with it, nothing where a chat template stands between them."""
    prompt = run.meta["spec"]["prompt"]["prompt"].encode()
    return prompt if b"".join(map(as_bytes, run.meta["prompt_texts"])).endswith(prompt) else b""


def _type_of(piece: bytes, start: int, types: Sequence[str]) -> str:
    if not piece:
        return END
    visible = piece.lstrip()
    return types[start + len(piece) - len(visible)] if visible else SPACE


def _types(prompt: bytes, text: bytes, language: str) -> list[str]:
    """The type at every byte of `text`."""
    whole = prompt + text
    tags = b"|".join(tag.encode() for tag in LANGUAGES[language])
    fence = re.compile(rb"^```[ ]*(?:" + tags + rb")\b[^\n]*\n(.*?)(?:^```|\Z)", re.M | re.S | re.I)
    blocks = [found.span(1) for found in fence.finditer(whole)]
    types = [OUTSIDE] * len(whole)
    for start, end in blocks or [(0, len(whole))]:
        types[start:end] = _painted(whole[start:end], language)
    return types[len(prompt) :]


def _painted(source: bytes, language: str) -> list[str]:
    """The innermost type at every byte: spans come parents first, and children paint over them."""
    types = [UNPARSED] * len(source)
    for start, end, name in _python(source) if language == "python" else _tree_sitter(source, language):
        types[start:end] = [name] * (end - start)
    return types


def _python(source: bytes) -> Iterator[_Span]:
    """Spans of the part that parses. Within an f-string there are none: Python 3.11 misplaces them."""
    lines = source.splitlines(keepends=True)
    tree, count = longest_parsing(lines)
    starts = [0, *accumulate(map(len, lines))]
    yield 0, starts[count], "Module"
    nodes: list[Any] = [tree]  # of which only some have a place
    for node in nodes:
        if hasattr(node, "lineno"):
            start, end = starts[node.lineno - 1] + node.col_offset, starts[node.end_lineno - 1] + node.end_col_offset
            yield start, end, type(node).__name__
        if not isinstance(node, ast.JoinedStr):
            nodes.extend(ast.iter_child_nodes(node))
    yield from _python_comments([line.decode() for line in lines[:count]], starts)


def _python_comments(lines: list[str], starts: list[int]) -> Iterator[_Span]:
    """Spans of the comments, for which `ast` has no node; `starts` are the first bytes of the lines."""
    left = iter(lines)
    for token in tokenize.generate_tokens(lambda: next(left, "")):
        if token.type == tokenize.COMMENT:
            line, column = token.start
            start = starts[line - 1] + len(lines[line - 1][:column].encode())
            yield start, start + len(token.string.encode()), "Comment"


def longest_parsing(lines: Sequence[bytes]) -> tuple[ast.Module, int]:
    """The longest prefix of `lines` that is Python, parsed, and how many lines it has."""
    count = len(lines)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of doubtful escapes in the code that is looked at
        while count:
            try:
                return ast.parse(b"".join(lines[:count]).decode()), count
            except SyntaxError as error:  # a prefix that goes on behind the error's line fails at it just the same
                count = min(count - 1, error.lineno or count)
            except (ValueError, RecursionError, MemoryError):  # not UTF-8, null bytes, nested too deeply
                count -= 1
    return ast.parse(""), 0


def _tree_sitter(source: bytes, language: str) -> Iterator[_Span]:
    """Spans of the named nodes: punctuation and keywords belong to the construct around them."""
    from tree_sitter import Language, Parser

    grammar = importlib.import_module(f"tree_sitter_{language}")
    nodes = [Parser(Language(grammar.language())).parse(source).root_node]
    for node in nodes:
        if node.is_named:
            yield node.start_byte, node.end_byte, node.type
        nodes.extend(node.children)
