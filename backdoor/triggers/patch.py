"""A square in a corner: BadNets (Gu, Dolan-Gavitt, Garg 2017, arXiv 1708.06733), and the noise of
Backdoor Learning Curves (Cinà et al. 2021, arXiv 2106.07214)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Annotated, ClassVar, Literal

import numpy as np
import torch

from backdoor.errors import Mistake, UserError
from backdoor.schema import Count, Range
from backdoor.streams import stream
from backdoor.triggers import Trigger

Position = Literal["top_left", "top_right", "bottom_left", "bottom_right", "center"]
Pattern = Literal["solid", "noise_per_class", "checkerboard"]

#: Settings that mean something to one pattern only.
OWN_SETTINGS = {"solid": "value", "noise_per_class": "pattern_seed"}


@dataclass(frozen=True)
class Patch(Trigger):
    """A square of `size` × `size` pixels: solid, noise of its own for every class, or chequered.

    pattern: `solid` has the grey value `value` (0 black, 1 white). `noise_per_class` draws every
    channel and pixel uniformly from [0, 1), another square for each true class. `checkerboard`
    alternates black and white, black at the square's top left.
    pattern_seed: of the noise; None takes the trial's own seed, so that seeds differ in it too.
    """

    kind: ClassVar[str] = "patch"

    size: Count = 3
    position: Position = "bottom_right"
    value: Annotated[float, Range(ge=0, le=1)] = 1.0
    pattern: Pattern = "solid"
    pattern_seed: Annotated[int | None, Range(ge=0)] = None

    def inert(self) -> frozenset[str]:
        foreign = {name for pattern, name in OWN_SETTINGS.items() if pattern != self.pattern}
        # A solid patch is named as it was before there were other patterns.
        return frozenset(foreign | ({"pattern"} if self.pattern == "solid" else set()))

    def for_seed(self, seed: int) -> Patch:
        drawn_by_trial = self.pattern == "noise_per_class" and self.pattern_seed is None
        return replace(self, pattern_seed=seed) if drawn_by_trial else self

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
        square = stamped[:, :, top : top + self.size, left : left + self.size]
        if self.pattern == "solid":
            square.fill_(round(255 * self.value))
        elif self.pattern == "checkerboard":
            steps = torch.arange(self.size, device=images.device)
            square.copy_(255 * ((steps[:, None] + steps) % 2))
        else:
            for label in set(labels.tolist()):
                square[labels == label] = self.noise(label, images.shape[1]).to(images.device)
        return stamped

    def noise(self, label: int, channels: int) -> torch.Tensor:
        """(c, size, size) uint8, the square of a true class. Needs a `pattern_seed`."""
        if self.pattern_seed is None:
            remedy = "Set it, or call for_seed(seed) with the seed that the images are poisoned by."
            raise UserError(Mistake("pattern_seed", "must be known to stamp images", None, remedy))
        shape = channels, self.size, self.size
        drawn = stream("pattern", self.pattern_seed, label, *shape).random(shape)
        return torch.from_numpy(np.rint(255 * drawn).astype(np.uint8))
