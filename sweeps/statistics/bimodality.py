"""Whether seeds have two modes: whether an attack either takes or does not, by chance.

Of any distribution with one mode, the difference of two independent values has its mode at 0, and
the density of its size falls (Hodges and Lehmann 1954, Ann. Math. Stat. 25, 787). A mixture of such
differences, over points and attacks, has a falling density as well, whatever their levels and
spreads. So the distribution function of all sizes is concave. What is tested is how far its least
concave majorant lies above it (Grenander 1956), on logits, where normal, heavy-tailed and beta
distributions of rates have one mode each.

Notation: c cells (a point under an attack) of n seeds; differences are of logits.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import logit

from sweeps.statistics.arrays import Floats

#: The distance, times the root of the number of differences, above which the test fires. The
#: flattest distribution with one mode, an even one, passes it in 4 % of cases with ten differences,
#: in 2 % with thirty, and less often with more (`tests/benchmarks/bounds.py`).
CRITICAL = 1.2


@dataclass(frozen=True)
class Bimodality:
    """distance: between the distribution function of the differences and its concave majorant,
    times the root of `differences`; fired: whether it is above `CRITICAL`. differences: how many
    there are, or would be if equal seeds did not err alike at all cells. cells: with two seeds at
    least."""

    distance: float
    differences: float
    cells: int

    @property
    def fired(self) -> bool:
        return self.distance > CRITICAL


def bimodality(hits: Floats, totals: Floats) -> Bimodality:
    """The test on counts: hits and totals, (cells, seeds), each column of one seed.

    A cell in which some seed has no image is left out.
    """
    kept = (totals > 0).all(axis=1) if totals.size else np.zeros(len(totals), dtype=np.bool_)
    hits, totals = hits[kept], totals[kept]
    cells, seeds = totals.shape
    if not cells or seeds < 2:
        return Bimodality(0.0, 0.0, cells)
    logits = _spread_out(hits, totals)
    half = 2 * (seeds // 2)
    sizes = np.abs(logits[:, :half:2] - logits[:, 1:half:2]).ravel()
    count = len(sizes) / (1 + (cells - 1) * shared_by_seeds(logits))
    return Bimodality(above_falling(sizes) * float(np.sqrt(count)), count, cells)


def _spread_out(hits: Floats, totals: Floats) -> Floats:
    """Logits of counts, each moved within its own rounding: else counts near 0 would have a mode
    at every whole number."""
    moved = hits + np.random.default_rng(0).random(hits.shape) - 0.5
    return np.asarray(logit((np.clip(moved, 0, totals) + 0.5) / (totals + 1)), dtype=np.float64)


def shared_by_seeds(values: Floats) -> float:
    """How much alike seeds deviate in all cells: the mean correlation between cells, at least 0.
    values: (cells, seeds)."""
    around = values - values.mean(axis=1, keepdims=True)
    total = float((around**2).sum())
    if len(values) < 2 or not total:
        return 0.0
    between = float((around.sum(axis=0) ** 2).sum()) - total
    return max(0.0, between / ((len(values) - 1) * total))


def above_falling(sizes: Floats) -> float:
    """The distance from the distribution function of sizes, (n,) at least 0, up to its least
    concave majorant. Both begin with the share of sizes that are 0: there the mode may be."""
    above = np.sort(sizes[sizes > 0])
    if not len(above):
        return 0.0
    at = np.concatenate([[0.0], above])
    share = (np.arange(len(at)) + len(sizes) - len(above)) / len(sizes)
    hull = _upper_hull(at, share)
    majorant = np.interp(at, at[hull], share[hull])
    return float((majorant[1:] - share[:-1]).max())


def _upper_hull(x: Floats, y: Floats) -> list[int]:
    """Which of the points, sorted by x, are corners of the upper hull (Andrew 1979)."""
    hull: list[int] = []
    for new in range(len(x)):
        while len(hull) > 1 and _below(x, y, hull[-2], hull[-1], new):
            hull.pop()
        hull.append(new)
    return hull


def _below(x: Floats, y: Floats, first: int, middle: int, last: int) -> bool:
    """Whether the middle point is not above the line between the others."""
    over_middle = (y[middle] - y[first]) * (x[last] - x[first])
    return bool(over_middle <= (y[last] - y[first]) * (x[middle] - x[first]))
