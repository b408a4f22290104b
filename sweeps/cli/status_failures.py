"""What went wrong, for `sweeps status`: failed trials by cause, open ones, and nodes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, TypedDict

from backdoor.wording import counted, in_units
from sweeps.addresses import scrubbed
from sweeps.records.failure import MEMORY, OPEN, Failure
from sweeps.records.failure_groups import (
    FailureGroup,
    cause_in_words,
    failure_groups,
    failure_of_row,
    group_line,
)
from sweeps.records.failure_text import for_line, node_name, plain_text
from sweeps.records.incident_summary import (
    failure_of_attempt,
    in_common,
    lost_workers,
    nodes_of,
    of_last_run,
    open_trials,
)
from sweeps.records.trial_row import FAILED, TrialRow

if TYPE_CHECKING:
    from sweeps.records.incident import Incident

#: What an open trial waits for while the sweep runs, by the cause of its last failure; of others
#: it is `ELSEWHERE`.
WAITS_FOR = {MEMORY: "a smaller pack"}
ELSEWHERE = "another node, or for a success on the same one"
#: What it waits for where no process runs the sweep.
RESUME = "`sweeps resume`"


class GroupEntry(TypedDict):
    """Failed trials of one cause and one kind of error. cause: None where it is not known, as in
    rows of earlier releases. kind: the error where all have the same one, else its name and place.
    The others are those of the example. place: `file:line`."""

    cause: str | None
    kind: str
    count: int
    trial_id: str
    error: str
    place: str | None
    host: str | None
    node_id: str | None


class OpenEntry(TypedDict):
    """A trial that failed, whose cause is not known yet, and which is to be tried again. attempts:
    how often it failed; the others are those of the last time. at: seconds since 1970."""

    trial_id: str
    attempts: int
    cause: str
    error: str
    place: str | None
    host: str | None
    node_id: str | None
    at: float
    waits_for: str


class NodeEntry(TypedDict):
    """A node that was left out. state: `left out`, or `back` where it gets packs again. reason: why
    it was left out. since: of its state, in seconds since 1970."""

    host: str | None
    node_id: str | None
    state: str
    reason: str
    since: float


class Problems(TypedDict):
    """What went wrong in the latest run, and all failed trials.

    failure_groups: failed trials, the most frequent cause first. open: those without a row that
    failed. nodes: those left out, or back again. lost_workers: how many vanished. in_common:
    what all failures share, where the sweep stopped since nothing worked.
    """

    failure_groups: list[GroupEntry]
    open: list[OpenEntry]
    nodes: list[NodeEntry]
    lost_workers: int
    in_common: str | None


def problems_of(
    trials: Sequence[TrialRow], incidents: Sequence[Incident], running: bool
) -> Problems:
    """What went wrong. trials: the ledger's; incidents: all of the folder; running: whether a
    process runs the sweep."""
    run, ended = of_last_run(incidents), {trial.trial_id for trial in trials}
    failed = [(t.trial_id, failure_of_row(t)) for t in trials if t.status == FAILED]
    shared = in_common(run)
    return {
        "failure_groups": [_group_entry(each) for each in failure_groups(failed)],
        "open": [_open_entry(*each, running) for each in open_trials(run, ended).items()],
        "nodes": [
            {
                "host": each.host,
                "node_id": each.node_id,
                "state": "back" if each.back else "left out",
                "reason": scrubbed(each.reason),
                "since": each.since,
            }
            for each in nodes_of(run)
        ],
        "lost_workers": lost_workers(run),
        "in_common": None if shared is None else scrubbed(shared),
    }


def _group_entry(group: FailureGroup) -> GroupEntry:
    failure = group.failure
    return {
        "cause": group.cause,
        "kind": group.kind,
        "count": len(group.trial_ids),
        "trial_id": group.trial_ids[0],
        "error": scrubbed(failure.error),
        "place": failure.place,
        "host": failure.host,
        "node_id": failure.node_id,
    }


def _open_entry(trial_id: str, attempts: Sequence[Incident], running: bool) -> OpenEntry:
    last = attempts[-1]
    failure = failure_of_attempt(last)
    return {
        "trial_id": trial_id,
        "attempts": len(attempts),
        "cause": failure.cause,
        "error": scrubbed(failure.error),
        "place": failure.place,
        "host": failure.host,
        "node_id": failure.node_id,
        "at": last.at,
        "waits_for": WAITS_FOR.get(failure.cause, ELSEWHERE) if running else RESUME,
    }


# --- in words ----------------------------------------------------------------------------------


def failed_lines(problems: Problems) -> Iterator[str]:
    """Failed trials by cause; those of unknown cause last, as lines of their own."""
    entries = problems["failure_groups"]
    for cause in dict.fromkeys(entry["cause"] for entry in entries):
        own = [entry for entry in entries if entry["cause"] == cause]
        if cause is not None:
            yield f"  {cause_in_words(cause)}: {sum(entry['count'] for entry in own)}"
        indent = "  " if cause is None else "    "
        yield from (f"{indent}{_entry_line(entry)}" for entry in own)
    if any(entry["place"] or entry["cause"] for entry in entries):
        yield "  `sweeps show DIR TRIAL` prints a trial's traceback and log"


def _entry_line(entry: GroupEntry) -> str:
    cause = entry["cause"] or OPEN
    failure = Failure(entry["error"], cause, entry["place"], host=entry["host"])
    return group_line(entry["kind"], entry["count"], entry["trial_id"], failure)


def other_lines(problems: Problems, now: float) -> Iterator[tuple[str, str]]:
    """Name and value of what else there is: open trials, nodes, lost workers, what failures share;
    lines that belong to the one above have the name "". now: seconds since 1970."""
    for waits_for in dict.fromkeys(entry["waits_for"] for entry in problems["open"]):
        own = [entry for entry in problems["open"] if entry["waits_for"] == waits_for]
        verb = "waits" if len(own) == 1 else "wait"
        yield "open", f"{counted(len(own), 'trial')} failed and {verb} for {waits_for}"
        yield from (("", line) for line in _open_lines(own))
    yield from ((f"node {node['state']}", _node(node, now)) for node in problems["nodes"])
    if problems["lost_workers"]:
        yield "workers lost", str(problems["lost_workers"])
    if problems["in_common"] is not None:
        yield "stopped", f"nothing worked; {plain_text(problems['in_common'])}"


def _open_lines(entries: Sequence[OpenEntry]) -> Iterator[str]:
    failed = [
        (e["trial_id"], Failure(e["error"], OPEN, e["place"], host=e["host"])) for e in entries
    ]
    for each in failure_groups(failed):
        line = group_line(each.kind, len(each.trial_ids), each.trial_ids[0], each.failure)
        yield f"  {line}"


def _node(node: NodeEntry, now: float) -> str:
    """`host7 (2f3e9a01…), for 5.0 minutes: cannot read the data`."""
    name = node_name(node["host"], node["node_id"]).removeprefix("node ")
    why = for_line(node["reason"])
    if node["state"] == "back" and why:
        why = f"it had been left out: {why}"
    return f"{name}, for {in_units(max(0.0, now - node['since']))}" + (f": {why}" if why else "")
