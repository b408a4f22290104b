"""The region of a sweep that completes its points: the points that it tried."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from sweeps.ledger import FINISHED, Ledger
from sweeps.region.point_table import IN, INCOMPLETE, OUT, region_of
from sweeps.spec import SweepSpec
from sweeps.verify.regions import BORDER, INSIDE, MEANS, OUTSIDE, STRATA, Candidate


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
