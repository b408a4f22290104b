"""The slope theta of the backdoor learning curve: how fast the poison is learned at first."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Annotated, ClassVar

import numpy as np

from backdoor.config import TrialConfig
from backdoor.errors import Mistake
from backdoor.probes.base import Probe, ProbedModel, ProbeResult
from backdoor.probes.convex_models import Linear
from backdoor.probes.incremental import LEARNERS, Incremental, refuse_others
from backdoor.probes.network import NETWORKS, is_network
from backdoor.probes.network_influence import network_slope
from backdoor.probes.weighted import refuse_regularized
from backdoor.settings.schema import Range

NO_MARGIN = "no support vector lies on a machine's margin: no derivative exists"


@dataclass(frozen=True)
class Slope(Probe):
    """theta = -(2/pi) arctan(dL/dbeta), in [-1, 1], L the loss on triggered test images: 1 where
    the backdoor is learned at once, 0 where it is not, below 0 where poison raises the loss.

    *Backdoor Learning Curves* (arXiv 2106.07214); L as in the probe `learning_curve`. One row.
    derivative, theta: at beta = 0 by the influence function, with the Hessian of the objective that
    is minimised there, that of the clean images. A sum over the poisoned images.
    per_pair, theta_per_pair: the same divided by their number, a mean over pairs of test and
    poisoned image, as the authors' code has it.
    theta_poison_hessian: as theta_per_pair, with the curvature of the poisoned images in the place
    of the clean ones', as their code has it; ridge and logistic only, else NaN. Not a derivative.
    secant, theta_secant: (L(1) - L(0)) / 1, what the authors take for networks.
    note: why figures are NaN.

    Networks are trained anew with beta = 0 and 1. Their derivative is by conjugate gradients where
    the first training ends, with `damping` added to the Hessian's diagonal, recorded beside
    iterations and residual (see `network_influence`); convex learners need none.
    """

    kind: ClassVar[str] = "slope"

    damping: Annotated[float, Range(ge=0)] = 0.01

    def suits(self, config: TrialConfig) -> Iterable[Mistake]:
        yield from refuse_others(self.kind, config, (*LEARNERS, *NETWORKS))
        if is_network(config):
            yield from refuse_regularized(config)

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
            derivative=[derivative], theta=[theta_of(derivative)],
            per_pair=[derivative / count], theta_per_pair=[theta_of(derivative / count)],
            theta_poison_hessian=[theta_of(with_poison_hessian(found, clean) / count)],
            secant=[secant], theta_secant=[theta_of(secant)],
            note=[NO_MARGIN if math.isnan(derivative) else ""],
        )  # fmt: skip


def theta_of(derivative: float) -> float:
    """-(2/pi) arctan(derivative)."""
    return -2 / math.pi * math.atan(derivative)


def initial_slope(found: Incremental, clean: np.typing.NDArray[np.float64]) -> float:
    """dL/dbeta at beta = 0, where the optimum is `clean`."""
    gradient = found.mean_gradient(clean, found.triggered)
    shares = found.learner.shares(clean, found.weights(0.0), gradient)
    return float(shares[0, found.poisoned].sum())


def with_poison_hessian(found: Incremental, clean: np.typing.NDArray[np.float64]) -> float:
    """The same expression with the Hessian of the poisoned images and the decay alone."""
    if not isinstance(found.learner, Linear):
        return math.nan
    gradient = found.mean_gradient(clean, found.triggered)
    shares = found.learner.shares(clean, found.poisoned.astype(np.float64), gradient)
    return float(shares[0, found.poisoned].sum())
