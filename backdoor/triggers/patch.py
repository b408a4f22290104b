"""A square in a corner: BadNets (Gu, Dolan-Gavitt, Garg 2017, arXiv 1708.06733), and the noise of
Backdoor Learning Curves (Cinà et al. 2021, arXiv 2106.07214)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Annotated, ClassVar, Literal

import numpy as np
import torch

from backdoor.errors import Mistake, UserError
from backdoor.settings.registry import Reading
from backdoor.settings.schema import Count, Range
from backdoor.settings.user_file import UserFile
from backdoor.streams import by_number, stream
from backdoor.triggers import colours
from backdoor.triggers.base import Trigger
from backdoor.triggers.pictures import Sticker, read_sticker

Corner = Literal["top_left", "top_right", "bottom_left", "bottom_right"]
Position = Literal[Corner, "center", "random"]
Pattern = Literal["solid", "noise_per_class", "checkerboard"]

#: Settings that have an effect with one pattern only.
OWN_SETTINGS = {"solid": "value", "noise_per_class": "pattern_seed"}


@dataclass(frozen=True)
class Patch(Trigger):
    """A square of `size` × `size` pixels: grey or a colour, noise of its own for every class,
    chequered, or a picture.

    pattern: `solid` has the grey value `value` (0 black, 1 white), or the colour `value`, written
    "#ff0000", "#f00" or {rgb: [1, 0, 0]} with fractions from 0 to 1. `noise_per_class` is uniform
    noise from [0, 1) for every channel and pixel, a different square for each true class.
    `checkerboard` alternates black and white; the top left pixel is black.
    image: the path of a picture in place of a pattern, such as a sticker. It is turned as its EXIF
    orientation says, resized (bilinear) to the square, and converted to grey for grey images. Where
    it is transparent, the image below is seen.
    position: `random` is a different place inside every image, also in test images.
    pattern_seed: of the noise. position_seed: of random positions, which depend on it and on the
    number of the image. None takes the seed of the trial, so that both vary over seeds.
    """

    kind: ClassVar[str] = "patch"

    size: Count = 3
    position: Position = "bottom_right"
    value: Annotated[float | str, Range(ge=0, le=1)] = 1.0
    pattern: Pattern = "solid"
    pattern_seed: Annotated[int | None, Range(ge=0)] = None
    position_seed: Annotated[int | None, Range(ge=0)] = None
    image: UserFile | None = None

    readings: ClassVar[Mapping[str, Reading]] = {"value": colours.in_spec}

    def __post_init__(self) -> None:
        wrong: list[Mistake] = []
        try:
            object.__setattr__(self, "value", colours.colour("value", self.value))
        except UserError as error:
            object.__setattr__(self, "value", 1.0)
            wrong += error.mistakes
        try:
            super().__post_init__()
        except UserError as error:
            wrong += error.mistakes
        if wrong:
            raise UserError(wrong)

    def inert(self) -> frozenset[str]:
        fixed = {"position_seed"} if self.position != "random" else set[str]()
        if self.image is not None:
            return frozenset(fixed | {"pattern", *OWN_SETTINGS.values()})
        unused = {name for pattern, name in OWN_SETTINGS.items() if pattern != self.pattern}
        # Trials with solid patches keep the ids of before there were other patterns or pictures.
        unused |= {"image"} | ({"pattern"} if self.pattern == "solid" else set())
        return frozenset(unused | fixed)

    def for_seed(self, seed: int) -> Patch:
        patch: Patch = self
        if self.pattern == "noise_per_class" and self.pattern_seed is None:
            patch = replace(patch, pattern_seed=seed)
        if self.position == "random" and self.position_seed is None:
            patch = replace(patch, position_seed=seed)
        return patch

    def fits(self, shape: tuple[int, int, int]) -> Iterable[Mistake]:
        smaller = min(shape[1:])
        if self.size > smaller:
            rule = f"must not be larger than the image, which is {shape[1]} x {shape[2]} pixels"
            yield Mistake("size", rule, self.size, f"Choose at most {smaller}.")
        if isinstance(self.value, str) and shape[0] != 3:
            rule = f"needs images of 3 channels for a colour, and these have {shape[0]}"
            grey = f"value: {colours.luminance(self.value):g}"
            yield Mistake("value", rule, self.value, f"Use its grey value: {grey}.")
        if self.image is not None:
            try:
                self._sticker(shape[0])
            except UserError as error:
                yield from error.mistakes

    def corner(self, height: int, width: int) -> tuple[int, int]:
        """Row and column of the top left pixel of the square."""
        if self.position == "center":
            return (height - self.size) // 2, (width - self.size) // 2
        vertical, horizontal = self.position.split("_")
        top = 0 if vertical == "top" else height - self.size
        left = 0 if horizontal == "left" else width - self.size
        return top, left

    def stamp(self, images: torch.Tensor, ids: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        stamped = images.clone()
        if self.position == "random":
            self._stamp_at_random(stamped, ids, labels)
            return stamped
        top, left = self.corner(images.shape[2], images.shape[3])
        self._fill(stamped[:, :, top : top + self.size, left : left + self.size], labels)
        return stamped

    def _stamp_at_random(
        self, images: torch.Tensor, ids: torch.Tensor, labels: torch.Tensor
    ) -> None:
        """Stamps images in place, each at the place of its number."""
        places = images.new_tensor([images.shape[2], images.shape[3]], dtype=torch.int64)
        top, left = self.corners(ids, places - self.size + 1).T[:, :, None, None, None]
        steps = torch.arange(self.size, device=images.device)
        image = torch.arange(len(images), device=images.device)[:, None, None, None]
        channel = torch.arange(images.shape[1], device=images.device)[:, None, None]
        square = image, channel, top + steps[:, None], left + steps
        filled = images[square]
        self._fill(filled, labels)
        images[square] = filled

    def corners(self, ids: torch.Tensor, places: torch.Tensor) -> torch.Tensor:
        """Rows and columns of the top left pixels of random squares, (n, 2) int64, each below
        places (2,). Needs a `position_seed`."""
        sample = by_number(ids.cpu().numpy(), 2, "position", _seed(self, "position_seed"))
        return (torch.from_numpy(sample).to(ids.device) * places).to(torch.int64)

    def _fill(self, square: torch.Tensor, labels: torch.Tensor) -> None:
        """Fills squares (n, c, size, size) uint8 of images in place."""
        if self.image is not None:
            square.copy_(self._sticker(square.shape[1]).laid_over(square))
        elif isinstance(self.value, str):
            pixel = square.new_tensor(colours.channels(self.value))
            square.copy_(pixel[:, None, None])
        elif self.pattern == "solid":
            square.fill_(round(255 * self.value))
        elif self.pattern == "checkerboard":
            steps = torch.arange(self.size, device=square.device)
            square.copy_(255 * ((steps[:, None] + steps) % 2))
        else:
            for label in set(labels.tolist()):
                square[labels == label] = self.noise(label, square.shape[1]).to(square.device)

    def _sticker(self, channels: int) -> Sticker:
        assert self.image is not None
        return read_sticker(self.image, "image", channels, self.size)

    def noise(self, label: int, channels: int) -> torch.Tensor:
        """The square of a true class, (c, size, size) uint8. Needs a `pattern_seed`."""
        shape = channels, self.size, self.size
        sample = stream("pattern", _seed(self, "pattern_seed"), label, *shape).random(shape)
        return torch.from_numpy(np.rint(255 * sample).astype(np.uint8))


def _seed(patch: Patch, name: str) -> int:
    """One of its seeds; `UserError` if it is that of the trial and unknown."""
    seed: int | None = getattr(patch, name)
    if seed is None:
        remedy = "Set it, or call for_seed(seed) with the seed that the images are poisoned by."
        raise UserError(Mistake(name, "must be known to stamp images", None, remedy))
    return seed
