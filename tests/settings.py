"""Settings of any method from those of all."""

from __future__ import annotations

from typing import Any

from gsd.methods import USUAL, MethodSettings, read_by


def of_method(method: str = USUAL, **values: Any) -> MethodSettings:
    """The settings that a method reads of these; what other methods read alone is left out."""
    return read_by({"method": method, **values}, options=False)
