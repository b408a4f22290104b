"""Problems with known truth: clean accuracy and attack success as functions, and seed noise."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from scipy.special import expit, logit

from sweeps.levelset.columns import Box, Columns
from sweeps.levelset.model import Panel
from sweeps.levelset.search import Outcome
from sweeps.records.thresholds import Thresholds

IMAGES = 10_000


@dataclass(frozen=True)
class Problem:
    """clean(points), success(points, attacks): median rates over seeds, fractions in [0, 1]."""

    name: str
    box: Box
    panel: Panel
    thresholds: Thresholds
    noise: float = 1.0
    failing: float = 0.0
    repeats: int = 1_000_000

    def axes(self, steps):
        """Each column's values in a full grid of so many steps along each number."""
        return [
            np.linspace(0, 1, steps) if count == 0 else np.arange(float(count))
            for count in self.box.columns.categories
        ]

    def snap(self, points):
        """The nearest points that can be trained."""
        return points

    def clean(self, points):
        raise NotImplementedError

    def success(self, points, attacks):
        raise NotImplementedError

    def deviations(self, clean, success):
        """Seed noise on the logits, larger at the fronts; 0.35 at 10 % and 0.6 at 50 % success."""
        front = 4 * success * (1 - success)
        return self.noise * (0.05 + 0.25 * 4 * clean * (1 - clean)), self.noise * (
            0.21 + 0.39 * front
        )

    def worst(self, points):
        width = len(self.panel)
        each = [self.success(points, np.full(len(points), w)) for w in range(width)]
        return np.max(each, axis=0)

    def inside(self, points):
        """The truth, (n,) bool."""
        return (self.clean(points) >= self.least_accuracy) & (
            self.worst(points) <= self.thresholds.attack_success
        )

    @cached_property
    def least_accuracy(self):
        """The least clean accuracy; for `best - x` that of the true best."""
        if self.thresholds.clean_accuracy is not None:
            return self.thresholds.clean_accuracy
        return float(self.clean(self.even).max() - self.thresholds.below_best)

    @cached_property
    def even(self):
        return self.box.sample(16384, 12345)

    @cached_property
    def truth(self):
        return self.inside(self.even)

    def train(self, points, attacks, rng):
        """Outcomes of (n,) trainings with fresh seeds; None where one failed."""
        clean, success = self.clean(points), self.success(points, attacks)
        clean_dev, success_dev = self.deviations(clean, success)
        counts = []
        for rates, deviation in ((clean, clean_dev), (success, success_dev)):
            noisy = expit(
                logit(np.clip(rates, 1e-5, 1 - 1e-5)) + deviation * rng.standard_normal(len(rates))
            )
            counts.append(rng.binomial(IMAGES, noisy))
        failed = rng.random(len(points)) < self.failing
        return [
            None if lost else Outcome(float(a), IMAGES, float(b), IMAGES)
            for a, b, lost in zip(*counts, failed, strict=True)
        ]


@dataclass(frozen=True)
class Plane(Problem):
    """(a): weight decay 1e-5..1e-1 by learning rate 1e-4..1, both on log scales.

    Both fronts run along log decay + log rate: a thin wavy strip, 5.0 % of the space.
    """

    front: float = -5.49

    def clean(self, points):
        total, along, rate = self._axes(points)
        underfit, diverged = expit(4 * (rate + 4.2)), expit(-8 * (rate + 0.1))
        collapsed = expit(-8 * (total + 4.4 - 0.14 * np.sin(1.7 * along + 1)))
        return 0.1 + 0.87 * underfit * diverged * collapsed

    def success(self, points, attacks):
        total, along, _ = self._axes(points)
        return 0.01 + 0.98 * expit(-8 * (total - self.front - 0.2 * np.sin(2.2 * along)))

    def _axes(self, points):
        decay, rate = -5 + 4 * points[:, 0], -4 + 4 * points[:, 1]
        return decay + rate, rate - decay, rate


@dataclass(frozen=True)
class Mixed(Problem):
    """(b): strength by learning rate by regularizer (3) by attack (3, the worst counts).

    Which attack is the worst depends on the regularizer; 4.1 % of the defender's space.
    """

    front: float = -0.539

    def clean(self, points):
        strength, rate, kind = self._axes(points)
        limit = np.array([-0.75, -1.0, -0.85])[kind] - 0.3 * (rate + 1.5)
        crushed = expit(-6.5 * (strength - limit + 0.06 * np.sin(2.5 * rate + kind)))
        return 0.1 + 0.85 * expit(5 * (rate + 2.6)) * expit(-8 * (rate + 0.3)) * crushed

    def success(self, points, attacks):
        strength, rate, kind = self._axes(points)
        needed = np.array([[-2.1, -1.9, -1.75], [-1.6, -2.2, -1.9], [-1.85, -1.7, -2.1]])
        front = needed[kind, attacks] + self.front - 0.36 * (rate + 1.5)
        return 0.01 + 0.97 * expit(-5.2 * (strength - front - 0.06 * np.sin(3 * rate + attacks)))

    def _axes(self, points):
        return -3 + 3 * points[:, 0], -3 + 3 * points[:, 1], points[:, 2].astype(int)


def plane(**changes):
    box, panel = Box(Columns((0, 0))), Panel(Columns(()), np.zeros((1, 0)))
    return Plane(
        "a: decay x rate",
        box,
        panel,
        Thresholds(attack_success=0.10, clean_accuracy=0.0),
        **changes,
    )


def mixed(**changes):
    panel = Panel(Columns((3,)), np.arange(3.0)[:, None])
    return Mixed(
        "b: strength x rate x regularizer x attack",
        Box(Columns((0, 0, 3))),
        panel,
        Thresholds(attack_success=0.10, clean_accuracy=0.0),
        **changes,
    )


def with_best(problem, below=0.02):
    """The problem with the threshold `best - below`, as an absolute one."""
    best = problem.clean(problem.even).max()
    return replace(
        problem, thresholds=replace(problem.thresholds, clean_accuracy=float(best - below))
    )


def relative(problem, below=0.02):
    """The same region, where the threshold `best - below` has to be found."""
    thresholds = replace(problem.thresholds, clean_accuracy=None, below_best=below)
    return replace(problem, name=f"{problem.name}, best - {below:g}", thresholds=thresholds)
