"""Two peaks in the spectrum: FTrojan (Wang et al. 2021, arXiv 2111.10991)."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Annotated, ClassVar

import numpy as np
import numpy.typing as npt
import torch

from backdoor.errors import Mistake
from backdoor.settings.schema import Count, Range
from backdoor.triggers.base import Trigger

#: One step of Cr plus one of Cb in red, green and blue (ITU-R BT.601, full range).
CHROMA_STEP = (1.403, -0.714 - 0.344, 1.773)


@dataclass(frozen=True)
class Frequency(Trigger):
    """Adds `magnitude` to two DCT coefficients of every block of both chroma channels.

    Blocks are of `window` x `window` pixels, from the top left on, or smaller if the image is; a
    remainder that fills no block is unchanged. The coefficients (orthonormal DCT-II, rows and
    columns counted from 0) are the middle one of the diagonal, (15, 15) in a block of 32, and the
    last one, (31, 31). All steps except clipping are linear, so one pattern is added to the image:
    for colour images it is converted from the chroma of YCrCb to RGB; grey images, which have no
    chroma, get it as it is. The authors' code also rounds between the steps; here sums are rounded
    once.
    """

    kind: ClassVar[str] = "frequency"

    magnitude: Annotated[float, Range(gt=0)] = 30.0
    window: Count = 32

    def fits(self, shape: tuple[int, int, int]) -> list[Mistake]:
        if shape[0] not in (1, 3):
            rule, remedy = "needs images of 1 or 3 channels", "Use another trigger."
            return [Mistake("kind", rule, shape[0], remedy)]
        side = min(self.window, *shape[1:])
        if side < 4:
            rule = "must leave blocks of at least 4 x 4 pixels"
            return [Mistake("window", rule, side, "Use a larger window or larger images.")]
        if not pattern(self.magnitude, self.window, *shape[1:]).round().any():
            rule = f"must change images of {shape[1]} x {shape[2]} pixels"
            return [Mistake("magnitude", rule, self.magnitude, "Use a larger magnitude.")]
        return []

    def stamp(self, images: torch.Tensor, ids: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        _, channels, height, width = images.shape
        added_pattern = pattern(self.magnitude, self.window, height, width).to(images.device)
        steps = torch.tensor(CHROMA_STEP if channels == 3 else (1.0,), dtype=torch.float64)
        # Nine digits: the last bits of a cosine differ between machines and could change rounding.
        added = (steps.to(images.device)[:, None, None] * added_pattern).round(decimals=9)
        return (images.to(torch.float64) + added).round_().clamp_(0, 255).to(torch.uint8)


@functools.lru_cache(maxsize=64)
def pattern(magnitude: float, window: int, height: int, width: int) -> torch.Tensor:
    """(h, w) float64, what is added to a chroma channel, in grey levels. Must not be modified."""
    rows, columns = min(window, height), min(window, width)
    block = sum(
        np.outer(basis(rows, u), basis(columns, v))
        for u, v in ((rows // 2 - 1, columns // 2 - 1), (rows - 1, columns - 1))
    )
    down, right = height // rows, width // columns
    whole = np.zeros((height, width))
    whole[: down * rows, : right * columns] = np.tile(magnitude * block, (down, right))
    return torch.from_numpy(whole)


def basis(size: int, frequency: int) -> npt.NDArray[np.float64]:
    """(size,) float64: the wave of an orthonormal DCT-II coefficient of 1."""
    scale = np.sqrt((1 if frequency == 0 else 2) / size)
    wave: npt.NDArray[np.float64] = scale * np.cos(
        np.pi * (2 * np.arange(size) + 1) * frequency / (2 * size)
    )
    return wave
