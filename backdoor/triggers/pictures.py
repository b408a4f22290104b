"""Pictures of the user, decoded and resized to the images of a data set or to a part of them."""

from __future__ import annotations

import functools
import io
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from backdoor.errors import Mistake, UserError
from backdoor.reading.files import listed
from backdoor.reading.opening import QUIET, orientation, reason, turned
from backdoor.reading.pixels import UNREADABLE, ImageArray, decode
from backdoor.settings.user_file import UserFile, image_files, open_regular


def read_pictures(given: UserFile, place: str, shape: tuple[int, int, int]) -> ImageArray:
    """The picture of a file, or those of a folder in the order of their names, (n, c, h, w) uint8.

    They are resized (bilinear) without keeping their proportions, and converted to grey or colour
    for the shape (c, h, w).

    Raises:
        UserError: at `place`; a file is missing, has changed or cannot be decoded, or images have
            neither 1 nor 3 channels.
    """
    path = given.open(place)
    if shape[0] not in (1, 3):
        rule, remedy = "needs images of 1 or 3 channels", "Use another trigger."
        raise UserError(Mistake(place, rule, shape[0], remedy))
    files = image_files(path) if path.is_dir() else [path]
    read, unreadable = list[ImageArray](), list[str]()
    for file in files:
        try:
            read.append(_read(file, shape))
        except UNREADABLE:
            unreadable.append(file.name)
    if unreadable or not read:
        rule = "must be a picture, or a folder of pictures, that can be decoded"
        remedy = "Replace or remove what is not a picture."
        raise UserError(Mistake(place, rule, listed(unreadable) or "an empty folder", remedy))
    return np.stack(read)


def _bytes(file: Path) -> bytes:
    with open_regular(file) as stream:
        return stream.read()


def _read(file: Path, shape: tuple[int, int, int]) -> ImageArray:
    with Image.open(io.BytesIO(_bytes(file))) as opened:
        image = opened.convert("L" if shape[0] == 1 else "RGB")
    pixels = np.asarray(image.resize((shape[2], shape[1]), Image.Resampling.BILINEAR))
    return pixels[None] if shape[0] == 1 else pixels.transpose(2, 0, 1)


@dataclass(frozen=True)
class Sticker:
    """A picture that is laid over a part of an image.

    pixels: (c, size, size) uint8. opacity: (1, size, size) uint8, 255 where nothing below is seen.
    Neither must be modified.
    """

    pixels: torch.Tensor
    opacity: torch.Tensor

    def laid_over(self, below: torch.Tensor) -> torch.Tensor:
        """(n, c, size, size) uint8: the picture over each of these squares."""
        # Whole numbers: the rounding is the same on every machine.
        opacity = self.opacity.to(below.device, torch.int32)
        above = opacity * self.pixels.to(below.device, torch.int32)
        mixed = above + (255 - opacity) * below.to(torch.int32)
        return torch.div(mixed + 127, 255, rounding_mode="floor").to(torch.uint8)


@functools.lru_cache(maxsize=16)
def read_sticker(given: UserFile, place: str, channels: int, size: int) -> Sticker:
    """The picture of a file, resized (bilinear) to a square, its transparency kept.

    It is turned as its EXIF orientation says, and converted to grey for images of 1 channel.

    Raises:
        UserError: at `place`; the file is missing, has changed, cannot be decoded or shows nothing,
            or images have neither 1 nor 3 channels.
    """
    path = given.open(place)
    if channels not in (1, 3):
        rule, remedy = "needs images of 1 or 3 channels", "Use another trigger."
        raise UserError(Mistake(place, rule, channels, remedy))
    if path.is_dir():
        raise UserError(Mistake(place, "must be one picture", str(path), "Name a file."))
    encoded = _bytes(path)
    try:
        image = _with_transparency(encoded).resize((size, size), Image.Resampling.BILINEAR)
    except UNREADABLE as error:
        rule = "must be a picture that can be decoded"
        remedy = f"Name another file: this one {reason(error, encoded)}."
        raise UserError(Mistake(place, rule, str(path), remedy)) from None
    opacity = np.array(image.getchannel("A"))[None]
    if not opacity.any():
        remedy = "Name a picture that shows something."
        raise UserError(Mistake(place, "must not be transparent all over", str(path), remedy))
    pixels = np.array(image.convert("RGB").convert("L" if channels == 1 else "RGB"))
    pixels = pixels[None] if channels == 1 else pixels.transpose(2, 0, 1).copy()
    return Sticker(torch.from_numpy(pixels), torch.from_numpy(opacity))


def _with_transparency(encoded: bytes) -> Image.Image:
    """An image as RGBA, upright."""
    with QUIET, Image.open(io.BytesIO(encoded)) as opened:
        if opened.has_transparency_data:
            stated = 1 if opened.format == "TIFF" else orientation(opened)  # Pillow turns TIFF
            return turned(opened.convert("RGBA"), stated)
    pixels = decode(encoded).pixels  # which knows what 16 bits a channel mean
    grey = pixels.shape[0] == 1
    return Image.fromarray(pixels[0] if grey else pixels.transpose(1, 2, 0)).convert("RGBA")
