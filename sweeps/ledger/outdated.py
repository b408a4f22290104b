"""Rows that answer what a sweep asked before it was extended."""

from __future__ import annotations

from collections.abc import Collection

import pyarrow as pa
import pyarrow.compute as pc

from sweeps.records.trial_row import CLEAN, FINISHED, STOPPED


def outdated(
    table: pa.Table, measures: Collection[str], thresholds: str | None, first: str | None = None
) -> set[str]:
    """Ids of trials that are to be trained again: clean baselines that were not measured with
    every trigger, and trials that were stopped as certain by other thresholds than the present.

    table: of the ledger. measures: the measure ids of all triggers. thresholds: the present ones as
    rows name them, None where no verdict stops a trial; first: those of rows that name none.
    """
    return _incomplete(table, set(measures)) | _stopped(table, thresholds, first)


def unmeasured(table: pa.Table, measures: Collection[str]) -> set[str]:
    """Ids of clean baselines whose rows say that some trigger could not be measured: they are tried
    again like failed trials, when a sweep is resumed."""
    said = table.filter(pc.and_(pc.equal(table["status"], FINISHED), pc.is_valid(table["error"])))
    return _incomplete(said, set(measures))


def _incomplete(table: pa.Table, measures: set[str]) -> set[str]:
    clean = pc.and_(pc.equal(table["status"], FINISHED), pc.equal(table["attack_id"], CLEAN))
    rows = table.select(["trial_id", "measurements"]).filter(clean)
    pairs = zip(rows["trial_id"].to_pylist(), rows["measurements"].to_pylist(), strict=True)
    return {
        trial_id
        for trial_id, measured in pairs
        if not measures <= {each["measure_id"] for each in measured or ()}
    }


def _stopped(table: pa.Table, thresholds: str | None, first: str | None) -> set[str]:
    if thresholds is None:
        return set()
    certain = pc.and_(pc.equal(table["status"], STOPPED), pc.is_valid(table["foretold"]))
    rows = table.select(["trial_id", "thresholds"]).filter(certain)
    about = pc.fill_null(rows["thresholds"], first or thresholds)
    return set(rows.filter(pc.not_equal(about, thresholds))["trial_id"].to_pylist())
