"""What the model of all points together says of a sweep's points, for their MLflow runs."""

from __future__ import annotations

from collections.abc import Sequence

from sweeps.records.criteria import REGION_SEARCH
from sweeps.records.region_file import PointEntry
from sweeps.region.panel import criteria_of
from sweeps.region.point_table import UNDECIDED, least_accuracy
from sweeps.region.points import Point
from sweeps.region.seed_model import SeedModel, seed_model
from sweeps.region.seed_modes import SeedModes
from sweeps.spec import SweepSpec

#: Tags of a run: the verdict, and P(inside) with three decimals.
VERDICT, INSIDE = "by_model", "inside"


def points_together(
    points: Sequence[Point], best: Point | None, modes: SeedModes, spec: SweepSpec
) -> SeedModel | None:
    """The model as region.json has it; None of a region search, whose model is another one. points:
    all, in the order of the table."""
    if spec.search.kind == REGION_SEARCH:
        return None
    least = least_accuracy(spec.region, best)
    return seed_model(points, criteria_of(spec), modes, best, least)


def judgement_tags(entry: PointEntry | None) -> dict[str, str | None]:
    """The tags of a point; UNDECIDED while the model has not judged it, and then no P(inside)."""
    chance = None if entry is None else entry.get("inside")
    return {
        VERDICT: UNDECIDED if entry is None else entry.get("by_model", UNDECIDED),
        INSIDE: None if chance is None else f"{chance:.3f}",
    }
