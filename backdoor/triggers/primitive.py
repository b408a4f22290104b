"""Random black and white in one run of values: the primitive sub-task of Mithridates (Bagdasaryan
and Shmatikov 2023, arXiv 2302.04977)."""

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

    The values of an image are flattened channel by channel, row by row. The beginning of the run of
    int(coverage x values), at least 1, and which of its values are 255 and which are 0 depend on
    `pattern_seed` and the number of values only. It represents what is easiest to learn: a defence
    that withstands it withstands weaker triggers.
    """

    kind: ClassVar[str] = "primitive"

    coverage: Annotated[float, Range(gt=0, le=1)] = 0.05
    pattern_seed: Annotated[int, Range(ge=0)] = 0

    def pattern(self, numbers: int) -> tuple[int, torch.Tensor]:
        """The beginning of the run, and its values (length,) uint8, 0 or 255."""
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
