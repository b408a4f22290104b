"""What went wrong, as the report shows it: failed trials by cause, missing ones, useless models."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, replace

from dashboards.results import Results
from sweeps.records.failure import Failure
from sweeps.records.failure_groups import (
    FailureGroup,
    cause_in_words,
    failure_groups,
    failure_of_row,
)
from sweeps.records.failure_text import for_line, place_name
from sweeps.records.trial_row import FAILED, TrialRow


@dataclass(frozen=True)
class Cause:
    """Trials that failed alike. text: the error, or its name and place where its texts differ;
    fault: whose fault it was, in words, None where that is not known. trials: how many; examples:
    the ids of a few. of_first: host, file and line of the first one, and its error where `text` is
    not all of it; empty where none is known."""

    text: str
    fault: str | None
    trials: int
    examples: list[str]
    of_first: str


@dataclass(frozen=True)
class Failures:
    """Trials without a result.

    causes: as `failure_groups` sorts them. missing: planned trials that were never begun or were
    lost, of a sweep that did not come to its end; planned: None where nobody said how many, and
    then none is missing; at_most: whether fewer may do. resumable: whether there is something to
    try again.
    """

    causes: list[Cause]
    missing: int
    planned: int | None
    at_most: bool
    stopped: int
    resumable: bool


def failures(results: Results) -> Failures | None:
    """Failed trials, those stopped early and those missing; None where all ended."""
    failed = [trial for trial in results.trials if trial.status == FAILED]
    state = results.region["state"]
    stopped, planned = results.region["trials"].get("stopped", 0), state["planned"]
    # A search that ended by its own rule lacks nothing, and one that runs does not lack it yet.
    interrupted = state["state"] == "stopped" and not state["why"]
    left = 0 if planned is None else planned - state["ended"] - state["failed"]
    missing = max(left, 0) if interrupted else 0
    if not failed and not stopped and not missing:
        return None
    resumable = bool(missing) or (bool(failed) and state["state"] != "running" and not state["why"])
    causes, at_most = _causes(failed), state["at_most"]
    return Failures(causes, missing, planned, at_most, stopped, resumable)


def _causes(failed: Iterable[TrialRow]) -> list[Cause]:
    groups = failure_groups((trial.trial_id, _in_a_line(trial)) for trial in failed)
    return [_cause(group) for group in groups]


def _in_a_line(trial: TrialRow) -> Failure:
    """How it failed, with the first line of its error."""
    failure = failure_of_row(trial)
    return replace(failure, error=next(iter(failure.error.splitlines()), ""))


def _cause(group: FailureGroup) -> Cause:
    """The place goes without its folders: a report is passed on."""
    failure, error = group.failure, for_line(group.failure.error)
    at = [f"on {failure.host}"] if failure.host else []
    at += [f"at {place}"] if (place := place_name(failure)) else []
    at += [] if error == group.kind else [error]
    fault = None if group.cause is None else cause_in_words(group.cause)
    ids = list(group.trial_ids)
    return Cause(group.kind, fault, len(ids), ids[:3], ", ".join(at))


@dataclass(frozen=True)
class BrokenRow:
    """A defence point, by its label, and how many of its trained models are useless."""

    point: str
    collapsed: int
    diverged: int
    trained: int


def broken_models(results: Results) -> list[BrokenRow]:
    """Trainings that finished with a useless model, by defence point; empty where none did."""
    broken = [trial for trial in results.trials if trial.broken]
    trained = Counter(trial.defence_id for trial in results.trials)
    rows = []
    for defence_id in dict.fromkeys(trial.defence_id for trial in broken):
        own = [trial for trial in broken if trial.defence_id == defence_id]
        point = results.by_id.get(defence_id)
        label = defence_id if point is None else point["label"]
        collapsed, diverged = sum(t.collapsed for t in own), sum(t.diverged for t in own)
        rows.append(BrokenRow(label, collapsed, diverged, trained[defence_id]))
    return rows
