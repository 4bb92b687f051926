"""One round, large: every node the draft proposed, what merged, what the target kept, and why."""

from __future__ import annotations

from app.components.page import head

head("Graph", "One round, large: every node the draft proposed, what merged, what the target kept, and why.")
