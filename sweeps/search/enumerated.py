"""Grid and random search: defence points in a fixed order, each against the whole panel."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator

from backdoor.config import Defence, TrialConfig, build_defence
from backdoor.streams import stream
from sweeps.ledger import Rows
from sweeps.spec import SweepSpec

#: A random search ends after this many repeats in a row.
REPEATS = 1000


class Enumerated:
    """Proposes defence points × (baseline and panel) × seeds, in that order of nesting."""

    size: int | None = None
    workers = 1

    def __init__(self, spec: SweepSpec, points: Iterable[Defence]) -> None:
        self.finished = False
        self._trials = (
            spec.trial(point, attack, seed)
            for point, attack, seed in itertools.product(points, spec.attacks, spec.seeds)
        )

    def ask(self, limit: int) -> list[TrialConfig]:
        asked = list(itertools.islice(self._trials, limit))
        self.finished = len(asked) < limit
        return asked

    def tell(self, rows: Rows) -> None:
        """Nothing: the order is fixed."""


def grid_search(spec: SweepSpec) -> Enumerated:
    """Every combination of the defence space."""
    return Enumerated(spec, distinct(build_defence(values) for values in spec.defence.grid()))


def random_search(spec: SweepSpec) -> Enumerated:
    """`search.points` distinct points: a branch uniformly, then each factor on its own scale."""
    return Enumerated(spec, random_points(spec))


def random_points(spec: SweepSpec) -> Iterator[Defence]:
    """As many distinct points as asked for, or as the space has."""
    rng = stream("search", spec.search.seed)
    points = distinct(build_defence(spec.defence.sample(rng)) for _ in itertools.count())
    return itertools.islice(points, spec.search.points)


def distinct(points: Iterator[Defence]) -> Iterator[Defence]:
    """The points whose active factors were not seen before; ends when only repeats come."""
    seen: set[str] = set()
    repeats = 0
    for point in points:
        key = str(point.active())
        repeats = repeats + 1 if key in seen else 0
        if repeats > REPEATS:
            return
        if key not in seen:
            seen.add(key)
            yield point
