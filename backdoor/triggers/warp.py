"""A smooth warp of the whole image: WaNet (Nguyen and Tran 2021, arXiv 2102.10369)."""

from __future__ import annotations

import functools
from collections.abc import Iterable
from dataclasses import dataclass, fields
from typing import Annotated, Any, ClassVar

import numpy as np
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

    `control` x `control` points of uniform [-1, 1] noise in both directions are divided by their
    mean absolute value, interpolated bicubically to the image's size (corners aligned), and moved
    by `strength` / side: the image's sides are 2 long, so a mean of about half a pixel times
    `strength`. What would lie outside is at the edge. The field depends on `pattern_seed` and
    `control` alone before it is interpolated.

    Its cover samples are the paper's noise mode: every pixel's place is moved by another
    uniform [-1, 1) / side in both directions, drawn by the image's number. The paper has twice as
    many of them as of poisoned images.
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
    """The warp, with every pixel's place moved at random."""

    def stamp(self, images: torch.Tensor, ids: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        height, width = images.shape[2:]
        grid = field(self.control, self.strength, self.pattern_seed, height, width)
        draws = [self._noise(int(number), height, width) for number in ids.tolist()]
        noise = np.stack(draws) if draws else np.empty((0, height, width, 2))
        moved = (grid + torch.from_numpy(noise)).clamp_(-1, 1)
        return sampled(images, moved.to(images.device))

    def _noise(self, number: int, height: int, width: int) -> Any:
        """(h, w, 2) float64 in the grid's units, horizontal first."""
        rng = stream("warp-noise", self.pattern_seed, number, height, width)
        return (2 * rng.random((height, width, 2)) - 1) / (width, height)


@functools.lru_cache(maxsize=64)
def field(control: int, strength: float, seed: int, height: int, width: int) -> torch.Tensor:
    """(h, w, 2) float64 in [-1, 1], where each pixel is taken from, horizontal first; -1 and 1 are
    the middles of the outermost pixels. Not to be written to."""
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
    """images (n, c, h, w) uint8 at the places grid (n, h, w, 2), bilinearly, a new tensor."""
    if not len(images):
        return images.clone()
    seen = functional.grid_sample(images.to(torch.float64), grid, align_corners=True)
    # Nine digits: the last bits of such sums differ between machines, and could turn a half.
    return seen.round(decimals=9).round_().clamp_(0, 255).to(torch.uint8)
