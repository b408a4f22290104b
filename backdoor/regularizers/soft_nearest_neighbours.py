"""Soft nearest neighbour loss: Frosst, Papernot, Hinton 2019, arXiv 1902.01889."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

import torch
from torch.nn import functional

from backdoor.architectures import Architecture
from backdoor.errors import Mistake
from backdoor.regularizers.base import Regularizer
from backdoor.regularizers.layers import beyond, numbers_of, unreadable
from backdoor.regularizers.step import Network, Step
from backdoor.settings.schema import Range

#: Added to the share of neighbours of the same class. It bounds the loss by 11.5, also for the only
#: image of a class in the batch.
STABILITY = 1e-5
#: Step size for the temperature, and the lower bound of t = initial / T.
RATE, LEAST = 0.1, 1e-3


@dataclass(frozen=True)
class SoftNearestNeighbours(Regularizer):
    """Entangles the classes in hidden layers, or with a positive strength tells them apart.

    It adds strength x the sum over layers of l(T), where l(T) is the mean over images i of
    -log(sum over j of i's class of exp(-d(i, j) / T) / sum over all j of exp(-d(i, j) / T)),
    where j is another image of the batch. The paper maximises it: its strength is negative.

    T of each layer approaches the minimum of l(T), as in the authors' code: before each evaluation
    t = temperature / T, initially 1, takes one gradient step of rate 0.1; then T is constant.

    Far neighbours: the authors' code adds 1e-5 to sums of exp(-d / T). Where all neighbours are far
    compared with T these sums vanish: its loss is 11.51 = -log(1e-5) whatever the labels, without a
    gradient, and in float32 it is NaN where an image's distance to itself is rounded. Here
    logarithms are compared, so that the nearest of the far neighbours still count: for 128 images
    in 10 classes, 256 normal features of standard deviation 5 and T = 100, the loss is 7.5 and has
    a gradient. Near neighbours give the same as theirs.

    layers: `all` hidden layers, or numbers as text, such as "1" for the first, or "1,2". Layers
        that a network does not have are ignored. Without hidden layers, logits are used.
    distance: `euclidean`, squared, or `cosine`, which is 1 - the cosine of the angle.
    temperature: the initial T.
    """

    kind: ClassVar[str] = "soft_nearest_neighbours"

    strength: float = -1.0
    temperature: Annotated[float, Range(gt=0)] = 100.0
    distance: Literal["euclidean", "cosine"] = "euclidean"
    layers: str = "all"

    def rules(self) -> Iterable[Mistake]:
        if 0 in (numbers_of(self.layers) or ()):
            remedy = "1 is the first of them, 0 is the input."
            yield Mistake("layers", "must be hidden layers", self.layers, remedy)
        elif self.layers != "all":
            yield from unreadable(self.layers, '"1,2", or all')

    def fits(
        self, architecture: Architecture, shape: tuple[int, int, int], classes: int
    ) -> Iterable[Mistake]:
        if numbers := numbers_of(self.layers):
            yield from beyond("layers", numbers[0], architecture, shape, classes)

    def prepare(self, step: Step) -> None:
        step.watch(self._layers(step.network))

    def penalty(self, step: Step) -> torch.Tensor:
        layers = self._layers(step.network)
        return torch.stack([self._of_layer(step, layer) for layer in layers]).sum()

    def _layers(self, network: Network) -> list[str]:
        have = network.representations
        numbers = numbers_of(self.layers) or range(1, len(have) + 1)
        return [have[number - 1] for number in numbers if number <= len(have)]

    def _of_layer(self, step: Step, layer: str) -> torch.Tensor:
        between = distances(step.outputs_of(layer), self.distance)

        def loss(between: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
            scaled = between * (t / self.temperature)
            return step.expected(lambda labels: soft_nearest_neighbour_loss(scaled, labels))

        memory = step.network.memory.setdefault(self.kind_name(), {})
        t = memory.get(layer, between.new_ones(())).requires_grad_()
        gradient = torch.autograd.grad(loss(between.detach(), t), t)[0]
        memory[layer] = (t.detach() - RATE * gradient).clamp_min(LEAST)
        return loss(between, memory[layer])


def distances(hidden: torch.Tensor, how: str) -> torch.Tensor:
    """Distances between the rows of hidden (b, d) float: (b, b), squared Euclidean or cosine."""
    if how == "cosine":
        directions = functional.normalize(hidden)
        return 1 - directions @ directions.T
    centred = hidden - hidden.mean(0)  # the same distances, from smaller numbers
    squares = centred.square().sum(1)
    return (squares[:, None] + squares - 2 * centred @ centred.T).clamp_min(0)


def soft_nearest_neighbour_loss(scaled: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """The loss, (), of distances divided by the temperature, (b, b) float; labels: (b,) int64."""
    itself = torch.eye(len(labels), dtype=torch.bool, device=labels.device)
    others = -scaled.masked_fill(itself, 1e30)
    alike = others.masked_fill(labels[:, None] != labels, -1e30)
    share = alike.logsumexp(1) - others.logsumexp(1)
    share = share.masked_fill((alike <= -1e30).all(1), -1e30)  # the only image of its class
    bound = torch.full_like(share, math.log(STABILITY))
    return -torch.logaddexp(share, bound).mean()
