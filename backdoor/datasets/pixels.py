"""From encoded images (PNG, JPEG, ...) to one array. Shared by the kinds that decode."""

from __future__ import annotations

import io
import struct
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
from PIL import Image

from backdoor.datasets.files import listed, wrong_root

ImageArray = npt.NDArray[np.uint8]

#: What Pillow raises for content that is not an image, or a damaged one.
UNREADABLE = (
    *(OSError, SyntaxError, ValueError, EOFError),
    *(struct.error, Image.DecompressionBombError),
)

#: How an image becomes a square: `stretch` changes its proportions, `crop` keeps the square in its
#: middle. Both are bilinear and antialiased.
Resize = Literal["stretch", "crop"]


Background = Literal["white", "black", "grey"]


@dataclass(frozen=True)
class Decoding:
    """How encoded images become arrays.

    side: height and width in pixels after resizing; None keeps the size. background: what
    transparent pixels are laid over. bits: how many of 16 bits a channel are in use; None if that
    was not said, then 16.
    """

    side: int | None = None
    resize: Resize = "stretch"
    background: Background = "white"
    bits: int | None = None


@dataclass(frozen=True)
class Decoded:
    """One image.

    pixels: (c, h, w) uint8; c is 1 for grey images, else 3. traits: what is to be counted, see
    `TRAITS`. peak: the largest value of an image of 16 bits a channel, else None.
    """

    pixels: ImageArray
    traits: frozenset[str] = frozenset()
    peak: int | None = None


#: What images may be, and what it means for how they are read.
TRAITS = {
    "alpha": "transparent pixels are laid over the background",
    "exif": "turned as their EXIF orientation says",
    "bits": "values of 16 bits are scaled by the bits in use",
    "frames": "only the first of several frames is read",
}
#: Those that change what earlier versions read.
NEW_RULES = ("alpha", "exif")


def decode(encoded: bytes, decoding: Decoding = Decoding()) -> Decoded:
    """One image; raises one of `UNREADABLE` where it cannot be read."""
    side, resize = decoding.side, decoding.resize
    with Image.open(io.BytesIO(encoded)) as opened:
        image: Image.Image = opened
        if opened.mode in ("I", "F"):
            raise ValueError("must have 8 or 16 bits a channel")
        if opened.mode.startswith("I;16"):
            # Pillow's own conversion clips at 255, and nearly everything would become white.
            image = Image.fromarray((np.asarray(opened) // 257).astype(np.uint8))
        image = image.convert("L" if image.mode in ("1", "L") else "RGB")
    if side is not None:
        image = image.crop(_middle(image.size)) if resize == "crop" else image
        image = image.resize((side, side), Image.Resampling.BILINEAR)
    pixels = np.asarray(image, dtype=np.uint8)
    return Decoded(pixels[None] if pixels.ndim == 2 else pixels.transpose(2, 0, 1))


def _middle(size: tuple[int, int]) -> tuple[int, int, int, int]:
    """Left, top, right and bottom of the largest square in the middle of an image of this width and
    height, rounded as in torchvision's center_crop."""
    width, height = size
    edge = min(size)
    left, top = round((width - edge) / 2), round((height - edge) / 2)
    return left, top, left + edge, top + edge


def decode_all(
    encoded: Iterable[tuple[str, bytes]], side: int | None = None, resize: Resize = "stretch"
) -> ImageArray:
    """Named images as (n, c, h, w) uint8. If some have colour, grey ones get three equal channels.

    Raises:
        UserError: with the names of images that cannot be decoded, or of one that has not the size
            of most.
    """
    images: list[ImageArray] = []
    names: list[str] = []
    unreadable: list[str] = []
    for name, content in encoded:
        try:
            images.append(decode(content, Decoding(side, resize)).pixels)
            names.append(name)
        except UNREADABLE:
            unreadable.append(name)
    if unreadable:
        rule = "must hold images that can be decoded, of 8 or 16 bits a channel"
        raise wrong_root(rule, listed(unreadable), "Replace or remove them.")
    if not images:
        raise wrong_root("must hold images", "none", "Check the path.")
    _one_size(images, names)
    if len({len(image) for image in images}) > 1:
        images = [np.broadcast_to(image, (3, *image.shape[1:])) for image in images]
    return np.stack(images)


def _one_size(images: list[ImageArray], names: list[str]) -> None:
    sizes = Counter(image.shape[1:] for image in images).most_common()
    if len(sizes) > 1:
        usual, odd = sizes[0][0], sizes[-1][0]
        name = next(n for n, image in zip(names, images, strict=True) if image.shape[1:] == odd)
        value = f"{name}: {odd[0]} x {odd[1]} where most are {usual[0]} x {usual[1]} pixels"
        rule = "must hold images of one size"
        raise wrong_root(rule, value, "Resize them all: --set data.image_size=SIDE.")
