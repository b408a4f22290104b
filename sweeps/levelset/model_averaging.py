"""A second opinion on each metric, as far as it foretells better which trainings pass.

A smooth front with normal seeds may be the wrong picture: a front may jump, or each seed's attack
may take or fail, either of which pulls the mean away from the median seed. So each metric has a
rival, a process of nothing but on which side of the threshold each training was. The two are
weighed by how well they foretell, from all the other trainings, on which side a training was
(pseudo-BMA, Yao et al. 2018, Bayesian Analysis 13, 917).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy.special import ndtr

from sweeps.levelset.columns import Floats
from sweeps.levelset.gaussian_process import Data, Hyperparameters, Process, left_out

#: What a side of the threshold counts as: values of the size that the priors expect.
OUTCOME_SIZE = 1.5
#: No side is foretold with more certainty than this.
SUREST = 0.98
#: What that makes of a side's noise at least, as a variance: a jump is else as likely under a front
#: so rugged that no row tells of any other one.
LEAST_NOISE = 4 * SUREST * (1 - SUREST) * OUTCOME_SIZE**2
#: By how much the variances of a process of sides are raised. Its noise is one number, while sides
#: differ most at the border, where each is a coin's: a few lucky seeds would vouch for a place. To
#: let each row's noise follow its foretold side does not help, as luck then vouches for itself.
BINARY_VARIANCE_INFLATION = 1.75
#: Rivals below this weight are left out.
LEAST = 0.02
#: By so many nats sides must foretell better to weigh as much: they know less of smooth fronts.
HANDICAP = 3.0
#: Rows this close to the threshold, in logits, are those at the border. Where seeds differ much
#: they differ more there than elsewhere, since far from it all are clipped to the same value.
NEAR = 1.5
#: As many rows as foretold count beside those that there are.
FEW = 20
#: Fewer rows than this do not tell rivals apart.
FEWEST = 30


@dataclass(frozen=True)
class AlternativeModel:
    """One process of a metric. sides: whether its values are sides, not logits."""

    process: Process
    score: float
    sides: bool = False


def as_binary_outcomes(data: Data) -> Data:
    """The same rows, with on which side of the threshold each is in place of its logit.

    Their mean is above 0 where more than half of the seeds are, whatever the size of the noise.
    """
    values, ones = np.where(data.values >= 0, OUTCOME_SIZE, -OUTCOME_SIZE), np.ones(len(data))
    return replace(data, values=values, known=LEAST_NOISE * ones, shape=ones)


def by_logits(data: Data, hyperparameters: Hyperparameters) -> AlternativeModel:
    """The rival with these hyperparameters. data: centred logits."""
    mean, variance = left_out(data, hyperparameters)
    variance = variance + data.known + hyperparameters.learned_noise(data.shape)
    right = ndtr(np.where(data.values >= 0, 1.0, -1.0) * mean / np.sqrt(variance))
    near = np.abs(mean) < NEAR
    off = variance_inflation(((data.values - mean) ** 2 / variance)[near])
    return AlternativeModel(
        replace(Process.of(data, hyperparameters), variance_inflation=off), score(right)
    )


def variance_inflation(squares: Floats) -> float:
    """How much further off rows are than foretold, at least 1. squares: of their distances from
    what all the others foretell, each over its variance, (n,); few rows tell little."""
    return max(1.0, float(squares.sum() + FEW) / (len(squares) + FEW))


def score(right: Floats) -> float:
    """The logarithm of all chances that rows' sides were foretold with, (n,). None is certain: a
    single surprise, such as one seed of many that fails, disproves no model."""
    return float(np.log(np.clip(right, 1 - SUREST, SUREST)).sum())


def by_binary_outcomes(data: Data, hyperparameters: Hyperparameters) -> AlternativeModel:
    """The rival that knows sides only. data: of `as_binary_outcomes`."""
    right = 0.5 + 0.5 * np.sign(data.values) * left_out(data, hyperparameters)[0] / OUTCOME_SIZE
    process = replace(
        Process.of(data, hyperparameters), outcome_inflation=BINARY_VARIANCE_INFLATION
    )
    return AlternativeModel(process, score(right) - HANDICAP, sides=True)


def weights(alternatives: Sequence[AlternativeModel]) -> Floats:
    """Shares that add up to 1, none of them small, (rivals,)."""
    scores = np.array([alternative.score for alternative in alternatives])
    found = np.exp(scores - scores.max())
    found[found < LEAST * found.sum()] = 0.0
    return np.asarray(found / found.sum(), dtype=np.float64)
