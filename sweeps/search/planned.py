"""How many defence points and trials a spec plans, counted one by one and never listed."""

from __future__ import annotations

from collections.abc import Iterator

from backdoor.config import Defence
from sweeps.search.enumerated import Enumerated
from sweeps.search.make import make_search
from sweeps.spec import SweepSpec


def planned_trials(spec: SweepSpec) -> tuple[int, int | None]:
    """How many distinct trials the search proposes in all, and how many defence points; of an
    adaptive search, the most trials that there may be, and None."""
    points = planned_points(spec)
    if points is None:
        return make_search(spec).size or 0, None
    count = sum(1 for _ in points)
    return count * per_point(spec), count


def planned_points(spec: SweepSpec) -> Iterator[Defence] | None:
    """The distinct defence points in their order; None where the search adapts."""
    search = make_search(spec)
    return search.points if isinstance(search, Enumerated) else None


def per_point(spec: SweepSpec) -> int:
    """Trials of one defence point: each attack, and the clean baseline, with each seed."""
    return len(spec.attacks) * len(spec.seeds)
