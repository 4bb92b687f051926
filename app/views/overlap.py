"""How often hypotheses share token sequences, and what merging them saved."""

from __future__ import annotations

from app.components.page import head

head("Overlap", "How often hypotheses share token sequences, and what merging them saved.")
