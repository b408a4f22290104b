"""Optuna's parameters as columns of numbers and codes, and back; conditional ones as learned.

A float or int takes a column from 0 to 1 on its own scale, a categorical the code of its choice. A
parameter that a trial does not have holds 0.5 or 0. Optuna does not say which parameters a point
has: it is learned from the trials. A parameter that some of them lack is assumed to depend on the
first other one whose values separate the trials with it from those without; where there is none, it
is left out, for the independent sampler.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.trial import FrozenTrial

from sweeps.levelset.columns import Columns, Floats, Ints, sobol
from sweeps.space.scale import Scale, part_of

Params = Mapping[str, Any]
Distributions = dict[str, BaseDistribution]
#: A whole number on which other parameters depend has no more values than this.
MOST_VALUES = 20
#: Stands for the value of a parameter that a trial does not have.
_LACKING = ("lacking",)


@dataclass(frozen=True)
class Condition:
    """A parameter exists where `switch` has one of these values (by their internal number)."""

    switch: str
    values: frozenset[Any]


class ParameterDomain:
    """Optuna's parameters as rows; every row that is drawn is a set of parameters."""

    def __init__(
        self, space: Mapping[str, BaseDistribution], trials: Sequence[FrozenTrial]
    ) -> None:
        """trials: complete ones, from which the conditions are learned."""
        conditions = {name: _condition(name, space, trials) for name in space}
        learned = {n: d for n, d in space.items() if conditions[n] is not False}
        #: In an order in which each condition's switch comes before what depends on it.
        self.space = _ordered(learned, conditions)
        self.conditions = {n: c for n in self.space if isinstance(c := conditions[n], Condition)}
        self.columns = Columns(tuple(_categories(d) for d in self.space.values()))
        self.groups = 1

    def encode(self, params: Params) -> Floats:
        """The row of a point; parameters that it lacks, or that are not of the space, have none."""
        row = [
            _position(distribution, params[name]) if name in params else _absent(distribution)
            for name, distribution in self.space.items()
        ]
        return np.array(row, dtype=np.float64)

    def encode_all(self, many: Sequence[Params]) -> Floats:
        """Rows of points, (n, columns)."""
        return np.array([self.encode(one) for one in many]).reshape(len(many), len(self.space))

    def at(self, position: Sequence[float]) -> dict[str, Any]:
        """The parameters at a position of the unit cube, those that do not exist there left out."""
        found: dict[str, Any] = {}
        for (name, distribution), coordinate in zip(self.space.items(), position, strict=True):
            if self.exists(name, found):
                found[name] = value_at(distribution, coordinate)
        return found

    def exists(self, name: str, params: Params) -> bool:
        """Whether a point with these parameters, as far as `name`, has it."""
        condition = self.conditions.get(name)
        if condition is None:
            return True
        switch = condition.switch
        here = _switch_value(self.space[switch], params[switch]) if switch in params else _LACKING
        return here in condition.values

    def rows(self, positions: Floats) -> Floats:
        """The rows of `at(positions[i])`, (n, columns), all at once."""
        found = np.empty_like(positions)
        present = np.ones(positions.shape, dtype=bool)
        names = list(self.space)
        for column, (name, distribution) in enumerate(self.space.items()):
            found[:, column] = _snapped(distribution, positions[:, column])
            condition = self.conditions.get(name)
            if condition is not None:
                switch = names.index(condition.switch)
                reached = [_of_number(self.space[condition.switch], v) for v in condition.values]
                apart = np.abs(found[:, switch, None] - np.array(reached)).min(axis=1)
                present[:, column] = present[:, switch] & (apart < 1e-9)
        absent = np.array([_absent(distribution) for distribution in self.space.values()])
        return np.asarray(np.where(present, found, absent), dtype=np.float64)

    def positions(self, count: int, seed: int) -> Floats:
        """`count` evenly spread positions of the unit cube; equal seeds give equal ones."""
        return sobol(len(self.space), count, seed)

    def sample(self, count: int, seed: int) -> Floats:
        return self.rows(self.positions(count, seed))

    def group(self, points: Floats) -> Ints:
        return np.zeros(len(points), dtype=np.int64)

    def grid(self, steps: int) -> Iterator[dict[str, Any]]:
        """Every combination of all choices and of up to `steps` values of each number."""
        seen = set()
        for position in itertools.product(*(_steps(d, steps) for d in self.space.values())):
            params = self.at(position)
            key = tuple(params.items())
            if key not in seen:  # parameters that do not exist there make repeats
                seen.add(key)
                yield params

    def grid_size(self, steps: int) -> int:
        """How many combinations there are at most."""
        return math.prod(len(_steps(d, steps)) for d in self.space.values())


# --- conditions --------------------------------------------------------------------------------


def _condition(
    name: str, space: Mapping[str, BaseDistribution], trials: Sequence[FrozenTrial]
) -> Condition | bool | None:
    """None where every trial has it; False where no other parameter tells which ones do."""
    have = [name in trial.params for trial in trials]
    if all(have):
        return None
    for switch, distribution in space.items():
        if switch == name or not _may_switch(distribution):
            continue
        values = [_value_in(trial, switch, distribution) for trial in trials]
        on = {v for v, has in zip(values, have, strict=True) if has}
        off = {v for v, has in zip(values, have, strict=True) if not has}
        if not on & off and _LACKING not in on:
            return Condition(switch, frozenset(on))
    return False


def _may_switch(distribution: BaseDistribution) -> bool:
    if isinstance(distribution, CategoricalDistribution):
        return True
    return isinstance(distribution, IntDistribution) and _scale(distribution).count <= MOST_VALUES


def _value_in(trial: FrozenTrial, name: str, distribution: BaseDistribution) -> Any:
    if name not in trial.params:
        return _LACKING
    return _switch_value(distribution, trial.params[name])


def _switch_value(distribution: BaseDistribution, value: Any) -> float:
    """True and 1 are equal in Python, their numbers as choices are not."""
    return float(distribution.to_internal_repr(value))


def _ordered(
    space: Distributions, conditions: Mapping[str, Condition | bool | None]
) -> Distributions:
    """Switches first. What depends on a parameter that is left out, or on itself, is left out."""
    found: Distributions = {}
    while True:
        ready = [
            name
            for name in space
            if name not in found
            and (not isinstance(c := conditions[name], Condition) or c.switch in found)
        ]
        if not ready:
            return found
        found |= {name: space[name] for name in ready}


# --- one parameter -----------------------------------------------------------------------------


def _scale(distribution: BaseDistribution) -> Scale:
    """The scale of a number."""
    assert isinstance(distribution, (IntDistribution, FloatDistribution))
    return Scale(distribution.low, distribution.high, distribution.log, distribution.step)


def _categories(distribution: BaseDistribution) -> int:
    """How many choices a categorical parameter has; 0 for a number."""
    if isinstance(distribution, CategoricalDistribution):
        return len(distribution.choices)
    return 0


def _absent(distribution: BaseDistribution) -> float:
    return 0.0 if isinstance(distribution, CategoricalDistribution) else 0.5


def _position(distribution: BaseDistribution, value: Any) -> float:
    """Of a value of the parameter: in [0, 1] for numbers of its range, the code of a choice."""
    if isinstance(distribution, CategoricalDistribution):
        return float(distribution.to_internal_repr(value))
    scale = _scale(distribution)
    # A trial of an earlier range may lie outside of this one.
    return float(scale.to_unit(max(value, 1e-300) if scale.log else value))


def value_at(distribution: BaseDistribution, position: float) -> Any:
    """The value at a position in [0, 1], equal parts for each choice or step."""
    if isinstance(distribution, CategoricalDistribution):
        return distribution.choices[part_of(position, len(distribution.choices))[0]]
    value = _scale(distribution).at(position)
    return round(value) if isinstance(distribution, IntDistribution) else float(value)


def _snapped(distribution: BaseDistribution, positions: Floats) -> Floats:
    """`_position` of `value_at` for many positions at once."""
    if isinstance(distribution, CategoricalDistribution):
        count = len(distribution.choices)
        return np.minimum(np.floor(positions * count), count - 1)
    return _scale(distribution).snap(positions)


def _of_number(distribution: BaseDistribution, number: float) -> float:
    """The position of a value by its internal number."""
    return _position(distribution, distribution.to_external_repr(number))


def _steps(distribution: BaseDistribution, steps: int) -> list[float]:
    """Positions of a grid's values."""
    count = _categories(distribution)
    if not count and (scale := _scale(distribution)).step is not None and not scale.log:
        count = scale.count if scale.count <= steps else 0
    if count:
        return [(i + 0.5) / count for i in range(count)]
    return [i / (steps - 1) for i in range(steps)] if steps > 1 else [0.5]
