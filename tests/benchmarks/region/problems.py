"""Problems with known truth: clean accuracy and attack success as functions, and seed noise."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np
from scipy.special import expit, logit

from sweeps.levelset.columns import Box, Columns
from sweeps.levelset.search import Outcome
from sweeps.levelset.surrogate import Goal, Panel

IMAGES = 10_000


@dataclass(frozen=True)
class Problem:
    """clean(points), success(points, attacks): median rates over seeds, fractions in [0, 1]."""

    name: str
    box: Box
    panel: Panel
    goal: Goal
    noise: float = 1.0
    failing: float = 0.0

    def clean(self, points):
        raise NotImplementedError

    def success(self, points, attacks):
        raise NotImplementedError

    def deviations(self, clean, success):
        """Seed noise on the logits, larger at the fronts; 0.35 at 10 % and 0.6 at 50 % success."""
        front = 4 * success * (1 - success)
        return self.noise * (0.05 + 0.25 * 4 * clean * (1 - clean)), self.noise * (0.21 + 0.39 * front)

    def worst(self, points):
        width = len(self.panel)
        each = [self.success(points, np.full(len(points), w)) for w in range(width)]
        return np.max(each, axis=0)

    def inside(self, points):
        """The truth, (n,) bool."""
        return (self.clean(points) >= self.goal.clean) & (self.worst(points) <= self.goal.success)

    @cached_property
    def even(self):
        return self.box.draw(16384, 12345)

    @cached_property
    def truth(self):
        return self.inside(self.even)

    def train(self, points, attacks, draw):
        """Outcomes of (n,) trainings with fresh seeds; None where one failed."""
        clean, success = self.clean(points), self.success(points, attacks)
        clean_dev, success_dev = self.deviations(clean, success)
        counts = []
        for rates, deviation in ((clean, clean_dev), (success, success_dev)):
            noisy = expit(logit(np.clip(rates, 1e-5, 1 - 1e-5)) + deviation * draw.standard_normal(len(rates)))
            counts.append(draw.binomial(IMAGES, noisy))
        failed = draw.random(len(points)) < self.failing
        return [
            None if lost else Outcome(float(a), IMAGES, float(b), IMAGES)
            for a, b, lost in zip(*counts, failed, strict=True)
        ]


@dataclass(frozen=True)
class Plane(Problem):
    """(a): weight decay 1e-5..1e-1 by learning rate 1e-4..1, both on log scales."""

    front: float = 5.9

    def clean(self, points):
        decay, rate = -5 + 4 * points[:, 0], -4 + 4 * points[:, 1]
        product = decay + rate
        underfit = expit(3.0 * (rate + 3.3))
        diverged = expit(-6.0 * (rate + 0.35))
        collapsed = expit(-2.6 * (product + 2.85 + 0.25 * np.sin(2 * rate)))
        return 0.1 + 0.87 * underfit * diverged * collapsed

    def success(self, points, attacks):
        decay, rate = -5 + 4 * points[:, 0], -4 + 4 * points[:, 1]
        product = decay + rate
        return 0.015 + 0.97 * expit(-2.4 * (product + self.front + 0.3 * np.sin(1.5 * decay)))


@dataclass(frozen=True)
class Mixed(Problem):
    """(b): strength by learning rate by regularizer (3) by attack (3, the worst counts)."""

    front: float = -0.9

    def clean(self, points):
        strength, rate, kind = -3 + 3 * points[:, 0], -3 + 3 * points[:, 1], points[:, 2].astype(int)
        limit = np.array([-0.55, -0.8, -0.65])[kind]
        underfit = expit(4.0 * (rate + 2.3))
        diverged = expit(-7.0 * (rate + 0.4))
        crushed = expit(-5.0 * (strength - limit + 0.25 * (rate + 1.5)))
        return 0.1 + 0.85 * underfit * diverged * crushed

    def success(self, points, attacks):
        strength, rate, kind = -3 + 3 * points[:, 0], -3 + 3 * points[:, 1], points[:, 2].astype(int)
        needed = np.array([[-2.1, -1.9, -1.75], [-1.6, -2.2, -1.9], [-1.85, -1.7, -2.1]])
        front = needed[kind, attacks.astype(int)] - 0.35 * (rate + 1.5) + self.front
        return 0.01 + 0.97 * expit(-4.5 * (strength - front))


def plane(**changes):
    box, panel = Box(Columns((0, 0))), Panel(Columns(()), np.zeros((1, 0)))
    return Plane("a: decay x rate", box, panel, Goal(success=0.10, clean=0.0), **changes)


def mixed(**changes):
    panel = Panel(Columns((3,)), np.arange(3.0)[:, None])
    return Mixed("b: strength x rate x regularizer x attack", Box(Columns((0, 0, 3))), panel, Goal(success=0.10, clean=0.0), **changes)


def with_best(problem, below=0.02):
    """The problem with the level `best - below`, as an absolute one."""
    best = problem.clean(problem.even).max()
    return replace(problem, goal=replace(problem.goal, clean=float(best - below)))
