"""Fully connected networks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from torch import nn

from backdoor.architectures.base import Architecture, Shape
from backdoor.settings.schema import Count


@dataclass(frozen=True)
class Mlp(Architecture):
    """`depth` hidden layers of `width` units with ReLU."""

    kind: ClassVar[str] = "mlp"
    engine: ClassVar[str] = "packed"

    width: Count = 64
    depth: Count = 1

    def build(self, shape: Shape, classes: int) -> nn.Module:
        c, h, w = shape
        layers: list[nn.Module] = [nn.Flatten()]
        inputs = c * h * w
        for _ in range(self.depth):
            layers += [nn.Linear(inputs, self.width), nn.ReLU()]
            inputs = self.width
        return nn.Sequential(*layers, nn.Linear(inputs, classes))

    def hidden_layers(self, module: nn.Module) -> tuple[str, ...]:
        """After each ReLU."""
        return tuple(name for name, layer in module.named_children() if isinstance(layer, nn.ReLU))
