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

    The outputs h of that layer become lambda h + (1 - lambda) h', where h' are those of the image's
    partner in a random permutation of the batch. Each batch has one lambda from Beta(alpha, alpha),
    one layer and one permutation. alpha 0 switches it off. What bypasses that layer is not mixed,
    as in NASNet, where a cell gets the outputs of the last two cells. The loss is cross-entropy
    with the mixed labels, as for all other regularizers; the authors' code takes the binary
    cross-entropy of each class's softmax probability, so that its figures may differ.

    layers: numbers as text, "0" the input, "1" the first hidden layer, or several. Layers that a
        network does not have are ignored.
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
        rng = step.draws.numbers(self.kind_name())
        share = float(rng.beta(self.alpha, self.alpha))
        hidden = step.network.hidden
        layers = [layer for layer in numbers_of(self.layers) or () if layer <= len(hidden)]
        layer = layers[int(rng.integers(len(layers)))]
        partners = step.partners(rng)

        def mixed(values: torch.Tensor) -> torch.Tensor:
            return share * values + (1 - share) * values[partners]

        if layer:
            step.change_outputs_of(hidden[layer - 1], mixed)
        else:
            step.inputs = mixed(step.inputs)
        step.mix_targets(share, partners)
