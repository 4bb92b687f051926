"""Two runs side by side, at the same position of the text."""

from __future__ import annotations

from app.components.page import head

head("Compare", "Two runs side by side, at the same position of the text.")
