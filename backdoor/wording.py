"""Counted nouns, singular and plural, and times."""

from __future__ import annotations


def counted(count: int, noun: str, plural: str | None = None) -> str:
    """`1 image`, `2,000 images`, `1 class`, `2 classes`. plural: of nouns that have another one."""
    return f"{count:,} {noun_for(count, noun, plural)}"


def noun_for(count: int, noun: str, plural: str | None = None) -> str:
    """The noun, or another word such as a verb, in the form that goes with the number."""
    if count == 1:
        return noun
    return plural or noun + ("es" if noun.endswith(("s", "x", "ch", "sh")) else "s")


#: Units of time that are longer than a second, with their seconds.
UNITS = {"days": 86400, "hours": 3600, "minutes": 60}


def in_units(seconds: float, form: str = ".1f", longest: str = "days") -> str:
    """`2.5 hours`, `12.0 minutes`, `40.0 seconds`: the longest unit that there are two of.

    form: of the number. longest: the longest unit that is used.
    """
    usable = list(UNITS)[list(UNITS).index(longest) :]
    unit = next((unit for unit in usable if seconds >= 2 * UNITS[unit]), "seconds")
    return f"{seconds / UNITS.get(unit, 1):{form}} {unit}"
