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
MAX_PROBABILITY = 0.98
#: The least noise of binary outcomes, as a variance, that follows from it. Without it, very
#: short length scales would explain a jump equally well, and rows would not inform each other.
LEAST_NOISE = 4 * MAX_PROBABILITY * (1 - MAX_PROBABILITY) * OUTCOME_SIZE**2
#: By how much the variances of a process of binary outcomes are raised. Its noise is one number,
#: while outcomes vary most at the border, where each is like the toss of a coin: the process would
#: be overconfident where few seeds agree by chance. Letting each row's noise follow its predicted
#: outcome does not help, since the prediction has the same error.
BINARY_VARIANCE_INFLATION = 1.75
#: Models below this weight are left out.
MIN_WEIGHT = 0.02
#: Nats by which the binary model must predict better to get equal weight: its outcomes hold less
#: information about smooth borders.
HANDICAP = 3.0
#: Rows this close to the threshold, in logits, are those at the border. Where seeds differ much
#: they differ more there than elsewhere, since far from it all are clipped to the same value.
NEAR = 1.5
#: Pseudo-rows, exactly as predicted, that are added to the real ones.
PRIOR_ROWS = 20
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


def logit_model(data: Data, hyperparameters: Hyperparameters) -> AlternativeModel:
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
    Regularised at small n: `PRIOR_ROWS` rows as predicted are added.
    """
    return max(1.0, float(squares.sum() + PRIOR_ROWS) / (len(squares) + PRIOR_ROWS))


def score(right: Floats) -> float:
    """The sum of the logarithms of the probabilities that the rows' outcomes had, (n,).

    Probabilities are clipped, so that one surprise, such as one seed of many that fails, does not
    rule out a model."""
    return float(np.log(np.clip(right, 1 - MAX_PROBABILITY, MAX_PROBABILITY)).sum())


def binary_model(data: Data, hyperparameters: Hyperparameters) -> AlternativeModel:
    """The model of binary outcomes. data: of `as_binary_outcomes`."""
    right = 0.5 + 0.5 * np.sign(data.values) * left_out(data, hyperparameters)[0] / OUTCOME_SIZE
    process = replace(Process.of(data, hyperparameters), binary_inflation=BINARY_VARIANCE_INFLATION)
    return AlternativeModel(process, score(right) - HANDICAP, binary=True)


def weights(alternatives: Sequence[AlternativeModel]) -> Floats:
    """The models' weights, (models,): they add up to 1, and those below `MIN_WEIGHT` are 0."""
    scores = np.array([alternative.score for alternative in alternatives])
    found = np.exp(scores - scores.max())
    found[found < MIN_WEIGHT * found.sum()] = 0.0
    return np.asarray(found / found.sum(), dtype=np.float64)
