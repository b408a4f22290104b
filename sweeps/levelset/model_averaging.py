"""An alternative model of each metric, weighted by how well it predicts which trainings pass.

A smooth border with normal noise may be the wrong model: the border may jump, or each seed's attack
may either succeed or fail, and both pull the mean away from the median seed. So each metric has an
alternative model, a process of binary outcomes: whether each training was above the threshold. The
two are weighted by how well they predict, from all other trainings, whether a training was above it
(pseudo-BMA with leave-one-out predictions, Yao et al. 2018, Bayesian Analysis 13, 917).

Notation: n rows; values are logits less the threshold, or binary outcomes of +-`OUTCOME_SIZE`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy.special import ndtr

from sweeps.levelset.columns import Floats
from sweeps.levelset.gaussian_process import Data, Hyperparameters, Process, left_out

#: The value of a binary outcome, + or -: of the size that the priors expect.
OUTCOME_SIZE = 1.5
#: No outcome is predicted with a higher probability than this.
SUREST = 0.98
#: The least noise of binary outcomes, as a variance, that follows from it. Without it a jump would
#: be explained as well by length scales so short that no row tells anything of another one.
LEAST_NOISE = 4 * SUREST * (1 - SUREST) * OUTCOME_SIZE**2
#: By how much the variances of a process of binary outcomes are raised. Its noise is one number,
#: while outcomes vary most at the border, where each is like the toss of a coin: the process would
#: be overconfident where few seeds agree by chance. Letting each row's noise follow its predicted
#: outcome does not help, since the prediction has the same error.
BINARY_VARIANCE_INFLATION = 1.75
#: Models below this weight are left out.
LEAST = 0.02
#: By so many nats binary outcomes must predict better to have the same weight: they hold less
#: information about smooth borders.
HANDICAP = 3.0
#: Rows this close to the threshold, in logits, are those at the border. Where seeds differ much
#: they differ more there than elsewhere, since far from it all are clipped to the same value.
NEAR = 1.5
#: Beside the rows that there are, as many count that are exactly as predicted.
FEW = 20
#: Fewer rows than this do not tell models apart.
FEWEST = 30


@dataclass(frozen=True)
class AlternativeModel:
    """One process of a metric. score: the log probability, in nats, of its leave-one-out
    predictions. binary: whether its values are binary outcomes, not logits."""

    process: Process
    score: float
    binary: bool = False


def as_binary_outcomes(data: Data) -> Data:
    """The same rows, with whether each is above the threshold in place of its logit.

    Their mean is above 0 where more than half of the seeds are, whatever the size of the noise.
    """
    values, ones = np.where(data.values >= 0, OUTCOME_SIZE, -OUTCOME_SIZE), np.ones(len(data))
    return replace(data, values=values, known=LEAST_NOISE * ones, shape=ones)


def by_logits(data: Data, hyperparameters: Hyperparameters) -> AlternativeModel:
    """The model of logits with these hyperparameters. data: centred logits."""
    mean, variance = left_out(data, hyperparameters)
    variance = variance + data.known + hyperparameters.learned_noise(data.shape)
    right = ndtr(np.where(data.values >= 0, 1.0, -1.0) * mean / np.sqrt(variance))
    near = np.abs(mean) < NEAR
    inflation = residual_inflation(((data.values - mean) ** 2 / variance)[near])
    process = replace(Process.of(data, hyperparameters), residual_inflation=inflation)
    return AlternativeModel(process, score(right))


def residual_inflation(squares: Floats) -> float:
    """How much larger the errors of predictions are than their variances say, at least 1.

    squares: squared errors of the rows, each predicted from all others, over their variances, (n,).
    Regularised at small n: `FEW` rows as predicted are added.
    """
    return max(1.0, float(squares.sum() + FEW) / (len(squares) + FEW))


def score(right: Floats) -> float:
    """The sum of the logarithms of the probabilities that the rows' outcomes had, (n,). None is
    taken as certain: a single surprise, such as one seed of many that fails, disproves no model."""
    return float(np.log(np.clip(right, 1 - SUREST, SUREST)).sum())


def by_binary_outcomes(data: Data, hyperparameters: Hyperparameters) -> AlternativeModel:
    """The model of binary outcomes. data: of `as_binary_outcomes`."""
    right = 0.5 + 0.5 * np.sign(data.values) * left_out(data, hyperparameters)[0] / OUTCOME_SIZE
    process = replace(Process.of(data, hyperparameters), binary_inflation=BINARY_VARIANCE_INFLATION)
    return AlternativeModel(process, score(right) - HANDICAP, binary=True)


def weights(alternatives: Sequence[AlternativeModel]) -> Floats:
    """The models' weights, (models,): they add up to 1, and those below `LEAST` are 0."""
    scores = np.array([alternative.score for alternative in alternatives])
    found = np.exp(scores - scores.max())
    found[found < LEAST * found.sum()] = 0.0
    return np.asarray(found / found.sum(), dtype=np.float64)
