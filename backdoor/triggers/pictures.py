"""Pictures of the user, decoded and resized to the images of a data set."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
from PIL import Image

from backdoor.errors import Mistake, UserError
from backdoor.reading.files import listed
from backdoor.reading.pixels import UNREADABLE, ImageArray
from backdoor.settings.user_file import UserFile, image_files


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


def _read(file: Path, shape: tuple[int, int, int]) -> ImageArray:
    with Image.open(io.BytesIO(file.read_bytes())) as opened:
        image = opened.convert("L" if shape[0] == 1 else "RGB")
    pixels = np.asarray(image.resize((shape[2], shape[1]), Image.Resampling.BILINEAR))
    return pixels[None] if shape[0] == 1 else pixels.transpose(2, 0, 1)
