"""The defence space as parameters of an Optuna trial.

The branch is one categorical parameter. A leaf has a name of its own in every branch, such as
`linear#0.weight_decay`: a categorical parameter where it has several options, and one with
`[option]` after the name for every option that is a range. What has one value has no parameter.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from optuna import Trial

from sweeps.space.space import Assignment, Leaf, Range, Space, Value

BRANCH = "branch"


class Parameters:
    """Points from trials, and parameters from points.

    flat: every trial has the parameters of all branches and of all options, including those without
    effect. A sampler that cannot learn about conditional parameters then still learns about all.
    """

    def __init__(self, space: Space, flat: bool) -> None:
        self.space, self.flat = space, flat
        self.labels = [
            f"{'+'.join(kind for _, kind in branch.kinds)}#{index}"
            for index, branch in enumerate(space.branches)
        ]

    def suggest(self, trial: Trial) -> Assignment:
        """The point that `trial` stands for, as its sampler chooses it."""
        chosen = self.labels.index(_pick(trial, BRANCH, self.labels))
        for index in range(len(self.labels)) if self.flat else [chosen]:
            leaves = self.space.branches[index].leaves
            values = [self._value(trial, self._name(index, name), leaf) for name, leaf in leaves]
            if index == chosen:
                point = self.space.branches[index].assignment(values)
        return point

    def fixed(
        self, branch: int, values: Sequence[Value], rng: np.random.Generator
    ) -> dict[str, Any]:
        """Values of all parameters that `suggest` asks for, so that it returns this point.

        rng: for those without effect in it.
        """
        found: dict[str, Any] = {BRANCH: self.labels[branch]} if len(self.labels) > 1 else {}
        for index, other in enumerate(self.space.branches):
            if index != branch and not self.flat:
                continue
            sampled = [leaf.sample(rng) for _, leaf in other.leaves]
            own = values if index == branch else sampled
            for (name, leaf), value in zip(other.leaves, own, strict=True):
                found |= self._fixed(self._name(index, name), leaf, value, rng)
        return found

    def _name(self, branch: int, leaf: str) -> str:
        return f"{self.labels[branch]}.{leaf}"

    def _value(self, trial: Trial, name: str, leaf: Leaf) -> Value:
        chosen = _pick(trial, name, range(len(leaf.options)))
        numbers = {
            index: _number(trial, f"{name}[{index}]", option)
            for index, option in enumerate(leaf.options)
            if isinstance(option, Range) and (self.flat or index == chosen)
        }
        option = leaf.options[chosen]
        return numbers[chosen] if isinstance(option, Range) else option

    def _fixed(
        self, name: str, leaf: Leaf, value: Value, rng: np.random.Generator
    ) -> dict[str, Any]:
        located = leaf.find(value)
        if located is None:
            raise ValueError(f"{value!r} is no value of {name}")
        chosen, value = located
        found: dict[str, Any] = {name: chosen} if len(leaf.options) > 1 else {}
        for index, option in enumerate(leaf.options):
            if isinstance(option, Range) and (self.flat or index == chosen):
                found[f"{name}[{index}]"] = value if index == chosen else option.sample(rng)
        return found


def _pick(trial: Trial, name: str, options: Sequence[Any]) -> Any:
    return options[0] if len(options) == 1 else trial.suggest_categorical(name, options)


def _number(trial: Trial, name: str, span: Range) -> float | int:
    low, high = span.ends()
    if span.scale == "int":
        return trial.suggest_int(name, int(low), int(high))
    return trial.suggest_float(name, low, high, log=span.scale == "log")
