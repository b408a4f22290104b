"""A smooth warp of the whole image: WaNet (Nguyen and Tran 2021, arXiv 2102.10369)."""

from __future__ import annotations

import functools
from collections.abc import Iterable
from dataclasses import dataclass, fields
from typing import Annotated, ClassVar

import numpy as np
import numpy.typing as npt
import torch
from torch.nn import functional

from backdoor.errors import Mistake
from backdoor.settings.schema import Range
from backdoor.streams import stream
from backdoor.triggers.base import Trigger
from backdoor.triggers.donors import DonorImages


@dataclass(frozen=True)
class Warp(Trigger):
    """Samples the image bilinearly along a grid that is bent by a smooth random field.

    Uniform [-1, 1] noise at `control` x `control` points, in both directions, is divided by its
    mean absolute value, interpolated (bicubic, corners aligned) to the size of the image, and
    multiplied by `strength` / side. As the sides of the image have length 2, pixels are moved by
    about half a pixel times `strength` on average. Places outside the image become its edge. Before
    interpolation the field depends on `pattern_seed` and `control` only.

    Its cover samples are the paper's noise mode: every pixel is moved further by uniform
    [-1, 1) / side in both directions, depending on the number of the image. The paper has twice as
    many cover samples as poisoned images.
    """

    kind: ClassVar[str] = "warp"

    control: Annotated[int, Range(ge=2)] = 4
    strength: Annotated[float, Range(gt=0)] = 0.5
    pattern_seed: Annotated[int, Range(ge=0)] = 0

    def fits(self, shape: tuple[int, int, int]) -> Iterable[Mistake]:
        if min(shape[1:]) < 2:
            rule, remedy = "needs images of at least 2 x 2 pixels", "Use another trigger."
            yield Mistake("kind", rule, f"{shape[1]} x {shape[2]}", remedy)

    def stamp(self, images: torch.Tensor, ids: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        grid = field(self.control, self.strength, self.pattern_seed, *images.shape[2:])
        return sampled(images, grid.to(images.device).expand(len(images), -1, -1, -1))

    def cover(self, donors: DonorImages) -> Trigger:
        return _Noisy(**{f.name: getattr(self, f.name) for f in fields(Warp)})


class _Noisy(Warp):
    """The warp, with every pixel moved further at random."""

    def stamp(self, images: torch.Tensor, ids: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        height, width = images.shape[2:]
        grid = field(self.control, self.strength, self.pattern_seed, height, width)
        sample = [self._noise(int(number), height, width) for number in ids.tolist()]
        noise = np.stack(sample) if sample else np.empty((0, height, width, 2))
        moved = (grid + torch.from_numpy(noise)).clamp_(-1, 1)
        return sampled(images, moved.to(images.device))

    def _noise(self, number: int, height: int, width: int) -> npt.NDArray[np.float64]:
        """(h, w, 2) float64 in the grid's units, horizontal first."""
        rng = stream("warp-noise", self.pattern_seed, number, height, width)
        noise: npt.NDArray[np.float64] = 2 * rng.random((height, width, 2)) - 1
        return noise / (width, height)


@functools.lru_cache(maxsize=64)
def field(control: int, strength: float, seed: int, height: int, width: int) -> torch.Tensor:
    """The place from which each pixel is taken, (h, w, 2) float64 in [-1, 1], horizontal first;
    -1 and 1 are the centres of the outermost pixels. Must not be modified."""
    points = torch.from_numpy(2 * stream("warp", seed, control).random((2, control, control)) - 1)
    points /= points.abs().mean()
    bent = functional.interpolate(
        points[None], size=(height, width), mode="bicubic", align_corners=True
    )[0].permute(1, 2, 0)
    down, right = (torch.linspace(-1, 1, side, dtype=torch.float64) for side in (height, width))
    straight = torch.stack([right.expand(height, width), down[:, None].expand(height, width)], 2)
    sides = torch.tensor([width, height], dtype=torch.float64)
    return (straight + strength * bent / sides).clamp_(-1, 1)


def sampled(images: torch.Tensor, grid: torch.Tensor) -> torch.Tensor:
    """images (n, c, h, w) uint8 at the places grid (n, h, w, 2), bilinear, a new tensor."""
    if not len(images):
        return images.clone()
    seen = functional.grid_sample(images.to(torch.float64), grid, align_corners=True)
    # Nine digits: the last bits of such sums differ between machines and could change rounding.
    return seen.round(decimals=9).round_().clamp_(0, 255).to(torch.uint8)
