"""How far the weights of a model move, and turn, as it learns the poison."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Annotated, ClassVar

from backdoor.config import TrialConfig
from backdoor.errors import Mistake
from backdoor.probes.base import Probe, ProbedModel, ProbeResult
from backdoor.probes.incremental import AUTHORS_BETAS, Incremental
from backdoor.probes.served import CONVEX, refuse_others
from backdoor.settings.schema import Range


@dataclass(frozen=True)
class ParameterShift(Probe):
    """rho and nu of *Backdoor Learning Curves* (arXiv 2106.07214), as poisoned images count beta.

    One row for each beta. rho = ||w(beta)||; ratio = rho / ||w(0)||;
    nu = (1 - cos(w(0), w(beta))) / 2, from 0, the same direction, to 1, the opposite one. w has the
    weights of all columns or machines, without intercepts; with a kernel, in its feature space:
    ||w||^2 = a K a. NaN if a norm is 0.
    """

    kind: ClassVar[str] = "parameter_shift"

    betas: tuple[Annotated[float, Range(ge=0, le=1)], ...] = AUTHORS_BETAS

    def rules(self) -> Iterable[Mistake]:
        if not self.betas:
            yield Mistake("betas", "must hold at least one number", [], "For example [0, 0.1, 1].")

    def suits(self, config: TrialConfig) -> Iterable[Mistake]:
        return refuse_others(self.kind, config, CONVEX)

    def study(self, model: ProbedModel) -> ProbeResult | None:
        found = Incremental.of(model)
        if found is None:
            return None
        product, clean = found.learner.product, found.at(0.0)
        first = math.sqrt(max(product(clean, clean), 0.0))
        norms, angles = [], []
        for _, theta in found.path(self.betas):
            norm = math.sqrt(max(product(theta, theta), 0.0))
            both = norm * first
            cosine = product(clean, theta) / both if both else math.nan
            norms.append(norm)
            angles.append((1 - min(max(cosine, -1.0), 1.0)) / 2)
        ratios = [norm / first if first else math.nan for norm in norms]
        return self.found(beta=self.betas, rho=norms, ratio=ratios, nu=angles)
