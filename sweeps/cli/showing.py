"""`sweeps show`: one trial, whole: JSON for programs on stdout; on stderr how it failed, in words.

A trial that is still open has no row: what is known of it are the attempts that failed.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from backdoor.errors import Mistake, UserError
from backdoor.wording import counted
from sweeps.cli.console import FINE, say
from sweeps.records.failure import OPEN
from sweeps.records.trial_row import FAILED

if TYPE_CHECKING:
    from sweeps.records.incident import Incident
    from sweeps.records.trial_row import TrialRow


def show(args: argparse.Namespace) -> int:
    """Print one trial, whole, with what probes found, and how it failed."""
    from sweeps.ledger import Ledger
    from sweeps.records.incident_summary import attempts_of
    from sweeps.storage.incident_log import IncidentLog
    from sweeps.storage.paths import open_results

    paths = open_results(args.dir)
    ledger, incidents = Ledger(paths.ledger), IncidentLog(paths.incidents).read()
    trial_id = _only_one(args.trial, ledger.trials(), incidents)
    attempts = attempts_of(incidents, trial_id)
    row = next((row for row in ledger.rows() if row["trial_id"] == trial_id), None)
    probed = [found.plain() for found in ledger.probe_results.rows(trial_id)]
    shown = row or _open_row(trial_id, attempts[-1])  # nulls of a row as stored
    shown |= {"studies": probed} if probed else {}
    shown |= {"attempts": [each.plain() for each in attempts]} if attempts else {}
    print(json.dumps(shown, indent=2), flush=True)
    if shown["status"] in (FAILED, OPEN):
        for line in _failure_lines(shown, len(attempts)):
            say(line)
    return FINE


def _only_one(given: str, trials: Sequence[TrialRow], incidents: Sequence[Incident]) -> str:
    """The id that begins like this, of recorded trials and of those that only failed so far."""
    from sweeps.records.incident_summary import open_trials

    recorded = {trial.trial_id for trial in trials}
    known = [*recorded, *open_trials(incidents, recorded)]
    found = [trial_id for trial_id in known if trial_id.startswith(given)]
    if len(found) == 1:
        return found[0]
    rule = "must be the beginning of exactly one recorded trial's id"
    remedy = f"{counted(len(found), 'trial matches', 'trials match')}; "
    remedy += _other_ids(trials, given)
    raise UserError(Mistake("TRIAL", rule, given, remedy))


def _other_ids(trials: Sequence[TrialRow], given: str) -> str:
    """Where to find trials' ids; the ids of a defence point's trials, where a point is given."""
    of_point = [trial.trial_id[:8] for trial in trials if trial.defence_id.startswith(given)]
    if not of_point or not given:
        return "`sweeps export DIR --csv FILE` lists all ids."
    more = f" and {len(of_point) - 3} more" if len(of_point) > 3 else ""
    return f"that defence point has the trials {', '.join(of_point[:3])}{more}."


def _open_row(trial_id: str, last: Incident) -> dict[str, Any]:
    """What is known of a trial without a row, by its last attempt, under the row's names."""
    from sweeps.records.incident_summary import failure_of_attempt

    failure = failure_of_attempt(last)
    return {
        "trial_id": trial_id,
        "status": OPEN,
        "error": failure.error,
        "host": failure.host,
        "node_id": failure.node_id,
        "cause": failure.cause,
        "failed_at": failure.place,
        "traceback": failure.traceback,
        "log": failure.log,
    }


# --- for people --------------------------------------------------------------------------------


def _failure_lines(shown: dict[str, Any], attempts: int) -> Iterator[str]:
    """How it failed. Of a row of earlier releases the JSON says all there is."""
    from sweeps.records.failure_groups import cause_in_words
    from sweeps.records.failure_text import plain_text

    if not any(shown[name] for name in ("failed_at", "traceback", "log")):
        return
    host = f" on {plain_text(shown['host'])}" if shown["host"] else ""
    times = f" ({counted(attempts, 'failed attempt')})" if attempts else ""
    name = f"trial {plain_text(shown['trial_id'])}"
    if shown["status"] == FAILED:
        yield f"\n{name} failed{host}{times}"
    else:
        yield f"\n{name} is open: it failed{host}{times} and is to be tried again"
    if shown["cause"] not in (None, OPEN):
        yield f"cause: {cause_in_words(shown['cause'])}"
    yield plain_text(str(shown["error"]))
    if shown["failed_at"]:
        yield f"at {plain_text(shown['failed_at'])}"
    for name, title in (("traceback", ""), ("log", "What it printed last:")):
        if shown[name]:
            yield f"\n{title}".rstrip("\n")
            yield "\n".join(plain_lines(shown[name]))


def plain_lines(text: str) -> list[str]:
    """Lines as a terminal may show them: without what it would obey, and without passwords."""
    from sweeps.records.failure_text import plain_text

    return [plain_text(line.expandtabs()) for line in text.strip("\n").split("\n")]
