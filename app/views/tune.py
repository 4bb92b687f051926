"""Every width, depth and merge threshold at once, from a recording; no model is run."""

from __future__ import annotations

from app.components.page import head

head("Tune", "Every width, depth and merge threshold at once, from a recording; no model is run.")
