"""Positions in the unit cube as points of a space; equal volumes are equal shares of the space.

The first axis is the branch, in equal parts. The others are the leaves of that branch that have
more than one value: their options by equal parts, and inside a range's part the numbers on the
range's own scale.
"""

from __future__ import annotations

from collections.abc import Sequence

from sweeps.space.scale import part_of
from sweeps.space.space import Assignment, Branch, Leaf, Range, Space, Value


def point_at(space: Space, position: Sequence[float]) -> Assignment:
    """The point at a position in the unit cube."""
    branch = space.branches[part_of(position[0], len(space.branches))[0]]
    return branch.assignment([values[0] for values in leaf_columns(branch, [position[1:]])])


def leaf_columns(branch: Branch, positions: Sequence[Sequence[float]]) -> list[list[Value]]:
    """For each leaf of a branch, its values at positions in the unit cube of its free leaves."""
    along = dict(zip(free_leaves(branch), zip(*positions, strict=True), strict=False))
    return [
        [_value_at(leaf, position) for position in along[name]]
        if name in along
        else [leaf.ends()[0]] * len(positions)
        for name, leaf in branch.leaves
    ]


def free_leaves(branch: Branch) -> list[str]:
    """Names of the leaves that have more than one value."""
    return [
        name
        for name, leaf in branch.leaves
        if len(leaf.options) > 1 or isinstance(leaf.options[0], Range)
    ]


def _value_at(leaf: Leaf, position: float) -> Value:
    index, rest = part_of(position, len(leaf.options))
    option = leaf.options[index]
    return option.at(rest) if isinstance(option, Range) else option
