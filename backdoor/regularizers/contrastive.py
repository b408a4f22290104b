"""Contrastive loss: Hadsell, Chopra, LeCun 2006, "Dimensionality Reduction by Learning an
Invariant Mapping" (CVPR)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Annotated, ClassVar

import torch
from torch.nn import functional

from backdoor.architectures import Architecture
from backdoor.errors import Mistake
from backdoor.regularizers.base import Regularizer
from backdoor.regularizers.layers import beyond
from backdoor.regularizers.step import Network, Step
from backdoor.settings.schema import Range


@dataclass(frozen=True)
class Contrastive(Regularizer):
    """Draws images of one class together and pushes others apart, up to a margin.

    The penalty is the mean over all pairs of the batch of D^2 / 2 for images of the same class, and
    of max(0, margin - D)^2 / 2 for others. D is the Euclidean distance between their embeddings,
    the flattened outputs of a hidden layer. A batch of one image has no pair.

    layer: -1 is the last hidden layer, the input of the classifier, 1 the first. Without hidden
        layers, the logits are the embedding.
    normalised: embeddings are scaled to length 1 first, so that D is at most 2.
    """

    kind: ClassVar[str] = "contrastive"

    strength: Annotated[float, Range(ge=0)] = 0.1
    margin: Annotated[float, Range(gt=0)] = 1.0
    layer: Annotated[int, Range(ge=-1)] = -1
    normalised: bool = False

    def rules(self) -> Iterable[Mistake]:
        if not self.layer:
            remedy = "1 is the first, -1 the last."
            yield Mistake("layer", "must be the number of a hidden layer", self.layer, remedy)

    def fits(
        self, architecture: Architecture, shape: tuple[int, int, int], classes: int
    ) -> Iterable[Mistake]:
        if self.layer > 0:
            yield from beyond("layer", self.layer, architecture, shape, classes)

    def prepare(self, step: Step) -> None:
        step.watch([self._layer(step.network)])

    def penalty(self, step: Step) -> torch.Tensor:
        embedded = step.outputs_of(self._layer(step.network))
        if self.normalised:
            embedded = functional.normalize(embedded)
        return step.expected(lambda labels: contrastive_loss(embedded, labels, self.margin))

    def _layer(self, network: Network) -> str:
        return network.representations[self.layer if self.layer < 0 else self.layer - 1]


def contrastive_loss(embedded: torch.Tensor, labels: torch.Tensor, margin: float) -> torch.Tensor:
    """The mean over pairs, () as embedded (b, d) float; labels (b,) int64."""
    one, other = torch.triu_indices(len(labels), len(labels), 1, device=labels.device)
    distance = functional.pdist(embedded)  # in the order of the pairs; its gradient at 0 is 0
    alike = labels[one] == labels[other]
    terms = torch.where(alike, distance.square(), (margin - distance).clamp_min(0).square())
    return terms.sum() / (2 * max(1, len(terms)))
