"""Where all thresholds of an Optuna study hold, as far as its trials tell."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from optuna.distributions import BaseDistribution
from optuna.study import Study, StudyDirection
from optuna.trial import FrozenTrial, TrialState

from sweeps.levelset.columns import Floats
from sweeps.levelset.membership import IN, OUT, UNDECIDED, labels, summary
from sweeps.levelset.plain import PlainModel, Readings
from sweeps.search.distributions import ParameterDomain, Params

#: One for each objective; None where it has no threshold.
ObjectiveThresholds = Sequence[float | None]
NAMES = {IN: "IN", OUT: "OUT", UNDECIDED: "UNDECIDED"}
#: A grid has no more points than this.
LARGEST_GRID = 1_000_000


def space_of(trials: Sequence[FrozenTrial]) -> dict[str, BaseDistribution]:
    """All parameters that trials had, each as the latest trial had it, without those of a single
    value."""
    found: dict[str, BaseDistribution] = {}
    for trial in trials:
        found |= trial.distributions
    return {name: d for name, d in sorted(found.items()) if not d.single()}


def margins_of(
    study: Study, trials: Sequence[FrozenTrial], thresholds: ObjectiveThresholds
) -> dict[str, list[tuple[FrozenTrial, float]]]:
    """For each metric the trials that have it, and how far on the right side they are.

    Metrics are the objectives with a threshold, in the study's direction, and the constraints.
    """
    check_thresholds(study, thresholds)
    found: dict[str, list[tuple[FrozenTrial, float]]] = {}
    for index, (threshold, direction) in enumerate(zip(thresholds, study.directions, strict=False)):
        if threshold is not None:
            sign = 1.0 if direction == StudyDirection.MAXIMIZE else -1.0
            found[f"objective {index}"] = [
                (trial, sign * (trial.values[index] - threshold)) for trial in trials
            ]
    for name in sorted({name for trial in trials for name in trial.constraints}):
        found[f"constraint {name}"] = [
            (trial, -trial.constraints[name]) for trial in trials if name in trial.constraints
        ]
    return found


def check_thresholds(study: Study, thresholds: ObjectiveThresholds) -> None:
    """`ValueError` unless there is none, or one for each objective."""
    if thresholds and len(thresholds) != len(study.directions):
        raise ValueError(
            "`thresholds` must have one entry for each objective (None where it has no threshold), "
            f"but got {len(thresholds)} for {len(study.directions)} objectives."
        )


def readings_of(
    domain: ParameterDomain, metrics: Mapping[str, Sequence[tuple[FrozenTrial, float]]]
) -> list[Readings]:
    """The metrics in the domain's columns. `ValueError` where there is none."""
    if not metrics:
        raise ValueError(
            "There must be something to hold: give `thresholds` for the objectives, or call "
            "`trial.set_constraint(name, value)` in the objective function (<= 0 is feasible), "
            "but no complete trial has a constraint."
        )
    return [
        Readings(
            domain.encode_all([trial.params for trial, _ in pairs]),
            np.array([margin for _, margin in pairs], dtype=np.float64),
        )
        for pairs in metrics.values()
    ]


def complete(trials: Sequence[FrozenTrial]) -> list[FrozenTrial]:
    """Trials that have ended with values."""
    return [trial for trial in trials if trial.state == TrialState.COMPLETE]


@dataclass(frozen=True)
class StudyRegion:
    """The probability that all thresholds hold, for metrics without their noise.

    metrics: names of what has to hold. confidence: IN from this probability on, OUT from
    1 - confidence down, UNDECIDED between.
    """

    domain: ParameterDomain
    model: PlainModel
    metrics: tuple[str, ...]
    confidence: float

    def probability(self, params: Params) -> float:
        """P(all thresholds hold) at a set of parameters.

        Raises:
            ValueError: one is missing, or outside of what the study tried.
        """
        return float(self.probabilities([params])[0])

    def probabilities(self, many: Sequence[Params]) -> Floats:
        """The same for many at once, (n,)."""
        for params in many:
            self._check(params)
        return self._of(self.domain.encode_all(many))

    def label(self, params: Params) -> str:
        """IN, OUT or UNDECIDED."""
        found = labels(np.array([self.probability(params)]), self.confidence)
        return NAMES[int(found[0])]

    def grid(self, steps: int = 20) -> list[tuple[dict[str, Any], float, str]]:
        """(parameters, probability, label) at every combination of choices and of `steps` values
        of each number, on its own scale."""
        if self.domain.grid_size(steps) > LARGEST_GRID:
            raise ValueError(
                f"The grid must not exceed {LARGEST_GRID} points, but {steps} steps make "
                f"{self.domain.grid_size(steps)}. Use fewer steps, or `probabilities`."
            )
        points = list(self.domain.grid(steps))
        inside = self._of(self.domain.encode_all(points))
        named = [NAMES[label] for label in labels(inside, self.confidence).tolist()]
        return list(zip(points, inside.tolist(), named, strict=True))

    def shares(self, count: int = 4096) -> dict[str, float]:
        """How much of the space is IN, OUT and UNDECIDED: fractions of evenly drawn points."""
        found = summary(self._of(self.domain.sample(count, 0)), self.confidence)
        outside = 1 - found.inside - found.undecided
        return {"IN": found.inside, "OUT": outside, "UNDECIDED": found.undecided}

    def _of(self, points: Floats, chunk: int = 4096) -> Floats:
        parts = [points[i : i + chunk] for i in range(0, len(points), chunk)]
        return np.concatenate([self.model.probability(part) for part in parts] or [np.zeros(0)])

    def _check(self, params: Params) -> None:
        for name, distribution in self.domain.space.items():
            if name not in params:
                if self.domain.exists(name, params):
                    raise ValueError(f"`{name}` must be given, but got {dict(params)!r}.")
            elif not distribution._contains(distribution.to_internal_repr(params[name])):
                raise ValueError(
                    f"`{name}` must be in {distribution}, as the study tried it, but got "
                    f"{params[name]!r}."
                )
