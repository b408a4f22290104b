"""Trials whose rows answer what a sweep asked before it was extended."""

from __future__ import annotations

from sweeps.ledger.ledger import Ledger
from sweeps.ledger.outdated import outdated, unmeasured
from sweeps.records.sweep_file import SweepFile


def outdated_trials(ledger: Ledger, sweep: SweepFile) -> set[str]:
    """Ids of those that are to be trained again. sweep: the content of sweep.json."""
    specs = sweep.get("specs", [])
    if len(specs) < 2:
        return set()  # nothing has been added since the first
    present, first = specs[-1].get("thresholds"), specs[0].get("thresholds")
    return outdated(ledger.table(), sweep["measures"], present, first)


def trials_to_repeat(ledger: Ledger, sweep: SweepFile) -> set[str]:
    """Ids of the outdated trials, and of clean baselines that a trigger which failed was left out
    of: code that failed may be another by now. Only a command that trains asks."""
    return outdated_trials(ledger, sweep) | unmeasured(ledger.table(), sweep.get("measures", {}))
