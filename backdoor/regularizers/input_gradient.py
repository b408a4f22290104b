"""Input gradient regularization: Ross, Doshi-Velez 2018, arXiv 1711.09404."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar

import torch

from backdoor.regularizers.base import Regularizer
from backdoor.regularizers.step import Step
from backdoor.settings.schema import Range


@dataclass(frozen=True)
class InputGradient(Regularizer):
    """Penalises how much the loss depends on the input: the mean of ||d CE / d x||_2^2 over images.

    CE is the cross-entropy of an image, and x the network's input: normalized, mixed, and with
    noise. A step is differentiated twice and costs about as much as two steps.
    """

    kind: ClassVar[str] = "input_gradient"

    strength: Annotated[float, Range(ge=0)] = 0.1

    def prepare(self, step: Step) -> None:
        step.follow_inputs()

    def penalty(self, step: Step) -> torch.Tensor:
        images = len(step.inputs)
        whole = step.cross_entropy() * images
        (gradient,) = torch.autograd.grad(whole, step.inputs, create_graph=True)
        return gradient.square().sum() / images
