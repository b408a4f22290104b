"""The region of a sweep that completes its points: the points that it tried."""

from __future__ import annotations

import numpy as np

from backdoor.errors import Mistake, UserError
from sweeps.ledger import Ledger
from sweeps.records.region_file import Basis, PointEntry, RegionFile
from sweeps.records.verification_file import FrozenRegion
from sweeps.region.panel import criteria_of
from sweeps.region.point_table import IN, INCOMPLETE, OUT, region_of
from sweeps.region.standing import verdict_by
from sweeps.spec import SweepSpec
from sweeps.verify.regions import (
    BORDER,
    BOUNDS,
    INSIDE,
    MEANS,
    MODEL,
    OUTSIDE,
    STRATA,
    Candidate,
)

#: The verdict of each basis.
BASES: dict[str, Basis] = {MEANS: "means", BOUNDS: "bounds", MODEL: "model"}


class TriedPoints:
    """The points that a sweep has completed, each as likely as the others, with replacement.

    basis: whether inside is IN by means (the default, and the headline of `sweeps region`), IN by
    bounds, which says what the sweep's few seeds can prove of each point, or IN by the model of all
    points together. Of the others, those that are OUT by bounds are outside, by basis `model` those
    that are OUT by it too, and the rest is the border.
    """

    def __init__(self, spec: SweepSpec, ledger: Ledger, basis: str | None = None) -> None:
        region = region_of(criteria_of(spec), ledger)
        self._defences = {
            row.defence_id: row.config["defence"] for row in ledger.trials() if row.finished
        }
        self.basis = basis or MEANS
        if self.basis == MODEL:
            _refuse_without_model(region)
        self._parts: dict[str, list[str]] = {name: [] for name in STRATA}
        for point in region["points"]:
            if point["by_means"] != INCOMPLETE:
                self._parts[self._stratum(point)].append(point["defence_id"])
        self._least = region["thresholds"]["clean_accuracy"]["value"]

    def _stratum(self, point: PointEntry) -> str:
        if verdict_by(point, BASES[self.basis]) == IN:
            return INSIDE
        out = point["by_bounds"] == OUT
        if self.basis == MODEL:
            out = out or verdict_by(point, "model") == OUT
        return OUTSIDE if out else BORDER

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


def _refuse_without_model(region: RegionFile) -> None:
    """`UserError` where the model of all points together judges none of them."""
    entry = region.get("seed_model")
    if entry is not None and entry["used"]:
        return
    why = "" if entry is None or entry["why"] is None else f": {entry['why']}"
    rule = f"needs a model of all points together, and this sweep has none{why}"
    remedy = f"Take `--basis {MEANS}` or `--basis {BOUNDS}`, or finish or extend the sweep first."
    raise UserError(Mistake("--basis", rule, MODEL, remedy))
