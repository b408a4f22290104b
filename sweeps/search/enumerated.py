"""Grid and random search: defence points in a fixed order, each against the whole panel.

Points are made one by one as they are asked for.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator

from backdoor.config import Defence, TrialConfig, build_defence
from backdoor.streams import stream
from sweeps.ledger import Rows
from sweeps.space.points import distinct, grid_points
from sweeps.spec import SweepSpec


class Enumerated:
    """Proposes defence points × (baseline and panel) × seeds, in that order of nesting."""

    size: int | None = None
    workers = 1

    def __init__(self, spec: SweepSpec, points: Iterable[Defence]) -> None:
        """points: distinct ones, which are made as they are asked for."""
        self.finished = False
        self.points = iter(points)
        self._trials = (
            spec.trial(point, attack, seed)
            for point in self.points
            for attack in spec.attacks
            for seed in spec.seeds
        )

    def ask(self, limit: int) -> list[TrialConfig]:
        asked = list(itertools.islice(self._trials, limit))
        self.finished = len(asked) < limit
        return asked

    def tell(self, rows: Rows) -> None:
        """Nothing: the order is fixed."""


def grid_search(spec: SweepSpec) -> Enumerated:
    """Every combination of the defence space."""
    return Enumerated(spec, grid_points(spec.defence))


def random_search(spec: SweepSpec) -> Enumerated:
    """`search.points` distinct points: a branch uniformly, then each factor on its own scale."""
    return Enumerated(spec, random_points(spec))


def random_points(spec: SweepSpec) -> Iterator[Defence]:
    """As many distinct points as asked for, or as the space has."""
    rng = stream("search", spec.search.seed)
    points = distinct(build_defence(spec.defence.sample(rng)) for _ in itertools.count())
    return itertools.islice(points, spec.search.points)
