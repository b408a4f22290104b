"""Sobol search: defence points that fill the space evenly, whatever their number."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator

from backdoor.config import build_defence
from backdoor.streams import stream
from sweeps.search.enumerated import Enumerated
from sweeps.space.points import distinct
from sweeps.space.space import Assignment, Space
from sweeps.space.unit_cube import free_leaves, point_at
from sweeps.spec import SweepSpec

#: Positions that are drawn together; the sequence is the same for any number of them.
MOST_AT_ONCE = 4096


def sobol_search(spec: SweepSpec) -> Enumerated:
    """`search.points` distinct points of a scrambled Sobol sequence (Sobol 1967, Owen 1998)."""
    count = spec.search.points or 1
    points = distinct(map(build_defence, sobol_points(spec.defence, count, spec.search.seed)))
    return Enumerated(spec, itertools.islice(points, count))


def sobol_points(space: Space, count: int, seed: int) -> Iterator[Assignment]:
    """An endless sequence of points; `count`: how many are wanted."""
    from scipy.stats import qmc  # takes a while to load

    axes = 1 + max(len(free_leaves(branch)) for branch in space.branches)
    engine = qmc.Sobol(axes, scramble=True, seed=stream("search", seed))
    block = min(
        MOST_AT_ONCE, 2 ** math.ceil(math.log2(count))
    )  # powers of 2: scipy warns of others
    while True:
        for position in engine.random(block).tolist():
            yield point_at(space, position)
