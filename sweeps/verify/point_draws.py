"""The region of a sweep that completes its points: the points that it tried."""

from __future__ import annotations

import numpy as np

from sweeps.ledger import Ledger
from sweeps.records.region_file import PointEntry
from sweeps.records.verification_file import FrozenRegion
from sweeps.region.panel import criteria_of
from sweeps.region.point_table import IN, INCOMPLETE, OUT, region_of
from sweeps.spec import SweepSpec
from sweeps.verify.regions import BORDER, BOUNDS, INSIDE, MEANS, OUTSIDE, STRATA, Candidate


class TriedPoints:
    """The points that a sweep has completed, each as likely as the others, with replacement.

    basis: whether inside is IN by means (the default, and the headline of `sweeps region`) or IN
    by bounds, which says what the sweep's few seeds can prove. Of the others, those that the bounds
    leave UNDECIDED are the border and those that are OUT by bounds are outside.
    """

    def __init__(self, spec: SweepSpec, ledger: Ledger, basis: str | None = None) -> None:
        region = region_of(criteria_of(spec), ledger)
        self._defences = {
            row.defence_id: row.config["defence"] for row in ledger.trials() if row.finished
        }
        self.basis = basis or MEANS
        self._parts: dict[str, list[str]] = {name: [] for name in STRATA}
        for point in region["points"]:
            if point["by_means"] != INCOMPLETE:
                self._parts[self._stratum(point)].append(point["defence_id"])
        self._least = region["thresholds"]["clean_accuracy"]["value"]

    def _stratum(self, point: PointEntry) -> str:
        if (point["by_bounds"] if self.basis == BOUNDS else point["by_means"]) == IN:
            return INSIDE
        return OUTSIDE if point["by_bounds"] == OUT else BORDER

    @property
    def frozen(self) -> FrozenRegion:
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
