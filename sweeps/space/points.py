"""The distinct defence points of a space, one by one, in a fixed order.

Points are made as they are asked for: of those that were made, 16 bytes each stay in memory.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator

from backdoor.architectures import Architecture
from backdoor.config import Defence, build_defence
from backdoor.regularizers import Regularizer
from sweeps.space.space import Assignment, Space

#: A random search ends after this many repeats in a row.
REPEATS = 1000


def grid_points(space: Space) -> Iterator[Defence]:
    """The distinct points of a grid, one by one, in the order of their first combination."""
    assignments = space.grid(inactive_leaves(space))
    return distinct(_built(assignments), repeats=None)


def inactive_leaves(space: Space) -> list[frozenset[str]]:
    """For each branch the factors that its architecture makes no use of."""
    found = []
    for branch in space.branches:
        first = build_defence(branch.assignment([leaf.ends()[0] for _, leaf in branch.leaves]))
        found.append(frozenset(first.architecture.inactive))
    return found


def _built(assignments: Iterable[Assignment]) -> Iterator[Defence]:
    """The points of assignments; equal components are built once."""
    known: dict[tuple[str, str], Architecture | Regularizer] = {}
    for assignment in assignments:
        values = dict(assignment)
        for slot in ("architecture", "regularizer"):
            if (given := assignment.get(slot)) is not None:
                key = slot, repr(given)
                if key not in known:
                    known[key] = getattr(build_defence(assignment), slot)
                values[slot] = known[key]
        yield build_defence(values)


def distinct(points: Iterable[Defence], repeats: int | None = REPEATS) -> Iterator[Defence]:
    """The points whose active factors were not seen before.

    It ends after more than `repeats` points in a row that were seen, where that is a number.
    """
    seen: set[bytes] = set()
    again = 0
    for point in points:
        key = hashlib.blake2b(str(point.active()).encode(), digest_size=16).digest()
        again = again + 1 if key in seen else 0
        if repeats is not None and again > repeats:
            return
        if key not in seen:
            seen.add(key)
            yield point
