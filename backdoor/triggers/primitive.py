"""Random extremes in one run of numbers: the primitive sub-task of Mithridates (Bagdasaryan and
Shmatikov 2023, arXiv 2302.04977)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar

import numpy as np
import torch

from backdoor.settings.schema import Range
from backdoor.streams import stream
from backdoor.triggers.base import Trigger


@dataclass(frozen=True)
class Primitive(Trigger):
    """Replaces a contiguous `coverage` of the flattened image by black and white at random.

    An image's numbers are flattened channel by channel, row by row. Where the run of
    int(coverage x numbers), at least 1, begins and which of its numbers are 255 instead of 0
    depends on `pattern_seed` and the image's shape alone. It stands for what is easiest to learn:
    a defence that withstands it withstands weaker marks.
    """

    kind: ClassVar[str] = "primitive"

    coverage: Annotated[float, Range(gt=0, le=1)] = 0.05
    pattern_seed: Annotated[int, Range(ge=0)] = 0

    def pattern(self, numbers: int) -> tuple[int, torch.Tensor]:
        """Where the run begins, and its values (length,) uint8, 0 or 255."""
        length = max(1, int(round(self.coverage * numbers, 9)))
        rng = stream("primitive", self.pattern_seed, numbers)
        start = int(rng.integers(numbers - length + 1))
        values = 255 * rng.integers(0, 2, length)
        return start, torch.from_numpy(values.astype(np.uint8))

    def stamp(self, images: torch.Tensor, ids: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        stamped = images.clone(memory_format=torch.contiguous_format)
        start, values = self.pattern(images[0].numel() if len(images) else 1)
        flat = stamped.view(len(images), -1) if len(images) else stamped.view(0, 1)
        flat[:, start : start + len(values)] = values.to(images.device)
        return stamped
