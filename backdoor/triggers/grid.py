"""An invisible grid over the whole image: Backdoor Learning Curves (Cinà et al. 2021, arXiv
2106.07214), after Zhong et al. 2020."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar

import torch

from backdoor.settings.schema import Range
from backdoor.triggers.base import Trigger


@dataclass(frozen=True)
class Grid(Trigger):
    """Adds `amplitude` to every pixel of even row and even column, counted from 0, and clips.

    `amplitude` is in grey levels of 255 and the same for all channels: 75 in the paper's main
    tables, 10 for its almost invisible pattern.
    """

    kind: ClassVar[str] = "grid"

    amplitude: Annotated[float, Range(gt=0, le=255)] = 75.0

    def stamp(self, images: torch.Tensor, ids: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        stamped = images.clone()
        points = stamped[:, :, ::2, ::2]
        brighter = points.to(torch.float64) + self.amplitude
        points.copy_(brighter.round_().clamp_(0, 255))
        return stamped
