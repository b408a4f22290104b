"""Logistic regression to its optimum, by Newton's method with conjugate gradients.

The images are centred and turned to their principal axes once for all weight decays; there the
Hessian is nearly diagonal, and its own diagonal preconditions the conjugate gradients. No matrix
of (inputs x classes) squared is ever formed, so colour images of ten classes fit in memory.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import scipy.linalg
from scipy.special import log_softmax

from backdoor.bank import Bank
from backdoor.engines import (
    Floats,
    Ids,
    Lane,
    OnEpoch,
    lanes_by_training_set,
    positive_decay,
)
from backdoor.engines.linear_models import LinearModels
from backdoor.engines.whole import Pixels
from backdoor.errors import TrainingError

#: Stop when the next step promises less than this share of the objective.
PROMISE = 1e-10
NEWTON_STEPS, CONJUGATE_STEPS, HALVINGS = 200, 2000, 40
#: The intercept of a class without training images, whose best one is minus infinity.
NEVER = -1e9


class LogisticEngine:
    """The optimum of mean cross-entropy and weight decay, in float64."""

    name: ClassVar[str] = "logistic"
    version: ClassVar[int] = 2
    pack_invariant: ClassVar[bool] = True
    max_pack: ClassVar[int] = 16

    def train(
        self, lanes: Sequence[Lane], bank: Bank, classes: int, on_epoch: OnEpoch | None
    ) -> LinearModels:
        models = LinearModels(bank, classes)
        for group in lanes_by_training_set(lanes):
            lane = lanes[group[0]]
            turned = turn(Pixels.of(bank, lane.train).inputs())
            for some in models.blocks(group):
                decays = [positive_decay(lanes[index]) for index in some]
                models.fill(some, [solve(turned, lane.train_labels, classes, d) for d in decays])
        return models


@dataclass(frozen=True)
class Turned:
    """Images on their principal axes: x = mean + scores @ axes.T, axes (inputs, r) orthonormal."""

    scores: Floats
    axes: Floats
    mean: Floats


def turn(x: Floats) -> Turned:
    """x (n, inputs) on its axes of positive variance; the norm of weights is the same there."""
    mean = x.mean(0)
    x = x - mean
    tall = len(x) >= x.shape[1]
    spectrum, vectors = scipy.linalg.eigh(x.T @ x if tall else x @ x.T)
    real = spectrum > spectrum.max() * len(spectrum) * np.finfo(np.float64).eps
    vectors, spread = vectors[:, real], np.sqrt(spectrum[real])
    axes = vectors if tall else x.T @ (vectors / spread)
    return Turned(x @ vectors if tall else vectors * spread, axes, mean)


def solve(turned: Turned, labels: Ids, classes: int, decay: float) -> tuple[Floats, Floats]:
    """Coefficients (inputs, classes) and intercepts (classes,) of the optimum."""
    known, numbered = np.unique(labels, return_inverse=True)
    # Two classes share one weight vector w: as -w/2 and w/2, whose squares sum to |w|^2 / 2.
    decay = 2 * decay if len(known) == 2 else decay
    weights = _minimise(_Objective(turned.scores, numbered, len(known), decay))
    coefficients = np.zeros((len(turned.mean), classes))
    coefficients[:, known] = turned.axes @ weights[:-1]
    intercepts = np.full(classes, NEVER)
    intercepts[known] = weights[-1] - turned.mean @ coefficients[:, known]
    return coefficients, intercepts


class _Objective:
    """Mean cross-entropy + decay/2 |w|^2 of weights (r + 1, k), the last row the intercepts."""

    def __init__(self, scores: Floats, labels: Ids, classes: int, decay: float) -> None:
        self.scores, self.labels, self.decay = scores, labels, decay
        self.shape = scores.shape[1] + 1, classes
        self.hot = np.eye(classes)[labels]

    def value(self, weights: Floats) -> float:
        return self._value(weights, self._log_p(weights))

    def at(self, weights: Floats) -> tuple[float, Floats, Floats]:
        """Value, gradient (r + 1, k) and probabilities (n, k)."""
        log_p = self._log_p(weights)
        p: Floats = np.exp(log_p)
        return self._value(weights, log_p), self._back(p - self.hot, weights), p

    def curve(self, p: Floats, v: Floats) -> Floats:
        """The Hessian, where the probabilities are p, times v (r + 1, k)."""
        moved = p * (self.scores @ v[:-1] + v[-1])
        return self._back(moved - p * moved.sum(1, keepdims=True), v)

    def diagonal(self, p: Floats) -> Floats:
        """Of the Hessian, (r + 1, k), kept above 0."""
        spread = p * (1 - p)
        weights = np.square(self.scores).T @ spread / len(p) + self.decay
        return np.vstack([weights, np.maximum(spread.mean(0), 1e-12)])

    def _log_p(self, weights: Floats) -> Floats:
        logits = self.scores @ weights[:-1] + weights[-1]
        result: Floats = log_softmax(logits, axis=1)
        return result

    def _value(self, weights: Floats, log_p: Floats) -> float:
        chosen = log_p[np.arange(len(log_p)), self.labels]
        return float(self.decay / 2 * np.square(weights[:-1]).sum() - chosen.mean())

    def _back(self, by_logit: Floats, weights: Floats) -> Floats:
        inner = self.scores.T @ by_logit / len(by_logit) + self.decay * weights[:-1]
        return np.vstack([inner, by_logit.mean(0)])


def _minimise(objective: _Objective) -> Floats:
    """The minimum, from zero: where it starts must not depend on the rest of a pack."""
    weights = np.zeros(objective.shape)
    first = 0.0
    for _ in range(NEWTON_STEPS):
        value, gradient, p = objective.at(weights)
        size = float(np.linalg.norm(gradient))
        first = first or size
        step = _newton_step(objective, p, gradient, min(0.1, size / (first or 1.0)))
        slope = float((gradient * step).sum())
        if -slope <= PROMISE * value:
            return weights
        weights = weights + _length(objective, weights, value, step, slope) * step
    raise TrainingError(f"logistic regression did not converge in {NEWTON_STEPS} Newton steps")


def _newton_step(objective: _Objective, p: Floats, gradient: Floats, accuracy: float) -> Floats:
    """-H^-1 gradient by conjugate gradients, to a relative residual of `accuracy`."""
    inverse = 1 / objective.diagonal(p)
    step, residual = np.zeros_like(gradient), -gradient
    scaled = inverse * residual
    direction, norm = scaled, float((residual * scaled).sum())
    enough = norm * accuracy**2
    for _ in range(CONJUGATE_STEPS):
        if norm <= enough:
            break
        curved = objective.curve(p, direction)
        length = norm / float((direction * curved).sum())
        step, residual = step + length * direction, residual - length * curved
        scaled = inverse * residual
        before, norm = norm, float((residual * scaled).sum())
        direction = scaled + norm / before * direction
    return step


def _length(
    objective: _Objective, weights: Floats, value: float, step: Floats, slope: float
) -> float:
    """Halves the step until the objective falls as it should, up to rounding."""
    length = 1.0
    for _ in range(HALVINGS):
        bound = value + 1e-4 * length * slope + 1e-14 * abs(value)
        if objective.value(weights + length * step) <= bound:
            break
        length /= 2
    return length
