"""Counted nouns, singular and plural."""

from __future__ import annotations


def counted(count: int, noun: str, plural: str | None = None) -> str:
    """`1 image`, `2,000 images`, `1 class`, `2 classes`. plural: of nouns that have another one."""
    return f"{count:,} {noun_for(count, noun, plural)}"


def noun_for(count: int, noun: str, plural: str | None = None) -> str:
    """The noun, or another word such as a verb, in the form that goes with the number."""
    if count == 1:
        return noun
    return plural or noun + ("es" if noun.endswith(("s", "x", "ch", "sh")) else "s")
