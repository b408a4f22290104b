"""VGG-11: Simonyan and Zisserman 2015, configuration A, arXiv 1409.1556."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from typing import ClassVar, Literal

from torch import nn

from backdoor.architectures.base import Shape
from backdoor.architectures.networks import Network
from backdoor.architectures.stems import fit_first_layers, is_small

#: Channels of the convolutions of each stage; a stage ends with a pooling that halves both sides.
STAGES = ((64,), (128,), (256, 256), (512, 512), (512, 512))


@dataclass(frozen=True)
class Vgg11(Network):
    """Eight 3x3 convolutions in five stages and a classifier, without normalization by default.

    Images larger than 64 pixels a side get torchvision's network, whose classifier has three
    layers and most of the 132.9 million weights. Smaller ones get the usual form for CIFAR: a mean
    over the remaining image and one linear layer, 9.2 million weights; poolings of a single pixel
    are left out. norm: `batch` puts batch norm after every convolution.
    """

    kind: ClassVar[str] = "vgg11"

    norm: Literal["none", "batch"] = "none"

    def make(self, shape: Shape, classes: int) -> nn.Module:
        if is_small(shape):
            return self._small(shape, classes)
        from torchvision.models import vgg11, vgg11_bn

        network = vgg11_bn if self.norm == "batch" else vgg11
        return fit_first_layers(network(num_classes=classes), shape)

    def _small(self, shape: Shape, classes: int) -> nn.Module:
        parts: OrderedDict[str, nn.Module] = OrderedDict()
        channels, side = shape[0], min(shape[1:])
        for number, widths in enumerate(STAGES, 1):
            layers: list[nn.Module] = []
            for width in widths:
                layers += self._convolution(channels, width)
                channels = width
            if side > 1:
                layers.append(nn.MaxPool2d(2))
                side //= 2
            parts[f"stage{number}"] = nn.Sequential(*layers)
        parts["pool"] = nn.AdaptiveAvgPool2d(1)
        parts["flatten"] = nn.Flatten()
        parts["fc"] = nn.Linear(channels, classes)
        return nn.Sequential(parts)

    def _convolution(self, inputs: int, outputs: int) -> list[nn.Module]:
        convolution = nn.Conv2d(inputs, outputs, 3, padding=1)
        nn.init.kaiming_normal_(convolution.weight, mode="fan_out", nonlinearity="relu")
        nn.init.zeros_(convolution.bias)  # type: ignore[arg-type]
        norm = [nn.BatchNorm2d(outputs)] if self.norm == "batch" else []
        return [convolution, *norm, nn.ReLU(inplace=True)]
