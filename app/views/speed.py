"""Where the milliseconds went, and what each round gained over plain decoding."""

from __future__ import annotations

from app.components.page import head

head("Speed", "Where the milliseconds went, and what each round gained over plain decoding.")
