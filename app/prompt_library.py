"""Prompts to start from, by kind."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class LibraryPrompt:
    """One prompt; `title` is what a list calls it."""

    id: str
    kind: str
    prompt: str
    title: str
    chat: bool | None = None


def prompts() -> list[LibraryPrompt]:
    """All prompts."""
    return [
        LibraryPrompt("quicksort", "code", "def quicksort(items):\n", "Quicksort"),
        LibraryPrompt("stack", "code", 'class Stack:\n    """A last-in, first-out stack."""\n', "Stack"),
        LibraryPrompt("palindrome", "code", "def is_palindrome(text):\n", "Palindrome"),
    ]
