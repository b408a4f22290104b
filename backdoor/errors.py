"""Every error that this project raises on purpose.

    BackdoorSweepsError
    ├── UserError        the input is wrong: one or many mistakes, exit code 2
    │   └── StoredDataError   a results folder is damaged, not ours, or of another version
    └── TrainingError    training cannot continue; what is recorded stays, exit code 1

The command line shows a `UserError` without a traceback: for every mistake it has the place, the
rule, the value and the remedy.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace

#: Characters of a value that a message shows: of texts, which may list files, and of others.
LONGEST_TEXT, LONGEST = 1000, 120


@dataclass(frozen=True)
class Mistake:
    """One thing that the user has to change."""

    place: str
    rule: str
    value: object
    remedy: str

    def __str__(self) -> str:
        shown = repr(self.value)
        most = LONGEST_TEXT if isinstance(self.value, str) else LONGEST
        if len(shown) > most:
            shown = shown[: most - 3] + "..."
        return f"{self.place}: {self.rule}, but got {shown}. {self.remedy}"

    def inside(self, parent: str) -> Mistake:
        """The same mistake, with `parent` in front of its place. A variable of the environment
        lies nowhere else."""
        if re.fullmatch(r"[A-Z]+(_[A-Z]+)+", self.place):
            return self
        return replace(self, place=f"{parent}.{self.place}" if self.place else parent)


class BackdoorSweepsError(Exception):
    """Base class of all errors."""


class UserError(BackdoorSweepsError):
    """Wrong input. `mistakes` holds all of them, so that one run shows everything to fix."""

    def __init__(self, mistakes: Mistake | Iterable[Mistake]) -> None:
        found = [mistakes] if isinstance(mistakes, Mistake) else list(mistakes)
        self.mistakes: tuple[Mistake, ...] = tuple({str(m): m for m in found}.values())
        super().__init__("\n".join(str(m) for m in self.mistakes))

    def __reduce__(self) -> tuple[type[UserError], tuple[tuple[Mistake, ...]]]:
        return type(self), (self.mistakes,)

    def inside(self, parent: str) -> UserError:
        """The same error, with `parent` in front of every place."""
        return type(self)(m.inside(parent) for m in self.mistakes)


class StoredDataError(UserError):
    """A stored file cannot be used as it is; nothing is silently started from the beginning."""


class TrainingError(BackdoorSweepsError):
    """Training cannot continue; the message says why."""
