"""Manifold mixup: Verma et al. 2019, arXiv 1806.05236."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Annotated, ClassVar

import torch

from backdoor.architectures import Architecture
from backdoor.errors import Mistake
from backdoor.regularizers.base import Regularizer
from backdoor.regularizers.layers import beyond, numbers_of, unreadable
from backdoor.regularizers.step import Step
from backdoor.settings.schema import Range


@dataclass(frozen=True)
class ManifoldMixup(Regularizer):
    """Mixes two images at a random layer; the mixture counts as either in the same proportion.

    From the outputs of that layer on it is lambda h + (1 - lambda) h', where h' is of another image
    of the batch, by a random order of it. One lambda, drawn from Beta(alpha, alpha), one layer and
    one order a batch. alpha 0 switches it off. What by-passes that layer, as in NASNet, where a
    cell sees the last two before it, is not mixed.

    layers: numbers as text, "0" the input, "1" the first hidden layer, or several. Those that a
        network lacks are left out.
    """

    kind: ClassVar[str] = "manifold_mixup"
    dial: ClassVar[str] = "alpha"

    alpha: Annotated[float, Range(ge=0)] = 2.0
    layers: str = "0,1,2"

    def rules(self) -> Iterable[Mistake]:
        return unreadable(self.layers, '"0,1,2"')

    def fits(
        self, architecture: Architecture, shape: tuple[int, int, int], classes: int
    ) -> Iterable[Mistake]:
        numbers = numbers_of(self.layers) or [0]
        if numbers[0]:
            yield from beyond("layers", numbers[0], architecture, shape, classes)

    def prepare(self, step: Step) -> None:
        numbers = step.draws.numbers(self.kind_name())
        share = float(numbers.beta(self.alpha, self.alpha))
        hidden = step.network.hidden
        layers = [layer for layer in numbers_of(self.layers) or () if layer <= len(hidden)]
        layer = layers[int(numbers.integers(len(layers)))]
        partners = step.partners(numbers)

        def mixed(values: torch.Tensor) -> torch.Tensor:
            return share * values + (1 - share) * values[partners]

        if layer:
            step.change_outputs_of(hidden[layer - 1], mixed)
        else:
            step.inputs = mixed(step.inputs)
        step.mix_targets(share, partners)
