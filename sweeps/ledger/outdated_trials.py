"""Trials whose rows answer what a sweep asked before it was extended."""

from __future__ import annotations

from sweeps.ledger.ledger import Ledger
from sweeps.ledger.outdated import outdated
from sweeps.records.sweep_file import SweepFile


def outdated_trials(ledger: Ledger, sweep: SweepFile) -> set[str]:
    """Ids of those that are to be trained again. sweep: the content of sweep.json."""
    specs = sweep.get("specs", [])
    if len(specs) < 2:
        return set()  # nothing has been added since the first
    present, first = specs[-1].get("thresholds"), specs[0].get("thresholds")
    return outdated(ledger.table(), sweep["measures"], present, first)
