"""What graph-structured speculative decoding is, and how to read what the lab shows."""

from __future__ import annotations

from app.components.page import head

head("Guide", "What graph-structured speculative decoding is, and how to read what the lab shows.")
