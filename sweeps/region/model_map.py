"""Maps of a region search's answer: P(inside) over the two numeric factors that move it most.

One map a category, a combination of the factors that have no order; `MapEntry` says what its keys
mean.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from sweeps.levelset.columns import Floats
from sweeps.levelset.encoding import SpaceDomain
from sweeps.records.model_answer import Factors, MapAxis, MapEntry
from sweeps.space.scale import Scale

#: Cells along an axis; points of the category that give the values of other numeric factors.
CELLS, AVERAGED = 40, 6
#: Categories that are drawn, those with most of the region first; parts in which an effect is seen.
MOST, PARTS = 6, 8

Probability = Callable[[Floats], Floats]


def maps(
    domain: SpaceDomain,
    probability: Probability,
    points: Floats,
    inside: Floats,
    category: Callable[[int], Factors],
) -> list[MapEntry]:
    """The map of each category. points: (n, columns), evenly drawn; inside: P(inside) there, (n,);
    category: gives the factors of a point, by its number."""
    codes = points[:, list(domain.columns.codes)]
    parts = [(codes == one).all(axis=1) for one in np.unique(codes, axis=0)]
    parts.sort(key=lambda where: -float(inside[where].mean()))
    found = []
    for where in parts[:MOST]:
        own = category(int(np.flatnonzero(where)[0]))
        drawn = _map(domain, probability, points[where], inside[where], own)
        found += [] if drawn is None else [drawn]
    return found


def _map(
    domain: SpaceDomain,
    probability: Probability,
    points: Floats,
    inside: Floats,
    category: Factors,
) -> MapEntry | None:
    """The map of one category; None where no number differs, or the points are too few."""
    names = domain.number_axes
    used = [column for column in names if np.ptp(points[:, column]) > 0]
    if not used or len(points) < PARTS:
        return None
    order = sorted(used, key=lambda column: -explained(points[:, column], inside))
    across, up = order[0], order[1] if len(order) > 1 else None
    unit = (np.arange(CELLS) + 0.5) / CELLS
    step = max(1, len(points) // AVERAGED)
    rows = points[::step][:AVERAGED] if len(used) > 2 else points[:1]
    grid = np.stack([rows] * (CELLS * (CELLS if up is not None else 1)))  # (cells, rows, columns)
    grid[:, :, across] = np.tile(unit, len(grid) // CELLS)[:, None]
    if up is not None:
        grid[:, :, up] = np.repeat(unit, CELLS)[:, None]
    found = probability(grid.reshape(-1, grid.shape[2])).reshape(len(grid), -1).mean(axis=1)
    return {
        "category": category,
        "inside": float(inside.mean()),
        "across": _axis(*names[across], unit),
        "up": None if up is None else _axis(*names[up], unit),
        "averaged": [names[column][0] for column in order[2:]],
        "probability": np.round(found, 4).reshape(-1, CELLS).tolist(),
    }


def explained(values: Floats, inside: Floats) -> float:
    """Variance of the mean of `inside` between parts of equal size along `values`, (n,) each."""
    parts = np.array_split(inside[np.argsort(values, kind="stable")], PARTS)
    return float(np.var([part.mean() for part in parts]))


def _axis(name: str, scale: Scale, unit: Floats) -> MapAxis:
    values = scale.to_value_axis(unit)
    return {
        "factor": name,
        "log": scale.log,
        "values": (10**values if scale.log else values).tolist(),
    }
