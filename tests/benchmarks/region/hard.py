"""Hard cases: where a smooth surrogate is wrong, where there is nothing to find, or too much noise."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from region.problems import IMAGES, Mixed, Plane, Problem, mixed, plane, with_best
from scipy.special import expit

from sweeps.levelset.columns import Box, Columns
from sweeps.levelset.model import Panel
from sweeps.records.thresholds import Thresholds


@dataclass(frozen=True)
class Step(Plane):
    """Attack success jumps from 0.95 to 0.02, clean accuracy from 0.96 to 0.5, within nothing."""

    def clean(self, points):
        total, along, _ = self._axes(points)
        return np.where(total < -4.0 + 0.3 * np.sin(along), 0.96, 0.5)

    def success(self, points, attacks):
        total, along, _ = self._axes(points)
        return np.where(total > -5.4 + 0.3 * np.sin(1.5 * along), 0.02, 0.95)


@dataclass(frozen=True)
class Bimodal(Plane):
    """Each seed's attack takes or fails; how many seeds it takes in changes along the front."""

    front: float = -5.6

    def share(self, points):
        total, along, _ = self._axes(points)
        return expit(-4 * (total - self.front - 0.2 * np.sin(2.2 * along)))

    def success(self, points, attacks):
        """The median seed's."""
        return np.where(self.share(points) > 0.5, 0.95, 0.02)

    def train(self, points, attacks, rng):
        clean = super().train(points, attacks, rng)
        takes = rng.random(len(points)) < self.share(points)
        rates = expit(
            np.where(takes, 3.0, -3.9) + 0.35 * self.noise * rng.standard_normal(len(points))
        )
        return [
            replace(o, success=float(rng.binomial(IMAGES, r))) if o else None
            for o, r in zip(clean, rates, strict=True)
        ]


@dataclass(frozen=True)
class OneCategory(Mixed):
    """Only the second regularizer has a region."""

    def success(self, points, attacks):
        usual = super().success(points, attacks)
        return np.where(
            points[:, 2] == 1,
            super().success(np.c_[points[:, :2], np.zeros(len(points))], attacks),
            np.maximum(usual, 0.5),
        )

    def clean(self, points):
        return super().clean(np.c_[points[:, :2], np.zeros(len(points))])


@dataclass(frozen=True)
class Six(Problem):
    """Six continuous factors, four of which matter; about 5 % of the space."""

    def clean(self, points):
        x = points
        ridge = 4.0 * (x[:, 0] - 0.75) + 3.0 * (x[:, 1] - 0.8) + 1.5 * (x[:, 2] - 0.5)
        return 0.1 + 0.86 * expit(-3.0 * ridge - 0.5) * expit(10 * (x[:, 3] + 0.25))

    def success(self, points, attacks):
        x = points
        push = 4.0 * (x[:, 0] - 0.3) + 2.5 * (x[:, 1] - 0.3) + 1.5 * (x[:, 3] - 0.5)
        return 0.01 + 0.97 * expit(-2.5 * push + 1.9)


@dataclass(frozen=True)
class Wavy(Plane):
    """Wrong length scales: one front hardly bends, the other bends eight times over the space."""

    def success(self, points, attacks):
        total, along, _ = self._axes(points)
        return 0.01 + 0.98 * expit(-8 * (total - self.front - 0.25 * np.sin(6.5 * along)))


def _plane_like(cls, name, **changes):
    return cls(
        name,
        Box(Columns((0, 0))),
        Panel(Columns(()), np.zeros((1, 0))),
        Thresholds(attack_success=0.10, clean_accuracy=0.94),
        **changes,
    )


def cases():
    """Name → (problem, the largest fraction of the space that may stay undecided)."""
    absolute = with_best(plane())
    small = with_best(plane(front=-5.2))
    category = OneCategory(
        "one",
        Box(Columns((0, 0, 3))),
        Panel(Columns((3,)), np.arange(3.0)[:, None]),
        Thresholds(attack_success=0.10, clean_accuracy=0.0),
    )
    six = Six(
        "six",
        Box(Columns((0,) * 6)),
        Panel(Columns(()), np.zeros((1, 0))),
        Thresholds(attack_success=0.10, clean_accuracy=0.0),
    )
    found = {
        "step front": (_plane_like(Step, "step"), 0.10),
        "bimodal seeds": (with_best(_plane_like(Bimodal, "bimodal")), 0.10),
        "no region": (with_best(plane(front=-4.9)), 0.10),
        "one category": (with_best(category), 0.10),
        "region of 1 %": (small, 3 * float(small.truth.mean())),
        "six factors": (with_best(six), 0.50),
        "wrong scales": (with_best(_plane_like(Wavy, "wavy")), 0.50),
        "noise times ten": (replace(absolute, noise=10.0), 0.50),
        "20 % failed": (replace(with_best(mixed()), failing=0.2), 0.10),
    }
    return found
