"""A solid square in a corner: BadNets (Gu, Dolan-Gavitt, Garg 2017, arXiv 1708.06733)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

import torch

from backdoor.errors import Mistake
from backdoor.schema import Count, Range
from backdoor.triggers import Trigger

Position = Literal["top_left", "top_right", "bottom_left", "bottom_right", "center"]


@dataclass(frozen=True)
class Patch(Trigger):
    """A solid square of `size` × `size` pixels of grey value `value` (0 black, 1 white)."""

    kind: ClassVar[str] = "patch"

    size: Count = 3
    position: Position = "bottom_right"
    value: Annotated[float, Range(ge=0, le=1)] = 1.0

    def fits(self, shape: tuple[int, int, int]) -> Iterable[Mistake]:
        smaller = min(shape[1:])
        if self.size > smaller:
            rule = f"must not be larger than the image, which is {shape[1]} x {shape[2]} pixels"
            yield Mistake("size", rule, self.size, f"Choose at most {smaller}.")

    def corner(self, height: int, width: int) -> tuple[int, int]:
        """Row and column of the square's top left pixel."""
        if self.position == "center":
            return (height - self.size) // 2, (width - self.size) // 2
        vertical, horizontal = self.position.split("_")
        top = 0 if vertical == "top" else height - self.size
        left = 0 if horizontal == "left" else width - self.size
        return top, left

    def stamp(self, images: torch.Tensor, ids: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        top, left = self.corner(images.shape[2], images.shape[3])
        stamped = images.clone()
        stamped[:, :, top : top + self.size, left : left + self.size] = round(255 * self.value)
        return stamped
