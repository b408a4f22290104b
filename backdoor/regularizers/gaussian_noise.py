"""Training with noise: Bishop 1995, "Training with Noise is Equivalent to Tikhonov
Regularization"; beside logit squeezing in Kannan et al. 2018, arXiv 1803.06373."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar

import torch

from backdoor.regularizers.base import Regularizer
from backdoor.regularizers.step import Step
from backdoor.settings.schema import Range


@dataclass(frozen=True)
class GaussianNoise(Regularizer):
    """Adds independent normal noise to every input number, drawn again for each image and step.

    sigma: its standard deviation, in units of the network's input: with `normalization: unit`,
        1 is the difference between black and white; with `standard`, the standard deviation of a
        channel. Inputs are not clipped. Noise is added after images are mixed.
    """

    kind: ClassVar[str] = "gaussian_noise"
    dial: ClassVar[str] = "sigma"
    turn: ClassVar[int] = 1

    sigma: Annotated[float, Range(ge=0)] = 0.1

    def prepare(self, step: Step) -> None:
        generator = step.draws.tensors(self.kind_name())
        shape, device = step.inputs.shape, step.inputs.device
        noise = torch.randn(shape, generator=generator, device=device, dtype=step.inputs.dtype)
        step.inputs = step.inputs + self.sigma * noise
