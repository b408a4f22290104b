"""ResNet-50: He, Zhang, Ren, Sun 2016, arXiv 1512.03385."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from torch import nn

from backdoor.architectures.base import Shape
from backdoor.architectures.networks import Network
from backdoor.architectures.stems import fit_resnet


@dataclass(frozen=True)
class ResNet50(Network):
    """torchvision's ResNet-50, residual bottlenecks with batch norm, 25.6 million weights at 1,000
    classes.

    Its stem depends on the size of the images like that of `resnet18`.
    """

    kind: ClassVar[str] = "resnet50"

    def make(self, shape: Shape, classes: int) -> nn.Module:
        from torchvision.models import resnet50

        return fit_resnet(resnet50(num_classes=classes), shape)
