"""Rows of the ledger made by hand, with only the columns that a test is about."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from backdoor.result import CurvePoint, Measurement
from sweeps.records.trial_row import TrialRow


def made(**columns: Any) -> TrialRow:
    """A finished trial with these columns, of which none is needed."""
    few = {"trial_id": "t", "defence_id": "d", "attack_id": "p", "seed": 0, "config": {}}
    return plain_row({**few, "status": "finished", **columns})


def plain_row(columns: Mapping[str, Any]) -> TrialRow:
    """A row from plain values by column, one after the other: what `trial_rows` is held against."""
    stored = {**columns, "predicted": columns.get("foretold")}
    values = {f.name: stored[f.name] for f in fields(TrialRow) if f.name in stored}
    if isinstance(values["config"], str):
        values["config"] = json.loads(values["config"])
    for name in ("class_correct", "class_total"):
        values[name] = tuple(values.get(name) or ())
    for name in ("collapsed", "diverged"):
        values[name] = bool(values.get(name))
    values["measurements"] = tuple(Measurement(**m) for m in values.get("measurements") or ())
    values["curve"] = tuple(
        CurvePoint(**{**point, "success": tuple(point["success"] or ())})
        for point in values.get("curve") or ()
    )
    return TrialRow(**values)
