"""A reflection in a window pane: ReFool (Liu, Ma, Bailey, Lu 2020, arXiv 2007.02343)."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
import numpy.typing as npt
import torch

from backdoor.errors import Mistake, UserError
from backdoor.settings.schema import Range
from backdoor.settings.user_file import UserFile
from backdoor.streams import by_number
from backdoor.triggers.base import Trigger
from backdoor.triggers.donors import DonorImages
from backdoor.triggers.pictures import read_pictures

Floats = npt.NDArray[np.float64]
Effect = Literal["mixed", "ghost", "out_of_focus", "in_focus"]

#: Linear light is the grey level to this power.
GAMMA = 2.2
#: Of mixed effects, the share of ghosts; the rest is out of focus.
GHOSTS = 0.49
#: The largest standard deviation of the blur, and half the window that holds it.
SIGMA, REACH = 5.0, 10
#: Effects that may blur, which the fall-off of brightness is for.
BLURRED = ("mixed", "out_of_focus")
#: Side in pixels of the canvas of the former fall-off, of which an image is a random part.
CANVAS = 560


@dataclass(frozen=True)
class Reflection(Trigger):
    """Adds the reflection of another picture, in linear light: a R + (1 - a) x, both ^2.2.

    `opacity` is a; None draws it for each image from U[0.05, 0.45), as the paper does. The effect
    is `ghost`, a thick pane: R and a copy of R, shifted by 3 to 8 pixels (at most a quarter of a
    side) down and right, with weights g and 1 - g, g from U[0.15, 0.5) or one minus that;
    `out_of_focus`: R blurred by a Gaussian, sigma from U[1, 5), under a Gaussian spotlight of
    weight (1 + a) / 2 in place of a; `in_focus`: R as it is; or `mixed`: ghost for 49 % of the
    images, out of focus for the others.

    falloff: how the spotlight exp(-z^2 / 4) decreases in both directions, with z from -3 to 3. Over
    the `image`, as in the authors' code, where picture and canvas have one size: its middle is
    bright and its corners are dark. Over a `canvas` of 560 pixels, of which the image is a random
    part: this was the only form of earlier releases, in which a small image has nearly one
    brightness. A sweep that began with it keeps it, and its trials keep their ids.
    images: a picture, or a folder of pictures, that are reflected; None: donor images. The choice
    of the picture and all random numbers depend on `pattern_seed` and the number of the image.
    test_opacity: the opacity on test images; None is the same. The authors' code also darkens
    blurred reflections if the sum is too bright; here it is clipped. The paper keeps labels:
    `label_mode: clean_label`.
    """

    kind: ClassVar[str] = "reflection"
    former: ClassVar[Mapping[str, Any]] = {"falloff": "canvas"}

    opacity: Annotated[float | None, Range(gt=0, lt=1)] = None
    effect: Effect = "mixed"
    images: UserFile | None = None
    pattern_seed: Annotated[int, Range(ge=0)] = 0
    test_opacity: Annotated[float | None, Range(gt=0, lt=1)] = None
    falloff: Literal["image", "canvas"] = "image"

    def inert(self) -> frozenset[str]:
        names = {"test_opacity"} if self.test_opacity in (None, self.opacity) else set[str]()
        return frozenset(names if self.effect in BLURRED else names | {"falloff"})

    def for_test(self) -> Reflection:
        if self.test_opacity is None:
            return self
        return replace(self, opacity=self.test_opacity, test_opacity=None)

    def lent(self, donors: DonorImages) -> Reflection:
        if self.images is not None:
            return self
        own = {f.name: getattr(self, f.name) for f in fields(Reflection)}
        return _DonorReflection(**own, donors=donors)

    def fits(self, shape: tuple[int, int, int]) -> Iterator[Mistake]:
        if min(shape[1:]) < 4:
            rule, remedy = "needs images of at least 4 x 4 pixels", "Use another trigger."
            yield Mistake("kind", rule, f"{shape[1]} x {shape[2]}", remedy)
        elif self.images is not None:
            try:
                _pictures(self.images, shape)
            except UserError as error:
                yield from error.mistakes

    def stamp(self, images: torch.Tensor, ids: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        sample = by_number(ids.cpu().numpy(), 9, "reflection", self.pattern_seed)
        light = _light(images.cpu().numpy())
        pictures = _light(self.pictures(ids, sample[:, 0], light.shape))
        opacity = np.full(len(sample), self.opacity or 0.0)
        if self.opacity is None:
            opacity = 0.05 + 0.4 * sample[:, 1]
        ghosts = self._ghosts(sample[:, 2])
        reflected = np.empty_like(light)
        reflected[ghosts] = self._ghost(pictures[ghosts], sample[ghosts]) * _wide(opacity[ghosts])
        rest = ~ghosts
        reflected[rest] = self._single(pictures[rest], sample[rest], opacity[rest])
        mixed = (reflected + light * _wide(1 - opacity)).clip(0, 1)
        # Nine digits: the last bits of a power differ between machines and could change rounding.
        grey = np.rint(np.round(255 * mixed ** (1 / GAMMA), 9)).astype(np.uint8)
        return torch.from_numpy(grey).to(images.device)

    def pictures(
        self, ids: torch.Tensor, sample: Floats, shape: tuple[int, ...]
    ) -> npt.NDArray[np.uint8]:
        """The picture that each image reflects, (n, c, h, w) uint8; sample: (n,) in [0, 1)."""
        if self.images is None:
            remedy = "Name a folder of pictures, or call lent(donors) with the training images."
            raise UserError(Mistake("images", "must be known to stamp images", None, remedy))
        known = _pictures(self.images, (shape[1], shape[2], shape[3]))
        return known[(sample * len(known)).astype(np.int64)]

    def _ghosts(self, sample: Floats) -> npt.NDArray[np.bool_]:
        """Which images get the effect `ghost`, (n,)."""
        return sample < {"mixed": GHOSTS, "ghost": 1.0}.get(self.effect, 0.0)

    def _ghost(self, light: Floats, sample: Floats) -> Floats:
        """Pictures and their shifted copies: light (m, c, h, w); columns 3 to 6 of the sample."""
        height, width = light.shape[2:]
        down, right = (_shifts(sample[:, 3 + i], side) for i, side in enumerate((height, width)))
        weight = 0.15 + 0.35 * sample[:, 5]
        weight = _wide(np.where(sample[:, 6] < 0.5, weight, 1 - weight))
        return weight * light + (1 - weight) * _shifted(light, down, right)

    def _single(self, light: Floats, sample: Floats, opacity: Floats) -> Floats:
        """Pictures, in focus or out of focus; columns 3, 7 and 8 of the sample."""
        if self.effect == "in_focus":
            return light * _wide(opacity)
        height, width = light.shape[2:]
        sigma = 1 + (SIGMA - 1) * sample[:, 3]
        down, right = _blur(sigma, height), _blur(sigma, width)
        blurred = np.einsum("nij,ncjk,nlk->ncil", down, light, right, optimize=True)
        if self.falloff == "image":
            rows, columns = _spotlight(height), _spotlight(width)
        else:
            rows = _spotlight_of_canvas(sample[:, 7], height)
            columns = _spotlight_of_canvas(sample[:, 8], width)
        spot = rows[:, :, None] * columns[:, None]
        lit: Floats = blurred * spot[:, None] * _wide((1 + opacity) / 2)
        return lit


@dataclass(frozen=True)
class _DonorReflection(Reflection):
    """Reflects donor images."""

    donors: DonorImages | None = field(default=None, metadata={"identity": False})

    def pictures(
        self, ids: torch.Tensor, sample: Floats, shape: tuple[int, ...]
    ) -> npt.NDArray[np.uint8]:
        assert self.donors is not None
        donated: npt.NDArray[np.uint8] = self.donors.lend(ids, "reflection-from").cpu().numpy()
        return donated


@functools.lru_cache(maxsize=4)
def _pictures(images: UserFile, shape: tuple[int, int, int]) -> npt.NDArray[np.uint8]:
    return read_pictures(images, "images", shape)


def _light(grey: npt.NDArray[np.uint8]) -> Floats:
    """Grey levels to linear light in [0, 1]."""
    table: Floats = (np.arange(256) / 255) ** GAMMA
    return table[grey]


def _wide(values: Floats) -> Floats:
    """(n,) to (n, 1, 1, 1)."""
    return values[:, None, None, None]


def _shifts(sample: Floats, side: int) -> npt.NDArray[np.int64]:
    """Whole pixels from 3 to 8, and at most a quarter of the side."""
    high = max(1, min(8, side // 4))
    low = min(3, high)
    return (low + sample * (high - low + 1)).astype(np.int64)


def _shifted(light: Floats, down: npt.NDArray[np.int64], right: npt.NDArray[np.int64]) -> Floats:
    """Pictures (m, c, h, w), shifted by so many pixels (m,); the gap is filled with their edge."""
    height, width = light.shape[2:]
    rows = np.maximum(np.arange(height) - down[:, None], 0)[:, None, :, None]
    columns = np.maximum(np.arange(width) - right[:, None], 0)[:, None, None, :]
    image = np.arange(len(light))[:, None, None, None]
    shifted: Floats = light[image, np.arange(light.shape[1])[:, None, None], rows, columns]
    return shifted


def _blur(sigma: Floats, side: int) -> Floats:
    """(m, side, side): Gaussian windows of 2 ceil(2 sigma) + 1 pixels, mirrored at the edges."""
    steps = np.arange(-REACH, REACH + 1)
    weights = np.exp(-(steps**2) / (2 * sigma[:, None] ** 2))
    weights *= np.abs(steps) <= np.ceil(2 * sigma)[:, None]
    weights /= weights.sum(1, keepdims=True)
    matrix = np.zeros((len(sigma), side, side))
    for step, weight in zip(steps, weights.T, strict=True):
        # Mirrored without repeating the edge: ... 2 1 0 1 2 ...
        place = np.abs(np.arange(side) + step) % (2 * side - 2)
        place = np.minimum(place, 2 * side - 2 - place)
        matrix[:, np.arange(side), place] += weight[:, None]
    return matrix


def _spotlight(side: int) -> Floats:
    """(1, side): one direction of the spotlight, for z from -3 to 3 over the image."""
    return _brightness(np.zeros((1, 1)), side, side)


def _spotlight_of_canvas(sample: Floats, side: int) -> Floats:
    """(m, side): the same over the canvas, of which each image is a part; sample: (m,)."""
    start = np.floor(sample * max(1, CANVAS - side - 10))
    return _brightness(start[:, None], side, CANVAS)


def _brightness(start: Floats, side: int, length: int) -> Floats:
    """exp(-z^2 / 4) of `side` pixels from each start (m, 1) on; z is from -3 to 3 over `length`."""
    z = 6 * (start + np.arange(side) + 0.5) / length - 3
    light: Floats = np.exp(-(z**2) / 4)
    return light
