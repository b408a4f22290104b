"""Plain values in place of counts: any number of noisy metrics, each with a threshold.

A value enters as its margin, how far it is on the right side of its threshold, divided by the
spread of all margins and clipped, so that the sign of the mean says on which side the metric is
without its noise. The noise is Gaussian, of one learned variance; metrics are independent.

Notation: n points, d columns; margins are in units of the metric, scaled ones without unit.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy.special import ndtr

from sweeps.levelset.acquisition import (
    OutputState,
    ReferenceSet,
    acquisition_weights,
    pick_greedily,
    reference_set_at,
)
from sweeps.levelset.columns import Columns, Floats
from sweeps.levelset.gaussian_process import Data, Hyperparameters, Prior, Process, fit
from sweeps.levelset.model import CLIP

#: The spread that margins are brought to: what the prior of the process expects.
SPREAD = 1.5
#: As for logits, but the noise may be much smaller: an objective may be nearly exact.
PRIOR = replace(Prior(), noise=(float(np.log(0.05)), 1.5))


@dataclass(frozen=True)
class Readings:
    """One metric: points (n, d), and margins (n,), at or above 0 where the threshold holds."""

    points: Floats
    margins: Floats


def scaled(margins: Floats) -> Floats:
    """Margins of about the deviation `SPREAD`, clipped; their signs are what they were.

    The spread is a robust one, but never far below the standard deviation: where most margins are
    equal, the robust one is 0.
    """
    known = margins[np.isfinite(margins)]
    if not len(known):
        return np.asarray(np.clip(margins, -CLIP, CLIP))
    middle = 1.4826 * np.median(np.abs(known - np.median(known)))
    spread = max(middle, known.std() / 3) or np.abs(known).max() or 1.0
    return np.asarray(np.clip(SPREAD * margins / spread, -CLIP, CLIP))


@dataclass(frozen=True)
class PlainModel:
    """The posterior of each metric."""

    processes: tuple[Process, ...]

    def probability(self, points: Floats) -> Floats:
        """P(all thresholds hold) at (n, d) points, (n,)."""
        return np.asarray(np.prod([ndtr(z) for z in self._standard(points)], axis=0))

    def _standard(self, points: Floats) -> list[Floats]:
        """Margins of each metric in standard deviations, (n,)."""
        posteriors = [process.at(points) for process in self.processes]
        return [posterior.mean / np.sqrt(posterior.variance()) for posterior in posteriors]

    def pending(self, points: Floats) -> PlainModel:
        """With trials that are running at (n, d) points."""
        noises = [
            process.hyperparameters.learned_noise(np.zeros(len(points)))
            for process in self.processes
        ]
        pairs = zip(self.processes, noises, strict=True)
        return PlainModel(tuple(process.pending(points, noise) for process, noise in pairs))

    def reference_set(self, points: Floats, shares: Floats) -> list[ReferenceSet]:
        """References for each metric. shares: of the space that each point stands for, (n,)."""
        standard = self._standard(points)
        joint = np.prod([ndtr(z) for z in standard], axis=0)
        pairs = zip(self.processes, standard, strict=True)
        return [
            reference_set_at(p.at, points, shares * acquisition_weights(z, joint)) for p, z in pairs
        ]

    def choose(self, references: Sequence[ReferenceSet], points: Floats) -> int:
        """Which of the candidates to try next."""
        outputs = [
            OutputState(
                reference,
                process.at(points),
                process.hyperparameters.learned_noise(np.zeros(len(points))),
            )
            for reference, process in zip(references, self.processes, strict=True)
        ]
        return pick_greedily(outputs, 1, np.ones(len(points), dtype=bool), np.ones(len(points)))[0]


def fit_plain(
    columns: Columns,
    metrics: Sequence[Readings],
    rng: np.random.Generator,
    start: Sequence[Hyperparameters] | None = None,
    refit: bool = True,
) -> PlainModel:
    """A model of these metrics, at least one.

    start: hyperparameters of an earlier model of the same metrics. refit: whether to fit them again
    from there; without a start they always are.
    """
    processes = []
    for index, readings in enumerate(metrics):
        nothing = np.zeros(len(readings.margins))
        data = Data(columns, readings.points, scaled(readings.margins), nothing, nothing)
        before = None if start is None else start[index]
        hyperparameters = fit(data, PRIOR, before, rng) if refit or before is None else before
        processes.append(Process.of(data, hyperparameters))
    return PlainModel(tuple(processes))
