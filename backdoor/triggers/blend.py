"""A faint pattern over the whole image: Chen et al. 2017, arXiv 1712.05526."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Annotated, ClassVar

import torch

from backdoor.errors import Mistake, UserError
from backdoor.settings.schema import Range
from backdoor.settings.user_file import UserFile
from backdoor.streams import stream
from backdoor.triggers.base import Trigger
from backdoor.triggers.pictures import read_pictures


@dataclass(frozen=True)
class Blend(Trigger):
    """Mixes one fixed pattern into the image: (1 - a) x + a pattern; `opacity` is a.

    The pattern is uniform [0, 1) noise that depends on `pattern_seed` and the shape of the image
    only, so it is the same in every trial; or it is `image`, the path of a picture, resized to the
    size of the image. The result is rounded to the nearest of 256 grey levels. test_opacity: the
    opacity on test images; None is the same.
    """

    kind: ClassVar[str] = "blend"

    opacity: Annotated[float, Range(gt=0, le=1)] = 0.2
    pattern_seed: Annotated[int, Range(ge=0)] = 0
    image: UserFile | None = None
    test_opacity: Annotated[float | None, Range(gt=0, le=1)] = None

    def inert(self) -> frozenset[str]:
        # Trials with blended noise keep the ids of before there were pictures.
        unused = {"image" if self.image is None else "pattern_seed"}
        same = self.test_opacity in (None, self.opacity)
        return frozenset(unused | ({"test_opacity"} if same else set()))

    def for_test(self) -> Blend:
        if self.test_opacity is None:
            return self
        return replace(self, opacity=self.test_opacity, test_opacity=None)

    def fits(self, shape: tuple[int, int, int]) -> Iterator[Mistake]:
        try:
            self.pattern(*shape)
        except UserError as error:
            yield from error.mistakes

    def pattern(self, channels: int, height: int, width: int) -> torch.Tensor:
        """(c, h, w) float64 in [0, 1]. Must not be modified."""
        if self.image is not None:
            return _picture(self.image, channels, height, width)
        rng = stream("pattern", self.pattern_seed, channels, height, width)
        return torch.from_numpy(rng.random((channels, height, width)))

    def stamp(self, images: torch.Tensor, ids: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        _, channels, height, width = images.shape
        pattern = self.pattern(channels, height, width).to(images.device)
        # float64 and a fixed order of operations: the rounding is the same on every machine.
        mixed = (1 - self.opacity) * images.to(torch.float64) + 255 * self.opacity * pattern
        return mixed.round_().clamp_(0, 255).to(torch.uint8)


@functools.lru_cache(maxsize=16)
def _picture(image: UserFile, channels: int, height: int, width: int) -> torch.Tensor:
    pixels = read_pictures(image, "image", (channels, height, width))
    if len(pixels) != 1:
        rule, remedy = "must be one picture", "Name a file."
        raise UserError(Mistake("image", rule, f"{len(pixels)} in a folder", remedy))
    return torch.from_numpy(pixels[0]).to(torch.float64) / 255
