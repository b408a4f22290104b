"""Which point is recommended."""

from __future__ import annotations

from collections.abc import Sequence

from sweeps.records.region_file import PointEntry, RecommendedEntry
from sweeps.region.standing import BASES, IN, verdict_by
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
