"""One step of a small network in float64, for tests of regularizers."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from backdoor.regularizers import Regularizer
from backdoor.regularizers.step import Draws, Network, Step
from backdoor.settings.registry import REGULARIZERS

IMAGES, CLASSES = 9, 4
CPU = torch.device("cpu")


def small_network() -> Network:
    """Two hidden layers on images of 2 x 4 x 5; smooth, so that it can be differentiated twice."""
    torch.manual_seed(0)
    layers = [nn.Flatten(), nn.Linear(40, 6), nn.Tanh(), nn.Linear(6, 5), nn.Tanh()]
    module = nn.Sequential(*layers, nn.Linear(5, CLASSES)).double()
    return Network(module, ("2", "4"), "5")


def batch(images: int = IMAGES) -> tuple[torch.Tensor, torch.Tensor]:
    """Inputs (b, 2, 4, 5) float64 and labels (b,) int64; the last is the only one of its class."""
    draw = torch.Generator().manual_seed(3)
    inputs = torch.rand((images, 2, 4, 5), generator=draw, dtype=torch.float64)
    labels = torch.randint(0, CLASSES - 1, (images,), generator=draw)
    labels[-1] = CLASSES - 1
    return inputs, labels


def draws(step: int = 0, seed: int = 0, epoch: int = 0) -> Draws:
    return Draws(seed, 100, epoch, step, CPU)


def stepped(
    given: Any, inputs: torch.Tensor | None = None, labels: torch.Tensor | None = None,
    network: Network | None = None, **key: int,
) -> tuple[Regularizer, Step]:  # fmt: skip
    """A regularizer and a step that it has prepared and the network has answered."""
    regularizer = REGULARIZERS.build(given)
    own_inputs, own_labels = batch()
    step = Step(
        network or small_network(), own_inputs if inputs is None else inputs,
        own_labels if labels is None else labels, draws(**key),
    )  # fmt: skip
    for term in regularizer.terms:
        if term.switched_on:
            term.prepare(step)
    step.run(step.network.module)
    return regularizer, step


def penalty(regularizer: Regularizer, step: Step) -> torch.Tensor:
    """All that is added to cross-entropy, () float64."""
    terms = [term.weight * term.penalty(step) for term in regularizer.terms if term.weight]
    return torch.stack([torch.zeros((), dtype=torch.float64), *terms]).sum()
