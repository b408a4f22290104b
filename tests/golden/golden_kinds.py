"""Kinds of somebody else's package, as specs name them: `golden_kinds:Stripes`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import nn

from backdoor.architectures import Architecture
from backdoor.probes import Probe
from backdoor.regularizers import Regularizer
from backdoor.schema import Count
from backdoor.triggers import Trigger


@dataclass(frozen=True)
class Stripes(Trigger):
    """Every `period`-th column is white."""

    kind: ClassVar[str] = "stripes"
    period: Count = 4

    def stamp(self, images: torch.Tensor, ids: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        stamped = images.clone()
        stamped[..., :: self.period] = 255
        return stamped


@dataclass(frozen=True)
class Narrow(Architecture):
    """A linear network with a bottleneck."""

    kind: ClassVar[str] = "narrow"
    width: Count = 6

    def build(self, shape: tuple[int, int, int], classes: int) -> nn.Module:
        inputs = shape[0] * shape[1] * shape[2]
        return nn.Sequential(
            nn.Flatten(), nn.Linear(inputs, self.width), nn.Linear(self.width, classes)
        )


@dataclass(frozen=True)
class Shrink(Regularizer):
    """Pulls logits towards 0 by the mean of their squares."""

    kind: ClassVar[str] = "shrink"
    strength: float = 0.05

    def unit_penalty(self, logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        return logits.square().mean((-2, -1))


@dataclass(frozen=True)
class Accuracy(Probe):
    """The clean accuracy on test images, as a study of one row."""

    kind: ClassVar[str] = "accuracy"
    add: int = 0

    def study(self, model):
        answers = model.fitted.predict(model.index, model.lane.test)
        return self.found(figure=[float((answers == model.lane.test_labels).mean()) + self.add])
