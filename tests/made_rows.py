"""Rows of the ledger made by hand, with only the columns that a test is about."""

from __future__ import annotations

from typing import Any

from sweeps.records.trial_row import TrialRow


def made(**columns: Any) -> TrialRow:
    """A finished trial with these columns, of which none is needed."""
    few = {"trial_id": "t", "defence_id": "d", "attack_id": "p", "seed": 0, "config": {}}
    return TrialRow.of({**few, "status": "finished", **columns})
