"""ResNet-18: He, Zhang, Ren, Sun 2016, arXiv 1512.03385."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar

from torch import nn

from backdoor.architectures import Architecture, Shape
from backdoor.errors import Mistake

#: Images with a larger side get the paper's stem for ImageNet, which reduces them four times.
SMALL_SIDE = 64


@dataclass(frozen=True)
class ResNet18(Architecture):
    """torchvision's ResNet-18 with batch norm, untrained, 11 million weights.

    Images of up to 64 pixels a side, such as CIFAR's, get a 3x3 stem of stride 1 without max
    pooling; larger ones the 7x7 stem of stride 2 with it. Batch norm makes weights scale-free and
    so hides some of the effect of weight decay: compare with `convnet`.
    """

    kind: ClassVar[str] = "resnet18"

    def fits(self, shape: Shape) -> Iterable[Mistake]:
        # Below that the last stage is one pixel, and batch norm fails on a batch of one image.
        if min(shape[1:]) < 16:
            rule = f"needs images of at least 16 x 16 pixels, these have {shape[1]} x {shape[2]}"
            yield Mistake("kind", rule, self.kind, "Use convnet, mlp or linear, or larger images.")

    def build(self, shape: Shape, classes: int) -> nn.Module:
        from torchvision.models import resnet18  # slow to import, and this module always is

        network: nn.Module = resnet18(num_classes=classes)
        small = max(shape[1:]) <= SMALL_SIDE
        kernel, stride = (3, 1) if small else (7, 2)
        stem = nn.Conv2d(shape[0], 64, kernel, stride, padding=kernel // 2, bias=False)
        nn.init.kaiming_normal_(stem.weight, mode="fan_out", nonlinearity="relu")
        network.conv1 = stem
        if small:
            network.maxpool = nn.Identity()
        return network

    def hidden_layers(self, module: nn.Module) -> tuple[str, ...]:
        """After each of the four stages."""
        return "layer1", "layer2", "layer3", "layer4"
