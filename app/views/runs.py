"""Every recorded run: open, rename, delete, import and export."""

from __future__ import annotations

from app.components.page import head

head("Runs", "Every recorded run: open, rename, delete, import and export.")
