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

    lambda x + (1 - lambda) x', where x' is another image of the batch, by a random order of it.
    One lambda a batch, drawn from Beta(alpha, alpha): 1 is uniform, near 0 hardly anything is
    mixed, and 0 switches it off.
    """

    kind: ClassVar[str] = "input_mixup"
    dial: ClassVar[str] = "alpha"

    alpha: Annotated[float, Range(ge=0)] = 1.0

    def prepare(self, step: Step) -> None:
        numbers = step.draws.numbers(self.kind_name())
        share = float(numbers.beta(self.alpha, self.alpha))
        partners = step.partners(numbers)
        step.inputs = share * step.inputs + (1 - share) * step.inputs[partners]
        step.mix_targets(share, partners)
