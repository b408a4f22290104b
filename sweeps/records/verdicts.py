"""The surest verdict of every point that holds, and how many points have each."""

from __future__ import annotations

from collections import Counter

from sweeps.records.answer_entry import PointVerdict, SpaceShares, VerdictCounts, VerdictsEntry
from sweeps.records.region_file import PointEntry, RegionFile

IN, OUT, INCOMPLETE = "IN", "OUT", "INCOMPLETE"
CERTAIN: dict[str, PointVerdict] = {IN: "certainly in", OUT: "certainly out"}
LIKELY: dict[str, PointVerdict] = {IN: "likely in", OUT: "likely out"}


def verdict_of(point: PointEntry) -> PointVerdict:
    """By bounds of the point's own seeds, else by a model of all points together. A point that the
    model of a region search judges is undecided, not incomplete: it is not meant to be completed.
    """
    if point["by_bounds"] in CERTAIN:
        return CERTAIN[point["by_bounds"]]
    by_model = point.get("by_model", "")
    if by_model in LIKELY:
        return LIKELY[by_model]
    complete = point["by_means"] != INCOMPLETE or point.get("expected") is not None
    return "undecided" if complete else "incomplete"


def verdicts_of(region: RegionFile) -> VerdictsEntry:
    """How many points have each verdict; of a region search also the shares of the space."""
    return {
        "confidence": region["thresholds"]["confidence"],
        "points": _points(region["points"]),
        "space": _space(region),
    }


def _points(points: list[PointEntry]) -> VerdictCounts:
    found = Counter(verdict_of(point) for point in points)
    return {
        "total": len(points),
        "certainly_in": found["certainly in"],
        "likely_in": found["likely in"],
        "undecided": found["undecided"],
        "likely_out": found["likely out"],
        "certainly_out": found["certainly out"],
        "incomplete": found["incomplete"],
        "in_by_means": sum(point["by_means"] == IN for point in points),
    }


def _space(region: RegionFile) -> SpaceShares | None:
    model = region.get("model")
    if model is None:
        return None
    shares, volume = model["space"], model["volume"]
    return {
        "likely_in": shares["IN"],
        "undecided": shares["UNDECIDED"],
        "likely_out": shares["OUT"],
        "volume": volume["fraction"],
        "volume_lower": volume["lower"],
        "volume_upper": volume["upper"],
    }
