"""Mixup: Zhang, Cisse, Dauphin, Lopez-Paz 2018, arXiv 1710.09412."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar

from backdoor.regularizers.base import Regularizer
from backdoor.regularizers.step import Step
from backdoor.settings.schema import Range


@dataclass(frozen=True)
class InputMixup(Regularizer):
    """Trains on mixtures of two images, which count as either in the same proportion.

    The mixture is lambda x + (1 - lambda) x', where x' is the partner of x in a random permutation
    of the batch. Each batch has one lambda from Beta(alpha, alpha): alpha 1 is uniform, near 0
    hardly anything is mixed, and 0 switches it off.
    """

    kind: ClassVar[str] = "input_mixup"
    dial: ClassVar[str] = "alpha"

    alpha: Annotated[float, Range(ge=0)] = 1.0

    def prepare(self, step: Step) -> None:
        rng = step.draws.numbers(self.kind_name())
        share = float(rng.beta(self.alpha, self.alpha))
        partners = step.partners(rng)
        step.inputs = share * step.inputs + (1 - share) * step.inputs[partners]
        step.mix_targets(share, partners)
