"""Fewer grey levels: BppAttack (Wang, Zhai, Ma 2022, arXiv 2205.13383)."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import Annotated, Any, ClassVar

import torch

from backdoor.settings.schema import Range
from backdoor.triggers.base import Trigger
from backdoor.triggers.donors import DonorImages


@dataclass(frozen=True)
class Quantize(Trigger):
    """Keeps `levels` of 256 grey levels, evenly spaced: round(x (b - 1) / 255) 255 / (b - 1).

    dithering: Floyd-Steinberg, pixel by pixel from the top left: the rounding error of a pixel is
    added to its neighbours, 7/16 to the right, 3/16, 5/16 and 1/16 below left, below and below
    right; outside the image it is lost. At the end, results are rounded to whole grey levels. Its
    cover samples are the paper's negative samples: the image plus the quantization error of a donor
    image.
    """

    kind: ClassVar[str] = "quantize"

    levels: Annotated[int, Range(ge=2, le=128)] = 8
    dithering: bool = False

    def stamp(self, images: torch.Tensor, ids: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        return _grey(self.quantized(images))

    def quantized(self, images: torch.Tensor) -> torch.Tensor:
        """(n, c, h, w) uint8 to float64 in [0, 255], not yet whole grey levels."""
        x = images.to(torch.float64)
        return self._dithered(x) if self.dithering else self._nearest(x)

    def _nearest(self, x: torch.Tensor) -> torch.Tensor:
        steps = self.levels - 1
        return (x * steps / 255).round() * 255 / steps

    def _dithered(self, x: torch.Tensor) -> torch.Tensor:
        """All images and channels at once, and all pixels (i, j) of equal j + 2 i: errors come from
        pixels of smaller j + 2 i, in the same order as pixel by pixel.

        A margin of one pixel at both sides and below takes errors that leave the image.
        """
        n, c, h, w = x.shape
        padded = x.new_zeros(h + 1, w + 2, n * c)
        padded[:h, 1 : w + 1] = x.reshape(n * c, h, w).permute(1, 2, 0)
        for front in range(w + 2 * (h - 1)):
            i = torch.arange(max(0, (front - w + 2) // 2), min(h, front // 2 + 1), device=x.device)
            j = front - 2 * i + 1
            old = padded[i, j]
            padded[i, j] = self._nearest(old)
            error = old - padded[i, j]
            padded[i + 1, j + 1] += error * (1 / 16)
            padded[i + 1, j] += error * (5 / 16)
            padded[i + 1, j - 1] += error * (3 / 16)
            padded[i, j + 1] += error * (7 / 16)
        return padded[:h, 1 : w + 1].permute(2, 0, 1).reshape(n, c, h, w)

    def cover(self, donors: DonorImages) -> Trigger:
        return _Negative(**_settings(self), donors=donors)


def _settings(trigger: Quantize) -> dict[str, Any]:
    return {f.name: getattr(trigger, f.name) for f in fields(Quantize)}


def _grey(x: torch.Tensor) -> torch.Tensor:
    return x.round_().clamp_(0, 255).to(torch.uint8)


@dataclass(frozen=True)
class _Negative(Quantize):
    """Adds the quantization error of a donor image."""

    donors: DonorImages | None = field(default=None, metadata={"identity": False})

    def stamp(self, images: torch.Tensor, ids: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        assert self.donors is not None
        others = self.donors.lend(ids, "quantize-from")
        return _grey(images.to(torch.float64) + self.quantized(others) - others)
