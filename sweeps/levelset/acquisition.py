"""Which trials next: stepwise uncertainty reduction of the joint set, in batches.

A trial at (x, w) shrinks the variance of clean accuracy around x and of attack success around
(x, w). Its gain at a reference point is the fraction of variance removed, weighted by how undecided
that metric is there and how likely all the others pass: the border of one metric does not matter
where another fails (after Chevalier et al. 2014 and Fossum et al. 2021). A batch is picked
greedily; picked and running trials reduce variances but not means.

Notation: x a defence point, w an attack; n points with shares of the space, m references, c
candidates, k points that may have the best accuracy. Values and margins are logits.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy.special import ndtr, ndtri

from sweeps.levelset.columns import Bools, Floats, Ints
from sweeps.levelset.gaussian_process import Posterior
from sweeps.levelset.membership import joint_probability
from sweeps.levelset.model import Model

Cost = Callable[[Floats, Ints], Floats]


@dataclass(frozen=True)
class ReferenceSet:
    """Where knowing one metric helps: posteriors at m references, their weights (m,), and the
    variances there (m,).

    best: where the threshold depends on the best accuracy, posteriors at k points that may have it,
    and by how much the threshold rises with each of them, (k,). The references are then margins:
    accuracies less the threshold.
    """

    posterior: Posterior
    weight: Floats
    variance: Floats
    best: tuple[Posterior, Floats] | None = None

    def covariance(self, candidates: Posterior) -> Floats:
        """Posterior covariances of the references with candidates, (m, c)."""
        found = self.posterior.covariance(candidates)
        if self.best is None:
            return found
        best, slopes = self.best
        return found - np.asarray(slopes @ best.covariance(candidates), dtype=np.float64)


def reference_set(
    model: Model, points: Floats, shares: Floats, most: int = 700
) -> tuple[ReferenceSet, ReferenceSet]:
    """References for both metrics. shares: what share of the space each point stands for, (n,)."""
    margins = model.margins(points)
    mean, variance = margins.clean
    attack, covariance = margins.attack
    deviation = np.sqrt(np.maximum(np.diagonal(covariance, axis1=1, axis2=2), 1e-9))
    joint = joint_probability(margins)
    shift = ndtri(model.thresholds.seed_share) * np.sqrt(model.noise)
    clean_weights = shares * acquisition_weights((mean - shift[0]) / np.sqrt(variance), joint)
    attack_weights = shares[:, None] * acquisition_weights(
        (attack - shift[1]) / deviation, joint[:, None]
    )
    return (
        _as_margins(reference_set_at(model.clean.at, points, clean_weights, most), model),
        reference_set_at(model.attack.at, model.crossed(points), attack_weights.ravel(), most),
    )


def acquisition_weights(standard: Floats, joint: Floats) -> Floats:
    """By how much E[P(inside)^2] rises per fraction of variance that is removed, to first order.

    That is the fall of the expected P (1 - P), a point's chance of being misjudged: the squared
    density of the metric at its threshold, times the squared probability that all others pass
    given that it does. standard: the metric's margins in standard deviations.
    """
    passing = np.maximum(ndtr(standard), 1e-12)
    return np.asarray(np.exp(-(standard**2)) * np.minimum(joint / passing, 1.0) ** 2)


def reference_set_at(
    at: Callable[[Floats], Posterior], points: Floats, weight: Floats, most: int = 700
) -> ReferenceSet:
    """The `most` points of the largest weight, as references of one process."""
    chosen = np.argsort(-weight)[:most]
    posterior = at(points[chosen])
    return ReferenceSet(posterior, weight[chosen], posterior.variance())


def _as_margins(clean: ReferenceSet, model: Model) -> ReferenceSet:
    """The references' margins: a trial near the best point also tells where the threshold is."""
    if model.accuracy_threshold.best is None:
        return clean
    points, slopes = model.accuracy_threshold.best
    best = model.clean.at(points), slopes
    return replace(clean, variance=model.clean_margin(clean.posterior)[1], best=best)


@dataclass
class OutputState:
    """One metric's references against all candidates; its variances shrink as trials are picked.

    noise: variance of one new trial's noise at each candidate, (c,).
    """

    reference_set: ReferenceSet
    candidates: Posterior
    noise: Floats

    def __post_init__(self) -> None:
        self.between = self.reference_set.covariance(self.candidates)
        self.variance = self.candidates.variance()
        self.picked: list[Floats] = []

    def gain(self) -> Floats:
        """What each candidate would remove, (c,)."""
        weight = self.reference_set.weight / self.reference_set.variance
        return (weight @ self.between**2) / (self.variance + self.noise)

    def pick(self, index: int) -> None:
        """Conditions on a candidate's value, whatever it will be."""
        one = self.candidates.take(np.array([index]))
        among = one.covariance(self.candidates)[0]
        for before in self.picked:
            among -= before[index] * before
        scale = np.sqrt(max(among[index], 1e-9) + self.noise[index])
        column = self.between[:, index] / scale
        direction = among / scale
        self.picked.append(direction)
        self.between -= np.outer(column, direction)
        self.variance = np.maximum(self.variance - direction**2, 1e-9)


def choose(
    model: Model,
    references: tuple[ReferenceSet, ReferenceSet],
    points: Floats,
    attacks: Ints,
    count: int,
    cost: Floats | None = None,
    available: Bools | None = None,
) -> list[int]:
    """Which of the candidate trials (points (c, d), attacks (c,)) to run next, the best first."""
    posteriors = (model.clean.at(points), model.attack.at(model.panel.join(points, attacks)))
    outputs = [
        OutputState(reference, posterior, model.seed_noise(posterior, which))
        for which, (reference, posterior) in enumerate(zip(references, posteriors, strict=True))
    ]
    available = np.ones(len(points), dtype=bool) if available is None else available.copy()
    price = np.ones(len(points)) if cost is None else cost
    return pick_greedily(outputs, count, available, price)


def pick_greedily(
    outputs: Sequence[OutputState], count: int, available: Bools, price: Floats
) -> list[int]:
    """The candidates of the largest gain for their price, each chosen given those before it.

    outputs: one for each metric; conditioned on what is picked. available: which candidates may
    be chosen, (c,); cleared where they are.
    """
    chosen: list[int] = []
    while len(chosen) < count and available.any():
        value = np.sum([output.gain() for output in outputs], axis=0) / price
        best = int(np.argmax(np.where(available, value, -np.inf)))
        chosen.append(best)
        available[best] = False
        for output in outputs:
            output.pick(best)
    return chosen
