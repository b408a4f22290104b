"""The ledger as a flat table, a row a measurement, for notebooks and spreadsheets."""

from __future__ import annotations

import io
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.csv as arrow_csv

from sweeps.ledger.rows import canonical_json
from sweeps.ledger.schema import FINISHED
from sweeps.storage.files import write_atomic


def flatten_factors(config: dict[str, Any]) -> dict[str, Any]:
    """A canonical configuration by dotted names, such as `defence.architecture.width`.

    A clean baseline has `attack.poison_rate` 0 and no other factor of an attack.
    """
    flat: dict[str, Any] = {}

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


def flat_rows(trial: dict[str, Any], measured: dict[str, Any]) -> Iterable[dict[str, Any]]:
    """The rows of one trial; `measured` is what sweep.json says of measures, by id."""
    keys = ["trial_id", "defence_id", "attack_id", "seed", "status", "error"]
    keys += ["train_images", "poisoned", "relabelled", "covers", "collapsed", "diverged"]
    keys += ["seconds"]
    keys += ["train_seconds", "trained_images", "peak_memory", "cpus", "gpus"]
    keys += ["epochs_run", "stopped_by", "foretold"]
    row = {key: trial[key] for key in keys} | flatten_factors(trial["config"])
    finished = trial["status"] == FINISHED
    if finished:
        row |= accuracies(trial)
    for m in (finished and trial["measurements"]) or [None]:
        if m is None:
            yield row
            continue
        factors = flatten_factors(
            {
                "data": {},
                "defence": {},
                "training": {},
                "attack": {
                    **measured.get(m["measure_id"], {}),
                    "poison_rate": row["attack.poison_rate"],
                },
            }
        )
        yield (
            row
            | factors
            | m
            | {
                "attack_success": _fraction(m["success"], m["total"]),
                "robust_accuracy": _fraction(m["robust"], m["total"]),
            }
        )


def accuracies(trial: dict[str, Any]) -> dict[str, Any]:
    """Clean counts and fractions of a finished row."""
    correct, total = sum(trial["class_correct"]), sum(trial["class_total"])
    return {
        "clean_correct": correct,
        "clean_total": total,
        "clean_accuracy": _fraction(correct, total),
        "clean_loss": trial.get("clean_loss"),
        "validation_accuracy": _fraction(trial["validation_correct"], trial["validation_total"]),
    }


def _fraction(count: int, total: int) -> float | None:
    return count / total if total else None


def column_of(values: Sequence[Any]) -> pa.Array:
    """Plain values as one column: of words, numbers as JSON has them, where not all are alike."""
    try:
        return pa.array(values)
    except (pa.ArrowTypeError, pa.ArrowInvalid):
        words = (v if v is None or isinstance(v, str) else canonical_json(v) for v in values)
        return pa.array(words, pa.string())


def write_csv(table: pa.Table, file: Path) -> None:
    """A flat table as a CSV file with a header."""
    sink = io.BytesIO()
    arrow_csv.write_csv(table, sink)
    write_atomic(file, sink.getvalue())
