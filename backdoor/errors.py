"""Every error that this project raises on purpose.

    BackdoorSweepsError
    ├── UserError        the input is wrong: one or many mistakes, exit code 2
    │   └── StoredDataError   a results folder is damaged, not ours, or of another version
    └── TrainingError    training cannot continue; what is recorded stays, exit code 1

The command line shows a `UserError` without a traceback: for every mistake it has the place, the
rule, the value and the remedy.
"""

from __future__ import annotations

import enum
import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

#: Characters of a value that a message shows: of texts, which may list files, and of others.
LONGEST_TEXT, LONGEST = 1000, 120
#: Characters of the other parts of a message, which may repeat what was typed.
LONGEST_PART = 4000


class Missing(enum.Enum):
    """Stands for a value where a mistake is about none."""

    VALUE = enum.auto()


def escaped(text: str) -> str:
    """The text without what a terminal would obey, such as ESC, newlines and marks of direction:
    these are written as Python writes them, `\\x1b`."""
    if text.isprintable():
        return text
    return "".join(
        c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text
    )


def shortened(text: str, limit: int) -> str:
    """The text, cut to `limit` characters with its length said."""
    return text if len(text) <= limit else f"{text[: limit - 3]}... ({len(text):,} characters)"


def _shown(value: object) -> str:
    """`repr` of a value as a message shows it."""
    try:
        shown = repr(value)
    except Exception as error:  # a whole number of 5,000 digits, or a user's own object
        shown = f"a value that cannot be shown ({type(value).__name__}, {type(error).__name__})"
    return shortened(escaped(shown), LONGEST_TEXT if isinstance(value, str) else LONGEST)


def _is_fact(mistake: Mistake) -> bool:
    """Whether its rule says what an argument of the command is, not what it must be."""
    return mistake.place.isupper() and not mistake.rule.startswith("must ")


def _part(text: str) -> str:
    return shortened(escaped(text), LONGEST_PART)


@dataclass(frozen=True)
class Mistake:
    """One thing that the user has to change."""

    place: str
    rule: str
    value: object
    remedy: str

    def __str__(self) -> str:
        """One line that can be printed anywhere: `seeds: must be >= 1, but got 0. Change it.`

        An argument of the command, whose place is in capitals, begins a sentence: `DIR must be the
        results folder of a sweep, but got 'x'.`, or `DIR 'x' is in use by process 5.`"""
        place, got = f"{self.place}: " if self.place else "", ""
        if self.place.isupper():
            place = f"{self.place} "
        if self.value is not Missing.VALUE and _is_fact(self):
            place += f"{_shown(self.value)} "
        elif self.value is not Missing.VALUE:
            got = f", but got {_shown(self.value)}"
        ending = "" if not got and self.rule.endswith((".", "!", "?")) else "."
        return f"{_part(place + self.rule)}{got}{ending} {_part(self.remedy)}".rstrip()

    def inside(self, parent: str) -> Mistake:
        """The same mistake, with `parent` in front of its place. A variable of the environment
        lies nowhere else."""
        if re.fullmatch(r"[A-Z]+(_[A-Z]+)+", self.place):
            return self
        return replace(self, place=f"{parent}.{self.place}" if self.place else parent)


class BackdoorSweepsError(Exception):
    """Base class of all errors."""


class UserError(BackdoorSweepsError):
    """Wrong input. `mistakes` holds all of them, so that one run shows everything to fix.

    A text is taken as the rule of one mistake. about: what holds the mistakes, such as `the spec`,
    where that is known.
    """

    about: str = ""

    def __init__(self, mistakes: Mistake | Iterable[Mistake] | str) -> None:
        if isinstance(mistakes, str):
            mistakes = Mistake("", mistakes, Missing.VALUE, "")
        found = [mistakes] if isinstance(mistakes, Mistake) else list(mistakes)
        self.mistakes: tuple[Mistake, ...] = tuple({str(m): m for m in found}.values())
        super().__init__("\n".join(str(m) for m in self.mistakes))

    def __reduce__(self) -> tuple[type[UserError], tuple[tuple[Mistake, ...]], dict[str, Any]]:
        return type(self), (self.mistakes,), {"about": self.about}

    def inside(self, parent: str) -> UserError:
        """The same error, with `parent` in front of every place."""
        return type(self)(m.inside(parent) for m in self.mistakes)


class StoredDataError(UserError):
    """A stored file cannot be used as it is; nothing is silently started from the beginning."""


class TrainingError(BackdoorSweepsError):
    """Training cannot continue; the message says why."""
