"""The ledger as a flat table, one row for each measurement, for notebooks and spreadsheets."""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.csv as arrow_csv

from backdoor.result import Measurement
from sweeps.ledger.rows import canonical_json
from sweeps.records.trial_row import TrialRow
from sweeps.storage.files import write_atomic

#: Measure id → trigger, target and label mode, as sweep.json describes what was measured.
Measures = Mapping[str, Mapping[str, Any]]
#: Column → value.
FlatRow = dict[str, Any]


def flatten_factors(config: Mapping[str, Any]) -> FlatRow:
    """A canonical configuration by dotted names, such as `defence.architecture.width`.

    A clean baseline has `attack.poison_rate` 0 and no other factor of an attack.
    """
    flat: FlatRow = {}

    def visit(prefix: str, value: Any) -> None:
        if isinstance(value, dict):
            if "kind" in value:
                flat[prefix] = value["kind"]
            for key, inner in value.items():
                if key != "kind":
                    visit(f"{prefix}.{key}", inner)
        else:
            flat[prefix] = canonical_json(value) if isinstance(value, list) else value

    for part in ("data", "defence", "training"):
        visit(part, config[part])
    if config["attack"] is None:
        flat["attack.poison_rate"] = 0.0
    else:
        visit("attack", config["attack"])
    return flat


def measured_factors(measure: Mapping[str, Any], poison_rate: float) -> FlatRow:
    """The attack that a measurement is of, by dotted names."""
    attack = {**measure, "poison_rate": poison_rate}
    return flatten_factors({"data": {}, "defence": {}, "training": {}, "attack": attack})


def flat_rows(trial: TrialRow, measures: Measures) -> Iterator[FlatRow]:
    """The rows of one trial, at least one."""
    row = _without_figures(trial) | flatten_factors(trial.config)
    if not trial.finished:
        yield row
        return
    row |= {
        "clean_correct": trial.clean_correct,
        "clean_total": trial.clean_total,
        "clean_accuracy": trial.clean_accuracy,
        "clean_loss": trial.clean_loss,
        "validation_accuracy": trial.validation_accuracy,
    }
    if not trial.measurements:
        yield row
    for measured in trial.measurements:
        measure = measures.get(measured.measure_id, {})
        yield row | measured_factors(measure, row["attack.poison_rate"]) | _figures(measured)


def _without_figures(trial: TrialRow) -> FlatRow:
    return {
        "trial_id": trial.trial_id,
        "defence_id": trial.defence_id,
        "attack_id": trial.attack_id,
        "seed": trial.seed,
        "status": trial.status,
        "error": trial.error,
        "train_images": trial.train_images,
        "poisoned": trial.poisoned,
        "relabelled": trial.relabelled,
        "covers": trial.covers,
        "collapsed": trial.collapsed if trial.finished else None,
        "diverged": trial.diverged if trial.finished else None,
        "seconds": trial.seconds,
        "train_seconds": trial.train_seconds,
        "trained_images": trial.trained_images,
        "peak_memory": trial.peak_memory,
        "cpus": trial.cpus,
        "gpus": trial.gpus,
        "epochs_run": trial.epochs_run,
        "stopped_by": trial.stopped_by,
        "foretold": trial.predicted,
        "cause": trial.cause,
        "failed_at": trial.failed_at,
        "host": trial.host,
        "node_id": trial.node_id,
    }


def _figures(measured: Measurement) -> FlatRow:
    return {
        "measure_id": measured.measure_id,
        "success": measured.success,
        "robust": measured.robust,
        "total": measured.total,
        "attack_success": _fraction(measured.success, measured.total),
        "robust_accuracy": _fraction(measured.robust, measured.total),
    }


def _fraction(count: int, total: int) -> float | None:
    return count / total if total else None


def flat_table(rows: Sequence[FlatRow]) -> pa.Table:
    """Flat rows as a table; a column that a row lacks is null there."""
    names = list(dict.fromkeys(name for row in rows for name in row))
    return pa.table({name: column_of([row.get(name) for row in rows]) for name in names})


def column_of(values: Sequence[Any]) -> pa.Array:
    """Plain values as one column: of text, numbers as JSON has them, where types differ."""
    try:
        return pa.array(values)
    except (pa.ArrowTypeError, pa.ArrowInvalid):
        texts = (v if v is None or isinstance(v, str) else canonical_json(v) for v in values)
        return pa.array(texts, pa.string())


def write_csv(table: pa.Table, file: Path) -> None:
    """A flat table as a CSV file with a header. Lists, such as a probe's `betas`, are JSON text."""
    for index, field in enumerate(table.schema):
        if pa.types.is_nested(field.type):
            texts = (None if v is None else canonical_json(v) for v in table[index].to_pylist())
            table = table.set_column(index, field.name, pa.array(texts, pa.string()))
    sink = io.BytesIO()
    arrow_csv.write_csv(table, sink)
    write_atomic(file, sink.getvalue())
