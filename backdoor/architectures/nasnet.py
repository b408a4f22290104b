"""NASNet-A: Zoph, Vasudevan, Shlens, Le 2018, arXiv 1707.07012. Shared by its two sizes.

A network of cells. Each takes the outputs of the two cells before it, `x` and the earlier `p`, and
combines them in pairs: separable convolutions, poolings and identities are added. A normal cell
keeps the size of its images, a reduction cell halves it. The cells are the children of the network
in the order of their use, but each also gets the output before the last: only the output of the
stem determines everything after it.

It follows the authors' release, with these differences: paddings are symmetric; batch norm averages
over about ten steps, not thousands; drop path grows with depth, not with the steps of training;
there is no auxiliary classifier.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import nn
from torch.nn import functional

from backdoor.architectures.base import Shape
from backdoor.architectures.networks import Network
from backdoor.architectures.stems import is_small
from backdoor.errors import Mistake
from backdoor.settings.schema import Count, Fraction

#: Numbers by which `filters` has to be divisible: 6 outputs of a cell, doubled twice; the cells of
#: the stem for large images have a quarter of the first stage's filters.
PARTS = 24
PARTS_WITH_STEM = 96


def _norm(channels: int) -> nn.BatchNorm2d:
    return nn.BatchNorm2d(channels, eps=1e-3)


class Separable(nn.Sequential):
    """ReLU, depthwise and 1x1 convolution, batch norm, twice; the first may have stride 2."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int = 1) -> None:
        layers: list[nn.Module] = []
        for channels, step in ((inputs, stride), (outputs, 1)):
            layers += [
                nn.ReLU(),
                nn.Conv2d(
                    channels, channels, kernel, step, kernel // 2, groups=channels, bias=False
                ),
                nn.Conv2d(channels, outputs, 1, bias=False),
                _norm(outputs),
            ]
        super().__init__(*layers)


class Squeeze(nn.Sequential):
    """ReLU, 1x1 convolution, batch norm."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__(nn.ReLU(), nn.Conv2d(inputs, outputs, 1, bias=False), _norm(outputs))


class FactorizedReduction(nn.Module):
    """Halves h and w: two 1x1 convolutions of stride 2, one of them shifted by a pixel right and
    down, concatenated; then batch norm."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.here = nn.Conv2d(inputs, outputs // 2, 1, stride=2, bias=False)
        self.beside = nn.Conv2d(inputs, outputs - outputs // 2, 1, stride=2, bias=False)
        self.norm = _norm(outputs)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = functional.relu(x)
        shifted = functional.pad(x, (0, 1, 0, 1))[:, :, 1:, 1:]
        result: torch.Tensor = self.norm(torch.cat([self.here(x), self.beside(shifted)], 1))
        return result


def average(stride: int) -> nn.AvgPool2d:
    """3x3 means, without the padding."""
    return nn.AvgPool2d(3, stride, padding=1, count_include_pad=False)


class Cell(nn.Module):
    """The first part of both kinds of cells: both inputs get `filters` channels and the same size.

    x_channels, p_channels: of the inputs; None keeps p as it is, if the first cell reduces.
    halved: whether p is twice as large as x.
    drop: the share of images for which a branch is dropped in training.
    """

    def __init__(
        self, x_channels: int, p_channels: int | None, filters: int, halved: bool, drop: float
    ) -> None:
        super().__init__()
        self.drop = drop
        self.squeeze = Squeeze(x_channels, filters)
        self.adjust: nn.Module
        if p_channels is None:
            self.adjust = nn.Identity()
        elif halved:
            self.adjust = FactorizedReduction(p_channels, filters)
        else:
            self.adjust = Squeeze(p_channels, filters)
        self.p_channels = x_channels if p_channels is None else filters

    def _kept(self, branch: torch.Tensor) -> torch.Tensor:
        """The branch: 0 for a share `drop` of the images, and scaled up for the others."""
        if not self.training or not self.drop:
            return branch
        mask = torch.rand(len(branch), 1, 1, 1, device=branch.device) >= self.drop
        return branch * mask / (1 - self.drop)


class NormalCell(Cell):
    """(n, x_channels, h, w) to (n, 6 filters, h, w)."""

    def __init__(
        self, x_channels: int, p_channels: int | None, filters: int, halved: bool, drop: float
    ) -> None:
        super().__init__(x_channels, p_channels, filters, halved, drop)
        own, other = filters, self.p_channels
        self.x5 = Separable(own, filters, 5)
        self.p3 = Separable(other, filters, 3)
        self.p5 = Separable(other, filters, 5)
        self.p3_again = Separable(other, filters, 3)
        self.x3 = Separable(own, filters, 3)
        self.mean = average(1)
        self.channels = 5 * filters + other

    def forward(self, x: torch.Tensor, p: torch.Tensor) -> torch.Tensor:
        h, p, kept = self.squeeze(x), self.adjust(p), self._kept
        mean = self.mean(p)
        outputs = [
            p,
            kept(self.x5(h)) + kept(self.p3(p)),
            kept(self.p5(p)) + kept(self.p3_again(p)),
            kept(self.mean(h)) + p,
            kept(mean) + kept(mean),
            kept(self.x3(h)) + h,
        ]
        return torch.cat(outputs, 1)


class ReductionCell(Cell):
    """(n, x_channels, h, w) to (n, 4 filters, h / 2, w / 2), rounded up."""

    def __init__(
        self, x_channels: int, p_channels: int | None, filters: int, halved: bool, drop: float
    ) -> None:
        super().__init__(x_channels, p_channels, filters, halved, drop)
        own, other = filters, self.p_channels
        self.x5 = Separable(own, filters, 5, stride=2)
        self.p7 = Separable(other, filters, 7, stride=2)
        self.p7_again = Separable(other, filters, 7, stride=2)
        self.p5 = Separable(other, filters, 5, stride=2)
        self.inner3 = Separable(filters, filters, 3)
        self.largest = nn.MaxPool2d(3, 2, padding=1)
        self.mean, self.inner_mean = average(2), average(1)
        self.channels = 4 * filters

    def forward(self, x: torch.Tensor, p: torch.Tensor) -> torch.Tensor:
        h, p, kept = self.squeeze(x), self.adjust(p), self._kept
        first = kept(self.x5(h)) + kept(self.p7(p))
        second = kept(self.largest(h)) + kept(self.p7_again(p))
        third = kept(self.mean(h)) + kept(self.p5(p))
        fourth = second + kept(self.inner_mean(first))
        fifth = kept(self.inner3(first)) + kept(self.largest(h))
        return torch.cat([second, third, fourth, fifth], 1)


@dataclass(frozen=True)
class CellPlan:
    """One cell. reduces: whether it halves the image. skipped: whether the next cell gets the `p`
    of this one, in place of its `x`."""

    filters: int
    reduces: bool = False
    skipped: bool = False


class CellNetwork(nn.Module):
    """Stem, cells, ReLU, mean over the image, one linear layer: (n, c, h, w) to (n, classes)."""

    def __init__(
        self,
        stem: nn.Sequential,
        channels: int,
        cells: Sequence[CellPlan],
        classes: int,
        drop: float,
    ) -> None:
        super().__init__()
        self.stem = stem
        self.skips: list[bool] = []
        # The first cell has one input. A normal cell adds p, which then needs as many channels.
        x, p, halved = channels, None if cells[0].reduces else channels, False
        for number, plan in enumerate(cells, 1):
            made = ReductionCell if plan.reduces else NormalCell
            cell = made(x, p, plan.filters, halved, drop * number / len(cells))
            self.add_module(f"cell{number}", cell)
            self.skips.append(plan.skipped)
            x, p = cell.channels, p if plan.skipped else x
            halved = plan.reduces
        self.fc = nn.Linear(x, classes)
        for part in self.modules():
            if isinstance(part, nn.Conv2d):
                nn.init.kaiming_normal_(part.weight, nonlinearity="relu")

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        x = p = self.stem(images)
        for number, skipped in enumerate(self.skips, 1):
            x, before = self.get_submodule(f"cell{number}")(x, p), x
            p = p if skipped else before
        logits: torch.Tensor = self.fc(functional.relu(x).mean((2, 3)))
        return logits


@dataclass(frozen=True)
class NasNetA(Network):
    """A NASNet-A (cells @ filters): three stages of normal cells, reduction cells between them.

    cells: normal cells in a stage. filters: outputs of the last cell, a multiple of 24, or of 96
    for images of more than 64 pixels a side. Those get the stem published for ImageNet, a 3x3
    convolution of stride 2 and two reduction cells; smaller ones get the stem published for CIFAR,
    a 3x3 convolution of stride 1. drop_path: the share of images for which a branch of the last
    cell is dropped in training; it grows to this value in equal steps from the first cell on.
    """

    cells: Count = 4
    filters: Count = 1056
    drop_path: Fraction = 0.0

    #: Channels of the convolution before the cells, for large images.
    stem_channels: ClassVar[int]
    #: Whether the cell after a reduction gets the output before the last of the previous stage.
    skips_reductions: ClassVar[bool]

    def rules(self) -> Iterable[Mistake]:
        if self.filters % PARTS:
            rule = f"must be a multiple of {PARTS}"
            yield Mistake("filters", rule, self.filters, "The published ones are 1056 and 4032.")
        if self.drop_path == 1:
            yield Mistake("drop_path", "must be below 1", self.drop_path, "Try 0.2.")

    def fits(self, shape: Shape) -> Iterable[Mistake]:
        if not is_small(shape) and self.filters % PARTS_WITH_STEM:
            rule = f"must be a multiple of {PARTS_WITH_STEM} for images of more than 64 pixels"
            yield Mistake("filters", rule, self.filters, "Or make the images smaller.")
        else:
            yield from super().fits(shape)

    def make(self, shape: Shape, classes: int) -> nn.Module:
        small, filters = is_small(shape), self.filters // PARTS
        channels = 3 * filters if small else self.stem_channels
        how = {"stride": 1, "padding": 1} if small else {"stride": 2}
        convolution = nn.Conv2d(shape[0], channels, 3, bias=False, **how)  # type: ignore[arg-type]
        stem = nn.Sequential(convolution, _norm(channels))
        cells = [] if small else [CellPlan(filters // part, True) for part in (4, 2)]
        for stage in range(3):
            if stage:
                cells.append(CellPlan(filters * 2**stage, True, self.skips_reductions))
            cells += [CellPlan(filters * 2**stage)] * self.cells
        return CellNetwork(stem, channels, cells, classes, self.drop_path)
