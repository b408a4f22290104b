"""A final model's figures, each beside what the sweep's seeds make expected of one new seed."""

from __future__ import annotations

from backdoor.result import TrialResult
from sweeps.final_model.counts import (
    CONFIDENCE,
    Counts,
    clean_counts,
    of_other_seeds,
    success_counts,
)
from sweeps.final_model.foreseen import foreseen
from sweeps.final_model.held_to import held_to
from sweeps.final_model.select import Chosen
from sweeps.records.final_model_file import Expectations, ExpectedEntry, FigureEntry, IfPoisoned
from sweeps.statistics.prediction import Prediction, predict_one

METHOD = (
    "prediction interval for one new seed: Student's t over the sweep's seeds on Anscombe's "
    "angles, with the binomial noise of the test images as the least spread; not corrected for "
    "having chosen the point by these figures"
)


def expectations(result: TrialResult, chosen: Chosen) -> Expectations:
    """The figures of a model trained as `chosen` says, with what is expected of them.

    `figures` are those of the model itself. `if_poisoned` says, of a model trained on the data as
    they are, what is expected had the worst attack of the panel poisoned them. A seed that the
    sweep has trained is left out of what is expected of it.
    """
    trial = chosen.trial
    own = of_other_seeds(chosen.rows, trial.attack_id, trial.seed)
    correct, images = sum(result.class_correct), sum(result.class_total)
    figures = [_figure("clean_accuracy", None, (correct, images), clean_counts(own))]
    for measured in result.measurements:
        label, counts = chosen.words(measured.measure_id), (measured.success, measured.total)
        before = success_counts(own, measured.measure_id)
        figures.append(_figure("attack_success", label, counts, before))
    return {
        "figures": figures,
        "expected_from_seeds": [row.seed for row in own],
        "expected_by": METHOD,
        "if_poisoned": _if_poisoned(result, chosen) if trial.attack is None else None,
        "held_to": held_to(result, chosen),
    }


def _if_poisoned(result: TrialResult, chosen: Chosen) -> IfPoisoned | None:
    worst = next((a for a in chosen.panel if a["attack_id"] == chosen.worst_attack), None)
    if worst is None:
        return None
    rows = of_other_seeds(chosen.rows, worst["attack_id"], chosen.trial.seed)
    name = worst["measure_id"]
    images = next(m.total for m in result.measurements if m.measure_id == name)
    clean = predict_one(clean_counts(rows), sum(result.class_total), CONFIDENCE)
    success = predict_one(success_counts(rows, name), images, CONFIDENCE)
    return {
        "attack": chosen.named(worst),
        "clean_accuracy": _expected(clean),
        "attack_success": _expected(success),
        "held_to": foreseen(result, chosen, worst),
    }


def _figure(
    figure: str, attack: str | None, counts: tuple[int, int], before: Counts
) -> FigureEntry:
    """counts: of this model; before: of the sweep's seeds."""
    count, total = counts
    found = predict_one(before, total, CONFIDENCE)
    return {
        "figure": figure,
        "attack": attack,
        "count": count,
        "total": total,
        "value": count / total if total else None,
        "expected": _expected(found),
        "inside": None if found is None else found.holds(count),
    }


def _expected(found: Prediction | None) -> ExpectedEntry | None:
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
