"""ResNet-18: He, Zhang, Ren, Sun 2016, arXiv 1512.03385."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar

from torch import nn

from backdoor.architectures.base import Shape
from backdoor.architectures.networks import Network
from backdoor.architectures.stems import fit_resnet
from backdoor.errors import Mistake


@dataclass(frozen=True)
class ResNet18(Network):
    """torchvision's ResNet-18 with batch norm, 11 million weights.

    Images of up to 64 pixels a side, such as CIFAR's, get a 3x3 stem of stride 1 without max
    pooling; larger ones the 7x7 stem of stride 2 with it. Batch norm makes weights scale-free and
    so hides some of the effect of weight decay: compare with `convnet`.
    """

    kind: ClassVar[str] = "resnet18"

    def fits(self, shape: Shape) -> Iterable[Mistake]:
        # In smaller images the last stage is one pixel: batch norm fails on a batch of one image.
        if min(shape[1:]) < 16:
            rule = f"needs images of at least 16 x 16 pixels, these have {shape[1]} x {shape[2]}"
            yield Mistake("kind", rule, self.kind, "Use convnet, mlp or linear, or larger images.")
        else:
            yield from super().fits(shape)

    def make(self, shape: Shape, classes: int) -> nn.Module:
        from torchvision.models import resnet18  # slow to import

        return fit_resnet(resnet18(num_classes=classes), shape)
