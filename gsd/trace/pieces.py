"""Join the recorded texts of single tokens. A part of a character is written as `<0xE2>`."""

from __future__ import annotations

import re
from collections.abc import Iterable

_PARTS = re.compile(r"(?:<0x[0-9A-F]{2}>)+")


def as_parts(data: bytes) -> str:
    """Bytes that are no text on their own, as a trace shows them."""
    return "".join(f"<0x{byte:02X}>" for byte in data)


def as_bytes(text: str) -> bytes:
    """The bytes of one token's text."""
    if _PARTS.fullmatch(text):
        return bytes.fromhex(re.sub("<0x|>", "", text))
    return text.encode(errors="surrogatepass")  # an imported trace may hold anything


def joined(texts: Iterable[str]) -> str:
    """The text of the tokens together. Parts that form a character are joined; other parts stay as written."""
    texts = list(texts)
    if not any(map(_PARTS.fullmatch, texts)):
        return "".join(texts)
    data = b"".join(map(as_bytes, texts))
    read: list[str] = []
    while data:
        try:
            return "".join([*read, data.decode()])
        except UnicodeDecodeError as error:
            read += [data[: error.start].decode(), as_parts(data[error.start : error.end])]
            data = data[error.end :]
    return "".join(read)
