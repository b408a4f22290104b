"""Convex learners as functions of the weights of their training images. Pure: arrays only.

Each learner minimises, over weights w and free intercepts,

    J(w, s) = (1/n) sum_i s_i loss(x_i, y_i) + (decay/2) ||w||^2,    n fixed, s_i >= 0,

which at s = 1 is what the engine of its architecture minimises. The influence function follows
(Cook and Weisberg 1982; Koh and Liang 2017, arXiv 1703.04730): the derivative of the optimum by the
weight of one image is dw/ds_j = -H^-1 grad loss_j / n, H being the Hessian of J itself, so that of
a test loss L is dL/ds_j = -(1/n) grad L . H^-1 grad loss_j. For support vector machines, whose loss
has a kink, see `backdoor.probes.kernel_machines`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import numpy.typing as npt
import scipy.linalg
from scipy.special import expit, log_softmax, softmax

from backdoor.engines.linear_models import columns_of, targets
from backdoor.errors import TrainingError

Floats = npt.NDArray[np.float64]
Ids = npt.NDArray[np.int64]

#: Newton's method ends when the decrease predicted for a step is below this share of the objective.
#: That step is still taken; it makes the error quadratically smaller.
TOLERANCE, STEPS, HALVINGS = 1e-16, 100, 40
#: The most parameters of a softmax regression, whose Hessian is one matrix (512 MiB).
MOST_PARAMETERS = 8192


@dataclass(frozen=True)
class Learner(ABC):
    """n training images with labels, and how a model is fitted to them.

    A model is `theta` (d, c): an image with features (d,), the last of which is 1 for the
    intercept, has the scores features @ theta, (c,).

    features: (n, d) of the training images. labels: (n,). decay: above 0.
    """

    features: Floats
    labels: Ids
    classes: int
    decay: float

    #: The loss of one image, in words.
    loss: ClassVar[str] = ""

    @abstractmethod
    def fit(self, weights: Floats, start: Floats | None = None) -> Floats:
        """The optimum theta (d, c) for image weights (n,); start: a theta to start from."""

    @abstractmethod
    def losses(self, scores: Floats, labels: Ids) -> Floats:
        """Loss of each image, (m,), from scores (m, c) and labels (m,)."""

    @abstractmethod
    def score_gradients(self, scores: Floats, labels: Ids) -> Floats:
        """Derivatives of the loss of each image by its scores, (m, c)."""

    @abstractmethod
    def answers(self, scores: Floats) -> Ids:
        """Predicted classes, (m,), as the trained model predicts them."""

    @abstractmethod
    def shares(self, theta: Floats, weights: Floats, gradients: Floats) -> Floats:
        """Derivatives of q quantities by the weight of each image, (q, n), at the optimum `theta`
        for `weights`. gradients: those of the quantities by theta, (q, d, c). NaN if no
        derivative exists."""

    @abstractmethod
    def product(self, one: Floats, other: Floats) -> float:
        """Inner product of the weights of two models in feature space, without intercepts."""


class LinearLearner(Learner):
    """A linear model on the inputs, with a smooth loss."""

    @property
    def penalty(self) -> Floats:
        """Second derivative of the decay by the parameters of a column, (d,); 0 for intercepts."""
        return np.append(np.full(self.features.shape[1] - 1, self.decay), 0.0)

    def answers(self, scores: Floats) -> Ids:
        two = scores.shape[1] == 1
        found: Ids = (scores[:, 0] > 0).astype(np.int64) if two else scores.argmax(1)
        return found

    def shares(self, theta: Floats, weights: Floats, gradients: Floats) -> Floats:
        solved = self.solve(theta, weights, gradients)
        by_score = self.score_gradients(self.features @ theta, self.labels)
        total = np.zeros((len(gradients), len(self.features)))
        for column in range(by_score.shape[1]):
            total -= solved[:, :, column] @ self.features.T * by_score[:, column]
        return total / len(self.features)

    @abstractmethod
    def solve(self, theta: Floats, weights: Floats, gradients: Floats) -> Floats:
        """H^-1 gradients, (q, d, c), H for these image weights at theta."""

    def product(self, one: Floats, other: Floats) -> float:
        return float((one[:-1] * other[:-1]).sum())


class RidgeLearner(LinearLearner):
    """One column a class, or one column for two classes; columns are independent problems."""

    loss: ClassVar[str] = "squared error (y - f)^2, y = +1 or -1, summed over columns"

    def fit(self, weights: Floats, start: Floats | None = None) -> Floats:
        weighted = weights[:, None] * self._targets(self.labels)
        right = 2 / len(self.features) * self.features.T @ weighted
        return self._inverse_times(weights, right)

    def losses(self, scores: Floats, labels: Ids) -> Floats:
        result: Floats = np.square(self._targets(labels) - scores).sum(1)
        return result

    def score_gradients(self, scores: Floats, labels: Ids) -> Floats:
        return 2 * (scores - self._targets(labels))

    def solve(self, theta: Floats, weights: Floats, gradients: Floats) -> Floats:
        q, d, c = gradients.shape
        flat = gradients.transpose(1, 0, 2).reshape(d, q * c)
        return self._inverse_times(weights, flat).reshape(d, q, c).transpose(1, 0, 2)

    def _targets(self, labels: Ids) -> Floats:
        return targets(labels, columns_of(self.classes))

    def _inverse_times(self, weights: Floats, right: Floats) -> Floats:
        matrix = _weighted_moments(self.features, 2.0 * weights) + np.diag(self.penalty)
        return _solve(matrix, right)


class LogisticLearner(LinearLearner):
    """One weight vector for two classes; for more, softmax regression with one a class."""

    loss: ClassVar[str] = "cross-entropy, natural logarithm"

    def fit(self, weights: Floats, start: Floats | None = None) -> Floats:
        """Newton's method with exact steps, halved if they go too far."""
        missing = set(range(self.classes)) - set(self.labels[weights > 0].tolist())
        if missing:
            text = f"no training images of class {min(missing)}: its best intercept is infinite"
            raise TrainingError(text)
        shape = self.features.shape[1], columns_of(self.classes)
        theta = np.zeros(shape) if start is None else start
        for _ in range(STEPS):
            gradient = self._gradient(theta, weights)
            step = self.solve(theta, weights, gradient[None])[0]
            decrease = float((gradient * step).sum())
            if decrease <= TOLERANCE * self._value(theta, weights):
                result: Floats = theta - step
                return result
            theta = theta - self._length(theta, step, weights, decrease) * step
        raise TrainingError(f"logistic regression did not converge in {STEPS} Newton steps")

    def losses(self, scores: Floats, labels: Ids) -> Floats:
        if scores.shape[1] == 1:
            signs = targets(labels, 1)[:, 0]
            two: Floats = np.logaddexp(0, -signs * scores[:, 0])
            return two
        result: Floats = -log_softmax(scores, axis=1)[np.arange(len(labels)), labels]
        return result

    def score_gradients(self, scores: Floats, labels: Ids) -> Floats:
        return self._probabilities(scores) - (targets(labels, scores.shape[1]) + 1) / 2

    def solve(self, theta: Floats, weights: Floats, gradients: Floats) -> Floats:
        q, d, c = gradients.shape
        flat = gradients.transpose(2, 1, 0).reshape(c * d, q)
        solved = _solve(self._hessian(theta, weights), flat)
        return solved.reshape(c, d, q).transpose(2, 1, 0)

    def _probabilities(self, scores: Floats) -> Floats:
        result: Floats = expit(scores) if scores.shape[1] == 1 else softmax(scores, axis=1)
        return result

    def _value(self, theta: Floats, weights: Floats) -> float:
        fit = weights @ self.losses(self.features @ theta, self.labels) / len(weights)
        decayed = (self.penalty[:, None] * np.square(theta)).sum() / 2
        return float(fit + decayed + self._shift * theta[-1].sum() ** 2 / 2)

    def _gradient(self, theta: Floats, weights: Floats) -> Floats:
        by_score = self.score_gradients(self.features @ theta, self.labels) * weights[:, None]
        found: Floats = self.features.T @ by_score / len(weights) + self.penalty[:, None] * theta
        found[-1] += self._shift * theta[-1].sum()
        return found

    def _hessian(self, theta: Floats, weights: Floats) -> Floats:
        """(c d, c d); the parameters are ordered column by column."""
        d, c = theta.shape
        if c * d > MOST_PARAMETERS:
            rule = f"a softmax regression of {c * d} parameters: this probe solves for at most "
            raise TrainingError(f"{rule}{MOST_PARAMETERS}. Use fewer classes, or ridge")
        p = self._probabilities(self.features @ theta)
        blocks = np.zeros((c, d, c, d))
        for a in range(c):
            for b in range(a, c):
                curvature = weights * p[:, a] * ((a == b) - p[:, b])
                blocks[a, :, b] = _weighted_moments(self.features, curvature)
                blocks[b, :, a] = blocks[a, :, b]
            blocks[a, :, a] += np.diag(self.penalty)
        blocks[:, -1, :, -1] += self._shift
        return blocks.reshape(c * d, c * d)

    @property
    def _shift(self) -> float:
        """Factor of (shift/2) (sum of intercepts)^2, which is 0 at the optimum, since softmax does
        not depend on the sum. Without it the Hessian is singular. A single intercept needs none."""
        return 0.0 if columns_of(self.classes) == 1 else 1.0

    def _length(self, theta: Floats, step: Floats, weights: Floats, decrease: float) -> float:
        """The length of a step: 1, or halved until the objective decreases enough."""
        value, length = self._value(theta, weights), 1.0
        for _ in range(HALVINGS):
            after = self._value(theta - length * step, weights)
            if after <= value - 1e-4 * length * decrease + 1e-15 * abs(value):
                break
            length /= 2
        return length


def _weighted_moments(features: Floats, weights: Floats) -> Floats:
    """(1/n) sum over images of weight times the outer product of their features, (d, d)."""
    result: Floats = features.T @ (features * weights[:, None]) / len(features)
    return result


def _solve(matrix: Floats, right: Floats) -> Floats:
    """matrix^-1 right, of a positive definite matrix."""
    try:
        result: Floats = scipy.linalg.solve(matrix, right, assume_a="pos")
    except np.linalg.LinAlgError:
        text = "the Hessian cannot be inverted in float64: the weight decay is too small"
        raise TrainingError(text) from None
    return result
