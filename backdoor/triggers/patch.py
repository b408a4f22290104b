"""A square in a corner: BadNets (Gu, Dolan-Gavitt, Garg 2017, arXiv 1708.06733), and the noise of
Backdoor Learning Curves (Cinà et al. 2021, arXiv 2106.07214)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
import torch

from backdoor.errors import Mistake, UserError
from backdoor.settings.schema import Count, Range
from backdoor.streams import by_number, stream
from backdoor.triggers.base import Trigger

Position = Literal[
    "top_left", "top_right", "bottom_left", "bottom_right", "center", "random"
]  # fmt: skip
Pattern = Literal["solid", "noise_per_class", "checkerboard"]

#: Settings that mean something to one pattern only.
OWN_SETTINGS = {"solid": "value", "noise_per_class": "pattern_seed"}


@dataclass(frozen=True)
class Patch(Trigger):
    """A square of `size` × `size` pixels: solid, noise of its own for every class, or chequered.

    pattern: `solid` has the grey value `value` (0 black, 1 white). `noise_per_class` draws every
    channel and pixel uniformly from [0, 1), another square for each true class. `checkerboard`
    alternates black and white, black at the square's top left.
    position: `random` puts it anywhere inside, elsewhere in every image, test images included.
    pattern_seed: of the noise, position_seed: of random positions, which follow from it and the
    image's number; None takes the trial's own seed, so that seeds differ in it too.
    """

    kind: ClassVar[str] = "patch"

    size: Count = 3
    position: Position = "bottom_right"
    value: Annotated[float, Range(ge=0, le=1)] = 1.0
    pattern: Pattern = "solid"
    pattern_seed: Annotated[int | None, Range(ge=0)] = None
    position_seed: Annotated[int | None, Range(ge=0)] = None

    def inert(self) -> frozenset[str]:
        foreign = {name for pattern, name in OWN_SETTINGS.items() if pattern != self.pattern}
        foreign |= {"position_seed"} if self.position != "random" else set()
        # A solid patch is named as it was before there were other patterns.
        return frozenset(foreign | ({"pattern"} if self.pattern == "solid" else set()))

    def for_seed(self, seed: int) -> Patch:
        drawn = {"pattern_seed": self.pattern == "noise_per_class",
                 "position_seed": self.position == "random"}  # fmt: skip
        own: dict[str, Any] = {
            name: seed for name, used in drawn.items() if used and getattr(self, name) is None
        }
        return replace(self, **own) if own else self

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
        stamped = images.clone()
        if self.position == "random":
            self._anywhere(stamped, ids, labels)
            return stamped
        top, left = self.corner(images.shape[2], images.shape[3])
        self._draw(stamped[:, :, top : top + self.size, left : left + self.size], labels)
        return stamped

    def _anywhere(self, images: torch.Tensor, ids: torch.Tensor, labels: torch.Tensor) -> None:
        """Stamps images in place, each where its number says."""
        places = images.new_tensor([images.shape[2], images.shape[3]], dtype=torch.int64)
        top, left = self.corners(ids, places - self.size + 1).T[:, :, None, None, None]
        steps = torch.arange(self.size, device=images.device)
        squares = images.new_empty(*images.shape[:2], self.size, self.size)
        self._draw(squares, labels)
        image = torch.arange(len(images), device=images.device)[:, None, None, None]
        channel = torch.arange(images.shape[1], device=images.device)[:, None, None]
        images[image, channel, top + steps[:, None], left + steps] = squares

    def corners(self, ids: torch.Tensor, places: torch.Tensor) -> torch.Tensor:
        """(n, 2) int64, rows and columns of top left pixels of random squares, each below places
        (2,). Needs a `position_seed`."""
        drawn = by_number(ids.cpu().numpy(), 2, "position", _known(self, "position_seed"))
        return (torch.from_numpy(drawn).to(ids.device) * places).to(torch.int64)

    def _draw(self, square: torch.Tensor, labels: torch.Tensor) -> None:
        """Fills squares (n, c, size, size) uint8 in place."""
        if self.pattern == "solid":
            square.fill_(round(255 * self.value))
        elif self.pattern == "checkerboard":
            steps = torch.arange(self.size, device=square.device)
            square.copy_(255 * ((steps[:, None] + steps) % 2))
        else:
            for label in set(labels.tolist()):
                square[labels == label] = self.noise(label, square.shape[1]).to(square.device)

    def noise(self, label: int, channels: int) -> torch.Tensor:
        """(c, size, size) uint8, the square of a true class. Needs a `pattern_seed`."""
        shape = channels, self.size, self.size
        drawn = stream("pattern", _known(self, "pattern_seed"), label, *shape).random(shape)
        return torch.from_numpy(np.rint(255 * drawn).astype(np.uint8))


def _known(patch: Patch, name: str) -> int:
    """One of its seeds; `UserError` where the trial's own was to be taken and is not known."""
    seed: int | None = getattr(patch, name)
    if seed is None:
        remedy = "Set it, or call for_seed(seed) with the seed that the images are poisoned by."
        raise UserError(Mistake(name, "must be known to stamp images", None, remedy))
    return seed
