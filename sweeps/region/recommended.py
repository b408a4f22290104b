"""Which point is recommended, and the lines that say so."""

from __future__ import annotations

from collections.abc import Sequence

from sweeps.records.control_text import on_accuracy_alone
from sweeps.records.region_file import AttackEntry, PointEntry, RecommendedEntry, RegionFile
from sweeps.records.success_words import excess_words
from sweeps.region.standing import BASES, IN, in_words, inside_words, verdict_by
from sweeps.statistics.margins import DIGITS


def recommend(table: Sequence[PointEntry]) -> RecommendedEntry | None:
    """The IN point whose smallest margin is largest: among points IN by bounds where any is, else
    among those IN by the model, else by means. By the model it is the one of the highest P(inside),
    which tells margins that seeds move little from others. Of equal ones the one of lower attack
    success, as the threshold compares it, then of higher clean accuracy, then the first."""
    for basis in BASES:
        inside = [entry for entry in table if verdict_by(entry, basis) == IN]
        if inside:
            chosen = max(inside, key=_surest if basis == "model" else _preference)
            return {
                "defence_id": chosen["defence_id"],
                "basis": basis,
                "margin": _known(chosen["margin"]),
            }
    return None


def recommended_lines(region: RegionFile) -> list[str]:
    """The recommended point, by which verdict it is IN, and its figures beside those of the best
    point and of clean models."""
    chosen = region["recommended"]
    if chosen is None:
        return ["Recommended: none."]
    point = next(p for p in region["points"] if p["defence_id"] == chosen["defence_id"])
    decisive = point.get("excess_attack", point["worst_attack"])
    worst = next(a for a in region["panel"] if a["attack_id"] == decisive)
    entry = next(a for a in point["attacks"] if a["attack_id"] == decisive)
    best = region["thresholds"]["clean_accuracy"]["best"]
    stands = f"{in_words(chosen['basis'])}{inside_words(point)}, {margin_words(chosen['margin'])}"
    return [
        f"Recommended: {point['label']} ({stands})",
        f"  clean accuracy {_fraction(point['clean_accuracy'])}"
        + ("" if best is None else f", best {best:.3f}{_source(region)}"),
        f"  worst attack: {worst['label']}, success {entry['attack_success']:.3f}"
        + baseline_words(entry)
        + excess_words(entry),
        *(f"  {line}" for line in on_accuracy_alone(region)),
    ]


def margin_words(margin: float) -> str:
    """`margin 0.028`. Where no digit of it is shown, that the point lies on a threshold."""
    if abs(margin) >= 0.0005:
        return f"margin {margin:.3f}"
    return f"margin 0.000: {'almost ' if margin else ''}on the threshold"


def baseline_words(attack: AttackEntry) -> str:
    """How often clean models give the attacker's answer to the same images, where that is known."""
    rate = attack["baseline_success"]
    return "" if rate is None else f" (clean models {rate:.3f})"


def _surest(entry: PointEntry) -> tuple[float, ...]:
    """The greater, the better, by the model."""
    return round(entry.get("inside") or 0.0, 3), *_preference(entry)


def _preference(entry: PointEntry) -> tuple[float, float, float]:
    """The greater, the better."""
    success = _known(entry["excess"] if "excess" in entry else entry["attack_success"])
    accuracy = _known(entry["clean_accuracy"])
    return (
        round(_known(entry["margin"]), DIGITS),
        -round(success, DIGITS),
        round(accuracy, DIGITS),
    )


def _known(figure: float | None) -> float:
    """Of an entry that was judged."""
    assert figure is not None
    return figure


def _source(region: RegionFile) -> str:
    from_baseline = region["thresholds"]["clean_accuracy"]["best_source"] == "baseline"
    return " by its clean baseline" if from_baseline else ""


def _fraction(value: float | None) -> str:
    return "" if value is None else f"{value:.3f}"
