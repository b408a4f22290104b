"""The model of both metrics: their posteriors, the thresholds, and margins at points.

Notation: n points of d columns, w attacks of the panel, k coordinates of a posterior. Counts are of
images; values, margins and centres are logits; noises and spreads are variances of logits. Where a
pair has one entry for each metric, clean accuracy is the first.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace

import numpy as np
from scipy.special import expit

from sweeps.levelset.best_threshold import AccuracyThreshold
from sweeps.levelset.columns import Bools, Columns, Floats, Ints
from sweeps.levelset.gaussian_process import MEAN_VARIANCE, Hyperparameters, Posterior, Process
from sweeps.levelset.kernel import matern
from sweeps.records.thresholds import MEDIAN, Thresholds

#: Logits further than this from the threshold say no more than that they are far.
CLIP = 5.0


@dataclass(frozen=True)
class Panel:
    """The attacks, as points of a space of their own: (attacks, columns)."""

    columns: Columns
    points: Floats

    def __len__(self) -> int:
        return len(self.points)

    def join(self, points: Floats, attacks: Ints) -> Floats:
        """Rows of defence columns followed by the columns of the given attack."""
        return np.concatenate([points, self.points[attacks]], axis=1)


@dataclass(frozen=True)
class Trials:
    """Trainings: points (n, d), attacks as numbers on the panel (n,), and counts (n,): `correct` of
    `images`, `success` of `triggered`. Images are 0 where a metric is not known.
    broken: whether the model collapsed or diverged, (n,); None where none has."""

    points: Floats
    attacks: Ints
    correct: Floats
    images: Floats
    success: Floats
    triggered: Floats
    broken: Bools | None = None

    def __len__(self) -> int:
        return len(self.attacks)

    @property
    def unbroken(self) -> Trials:
        """Those whose model neither collapsed nor diverged."""
        return self if self.broken is None else self.having(np.where(self.broken, 0.0, 1.0))

    def having(self, totals: Floats) -> Trials:
        """Those with a total, (n,), above 0."""
        if (totals > 0).all():
            return self
        columns = {part.name: getattr(self, part.name) for part in fields(self)}
        kept = {name: own[totals > 0] for name, own in columns.items() if own is not None}
        return Trials(**kept)


@dataclass(frozen=True)
class Margins:
    """How far inside each metric is at n points, in logits; above 0 is inside.

    clean: mean and variance, (n,) each. attack: means (n, w) and covariances (n, w, w).
    """

    clean: tuple[Floats, Floats]
    attack: tuple[Floats, Floats]


@dataclass(frozen=True)
class Model:
    """Both posteriors. centre: the logits around which they are centred; accuracy_threshold: the
    clean accuracy asked for; noise: how far one seed's measured logit lies from the median seed's
    at the two thresholds, as variances; others: alternative models and their weights, this one
    having what is left of 1."""

    thresholds: Thresholds
    panel: Panel
    clean: Process
    attack: Process
    centre: tuple[float, float]
    accuracy_threshold: AccuracyThreshold
    noise: tuple[float, float] = (0.0, 0.0)
    others: tuple[tuple[float, Model], ...] = ()

    @property
    def likeliest(self) -> Model:
        """The model of the largest weight, alone. Where a share of seeds is asked for it is this
        one: binary outcomes do not tell how much seeds differ."""
        if self.thresholds.target != MEDIAN:
            return replace(self, others=())
        own = 1 - sum(weight for weight, _ in self.others)
        ranked = sorted([(own, replace(self, others=())), *self.others], key=lambda pair: pair[0])
        return ranked[-1][1]

    def margins(self, points: Floats) -> Margins:
        return Margins(self.clean_margin(self.clean.at(points)), self.attack_margins(points))

    def attack_margins(self, points: Floats) -> tuple[Floats, Floats]:
        """How far attacks are from succeeding at n points, as in `Margins`."""
        count, width = len(points), len(self.panel)
        attack = self.attack.at(self.crossed(points))
        # All lengths are given: of no points, numpy could not tell a missing one.
        half = attack.half.reshape(len(attack.half), count, width)
        where = attack.where.reshape(count, width, attack.where.shape[1])
        prior = prior_blocks(attack.hyperparameters, where)
        covariance = prior - np.einsum("knv,knw->nvw", half, half, optimize=True)
        return -attack.mean.reshape(count, width), self.attack.variance_inflation * covariance

    def clean_margin(self, clean: Posterior) -> tuple[Floats, Floats]:
        """Mean and variance of accuracy minus the threshold, both as logits."""
        threshold = self.accuracy_threshold
        covariance = threshold.covariance(self.clean, clean)
        left = clean.variance() + threshold.variance - 2 * covariance
        variance = self.clean.variance_inflation * np.maximum(left, 1e-9)
        return clean.mean - threshold.mean, variance

    def crossed(self, points: Floats) -> Floats:
        """Every point with every attack, (n w, columns), attacks running fastest."""
        width = len(self.panel)
        return self.panel.join(
            np.repeat(points, width, axis=0), np.tile(np.arange(width), len(points))
        )

    def pending(self, points: Floats, attacks: Ints) -> Model:
        """With trials that are running, at points (n, d) under attacks (n,)."""
        crossed = self.panel.join(points, attacks)
        clean, attack = self.clean.at(points), self.attack.at(crossed)
        return replace(
            self,
            clean=self.clean.pending(points, self.seed_noise(clean, 0)),
            attack=self.attack.pending(crossed, self.seed_noise(attack, 1)),
        )

    def seed_noise(self, posterior: Posterior, which: int) -> Floats:
        """Noise variances of new trials at points of the clean (0) or the attack (1) process."""
        return posterior.hyperparameters.learned_noise(
            spread_shape(posterior.mean, self.centre[which])
        )


def prior_blocks(hyperparameters: Hyperparameters, where: Floats) -> Floats:
    """Prior covariances between the attacks at each point: (n, w, f) to (n, w, w)."""
    differences = where[:, :, None, :] - where[:, None, :, :]
    squared = np.einsum("nvwf,nvwf->nvw", differences, differences)
    return hyperparameters.variance * matern(squared) + MEAN_VARIANCE


def spread_shape(mean: Floats, centre: float) -> Floats:
    """4 p (1 - p) of rates whose logits are `centre` + `mean`: 1 at one half, 0 at the ends."""
    rate = expit(np.clip(mean, -CLIP, CLIP) + centre)
    return np.asarray(4 * rate * (1 - rate), dtype=np.float64)
