"""Failed trials by cause, and within a cause by kind of error, with one example of each."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from sweeps.records.failure import HANG, MEMORY, NODE, OPEN, PREEMPTED, TIME, TRIAL, Failure
from sweeps.records.failure_text import error_kind, for_line, place_name, plain_text, trials_name
from sweeps.records.trial_row import TrialRow

#: What each cause means, for people. A cause of a later release is shown as it is.
IN_WORDS: Final = {
    TRIAL: "the trial's own fault",
    NODE: "the node's fault",
    PREEMPTED: "its worker was lost each time",
    MEMORY: "too little memory",
    TIME: "longer than its time limit",
    HANG: "no sign of life",
}
#: Stands for an error that is not known.
NO_REASON: Final = "no reason was recorded"
#: A trial's id and how it failed.
FailedTrial = tuple[str, Failure]


@dataclass(frozen=True)
class FailureGroup:
    """Trials that failed alike.

    cause: one of `sweeps.records.failure.CAUSES`; None where it is not known, as in rows of
    earlier releases. kind: the error where all have the same one, else its name and place.
    trial_ids: in their order; failure: that of the first one, the example.
    """

    cause: str | None
    kind: str
    trial_ids: tuple[str, ...]
    failure: Failure


def failure_of_row(row: TrialRow) -> Failure:
    """How a failed trial failed, by its row. Rows of earlier releases know the error alone."""
    return Failure(
        error=row.error or "",
        cause=row.cause or OPEN,
        place=row.failed_at,
        traceback=row.traceback,
        log=row.log,
        host=row.host,
        node_id=row.node_id,
    )


def failure_groups(failed: Iterable[FailedTrial]) -> list[FailureGroup]:
    """The groups; the cause with the most trials first, within it the largest group. Those of
    unknown cause come last."""
    together: dict[tuple[str | None, str], list[FailedTrial]] = {}
    for trial_id, failure in failed:
        together.setdefault((_cause(failure), _key(failure)), []).append((trial_id, failure))
    by_cause: dict[str | None, int] = {}
    for (cause, _), own in together.items():
        by_cause[cause] = by_cause.get(cause, 0) + len(own)
    groups = [_group(cause, own) for (cause, _), own in together.items()]
    names = list(by_cause)
    return sorted(
        groups,
        key=lambda g: (
            g.cause is None,
            -by_cause[g.cause],
            names.index(g.cause),
            -len(g.trial_ids),
        ),
    )


def cause_in_words(cause: str) -> str:
    """`too little memory`."""
    return IN_WORDS.get(cause, plain_text(cause))


def group_line(kind: str, count: int, trial_id: str, failure: Failure) -> str:
    """`2 x ValueError: too bright, for example trial 1a2b3c4d on host7 (/home/me/marks.py:12)`; of
    an error of which nothing else is known, `2 x ValueError: too bright`.

    trial_id, failure: the example of the group.
    """
    line = f"{count} x {kind or NO_REASON}"
    if failure.cause == OPEN and not (failure.place or failure.host):
        return line
    host = f" on {plain_text(failure.host)}" if failure.host else ""
    place = f" ({plain_text(failure.place)})" if failure.place else ""
    error = for_line(failure.error)
    more = "" if kind == error else f": {error}"
    return f"{line}, {'for example ' * (count > 1)}{trials_name([trial_id])}{host}{place}{more}"


def _cause(failure: Failure) -> str | None:
    return None if failure.cause == OPEN else failure.cause


def _key(failure: Failure) -> str:
    """Errors of one place and name are of one kind: their texts have values that differ."""
    kind, place = error_kind(failure), place_name(failure)
    return failure.error if kind is None or place is None else f"{kind} at {place}"


def _group(cause: str | None, own: Sequence[FailedTrial]) -> FailureGroup:
    first = own[0][1]
    alike = len({failure.error for _, failure in own}) == 1
    kind = for_line(first.error) if alike else plain_text(_key(first))
    return FailureGroup(cause, kind, tuple(trial_id for trial_id, _ in own), first)
