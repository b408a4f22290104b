"""A spec's defence space and attack panel as columns of numbers and codes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from sweeps.levelset.columns import Columns, Floats, Ints, sobol
from sweeps.levelset.model import Panel
from sweeps.space.axis import Axis, axis_of
from sweeps.space.encoder import Canonical, SpaceEncoder
from sweeps.space.space import Space, Value


class SpaceDomain(SpaceEncoder):
    """A `Domain` of a spec's space; `decode` returns the assignment of each of its points."""

    def __init__(
        self,
        space: Space,
        inactive: Sequence[frozenset[str]] = (),
        canonical: Canonical | None = None,
    ) -> None:
        super().__init__(space, inactive, canonical)
        self.columns = Columns(self.categories)

    def positions(self, count: int, seed: int) -> Floats:
        """Positions in the unit cube, (count, axes); equal volumes are equal shares of points."""
        return sobol(self.axes, count, seed)

    def sample(self, count: int, seed: int) -> Floats:
        return self.at(self.positions(count, seed))

    def group(self, points: Floats) -> Ints:
        if self.groups == 1:
            return np.zeros(len(points), dtype=np.int64)
        return points[:, 0].astype(np.int64)


def encode_panel(attacks: Sequence[Mapping[str, Any]]) -> Panel:
    """The attacks' identities (plain, nested values) as points."""
    flat = [_flat(attack) for attack in attacks]
    names = list(dict.fromkeys(name for one in flat for name in one))
    axes = {name: axis_of([one[name] for one in flat if name in one]) for name in names}
    if "target" in axes:  # class numbers have no order
        values = dict.fromkeys(one["target"] for one in flat if "target" in one)
        axes["target"] = Axis(None, tuple(values))
    varying = {name: axis for name, axis in axes.items() if axis.categories}
    rows = [
        [column for name, axis in varying.items() for column in _encoded(axis, name, one)]
        for one in flat
    ]
    columns = Columns(tuple(count for axis in varying.values() for count in axis.categories))
    return Panel(columns, np.array(rows, dtype=np.float64).reshape(len(attacks), -1))


def _encoded(axis: Axis, name: str, attack: Mapping[str, Value]) -> list[float]:
    return axis.encode(attack[name]) if name in attack else axis.absent


def _flat(attack: Mapping[str, Any]) -> dict[str, Value]:
    """One level of names; settings of a trigger under the trigger's kind."""
    found: dict[str, Value] = {}
    for name, value in attack.items():
        if isinstance(value, Mapping):
            kind = value["kind"]
            found[name] = kind
            found |= {f"{name}={kind}.{k}": _plain(v) for k, v in value.items() if k != "kind"}
        else:
            found[name] = _plain(value)
    return found


def _plain(value: Any) -> Value:
    return value if value is None or isinstance(value, (str, int, float, bool)) else str(value)
