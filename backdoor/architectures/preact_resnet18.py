"""Pre-activation ResNet-18: He, Zhang, Ren, Sun 2016, arXiv 1603.05027."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import nn
from torch.nn import functional

from backdoor.architectures.base import Shape
from backdoor.architectures.networks import Network
from backdoor.architectures.stems import convolution_stem, is_small
from backdoor.settings.schema import Count


class PreActivationBlock(nn.Module):
    """Batch norm, ReLU, 3x3 convolution, twice; (n, inputs, h, w) to (n, outputs, h/s, w/s).

    A shortcut that changes the shape is a 1x1 convolution of the activated input; otherwise it is
    the input itself.
    """

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.norm1 = nn.BatchNorm2d(inputs)
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, padding=1, bias=False)
        self.norm2 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, padding=1, bias=False)
        self.shortcut: nn.Module | None = None
        if stride != 1 or inputs != outputs:
            self.shortcut = nn.Conv2d(inputs, outputs, 1, stride, bias=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        active = functional.relu(self.norm1(x))
        kept = x if self.shortcut is None else self.shortcut(active)
        inner = self.conv1(active)
        result: torch.Tensor = self.conv2(functional.relu(self.norm2(inner))) + kept
        return result


@dataclass(frozen=True)
class PreActResNet18(Network):
    """Two pre-activation blocks in each of four stages, 11.2 million weights.

    width: channels of the first stage; each later stage has twice as many. As in the paper, batch
    norm and ReLU follow the last block; common re-implementations for CIFAR leave them out. Its
    stem depends on the size of the images like that of `resnet18`.
    """

    kind: ClassVar[str] = "preact_resnet18"

    width: Count = 64

    def make(self, shape: Shape, classes: int) -> nn.Module:
        small, channels = is_small(shape), self.width
        parts: OrderedDict[str, nn.Module] = OrderedDict()
        parts["stem"] = convolution_stem(shape[0], channels, small)
        if not small:
            parts["stem_pool"] = nn.MaxPool2d(3, stride=2, padding=1)
        for number in range(4):
            outputs = self.width * 2**number
            parts[f"stage{number + 1}"] = nn.Sequential(
                PreActivationBlock(channels, outputs, 1 if number == 0 else 2),
                PreActivationBlock(outputs, outputs, 1),
            )
            channels = outputs
        parts["norm"] = nn.BatchNorm2d(channels)
        parts["relu"] = nn.ReLU(inplace=True)
        parts["pool"] = nn.AdaptiveAvgPool2d(1)
        parts["flatten"] = nn.Flatten()
        network = nn.Sequential(parts)
        for part in network.modules():
            if isinstance(part, nn.Conv2d):
                nn.init.kaiming_normal_(part.weight, mode="fan_out", nonlinearity="relu")
        network.add_module("fc", nn.Linear(channels, classes))
        return network
