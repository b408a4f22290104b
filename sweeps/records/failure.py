"""Why a pack could not be trained: what failed, where, on which node, and whose fault it is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any, Final

#: Whose fault a failure is. TRIAL: it failed twice, each time on a node where other
#: configurations succeeded. NODE: the node fails what succeeds elsewhere, or its check. OPEN:
#: nobody knows yet. PREEMPTED: the worker or its node was lost. MEMORY: too little of it. TIME:
#: the deadline. HANG: no sign of life.
TRIAL: Final = "trial"
NODE: Final = "node"
OPEN: Final = "open"
PREEMPTED: Final = "preempted"
MEMORY: Final = "memory"
TIME: Final = "time"
HANG: Final = "hang"
CAUSES = (TRIAL, NODE, OPEN, PREEMPTED, MEMORY, TIME, HANG)
#: How the error begins of a pack that did not fit into memory, before the exception's name.
TOO_LARGE: Final = "out of memory: "


@dataclass(frozen=True)
class Failure:
    """One failed attempt at a pack.

    error: one line, `ValueError: ...` or what ended the process. cause: one of `CAUSES`, `open`
    until it is decided. place: `file:line` where it was raised, the user's code before ours.
    traceback: whole, as Python prints it. log: the last lines that the training printed. host,
    node_id: the machine, and Ray's name of it, "" without Ray. suspects: ids of the trials of the
    pack whose images were being made, if that was so: one of them is the culprit. measures: ids of
    what those images measure, where only clean baselines need them. died: whether the process
    ended by it.
    """

    error: str
    cause: str = OPEN
    place: str | None = None
    traceback: str | None = None
    log: str | None = None
    host: str | None = None
    node_id: str | None = None
    suspects: tuple[str, ...] = ()
    measures: tuple[str, ...] = ()
    died: bool = False

    def because(self, cause: str) -> Failure:
        """The same failure, decided."""
        return replace(self, cause=cause)

    def plain(self) -> dict[str, Any]:
        """As JSON has it, without what is not known."""
        values = {each.name: getattr(self, each.name) for each in fields(self)}
        return {
            k: list(v) if isinstance(v, tuple) else v
            for k, v in values.items()
            if v not in (None, (), False)
        }

    @staticmethod
    def from_plain(values: Mapping[str, Any]) -> Failure:
        """What `plain` made; keys of later releases are left out."""
        known = {each.name for each in fields(Failure)}
        kept = {name: value for name, value in values.items() if name in known}
        lists = {name: tuple(kept.get(name, ())) for name in ("suspects", "measures")}
        return Failure(**kept | lists)

    @staticmethod
    def of(reason: Failure | str) -> Failure:
        """A failure as it is; a text as one of which nothing else is known."""
        return reason if isinstance(reason, Failure) else Failure(reason)
