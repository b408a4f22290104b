"""Influence of training samples in the network of a poisoned trial, and the slope of its curve.

The network is trained again with poisoned samples of weight beta (`weighted`). Derivatives are
computed at the end of that training, in float64, without augmentation; for their limits there see
`hessian`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from backdoor.engines import Ids
from backdoor.probes.base import ProbedModel
from backdoor.probes.hessian import (
    LossInfluence,
    Objective,
    Tensor,
    conjugate_gradients,
    loss_influence,
    theta_of,
)
from backdoor.probes.weighted import attacker_positions, batches_of, network_curve, train_weighted

NOT_POSITIVE = "the damped Hessian is not positive: no derivative is given; raise the damping"


@dataclass(frozen=True)
class _Sums:
    """The parts of the objective of one trained network: sums over clean, poisoned and all samples,
    each divided by the number of all samples. The decay is in the clean part."""

    clean: Objective
    poisoned: Objective
    every: Objective
    module: nn.Module
    model: ProbedModel

    @staticmethod
    def of(model: ProbedModel, beta: float) -> _Sums:
        member, module = model.member, train_weighted(model, beta).double()
        n, decay = len(member.train), member.config.defence.weight_decay
        poisoned = attacker_positions(member)
        clean = np.delete(np.arange(n), poisoned)

        def over(places: Ids, decay: float) -> Objective:
            rows, labels = member.train[places], member.train_labels[places]
            return Objective(module, batches_of(model, rows, labels, torch.float64), n, decay)

        every = over(np.arange(n), 0.0)
        return _Sums(over(clean, decay), over(poisoned, 0.0), every, module, model)

    def test(self, images: slice) -> Objective:
        """The mean loss of some triggered test images with their target labels."""
        (triggered,) = self.model.member.triggered
        rows, labels = triggered.rows[images], triggered.target_labels[images]
        batches = batches_of(self.model, rows, labels, torch.float64)
        return Objective(self.module, batches, len(rows))


def network_influence(
    model: ProbedModel, damping: float, tolerance: float = 1e-6, most: int = 200
) -> LossInfluence:
    """dL/db at b = 0 of the mean loss L of the triggered test images; `shares` in the order of
    `attacker_positions`."""
    sums = _Sums.of(model, 0.0)
    whole = sums.test(slice(None))
    return loss_influence(sums.clean, sums.poisoned, whole, damping, tolerance, most)


def network_slope(model: ProbedModel, damping: float) -> dict[str, float | int | str]:
    """One row of the probe `slope`: by the influence function at 0, and the secant over [0, 1].

    derivative, theta; per_pair, theta_per_pair: divided by the number of poisoned samples; secant,
    theta_secant; damping, iterations and residual of the solution; note: why figures are NaN.
    """
    found, (low, high) = network_influence(model, damping), network_curve(model, [0.0, 1.0])
    secant, count = high.backdoor_loss - low.backdoor_loss, len(found.shares)
    return {
        "derivative": found.derivative,
        "theta": found.theta,
        "per_pair": found.derivative / count,
        "theta_per_pair": theta_of(found.derivative / count),
        "secant": secant,
        "theta_secant": theta_of(secant),
        "damping": damping,
        "iterations": found.solved.iterations,
        "residual": found.solved.residual,
        "note": "" if found.solved.solved else NOT_POSITIVE,
    }


def network_influences(
    model: ProbedModel,
    damping: float,
    images: int,
    beta: float = 0.0,
    tolerance: float = 1e-6,
    most: int = 200,
) -> npt.NDArray[np.float64]:
    """Derivatives of the losses of the first triggered test images by the weights of all training
    samples, (images, n), with poisoned ones of weight beta. A row is NaN if the damped Hessian is
    not positive definite. One linear system for each image."""
    sums = _Sums.of(model, beta)

    def product(vector: Tensor) -> Tensor:
        return sums.clean.product(vector) + beta * sums.poisoned.product(vector)

    (triggered,) = model.member.triggered
    rows = []
    for place in range(min(images, len(triggered.rows))):
        gradient = sums.test(slice(place, place + 1)).gradient()
        found = conjugate_gradients(product, gradient, damping, tolerance, most)
        shares = -sums.every.along(found.x) / sums.every.divisor
        rows.append((shares if found.solved else shares * math.nan).cpu().numpy())
    return np.stack(rows)
