"""From encoded images (PNG, JPEG, ...) to one array of pixels. Shared by the kinds that decode."""

from __future__ import annotations

import io
import struct
from collections import Counter
from collections.abc import Iterable
from typing import Literal

import numpy as np
import numpy.typing as npt
from PIL import Image

from backdoor.datasets.files import listed, wrong_root

Pixels = npt.NDArray[np.uint8]

#: What Pillow raises over content that is no image, or a damaged one.
UNREADABLE = (
    OSError, SyntaxError, ValueError, EOFError, struct.error, Image.DecompressionBombError,
)  # fmt: skip


#: How an image becomes a square: `stretch` changes its proportions, `crop` cuts off what is left
#: and right (or above and below) of its middle. Both are bilinear and antialiased.
Resize = Literal["stretch", "crop"]


def decode(encoded: bytes, side: int | None = None, resize: Resize = "stretch") -> Pixels:
    """One image as (c, h, w) uint8; c is 1 for grey images, else 3.

    side: both edges in pixels after resizing; None leaves the size. 16 bits a channel become 8;
    more raise `ValueError`, since what their range is cannot be told.
    """
    with Image.open(io.BytesIO(encoded)) as opened:
        image: Image.Image = opened
        if opened.mode in ("I", "F"):
            raise ValueError("must have 8 or 16 bits a channel")
        if opened.mode.startswith("I;16"):
            # Pillow's own conversion clips at 255, which would turn nearly all of it white.
            image = Image.fromarray((np.asarray(opened) // 257).astype(np.uint8))
        image = image.convert("L" if image.mode in ("1", "L") else "RGB")
    if side is not None:
        image = image.crop(_middle(image.size)) if resize == "crop" else image
        image = image.resize((side, side), Image.Resampling.BILINEAR)
    pixels = np.asarray(image, dtype=np.uint8)
    return pixels[None] if pixels.ndim == 2 else pixels.transpose(2, 0, 1)


def _middle(size: tuple[int, int]) -> tuple[int, int, int, int]:
    """The largest square in the middle of an image of this width and height, as torchvision's
    center_crop rounds it."""
    width, height = size
    edge = min(size)
    left, top = round((width - edge) / 2), round((height - edge) / 2)
    return left, top, left + edge, top + edge


def decode_all(
    encoded: Iterable[tuple[str, bytes]], side: int | None = None, resize: Resize = "stretch"
) -> Pixels:
    """Named images as (n, c, h, w) uint8. Grey ones get three equal channels among colour ones.

    Raises `UserError` with the names of those that cannot be decoded, or of one whose size is not
    that of most.
    """
    images: list[Pixels] = []
    names: list[str] = []
    unreadable: list[str] = []
    for name, content in encoded:
        try:
            images.append(decode(content, side, resize))
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


def _one_size(images: list[Pixels], names: list[str]) -> None:
    sizes = Counter(image.shape[1:] for image in images).most_common()
    if len(sizes) > 1:
        usual, odd = sizes[0][0], sizes[-1][0]
        name = next(n for n, image in zip(names, images, strict=True) if image.shape[1:] == odd)
        value = f"{name}: {odd[0]} x {odd[1]} where most are {usual[0]} x {usual[1]} pixels"
        rule = "must hold images of one size"
        raise wrong_root(rule, value, "Resize them all: --set data.image_size=SIDE.")
