"""Trials of the ledger as points of the spec's defence space."""

from __future__ import annotations

from backdoor.config import build_defence
from backdoor.errors import Mistake, StoredDataError
from sweeps.records.trial_row import TrialRow
from sweeps.space.space import Assignment, Value
from sweeps.spec import SweepSpec


def canonical(assignment: Assignment) -> Assignment:
    """The form that `Space.locate` compares by: defaults filled in, inactive factors left out."""
    return build_defence(assignment).active()


def recorded_point(spec: SweepSpec, row: TrialRow) -> tuple[int, list[Value]]:
    """The branch of a trial's defence point, and its leaf values.

    Raises:
        StoredDataError: the spec's defence space has no such point.
    """
    factors = row.config["defence"]
    located = spec.defence.locate(factors, canonical)
    if located is None:
        rule = "must hold points of the spec's defence space only"
        remedy = "Restore spec.yaml as it was, or begin a new sweep."
        raise StoredDataError(Mistake("ledger", rule, factors, remedy))
    return located
