"""Maps of a region search's answer: P(inside) over the two numeric factors that move it most.

One map a category, a combination of the factors that have no order. Its schema, plain values:

    category    factor to value, of what differs between categories
    inside      mean P(inside) in the category, a fraction
    across, up  {factor, log: whether its scale is logarithmic, values: ascending, the middles of
                cells of equal width on that scale}; up is null where there is one such factor
    averaged    the other numeric factors: their values are those of a few points of the category
    probability P(inside), a list a value of `up` (one list where it is null) of numbers in [0, 1]
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from sweeps.levelset.columns import Bools, Floats
from sweeps.levelset.encoding import SpaceDomain
from sweeps.space.scale import Scale

#: Cells along an axis; points of the category that other numeric factors are taken from.
CELLS, OTHERS = 40, 6
#: Categories that are drawn, those with most of the region first; parts in which an effect is seen.
MOST, PARTS = 6, 8

Probability = Callable[[Floats], Floats]


def maps(
    domain: SpaceDomain, probability: Probability, points: Floats, inside: Floats,
    category: Callable[[int], dict[str, Any]],
) -> list[dict[str, Any]]:  # fmt: skip
    """points: (n, columns), evenly drawn; inside: P(inside) there, (n,); category: of a point's
    number."""
    codes = points[:, list(domain.columns.codes)]
    places = [(codes == one).all(axis=1) for one in np.unique(codes, axis=0)]
    places.sort(key=lambda where: -float(inside[where].mean()))
    found = (_map(domain, probability, points, inside, where) for where in places[:MOST])
    both = zip(found, places, strict=False)
    return [
        {"category": category(int(np.flatnonzero(where)[0])), **one}
        for one, where in both
        if one is not None
    ]


def _map(
    domain: SpaceDomain, probability: Probability, points: Floats, inside: Floats, where: Bools
) -> dict[str, Any] | None:
    own, chances, names = points[where], inside[where], domain.number_axes
    used = [column for column in names if np.ptp(own[:, column]) > 0]
    if not used or len(own) < PARTS:
        return None
    order = sorted(used, key=lambda column: -explained(own[:, column], chances))
    across, up = order[0], order[1] if len(order) > 1 else None
    unit = (np.arange(CELLS) + 0.5) / CELLS
    rows = own[:: max(1, len(own) // OTHERS)][:OTHERS] if len(used) > 2 else own[:1]
    grid = np.stack([rows] * (CELLS * (CELLS if up is not None else 1)))  # (cells, rows, columns)
    grid[:, :, across] = np.tile(unit, len(grid) // CELLS)[:, None]
    if up is not None:
        grid[:, :, up] = np.repeat(unit, CELLS)[:, None]
    found = probability(grid.reshape(-1, grid.shape[2])).reshape(len(grid), -1).mean(axis=1)
    return {
        "inside": float(chances.mean()),
        "across": _axis(*names[across], unit),
        "up": None if up is None else _axis(*names[up], unit),
        "averaged": [names[column][0] for column in order[2:]],
        "probability": np.round(found, 4).reshape(-1, CELLS).tolist(),
    }


def explained(values: Floats, chances: Floats) -> float:
    """Variance of the mean of `chances` between parts of equal size along `values`."""
    parts = np.array_split(chances[np.argsort(values, kind="stable")], PARTS)
    return float(np.var([part.mean() for part in parts]))


def _axis(name: str, scale: Scale, unit: Floats) -> dict[str, Any]:
    values = scale.to_value_axis(unit)
    return {
        "factor": name,
        "log": scale.log,
        "values": (10**values if scale.log else values).tolist(),
    }
