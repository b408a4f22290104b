"""Every error that this project raises on purpose.

    BackdoorSweepsError
    ├── UserError        the input is wrong: one or many mistakes, exit code 2
    │   └── StoredDataError   a results folder is damaged, foreign, or of another schema version
    └── TrainingError    training cannot go on; what is recorded stays, exit code 1

A `UserError` never shows a traceback on the command line: it carries, for every mistake, the
place, the rule, the value and the remedy.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace


@dataclass(frozen=True)
class Mistake:
    """One thing that the user has to change."""

    place: str
    rule: str
    value: object
    remedy: str

    def __str__(self) -> str:
        shown = repr(self.value)
        if len(shown) > 120:
            shown = shown[:117] + "..."
        return f"{self.place}: {self.rule}, but got {shown}. {self.remedy}"

    def inside(self, parent: str) -> Mistake:
        """The same mistake, its place written from one level further out."""
        return replace(self, place=f"{parent}.{self.place}" if self.place else parent)


class BackdoorSweepsError(Exception):
    """Root of the tree."""


class UserError(BackdoorSweepsError):
    """Wrong input. `mistakes` holds them all, so that one run shows everything to mend."""

    def __init__(self, mistakes: Mistake | Iterable[Mistake]) -> None:
        found = [mistakes] if isinstance(mistakes, Mistake) else list(mistakes)
        self.mistakes: tuple[Mistake, ...] = tuple({str(m): m for m in found}.values())
        super().__init__("\n".join(str(m) for m in self.mistakes))

    def __reduce__(self) -> tuple[type[UserError], tuple[tuple[Mistake, ...]]]:
        return type(self), (self.mistakes,)

    def inside(self, parent: str) -> UserError:
        return type(self)(m.inside(parent) for m in self.mistakes)


class StoredDataError(UserError):
    """A stored file cannot be trusted as it is; nothing is started afresh in silence."""


class TrainingError(BackdoorSweepsError):
    """Training cannot go on; the message says why."""
