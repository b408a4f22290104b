"""A small convolutional network whose normalization is a factor of its own."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar, Literal

from torch import nn

from backdoor.architectures.base import Architecture, Shape
from backdoor.errors import Mistake
from backdoor.settings.schema import Count

#: Up to this number of channels, a pack of networks trains faster than one after the other.
NARROW = 16


@dataclass(frozen=True)
class ConvNet(Architecture):
    """4x4 stem of stride 2, then two 3x3 stages of twice and four times `width` channels.

    Batch norm makes weights scale-free and so hides the effect of weight decay on a backdoor:
    study regularization with `norm: none` or `group`, and compare.
    """

    kind: ClassVar[str] = "convnet"

    width: Count = 16
    norm: Literal["none", "group", "batch"] = "none"

    def trained_by(self) -> str:
        packs = 4 * self.width <= NARROW and self.norm != "batch"
        return "grouped" if packs else "serial"

    def fits(self, shape: Shape) -> Iterable[Mistake]:
        if min(shape[1:]) < 8:
            rule = f"needs images of at least 8 x 8 pixels, these have {shape[1]} x {shape[2]}"
            yield Mistake("kind", rule, self.kind, "Use mlp or linear, or larger images.")

    def build(self, shape: Shape, classes: int) -> nn.Module:
        w = self.width
        # At most 4 x 4 cells keep the place of features. Averaging over the whole image learns more
        # slowly and mixes a patch with its surroundings.
        sides = tuple(side // 8 for side in shape[1:])
        rows, columns = (min(4, side) for side in sides)
        whole = sides == (rows, columns)
        return nn.Sequential(
            nn.Conv2d(shape[0], w, 4, stride=2, padding=1),
            *self._norm(w),
            nn.ReLU(),
            nn.Conv2d(w, 2 * w, 3, padding=1),
            *self._norm(2 * w),
            # ReLU after the maximum gives the same as before it, with a quarter of the values.
            nn.MaxPool2d(2),
            nn.ReLU(),
            nn.Conv2d(2 * w, 4 * w, 3, padding=1),
            *self._norm(4 * w),
            nn.MaxPool2d(2),
            nn.ReLU(),
            nn.Identity() if whole else nn.AdaptiveAvgPool2d((rows, columns)),
            nn.Flatten(),
            nn.Linear(4 * w * rows * columns, classes),
        )

    def hidden_layers(self, module: nn.Module) -> tuple[str, ...]:
        """The outputs of each stage."""
        pairs = itertools.pairwise(module.named_children())
        follows = (nn.Conv2d, nn.Flatten)
        return tuple(name for (name, _), (_, after) in pairs if isinstance(after, follows))

    def _norm(self, channels: int) -> list[nn.Module]:
        if self.norm == "batch":
            return [nn.BatchNorm2d(channels)]
        if self.norm == "group":
            return [nn.GroupNorm(math.gcd(8, channels), channels)]
        return []
