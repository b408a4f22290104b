"""Regions that can be drawn from: inside, near the border, outside."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from backdoor.errors import Mistake, UserError
from sweeps.ledger import FINISHED, Ledger
from sweeps.region.point_table import IN, INCOMPLETE, OUT, region_of
from sweeps.spec import SweepSpec

INSIDE, BORDER, OUTSIDE = STRATA = ("inside", "border", "outside")
#: What counts as inside, the default first: of points that were tried, and of a model.
MEANS, BOUNDS = POINT_BASES = ("means", "bounds")
VERDICT, PROBABILITY = MODEL_BASES = ("verdict", "probability")


@dataclass(frozen=True)
class Candidate:
    """A defence point by its active factors, as a trial's canonical form has them.

    probability: of being inside, as the region has it; passing: that the draw will pass as it is
    judged, by few seeds. None where the region has none.
    """

    defence: Mapping[str, Any]
    probability: float | None
    passing: float | None = None


class DrawableRegion(Protocol):
    """A region whose three parts can be drawn from, uniformly and independently."""

    @property
    def frozen(self) -> dict[str, Any]:
        """All that makes it this region, as plain values; at least `kind`, `basis` and
        `clean_accuracy`, the accuracy asked for."""
        ...

    @property
    def predicted(self) -> float | None:
        """The share of draws inside that are expected to pass; None where nobody knows."""
        ...

    def sample(self, stratum: str, count: int, rng: np.random.Generator) -> list[Candidate]:
        """`count` points of a part; fewer, or none, where too little of it can be found."""
        ...


class TriedPoints:
    """The points that a sweep has completed, each as likely as the others, with replacement.

    basis: whether inside is IN by means (the default, and the headline of `sweeps region`) or IN
    by bounds, which says what the sweep's few seeds can prove. Of the others, those that the bounds
    leave UNDECIDED are the border and those that are OUT by bounds are outside.
    """

    def __init__(self, spec: SweepSpec, ledger: Ledger, basis: str | None = None) -> None:
        region = region_of(spec, ledger)
        self._defences = {
            row["defence_id"]: row["config"]["defence"]
            for row in ledger.rows()
            if row["status"] == FINISHED
        }
        points = [p for p in region["points"] if p["by_means"] != INCOMPLETE]
        self.basis = basis or MEANS
        self._parts: dict[str, list[str]] = {name: [] for name in STRATA}
        for point in points:
            self._parts[self._stratum(point)].append(point["defence_id"])
        self._least = region["thresholds"]["clean_accuracy"]["value"]

    def _stratum(self, point: Mapping[str, Any]) -> str:
        if point[f"by_{self.basis}"] == IN:
            return INSIDE
        return OUTSIDE if point["by_bounds"] == OUT else BORDER

    @property
    def frozen(self) -> dict[str, Any]:
        return {
            "kind": "points",
            "basis": self.basis,
            "clean_accuracy": self._least,
            "points": {name: sorted(ids) for name, ids in self._parts.items()},
        }

    @property
    def predicted(self) -> None:
        return None

    def sample(self, stratum: str, count: int, rng: np.random.Generator) -> list[Candidate]:
        names = sorted(self._parts[stratum])
        chosen = rng.integers(len(names), size=count).tolist() if names else []
        return [Candidate(self._defences[names[i]], None) for i in chosen]


def open_region(
    spec: SweepSpec, ledger: Ledger, target: str, seeds: int, basis: str | None = None
) -> DrawableRegion:
    """The region of a sweep as its ledger has it now. seeds: that a draw will be judged by."""
    model_answer = spec.search.kind == "region"
    known = MODEL_BASES if model_answer else POINT_BASES
    if basis not in (None, *known):
        what = (
            "a model of the whole space" if model_answer else "made of the points that were tried"
        )
        rule = f"must be {' or '.join(known)}: the region of this sweep is {what}"
        raise UserError(Mistake("--basis", rule, basis, "Leave it out, or choose one of those."))
    if not model_answer:
        return TriedPoints(spec, ledger, basis)
    from sweeps.verify.model_draws import ModelRegion

    return ModelRegion(spec, ledger, target, seeds, basis)
