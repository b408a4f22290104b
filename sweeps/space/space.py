"""The space of a section: what `defence:` and `attack:` of a spec may take.

It is kept in normal form: one `Branch` for every combination of kinds, with the leaves that are
active in it, so that conditional factors need no special case anywhere else.
`sweeps.space.parser` reads it from a spec.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from backdoor.settings.schema import is_number, round_significant
from backdoor.settings.user_file import without_path
from sweeps.space.scale import Scale

Value = str | int | float | bool | tuple[int | float | str, ...] | None
Assignment = dict[str, Any]


@dataclass(frozen=True)
class Range:
    """Numbers from low to high, both included; `log` and `uniform` are real, `int` whole.

    steps: how many values a grid takes, evenly spaced on the scale; None where a grid cannot.
    """

    low: float
    high: float
    scale: str
    steps: int | None = None

    def sample(self, rng: np.random.Generator) -> float | int:
        if self.scale == "int":
            return int(rng.integers(int(self.low), int(self.high) + 1))
        if self.scale == "log":
            return round_significant(math.exp(rng.uniform(math.log(self.low), math.log(self.high))))
        return round_significant(rng.uniform(self.low, self.high))

    @cached_property
    def on_scale(self) -> Scale:
        """Its numbers as positions from 0 to 1."""
        low, high = self.ends()
        return Scale(low, high, self.scale == "log", 1 if self.scale == "int" else None)

    def at(self, unit: float) -> float | int:
        """The number at a position from 0 to 1, equal parts for each."""
        return self._written(self.on_scale.at(unit))

    def nearest(self, number: float) -> float | int:
        """The number of the range that is nearest to any other one."""
        low, high = self.ends()
        return self._written(min(max(number, low), high))

    def _written(self, number: float) -> float | int:
        """A number as a spec has it: whole, or of twelve significant digits."""
        return round(number) if self.scale == "int" else round_significant(number)

    def grid(self) -> list[float | int]:
        if self.steps is None:
            raise ValueError("a range without steps has no grid")
        if self.scale == "int":
            return sorted({round(v) for v in np.linspace(self.low, self.high, self.steps)})
        spaced = np.geomspace if self.scale == "log" else np.linspace
        return [round_significant(float(v)) for v in spaced(self.low, self.high, self.steps)]

    @property
    def grid_size(self) -> int:
        """How many values `grid` has at most, without making them; 0 where it has none."""
        whole = int(self.high) - int(self.low) + 1 if self.scale == "int" else self.steps
        return min(self.steps or 0, whole or 0)

    def ends(self) -> list[float | int]:
        whole = self.scale == "int"
        return (
            [int(self.low), int(self.high)]
            if whole
            else [round_significant(self.low), round_significant(self.high)]
        )

    def find(self, value: Any) -> float | int | None:
        """`value` as a number of the range, or None where it lies outside."""
        low, high = self.ends()
        if not is_number(value) or not low <= value <= high:
            return None
        if self.scale != "int":
            return float(value)
        return int(value) if float(value).is_integer() else None


@dataclass(frozen=True)
class Leaf:
    """One factor: options that are values or ranges, and where the spec says so."""

    options: tuple[Value | Range, ...]
    place: str

    def grid(self) -> list[Value]:
        values = [o.grid() if isinstance(o, Range) else [o] for o in self.options]
        return list(dict.fromkeys(itertools.chain.from_iterable(values)))

    @property
    def grid_size(self) -> int:
        """How many values `grid` has at most, without making them."""
        return sum(o.grid_size if isinstance(o, Range) else 1 for o in self.options)

    def ends(self) -> list[Value]:
        """Every choice, and both ends of every range."""
        values = [o.ends() if isinstance(o, Range) else [o] for o in self.options]
        return list(itertools.chain.from_iterable(values))

    def sample(self, rng: np.random.Generator) -> Value:
        option = self.options[int(rng.integers(len(self.options)))]
        return option.sample(rng) if isinstance(option, Range) else option

    def find(self, value: Any) -> tuple[int, Value] | None:
        """Which option holds `value`, plain ones first, and the value as the spec writes it."""
        for index, option in enumerate(self.options):
            if not isinstance(option, Range) and same(option, value):
                return index, option
        for index, option in enumerate(self.options):
            if isinstance(option, Range) and (number := option.find(value)) is not None:
                return index, number
        return None


def same(one: Any, other: Any) -> bool:
    """Whether two plain values are the same in a canonical form."""
    if is_number(one) and is_number(other):
        return round_significant(one) == round_significant(other)
    if isinstance(one, str) and isinstance(other, str):
        return without_path(one) == without_path(other)
    return type(one) is type(other) and bool(one == other)


def comparable(value: Any) -> Any:
    """What is equal for values that are the `same`, and can be a key; of mappings too."""
    if is_number(value):
        return "number", round_significant(value)
    if isinstance(value, str):
        return "text", without_path(value)
    if isinstance(value, Mapping):
        return "mapping", frozenset((key, comparable(each)) for key, each in value.items())
    if isinstance(value, (list, tuple)):
        return "list", tuple(map(comparable, value))
    return type(value).__name__, value


def _path(leaf: str) -> list[str]:
    """Where a leaf stands in an assignment: `regularizer.dropout.rate` is three levels deep.

    Between the first and the last dot is the name of one of several kinds that act together,
    which may have dots of its own.
    """
    slot, _, rest = leaf.partition(".")
    part, _, setting = rest.rpartition(".")
    return [step for step in (slot, part, setting) if step]


@dataclass(frozen=True)
class Branch:
    """One combination of kinds, such as mlp without regularizer, and its active leaves by name."""

    kinds: tuple[tuple[str, str], ...]
    leaves: tuple[tuple[str, Leaf], ...]

    def assignment(self, values: Sequence[Value]) -> Assignment:
        """Nested plain values, ready for `build_defence` or `build_attack`."""
        nested: Assignment = {slot: {"kind": kind} for slot, kind in self.kinds}
        for (name, _), value in zip(self.leaves, values, strict=True):
            *path, key = _path(name)
            holder = nested
            for step in path:
                holder = holder.setdefault(step, {})
            holder[key] = value
        return nested

    def without_effect(self, inactive: frozenset[str]) -> list[int]:
        """Which of its leaves have no effect where these slots and factors have none."""
        names = (name.partition(".")[0] for name, _ in self.leaves)
        return [index for index, slot in enumerate(names) if slot in inactive]

    def read(self, point: Assignment) -> list[Value] | None:
        """The leaf values of a point; a leaf that it lacks, having no effect there, is at its
        first end. None where a value is none of its leaf's."""
        values: list[Value] = []
        for name, leaf in self.leaves:
            *path, key = _path(name)
            holder = point
            for step in path:
                holder = holder.get(step, {})
            found = leaf.find(holder[key]) if key in holder else (0, leaf.ends()[0])
            if found is None:
                return None
            values.append(found[1])
        return values


@dataclass(frozen=True)
class Space:
    """All branches of a section."""

    branches: tuple[Branch, ...]

    def grid(self, inactive: Sequence[frozenset[str]] = ()) -> Iterator[Assignment]:
        """Every combination; ranges by their steps.

        inactive: for each branch the slots and factors without effect, which stay at their first
        value: their other values would only repeat points.
        """
        unused = inactive or (frozenset[str](),) * len(self.branches)
        for branch, without in zip(self.branches, unused, strict=True):
            grids = [leaf.grid() for _, leaf in branch.leaves]
            for index in branch.without_effect(without):
                del grids[index][1:]
            for values in itertools.product(*grids):
                yield branch.assignment(values)

    def grid_size(self, inactive: Sequence[frozenset[str]] = ()) -> int:
        """How many combinations `grid` has at most, without making them."""
        unused = inactive or (frozenset[str](),) * len(self.branches)
        sizes: dict[object, int] = {}  # branches that differ in what has no effect are one
        for branch, without in zip(self.branches, unused, strict=True):
            unused_here = set(branch.without_effect(without))
            active = [each for i, each in enumerate(branch.leaves) if i not in unused_here]
            kinds = tuple(kind for kind in branch.kinds if kind[0] not in without)
            same = kinds, tuple((name, leaf.place) for name, leaf in active)
            sizes[same] = math.prod(leaf.grid_size for _, leaf in active)
        return sum(sizes.values())

    def sample(self, rng: np.random.Generator) -> Assignment:
        """A random point: a branch uniformly, then each leaf on its own scale."""
        branch = self.branches[int(rng.integers(len(self.branches)))]
        return branch.assignment([leaf.sample(rng) for _, leaf in branch.leaves])

    def ends(self) -> Iterator[tuple[Assignment, str]]:
        """Each leaf at each of its ends with the others at their first; and the leaf's place."""
        for branch in self.branches:
            first = [leaf.ends()[0] for _, leaf in branch.leaves]
            yield branch.assignment(first), ""
            for index, (_, leaf) in enumerate(branch.leaves):
                for end in leaf.ends()[1:]:
                    values = [*first[:index], end, *first[index + 1 :]]
                    yield branch.assignment(values), leaf.place

    def locate(
        self, point: Assignment, canonical: Callable[[Assignment], Assignment]
    ) -> tuple[int, list[Value]] | None:
        """Which branch and which leaf values make `point`; None where the space lacks it.

        point: in the canonical form, defaults filled in and inactive factors dropped, that
        `canonical` gives to any assignment of the space.
        """
        for index, branch in enumerate(self.branches):
            values = branch.read(point)
            if values is not None and canonical(branch.assignment(values)) == point:
                return index, values
        return None

    def unbounded(self) -> list[Leaf]:
        """Leaves with a range that has no steps: no grid can enumerate them."""
        found = {
            leaf.place: leaf
            for branch in self.branches
            for _, leaf in branch.leaves
            if any(isinstance(o, Range) and o.steps is None for o in leaf.options)
        }
        return list(found.values())
