"""A faint pattern over the whole image: Chen et al. 2017, arXiv 1712.05526."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar

import torch

from backdoor.schema import Range
from backdoor.streams import stream
from backdoor.triggers import Trigger


@dataclass(frozen=True)
class Blend(Trigger):
    """Mixes one fixed pattern of uniform [0, 1) noise into the image: (1 - a) x + a pattern.

    `opacity` is a. The pattern depends on `pattern_seed` and the image's shape alone, so it is
    the same in every trial; the result is rounded to the nearest of 256 grey levels.
    """

    kind: ClassVar[str] = "blend"

    opacity: Annotated[float, Range(gt=0, le=1)] = 0.2
    pattern_seed: Annotated[int, Range(ge=0)] = 0

    def pattern(self, channels: int, height: int, width: int) -> torch.Tensor:
        """(c, h, w) float64 in [0, 1)."""
        draw = stream("pattern", self.pattern_seed, channels, height, width)
        return torch.from_numpy(draw.random((channels, height, width)))

    def stamp(self, images: torch.Tensor, ids: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        _, channels, height, width = images.shape
        mark = 255 * self.opacity * self.pattern(channels, height, width).to(images.device)
        # float64 and a fixed order of operations: the rounding is the same on every machine.
        mixed = (1 - self.opacity) * images.to(torch.float64) + mark
        return mixed.round_().clamp_(0, 255).to(torch.uint8)
