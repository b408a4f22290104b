"""Options that have values in common, though they are written differently: worth a note.

What is written twice in the same way is refused. An overlap is not wrong, but seldom meant: a value
that two options have is trained once, and drawn more often than others.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import combinations, islice
from typing import Any

from sweeps.space.space import Branch, Leaf, Range, Value, comparable

#: Options that are compared with each other, and values of a grid.
MOST = 200
#: Stands for the value of a factor that has none: it equals only itself.
NOTHING: Any = object()


def in_leaf(leaf: Leaf) -> Iterator[str]:
    """A note for each two options of a factor of which one is a range, and that overlap."""
    for one, other in combinations(leaf.options[:MOST], 2):
        if (isinstance(one, Range) or isinstance(other, Range)) and _meet(one, other):
            common = f"{_written(one)} and {_written(other)} have values in common"
            yield f"{leaf.place}: {common}, which are trained once"


def of_branches(
    section: str, branches: Sequence[Branch], default: Callable[[Branch, str], Any]
) -> Iterator[str]:
    """A note for each combination of kinds that is listed several times with points in common.

    default: the value of a factor that a branch leaves out, `NOTHING` where it has none.
    """
    alike: dict[tuple[tuple[str, str], ...], list[Branch]] = {}
    for branch in branches:
        alike.setdefault(branch.kinds, []).append(branch)
    for kinds, same in alike.items():
        pairs = islice(combinations(same, 2), MOST)
        if any(_share(one, other, default) for one, other in pairs):
            named = ", ".join(kind for _, kind in kinds)
            yield f"{section}: entries for {named} have points in common, which are trained once"


def _share(one: Branch, other: Branch, default: Callable[[Branch, str], Any]) -> bool:
    """Whether both have some value of each factor."""
    first, second = dict(one.leaves), dict(other.leaves)
    for name in {**first, **second}:
        values = [
            of[name].options[:MOST] if name in of else (default(branch, name),)
            for of, branch in ((first, one), (second, other))
        ]
        if not any(_meet(a, b) for a in values[0] for b in values[1]):
            return False
    return True


def _meet(one: Value | Range, other: Value | Range) -> bool:
    if not isinstance(one, Range):
        if not isinstance(other, Range):
            return bool(comparable(one) == comparable(other))
        one, other = other, one
    values = _grid(one)
    if not isinstance(other, Range):
        return comparable(other) in values if values else one.find(other) is not None
    others = _grid(other)
    if values and others:
        return bool(values & others)
    return one.low <= other.high and other.low <= one.high


def _grid(of: Range) -> set[Any]:
    """The values of a range that a grid takes; none where they are too many or all there are."""
    return set(map(comparable, of.grid())) if 0 < of.grid_size <= MOST else set()


def _written(option: Value | Range) -> str:
    if not isinstance(option, Range):
        return repr(option)
    steps = f", steps: {option.steps}" if option.steps else ""
    return f"{{{option.scale}: [{option.low:g}, {option.high:g}]{steps}}}"
