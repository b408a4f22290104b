"""How far apart points and attacks are, by their factors; each factor counts from 0 to 1.

A factor that is a number counts by its rank among the values that it takes beside equal values of
the others that are not: whoever writes a list of values makes it dense where much changes. All
other factors differ by 1, or not at all.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from backdoor.settings.schema import is_number
from sweeps.records.model_answer import Factors
from sweeps.records.region_file import PanelEntry
from sweeps.statistics.arrays import Floats, Ints

#: A factor has an order if it takes so many values that are numbers, beside equal values of the
#: factors that are not.
FEWEST_VALUES = 3


def has_order(points: Sequence[Factors]) -> bool:
    """Whether some factor has an order."""
    numeric, kinds = _numeric(points), _kinds(points)
    orders = [_orders([p.get(name) for p in points], kinds) for name in numeric]
    return any(len(order) >= FEWEST_VALUES for own in orders for order in own.values())


def point_distances(points: Sequence[Factors], chosen: Ints | None = None) -> Floats:
    """Between the chosen points, by their numbers, or between all, (n, n). Ranks are those among
    all points."""
    kinds = _kinds(points)
    numbers = np.arange(len(points)) if chosen is None else chosen
    found = np.zeros((len(numbers), len(numbers)))
    for values in zip(*(kinds[index] for index in numbers.tolist()), strict=True):
        found += _differ(values)
    for name in _numeric(points):
        rank = _ranks([p.get(name) for p in points], kinds)[numbers]
        found += np.abs(rank[:, None] - rank[None, :])
    return found


def attack_distances(panel: Sequence[PanelEntry]) -> Floats:
    """Between attacks, (n, n): by their triggers, their goals and the logarithms of their rates."""
    rates = np.log([max(attack["poison_rate"], 1e-9) for attack in panel])
    span = float(np.ptp(rates))
    position = (rates - rates.min()) / span if span else np.zeros(len(panel))
    kinds = [(attack["trigger"], attack.get("goal", attack["target"])) for attack in panel]
    found = np.abs(position[:, None] - position[None, :])
    for values in zip(*kinds, strict=True):
        found += _differ(values)
    return np.asarray(found, dtype=np.float64)


def _numeric(points: Sequence[Factors]) -> list[str]:
    """The factors that are numbers wherever they are there, and differ."""
    names = sorted({name for factors in points for name in factors})
    return [name for name in names if _numbers(points, name)]


def _kinds(points: Sequence[Factors]) -> list[tuple[str, ...]]:
    """What each point has of all other factors."""
    numeric = set(_numeric(points))
    names = sorted({name for factors in points for name in factors} - numeric)
    return [tuple(_word(factors.get(name)) for name in names) for factors in points]


def _numbers(points: Sequence[Factors], name: str) -> bool:
    """Whether all values of a factor are numbers, and some differ."""
    values = [factors[name] for factors in points if name in factors]
    return all(is_number(value) for value in values) and len(set(values)) > 1


def _word(value: object) -> str:
    return f"{type(value).__name__} {value}"


def _differ(values: Sequence[object]) -> Floats:
    codes = {value: code for code, value in enumerate(dict.fromkeys(values))}
    own = np.array([codes[value] for value in values])
    return np.asarray(own[:, None] != own[None, :], dtype=np.float64)


def _orders(values: Sequence[object], kinds: Sequence[object]) -> dict[object, dict[float, int]]:
    """Kind → the rank of each value from 0 on."""
    own: dict[object, set[float]] = {}
    for value, kind in zip(values, kinds, strict=True):
        if isinstance(value, (int, float)):
            own.setdefault(kind, set()).add(float(value))
    return {
        kind: {value: rank for rank, value in enumerate(sorted(found))}
        for kind, found in own.items()
    }


def _ranks(values: Sequence[object], kinds: Sequence[object]) -> Floats:
    """From 0 to 1 among points of the same kinds, (n,); 1/2 for a single value and for none."""
    orders = _orders(values, kinds)

    def place(value: object, kind: object) -> float:
        if not isinstance(value, (int, float)) or len(orders[kind]) < 2:
            return 0.5
        return orders[kind][float(value)] / (len(orders[kind]) - 1)

    found = [place(value, kind) for value, kind in zip(values, kinds, strict=True)]
    return np.array(found, dtype=np.float64)
