"""How a point stands, in a few words: by which verdict it is IN, and P(inside) where known."""

from __future__ import annotations

from sweeps.records.model_used import chance_words
from sweeps.records.region_file import Basis, PointEntry

IN = "IN"
#: The verdicts, the one that says most first.
BASES: tuple[Basis, ...] = ("bounds", "model", "means")


def verdict_by(point: PointEntry, basis: Basis) -> str:
    """IN, OUT, and UNDECIDED or, by means, INCOMPLETE. Files of before know nothing by a model."""
    if basis == "model":
        return point.get("by_model", "UNDECIDED")
    return point["by_bounds"] if basis == "bounds" else point["by_means"]


def standing(point: PointEntry) -> str:
    """`IN by model, P(inside) 0.98`. Means of few seeds prove nothing, which is said; a point that
    is IN by no verdict has its verdict by means, INCOMPLETE where it is not judged."""
    basis = next((basis for basis in BASES if verdict_by(point, basis) == IN), None)
    if basis is None:
        return f"{point['by_means']} by means{inside_words(point)}"
    return f"{in_words(basis)}{inside_words(point)}"


def in_words(basis: Basis) -> str:
    """That a point is IN by this verdict."""
    return "IN by means only: not certain" if basis == "means" else f"IN by {basis}"


def inside_words(point: PointEntry) -> str:
    """P(inside) after a comma, where the model of all points says it."""
    chance = point.get("inside")
    return "" if chance is None else f", P(inside) {chance_words(chance)}"
