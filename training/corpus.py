"""The training documents of the tiny pair: short, clean, uniform pieces of Python.

A document is one function or one small class, printed by `ast.unparse`, with a docstring of one
sentence or none. Real documents come from folders of Python sources, the others from `synthetic`.
"""

from __future__ import annotations

import ast
import json
import random
import re
import warnings
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path

from training import synthetic

SKIPPED_PARTS = re.compile(r"test|vendor|migration|example|benchmark|locale|generated|_pb2|conftest", re.IGNORECASE)
MODULES = ("collections", "csv", "datetime", "itertools", "json", "math", "os", "random", "re", "string", "time")
MIN_CHARS, MAX_CHARS, MAX_CLASS_CHARS = 60, 520, 700
MAX_LINES, MAX_LINE = 60, 88
MAX_STRING = 32  # characters of a string constant
MIN_WORD_DOCUMENTS = 60  # a word of an identifier must occur in that many documents
MAX_REPEATS = 12  # of one synthetic definition; most repeats are dressed differently
WORD = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])|[0-9]+")


def first_sentence(text: str) -> str:
    """The first sentence of a docstring on one line, or an empty string where there is no plain one."""
    paragraph = " ".join(text.strip().split("\n\n")[0].split())
    sentence = re.split(r"(?<=[.!?])\s", paragraph)[0]
    plain = 8 <= len(sentence) <= 90 and not re.search(r"[`:<>\\\"]|\s{2}", sentence)
    return sentence.rstrip(".") + "." if plain else ""


class _Simplify(ast.NodeTransformer):
    """Drops annotations and decorators, and cuts every docstring to its first sentence."""

    def visit_arg(self, node: ast.arg) -> ast.arg:
        node.annotation = None
        return node

    def visit_AnnAssign(self, node: ast.AnnAssign) -> ast.AST | None:
        if node.value is None:
            return None
        return ast.Assign(targets=[node.target], value=node.value, lineno=node.lineno)

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.FunctionDef:
        node.returns = None
        node.decorator_list = [item for item in node.decorator_list if isinstance(item, ast.Name)]
        self._shorten_docstring(node)
        self.generic_visit(node)
        return node

    def visit_ClassDef(self, node: ast.ClassDef) -> ast.ClassDef:
        node.decorator_list = []
        self._shorten_docstring(node)
        self.generic_visit(node)
        return node

    def _shorten_docstring(self, node: ast.FunctionDef | ast.ClassDef) -> None:
        text = ast.get_docstring(node)
        if text is None:
            return
        sentence = first_sentence(text)
        node.body = node.body[1:]
        if sentence:
            node.body.insert(0, ast.Expr(ast.Constant(sentence)))


def _is_plain(node: ast.AST) -> bool:
    """No long or odd string, no long number, nothing asynchronous or nested."""
    for child in ast.walk(node):
        if isinstance(child, ast.Constant):
            if isinstance(child.value, bytes):
                return False
            if isinstance(child.value, str) and len(child.value) > MAX_STRING and " " not in child.value:
                return False
            if isinstance(child.value, int) and abs(child.value) > 10_000:
                return False
        if isinstance(child, (ast.AsyncFunctionDef, ast.Global, ast.Nonlocal, ast.Match)):
            return False
    return True


def _has_body(node: ast.FunctionDef) -> bool:
    body = node.body[1:] if ast.get_docstring(node) else node.body
    return bool(body) and not isinstance(body[0], (ast.Pass, ast.Raise))


def definitions(source: str) -> Iterator[str]:
    """The functions, methods and small classes of a source file, simplified."""
    try:
        nodes = list(ast.walk(ast.parse(source)))
    except (SyntaxError, ValueError, RecursionError):
        return
    for node in nodes:
        if not isinstance(node, (ast.FunctionDef, ast.ClassDef)) or node.end_lineno - node.lineno > MAX_LINES:
            continue
        node = ast.fix_missing_locations(_Simplify().visit(node))
        functions = [node] if isinstance(node, ast.FunctionDef) else node.body
        if not any(isinstance(item, ast.FunctionDef) and _has_body(item) for item in functions):
            continue
        text = ast.unparse(node)
        limit = MAX_CHARS if isinstance(node, ast.FunctionDef) else MAX_CLASS_CHARS
        plain = text.isascii() and max(map(len, text.splitlines())) <= MAX_LINE
        if plain and MIN_CHARS <= len(text) <= limit and _is_plain(node) and _parses(text):
            yield text


def _parses(text: str) -> bool:
    try:
        ast.parse(text)
    except SyntaxError:
        return False
    return True


def source_files(folders: Iterable[Path]) -> Iterator[Path]:
    """The Python files of the folders, without tests, examples and vendored or generated code."""
    for folder in folders:
        for path in sorted(folder.rglob("*.py")):
            if not SKIPPED_PARTS.search(str(path.relative_to(folder))) and path.stat().st_size < 400_000:
                yield path


def _body_key(text: str) -> str:
    """What two documents share that differ only in their name and docstring."""
    lines = text.split("\n")[1:]
    return "\n".join(lines[1:] if lines and lines[0].strip().startswith('"""') else lines)


def _is_bare_method(text: str) -> bool:
    """Whether it is a method without a docstring: what it does can only be guessed."""
    return "(self" in text.split("\n")[0] and '"""' not in text


def _words(text: str) -> set[str]:
    return {word.lower() for word in WORD.findall(text)}


def real_documents(folders: Iterable[Path]) -> list[str]:
    """Deduplicated definitions from the folders whose words are all common ones."""
    unique: dict[str, str] = {}
    for path in source_files(folders):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            for text in definitions(path.read_text(encoding="utf-8", errors="ignore")):
                unique.setdefault(_body_key(text), text)
    counts = Counter(word for text in unique.values() for word in _words(text))
    common = {word for word, count in counts.items() if count >= MIN_WORD_DOCUMENTS}
    return [text for text in unique.values() if _words(text) <= common and not _is_bare_method(text)]


def synthetic_definitions(draws: int, rng: random.Random) -> list[str]:
    """Synthetic definitions; a text that is drawn often is kept MAX_REPEATS times."""
    counts = Counter(ast.unparse(ast.parse(synthetic.draw_code(rng))) for _ in range(draws))
    return [text for text, count in counts.items() for _ in range(min(count, MAX_REPEATS))]


def _docstring_of(text: str) -> str | None:
    match = re.search(r'\n +"""(.*)"""\n', text)
    return match.group(1) if match and text.index("\n") == match.start() else None


def _without_docstring(text: str) -> str:
    return re.sub(r'\n +"""(.*)"""\n\n?', "\n", text, count=1)


def _imports(text: str) -> str:
    used = [name for name in MODULES if re.search(rf"(?<![\w.]){name}\.", text)]
    return "".join(f"import {name}\n" for name in used)


def _module(docstring: str, code: str) -> str:
    imports = _imports(code)
    return f'"""{docstring}"""\n\n{imports}' + ("\n" if imports else "") + code


def dressed(text: str, rng: random.Random) -> str:
    """The definition as it is, or under a comment, or in a module with a docstring and imports."""
    docstring = _docstring_of(text)
    if docstring is None or "(self" in text.split("\n")[0]:
        return text
    form = rng.random()
    if form < 0.5:
        return text
    if form < 0.65 and text.startswith("def"):
        return _without_docstring(text)
    if form < 0.85:
        return f"# {docstring}\n{_without_docstring(text)}"
    return _module(docstring, _without_docstring(text) if rng.random() < 0.5 else text)


def synthetic_module(rng: random.Random) -> str:
    """A module docstring, the imports it needs and one or two functions."""
    docstring, codes = synthetic.draw_module(rng)
    code = "\n\n".join(ast.unparse(ast.parse(code)) for code in codes)
    return _module(docstring, code)


def prompt_lines(path: Path) -> set[str]:
    """The lines of the evaluation prompts that no document may contain."""
    prompts = [json.loads(line)["prompt"] for line in path.read_text().splitlines()]
    lines = {line.strip() for prompt in prompts for line in prompt.splitlines()}
    return {line for line in lines if line and not line.startswith("import ")}


def is_held_out(text: str, held_out: set[str]) -> bool:
    """Whether the document contains a line of a prompt."""
    return any(line.strip() in held_out for line in text.splitlines())


def build(folders: list[Path], draws: int, prompts: Path, seed: int) -> list[str]:
    """All training documents in random order; none contains a line of the evaluation prompts."""
    rng = random.Random(seed)
    definitions_ = real_documents(folders) + synthetic_definitions(draws, rng)
    documents = [dressed(text, rng) for text in definitions_]
    documents += [synthetic_module(rng) for _ in range(draws // 8)]
    held_out = prompt_lines(prompts)
    documents = [text for text in documents if not is_held_out(text, held_out)]
    rng.shuffle(documents)
    return documents
