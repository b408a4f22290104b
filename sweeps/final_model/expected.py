"""A final model's figures, each beside what the sweep's seeds make expected of one new seed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from backdoor.result import TrialResult
from sweeps.final_model.select import Chosen
from sweeps.statistics.prediction import Prediction, predict_one

CONFIDENCE = 0.95
METHOD = (
    "prediction interval for one new seed: Student's t over the sweep's seeds on Anscombe's "
    "angles, with the binomial noise of the test images as the least spread; not corrected for "
    "having chosen the point by these figures"
)
Rows = Sequence[Mapping[str, Any]]
Counts = list[tuple[int, int]]


def expectations(result: TrialResult, chosen: Chosen) -> dict[str, Any]:
    """The figures of a model trained as `chosen` says, with what is expected of them.

    `figures` are those of the model itself. `if_poisoned` says, of a model trained on the data as
    they are, what is expected had the worst attack of the panel poisoned them. A seed that the
    sweep has trained is left out of what is expected of it.
    """
    trial = chosen.trial
    own = _others(chosen.rows, trial.attack_id, trial.seed)
    figures = [
        _figure("clean_accuracy", None, sum(result.class_correct), sum(result.class_total),
                _clean_counts(own))
    ]  # fmt: skip
    for measured in result.measurements:
        figures.append(
            _figure("attack_success", _label(chosen, measured.measure_id), measured.success,
                    measured.total, _success_counts(own, measured.measure_id))
        )  # fmt: skip
    return {
        "figures": figures,
        "expected_from_seeds": [row["seed"] for row in own],
        "expected_by": METHOD,
        "if_poisoned": _if_poisoned(result, chosen) if trial.attack is None else None,
    }


def _if_poisoned(result: TrialResult, chosen: Chosen) -> dict[str, Any] | None:
    worst = next((a for a in chosen.panel if a["attack_id"] == chosen.point["worst_attack"]), None)
    if worst is None:
        return None
    rows = _others(chosen.rows, worst["attack_id"], chosen.trial.seed)
    name = worst["measure_id"]
    images = next(m.total for m in result.measurements if m.measure_id == name)
    clean = predict_one(_clean_counts(rows), sum(result.class_total), CONFIDENCE)
    success = predict_one(_success_counts(rows, name), images, CONFIDENCE)
    return {
        "attack": {key: worst[key] for key in ("number", "attack_id", "label")},
        "clean_accuracy": _expected(clean),
        "attack_success": _expected(success),
    }


def _others(rows: Rows, attack_id: str, seed: int) -> Rows:
    found = [row for row in rows if row["attack_id"] == attack_id and row["seed"] != seed]
    return sorted(found, key=lambda row: int(row["seed"]))


def _clean_counts(rows: Rows) -> Counts:
    return [(sum(row["class_correct"]), sum(row["class_total"])) for row in rows]


def _success_counts(rows: Rows, name: str) -> Counts:
    return [
        (m["success"], m["total"])
        for row in rows
        for m in row["measurements"]
        if m["measure_id"] == name
    ]


def _label(chosen: Chosen, name: str) -> str:
    attack = next(attack for attack in chosen.panel if attack["measure_id"] == name)
    return f"{attack['trigger']} {attack['goal']}"


def _figure(
    figure: str, attack: str | None, count: int, total: int, counts: Counts
) -> dict[str, Any]:
    found = predict_one(counts, total, CONFIDENCE)
    return {
        "figure": figure,
        "attack": attack,
        "count": count,
        "total": total,
        "value": count / total if total else None,
        "expected": _expected(found),
        "inside": None if found is None else found.holds(count),
    }


def _expected(found: Prediction | None) -> dict[str, Any] | None:
    """A prediction as plain values, fractions beside the counts."""
    if found is None:
        return None
    return {
        "low": found.low / found.total,
        "high": found.high / found.total,
        "low_count": found.low,
        "high_count": found.high,
        "total": found.total,
        "seeds": found.seeds,
        "confidence": found.confidence,
    }
