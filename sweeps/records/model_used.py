"""Whether a model of all points together judges those of region.json, and its figure in words."""

from __future__ import annotations

from sweeps.records.region_file import RegionFile


def judged_together(region: RegionFile) -> bool:
    """Whether the points have verdicts by that model; never in a file of before, nor in one of a
    region search."""
    entry = region.get("seed_model")
    return entry is not None and entry["used"] and "by_model" in region["counts"]


def chance_words(inside: float | None) -> str:
    """P(inside) with two decimals, where the model says it. Certainty itself is never claimed."""
    if inside is None:
        return ""
    return ">0.99" if inside > 0.995 else "<0.01" if inside < 0.005 else f"{inside:.2f}"
