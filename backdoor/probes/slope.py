"""The slope theta of the backdoor learning curve: how fast the poison is learned initially."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Annotated, ClassVar

import numpy as np

from backdoor.config import TrialConfig
from backdoor.errors import Mistake
from backdoor.probes.base import Probe, ProbedModel, ProbeResult
from backdoor.probes.convex_models import Floats, LinearLearner
from backdoor.probes.hessian import theta_of
from backdoor.probes.incremental import Incremental
from backdoor.probes.network_influence import network_slope
from backdoor.probes.served import is_network, refuse_unweighted
from backdoor.settings.schema import Range

NO_MARGIN = "no support vector lies on a machine's margin: no derivative exists"


@dataclass(frozen=True)
class Slope(Probe):
    """theta = -(2/pi) arctan(dL/dbeta), in [-1, 1], L the loss on triggered test images: 1 where
    the backdoor is learned at once, 0 where it is not, below 0 where poison raises the loss.

    *Backdoor Learning Curves* (arXiv 2106.07214); L as in the probe `learning_curve`. One row.
    derivative, theta: at beta = 0 by the influence function, with the Hessian of the objective
    there, that of the clean images. The derivative is a sum over the poisoned images.
    per_pair, theta_per_pair: the same divided by their number, a mean over pairs of a test image
    and a poisoned image, as in the authors' code.
    theta_poison_hessian: like theta_per_pair, but with the curvature of the poisoned images in
    place of the clean ones, as in their code; ridge and logistic only, else NaN. Not a derivative.
    secant, theta_secant: (L(1) - L(0)) / 1, which the authors use for networks.
    note: why figures are NaN.

    Networks are trained again with beta = 0 and 1. Their derivative is computed by conjugate
    gradients at the end of the first training, with `damping` added to the Hessian's diagonal; it
    is recorded with iterations and residual (see `network_influence`). Convex learners need no
    damping.
    """

    kind: ClassVar[str] = "slope"

    damping: Annotated[float, Range(ge=0)] = 0.01

    def suits(self, config: TrialConfig) -> Iterable[Mistake]:
        return refuse_unweighted(self.kind, config)

    def study(self, model: ProbedModel) -> ProbeResult | None:
        if is_network(model.config) and model.config.attack is not None:
            row = network_slope(model, self.damping)
            return self.found(**{name: [value] for name, value in row.items()})
        found = Incremental.of(model)
        if found is None:
            return None
        clean = found.at(0.0)
        derivative = initial_slope(found, clean)
        secant = found.loss(found.at(1.0, clean), found.triggered)
        secant -= found.loss(clean, found.triggered)
        count = int(found.poisoned.sum())
        return self.found(
            derivative=[derivative],
            theta=[theta_of(derivative)],
            per_pair=[derivative / count],
            theta_per_pair=[theta_of(derivative / count)],
            theta_poison_hessian=[theta_of(with_poison_hessian(found, clean) / count)],
            secant=[secant],
            theta_secant=[theta_of(secant)],
            note=[NO_MARGIN if math.isnan(derivative) else ""],
        )


def initial_slope(found: Incremental, clean: Floats) -> float:
    """dL/dbeta at beta = 0; clean: the optimum there."""
    return _poisoned_share(found, clean, found.weights(0.0))


def with_poison_hessian(found: Incremental, clean: Floats) -> float:
    """The same expression with the Hessian of the poisoned images and the decay only."""
    if not isinstance(found.learner, LinearLearner):
        return math.nan
    return _poisoned_share(found, clean, found.poisoned.astype(np.float64))


def _poisoned_share(found: Incremental, theta: Floats, weights: Floats) -> float:
    """The sum of the shares of the poisoned images, with the Hessian for these image weights."""
    gradient = found.mean_gradient(theta, found.triggered)
    shares = found.learner.shares(theta, weights, gradient)
    return float(shares[0, found.poisoned].sum())
