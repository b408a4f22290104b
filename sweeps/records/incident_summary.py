"""What the incidents of a folder come to: open trials, nodes, lost workers, why a sweep stopped."""

from __future__ import annotations

import math
from collections.abc import Container, Iterable, Sequence
from dataclasses import dataclass, fields, replace

from sweeps.records.failure import Failure
from sweeps.records.failure_text import common_cause
from sweeps.records.incident import ATTEMPT, BACK, LEFT_OUT, LOST, STARTED, STOPPED, Incident


@dataclass(frozen=True)
class NodeState:
    """A node that was left out. back: whether it gets packs again. reason: why it was left out.
    since: of what it is now, in seconds since 1970."""

    host: str | None
    node_id: str | None
    back: bool
    reason: str
    since: float


def well_formed(incidents: Iterable[Incident]) -> list[Incident]:
    """Those of which all values are of their types: the file may have been changed by hand."""
    return [each for each in incidents if _is_well_formed(each)]


def of_last_run(incidents: Sequence[Incident]) -> list[Incident]:
    """Those since the last run began."""
    started = [number for number, each in enumerate(incidents) if each.what == STARTED]
    return list(incidents[started[-1] + 1 :] if started else incidents)


def attempts_of(incidents: Sequence[Incident], trial_id: str) -> list[Incident]:
    """The failed attempts at a trial, in all runs."""
    return [each for each in incidents if each.what == ATTEMPT and trial_id in each.trial_ids]


def open_trials(run: Sequence[Incident], ended: Container[str]) -> dict[str, list[Incident]]:
    """Trial id to its failed attempts, of trials that have not ended. run: of `of_last_run`."""
    found: dict[str, list[Incident]] = {}
    for incident in run:
        for trial_id in incident.trial_ids if incident.what == ATTEMPT else ():
            if trial_id not in ended:
                found.setdefault(trial_id, []).append(incident)
    return found


def failure_of_attempt(incident: Incident) -> Failure:
    """How a failed attempt failed, with the host and the node that are known of it."""
    found = incident.failure or Failure(incident.text or "nothing is known of why")
    host, node = found.host or incident.host, found.node_id or incident.node_id
    return replace(found, host=host, node_id=node)


def nodes_of(run: Sequence[Incident]) -> list[NodeState]:
    """The nodes that were left out, in this order, as they are now."""
    found: dict[str | None, NodeState] = {}
    for each in run:
        key = each.node_id or each.host
        if each.what == LEFT_OUT:
            reason = each.failure.error if each.failure is not None else each.text or ""
            known = found.get(key)
            since = known.since if known is not None and not known.back else each.at
            found[key] = NodeState(each.host, each.node_id, False, reason, since)
        elif each.what == BACK:
            reason = found[key].reason if key in found else ""
            found[key] = NodeState(each.host, each.node_id, True, reason, each.at)
    return list(found.values())


def lost_workers(run: Sequence[Incident]) -> int:
    """Workers and nodes that vanished."""
    return sum(each.what == LOST for each in run)


def in_common(run: Sequence[Incident]) -> str | None:
    """What all failures have in common, of a run that stopped since nothing worked; None of
    others. A worker that was lost is no attempt."""
    stopped = [each for each in run if each.what == STOPPED]
    if not stopped:
        return None
    failures = [each.failure for each in run if each.what == ATTEMPT and each.failure is not None]
    return common_cause(failures) if failures else stopped[-1].text


def _is_well_formed(incident: Incident) -> bool:
    texts = (incident.host, incident.node_id, incident.text)
    return (
        isinstance(incident.what, str)
        and type(incident.at) in (int, float)
        and math.isfinite(incident.at)
        and all(isinstance(each, str) for each in incident.trial_ids)
        and all(each is None or isinstance(each, str) for each in texts)
        and (incident.failure is None or _is_well_formed_failure(incident.failure))
    )


def _is_well_formed_failure(failure: Failure) -> bool:
    own = {each.name: getattr(failure, each.name) for each in fields(failure)}
    needed = [own.pop("error"), own.pop("cause")]
    del own["died"]  # whatever it is, it is true or false
    for value in own.values():
        needed += value if isinstance(value, tuple) else [] if value is None else [value]
    return all(isinstance(each, str) for each in needed)
