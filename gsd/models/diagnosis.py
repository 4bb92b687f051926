"""What is wrong with files that a library could not load, said of the file and with the way out.

Libraries name the symptom ("header too large"). So after an error the files themselves are looked at: pointers in
place of files, files cut short, files that are missing, settings that nobody here knows.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator
from pathlib import Path

import transformers
from transformers.modeling_rope_utils import ROPE_INIT_FUNCTIONS

from gsd.models.gguf_header import MAGIC, NotWhole, gguf_facts
from gsd.models.places import located
from gsd.spec import ModelSpec

POINTER = b"version https://git-lfs"
INDEX = "model.safetensors.index.json"
TOKENIZERS = ("tokenizer.json", "tokenizer.model", "vocab.json", "vocab.txt", "spiece.model", "tekken.json")
SETTINGS = ("config.json", "generation_config.json", "tokenizer_config.json", "special_tokens_map.json", INDEX)
PICKLED = (".bin", ".pt", ".pth")
AGAIN = "download it again"
# What comes of reading values from a file that is another one than it seems.
UNLIKE = (OSError, ValueError, LookupError, TypeError, AttributeError, ArithmeticError, RecursionError, struct.error)
LONGEST = 400  # characters of a library's own words


def explained(error: Exception, spec: ModelSpec) -> str:
    """Why a source cannot be used, in one line: by its files, else in the library's own words."""
    return damage(spec) or _by_message(error, located(spec)) or _words(error)


def damage(spec: ModelSpec) -> str | None:
    """What is wrong with the files of a model as files, with the way out; None where nothing is, or none are here."""
    path = located(spec)
    if path is None:
        return None
    try:
        return next(_faults_of_gguf(path) if path.is_file() else _faults_of_folder(path), None)
    except UNLIKE as error:
        return f"its files are not what their names say ({_words(error)}): {AGAIN}"


def _faults_of_gguf(path: Path) -> Iterator[str]:
    if _is_pointer(path):
        yield _pointer(path)
        return
    with path.open("rb") as file:
        if file.read(4) != MAGIC:
            yield f"{path.name} is no GGUF file, whatever its name says: {AGAIN}, or convert the model"
            return
    try:
        facts = gguf_facts(path)
    except NotWhole:
        yield f"{path.name} is incomplete or damaged, its header is not whole: {AGAIN}"
        return
    if facts.parts > 1:
        yield (
            f"{path.name} is part {facts.part} of {facts.parts} of a split GGUF: merge them (llama-gguf-split --merge, "
            "given the first part) and name the whole file"
        )
    length = path.stat().st_size
    if facts.length_bytes is not None and length < facts.length_bytes:
        yield f"{path.name} is incomplete: {length:,} of {facts.length_bytes:,} bytes; {AGAIN}"


def _faults_of_folder(folder: Path) -> Iterator[str]:
    """The first is told: pointers before damage, damage before what is missing."""
    files = sorted(file for file in folder.iterdir() if file.is_file() and _is_read(file.name))
    yield from (_pointer(file) for file in files if _is_pointer(file))
    for file in files:
        if file.suffix == ".safetensors" and (fault := _fault_of_safetensors(file)):
            yield f"{file.name} is {fault}: {AGAIN}"
        if file.suffix == ".json" and (fault := _fault_of_json(file)):
            yield f"{file.name} is {fault}: {AGAIN}"
    yield from _missing_shards(folder)
    yield from _unknown_rotation(folder)


def _is_read(name: str) -> bool:
    """Whether it is read to load a model; others may lie beside it in any state."""
    return name in SETTINGS or name in TOKENIZERS or (name.startswith("model") and name.endswith(".safetensors"))


def _is_pointer(file: Path) -> bool:
    with file.open("rb") as opened:
        return opened.read(len(POINTER)) == POINTER


def _pointer(file: Path) -> str:
    return (
        f"{file.name} is a Git-LFS pointer, not the file itself: run `git lfs pull` in {file.parent}, or download the "
        "file"
    )


def _fault_of_safetensors(file: Path) -> str | None:
    """A file is a length of 8 bytes, a JSON header of that length, and the data that it describes."""
    length = file.stat().st_size
    with file.open("rb") as opened:
        start = opened.read(8)
        size = struct.unpack("<Q", start)[0] if len(start) == 8 else 0
        if len(start) < 8 or 8 + size > length:
            return f"incomplete, or no safetensors file ({length:,} bytes)"
        try:
            header = json.loads(opened.read(size))
            ends = [entry["data_offsets"][1] for name, entry in header.items() if name != "__metadata__"]
        except (ValueError, AttributeError, KeyError, TypeError, IndexError):
            return "damaged, its header cannot be read"
    whole = 8 + size + max(ends, default=0)
    return f"incomplete ({length:,} of {whole:,} bytes)" if length < whole else None


def _fault_of_json(file: Path) -> str | None:
    try:
        json.loads(file.read_text(encoding="utf-8"))
    except ValueError as error:
        return f"no whole JSON ({error})"
    return None


def _missing_shards(folder: Path) -> Iterator[str]:
    index = folder / INDEX
    if not index.exists():
        return
    entries = json.loads(index.read_text())
    named = set(entries.get("weight_map", {}).values()) if isinstance(entries, dict) else set()
    missing = sorted(name for name in named if not (folder / name).exists())
    if missing:
        yield f"{len(missing)} of {len(named)} files of weights are missing, such as {missing[0]}: download them"


def _unknown_rotation(folder: Path) -> Iterator[str]:
    """A rope type that transformers has no function for; a model's own code may have one."""
    try:
        config = json.loads((folder / "config.json").read_text())
    except (OSError, ValueError):
        return
    if not isinstance(config, dict) or "auto_map" in config:
        return
    for kind in rope_types(config):
        if kind != "default" and kind not in ROPE_INIT_FUNCTIONS:
            yield (
                f"its config.json asks for the rope type {kind!r}, which transformers {transformers.__version__} does "
                f"not know ({', '.join(sorted(ROPE_INIT_FUNCTIONS))}): correct it, or use a transformers that does"
            )


def rope_types(config: dict) -> list[str]:
    """Of a configuration as JSON: one scaling, or one for each type of layer."""
    found = []
    for rope in filter(None, (config.get("rope_parameters"), config.get("rope_scaling"))):
        scalings = [rope, *rope.values()] if isinstance(rope, dict) else []
        kinds = (one.get("rope_type") or one.get("type") for one in scalings if isinstance(one, dict))
        found += [str(kind) for kind in kinds if kind is not None]
    return found


def _by_message(error: Exception, path: Path | None) -> str | None:
    """What a library's message means, where the files are as they should be."""
    said = str(error)
    here = [file.name for file in path.iterdir()] if path is not None and path.is_dir() else []
    if "safetensors" in said and here and not any(name.endswith(".safetensors") for name in here):
        pickled = any(name.endswith(PICKLED) for name in here)
        why = "pickled ones can run code; convert it to safetensors" if pickled else "download them into its folder"
        return f"it has no safetensors weights ({why})"
    if "tokenizer" in said.lower() and here and not set(here) & set(TOKENIZERS):
        return "it has no tokenizer (tokenizer.json is missing): copy the tokenizer's files of its base model there"
    if "Unrecognized configuration class" in said:
        return f"it is no causal language model ({_kind(error, path)}): use a decoder-only text model"
    if "trust_remote_code" in said:
        return "it comes with code of its own, which is not run unasked: give --trust-remote-code if you trust it"
    return None


def _kind(error: Exception, path: Path | None) -> str:
    """The type of model, as its configuration says."""
    try:
        if path is None:
            raise FileNotFoundError
        return str(json.loads((path / "config.json").read_text())["model_type"])
    except (OSError, ValueError, KeyError, TypeError):
        return str(error).partition("'")[2].partition("'")[0].rpartition(".")[2]


def _words(error: Exception) -> str:
    """The whole message in one line, with the kind of error where the message is only a name or number."""
    text = " ".join(str(error).split())
    if isinstance(error, (KeyError, IndexError, AttributeError, TypeError, AssertionError)) or not text:
        text = f"{type(error).__name__}: {text}" if text else type(error).__name__
    return text if len(text) <= LONGEST else text[:LONGEST].rsplit(" ", 1)[0] + " …"
