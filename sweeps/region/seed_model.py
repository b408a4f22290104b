"""The points judged together, by a model of the errors that they share through their seeds.

P(inside) of a point is the probability that clean accuracy holds and every attack fails, for the
mean over all seeds. Points are IN, or OUT, as far as these statements hold together with the
confidence of the bounds. `sweeps.statistics.shared_seeds` is the model, and `tests/benchmarks`
measures how often it is wrong.

Notation: P points, A attacks, N = P A cells.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from sweeps.records.criteria import Criteria
from sweeps.records.model_answer import Factors
from sweeps.records.region_file import PointEntry
from sweeps.records.seed_model_entry import ModesEntry, SeedModelEntry, SharedEntry
from sweeps.region.cell_margins import CellMargins, accuracy_margins, has_baselines, success_margins
from sweeps.region.point_distances import attack_distances, has_order, point_distances
from sweeps.region.points import Point
from sweeps.region.seed_modes import SeedModes
from sweeps.statistics.arrays import Bools, Floats, Ints
from sweeps.statistics.bimodality import CRITICAL, Bimodality
from sweeps.statistics.holding_together import hold_together
from sweeps.statistics.seed_bounds import FEWEST_BIMODAL, taking_share

if TYPE_CHECKING:
    from sweeps.statistics.shared_seeds import SharedErrors

#: Fewer seeds, or points, do not tell how seeds shift points.
FEWEST_SEEDS, FEWEST_POINTS = 3, 6
#: Cells of one metric, at most: more take too long.
MOST_CELLS = 2400
#: Joint draws of what may be true. Fixed, so that equal results give equal answers.
DRAWS = 4000
#: The model does not fit where more of the points near a threshold are odd.
MOST_ODD = 0.1

IN, OUT, UNDECIDED = "IN", "OUT", "UNDECIDED"


@dataclass(frozen=True)
class Judgement:
    """What the model says of one point. chance: P(inside), None where it does not say."""

    chance: float | None
    verdict: str


@dataclass(frozen=True)
class SeedModel:
    """The entry of region.json, and the judgement of each point that is judged, by its id."""

    entry: SeedModelEntry
    judgements: Mapping[str, Judgement]


def seed_model(
    points: Sequence[Point],
    criteria: Criteria,
    modes: SeedModes,
    best: Point | None,
    least: float | None,
) -> SeedModel:
    """The model of all complete points. best: the most accurate point; least: the clean accuracy
    asked for; both None where not known."""
    complete = [point for point in points if point.complete]
    fine = [point for point in complete if _is_fine(point, criteria)]
    entry = _entry(criteria, modes, len(complete) - len(fine))
    factors = [point.factors for point in fine]
    entry["why"] = _unfit(criteria, factors, entry["left_out"], least, modes)
    if entry["why"] is not None or least is None:
        return SeedModel(entry, {})
    clean = accuracy_margins(fine, best, criteria.thresholds, least)
    success = success_margins(fine, criteria.measures, criteria.thresholds)
    chosen = _chosen(clean, success)
    entry["left_out"] += len(fine) - len(chosen)
    distances = point_distances(factors, chosen)
    between = _cell_distances(distances, attack_distances(criteria.panel))
    errors = [_errors(each, chosen, between) for each in (clean, success)]
    return _judged([fine[index] for index in chosen], errors, criteria, entry)


def add_judgements(table: Sequence[PointEntry], model: SeedModel) -> None:
    """Adds to the entries of points what the model says of them; `UNDECIDED` where it says nothing.
    A point with a broken model is not judged, and never IN."""
    for entry in table:
        found = model.judgements.get(entry["defence_id"], Judgement(None, UNDECIDED))
        entry["inside"], entry["by_model"] = found.chance, found.verdict


def _is_fine(point: Point, criteria: Criteria) -> bool:
    """Whether a complete point can be judged."""
    if any(row.broken for row in point.rows):
        return False
    return not criteria.thresholds.above_baseline or has_baselines(point, criteria.measures)


def _entry(criteria: Criteria, modes: SeedModes, left_out: int) -> SeedModelEntry:
    seeds, confidence = len(criteria.seeds), criteria.thresholds.confidence
    return {
        "used": False,
        "why": None,
        "points": 0,
        "left_out": left_out,
        "odd": 0,
        "clean": None,
        "success": None,
        "modes_clean": _modes(modes.clean),
        "modes_success": _modes(modes.success),
        "taking_share": taking_share(seeds, confidence),
        "fewest_seeds": FEWEST_BIMODAL,
    }


def _modes(found: Bimodality) -> ModesEntry:
    return {
        "distance": found.distance,
        "critical": CRITICAL,
        "fired": found.fired,
        "differences": found.differences,
    }


def _unfit(
    criteria: Criteria,
    fine: Sequence[Factors],
    broken: int,
    least: float | None,
    modes: SeedModes,
) -> str | None:
    """Why there is no model, if so. broken: complete points with a broken model."""
    if least is None and (fine or broken):
        return "the clean accuracy that is asked for is not known"
    if len(criteria.seeds) < FEWEST_SEEDS:
        return f"it needs {FEWEST_SEEDS} seeds"
    if len(fine) < FEWEST_POINTS:
        baseline = " and with their clean baseline" * criteria.thresholds.above_baseline
        return f"it needs {FEWEST_POINTS} complete points without a broken model{baseline}"
    if not has_order(fine):
        return "no factor has an order: none is a number with three values or more"
    return "seeds have two modes" if modes.fired else None


def _chosen(clean: CellMargins, success: CellMargins) -> Ints:
    """Numbers of the points that are judged: all, or half of them those nearest to the border and
    half those furthest inside."""
    margins = np.minimum(clean.margins.min(axis=1), success.margins.min(axis=1))
    points, attacks = clean.margins.shape
    most = max(2, MOST_CELLS // attacks)
    if points <= most:
        return np.arange(points)
    inside = np.argsort(-margins, kind="stable")[: most // 2]
    near = np.argsort(np.abs(margins), kind="stable")
    more = near[~np.isin(near, inside)][: most - len(inside)]
    return np.sort(np.concatenate([inside, more]))


def _cell_distances(points: Floats, attacks: Floats) -> Floats:
    """Between cells, attacks running fastest, (N, N)."""
    both = points[:, None, :, None] + attacks[None, :, None, :]
    cells = len(points) * len(attacks)
    return np.asarray(both.reshape(cells, cells), dtype=np.float64)


def _errors(found: CellMargins, chosen: Ints, distances: Floats) -> SharedErrors:
    from sweeps.statistics.shared_seeds import Cells, shared_errors  # scipy.optimize takes long

    margins, deviations = found.margins[chosen].ravel(), found.deviations[chosen]
    return shared_errors(
        Cells(
            margins,
            deviations.reshape(len(margins), -1),
            found.noise[chosen].ravel(),
            distances,
        )
    )


# --- what follows from the errors --------------------------------------------------------------


def _judged(
    points: Sequence[Point],
    errors: Sequence[SharedErrors],
    criteria: Criteria,
    entry: SeedModelEntry,
) -> SeedModel:
    entry["points"] = len(points)
    entry["clean"], entry["success"] = _shared(errors[0]), _shared(errors[1])
    odd = np.any([each.odd.reshape(len(points), -1).any(axis=1) for each in errors], axis=0)
    entry["odd"] = int(odd.sum())
    if odd.sum() > max(1.0, MOST_ODD * len(points)):
        entry["why"] = (
            f"seeds differ much more at {int(odd.sum())} of {len(points)} points than at their "
            "neighbours"
        )
        return SeedModel(entry, {})
    entry["used"] = True
    inside = _inside(errors, len(points))
    confidence = criteria.thresholds.confidence
    verdicts = np.full(len(points), UNDECIDED, dtype=object)
    verdicts[hold_together(inside & ~odd[:, None], confidence)] = IN
    verdicts[hold_together(~inside & ~odd[:, None], confidence)] = OUT
    chances = inside.mean(axis=1)
    return SeedModel(
        entry,
        {
            point.defence_id: Judgement(None if strange else float(chance), str(verdict))
            for point, chance, verdict, strange in zip(points, chances, verdicts, odd, strict=True)
        },
    )


def _inside(errors: Sequence[SharedErrors], points: int) -> Bools:
    """Which points are inside in each joint draw, (P, DRAWS)."""
    rng = np.random.default_rng(0)
    inside = np.ones((points, DRAWS), dtype=np.bool_)
    for each in errors:
        inside &= (each.draws(DRAWS, rng).reshape(points, -1, DRAWS) >= 0).all(axis=1)
    return inside


def _shared(errors: SharedErrors) -> SharedEntry:
    """Of the cells near their threshold, or of all where none is."""
    near = errors.deciding
    part = errors.covariance[np.ix_(near, near)] if near.any() else errors.covariance
    sizes = np.sqrt(np.diag(part))
    others = len(part) * (len(part) - 1)
    together = (part / np.outer(sizes, sizes)).sum() - len(part)
    return {
        "deviation": float(np.median(sizes) * np.sqrt(errors.seeds)),
        "correlation": float(together / others) if others else 1.0,
        "freedom": errors.freedom,
    }
