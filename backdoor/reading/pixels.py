"""From encoded images (PNG, JPEG, ...) to one array. Shared by the kinds that decode."""

from __future__ import annotations

import io
import struct
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
from PIL import Image

from backdoor.reading.modes import flatten
from backdoor.reading.opening import QUIET, orientation, reason, turned

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
    "tiff": "turned as their TIFF orientation says",
    "bits": "values of 16 bits are scaled by the bits in use",
    "frames": "only the first of several frames is read",
}
#: Those that change what earlier versions read.
NEW_RULES = ("alpha", "exif")


def decode(encoded: bytes, decoding: Decoding = Decoding()) -> Decoded:
    """One image, in any thread. Its pixels lie in memory as (h, w, c).

    Raises:
        ValueError: it cannot be read; the message is a short reason, such as `is empty`.
        MemoryError: there is not enough memory.
    """
    try:
        if not encoded:
            raise ValueError("is empty")
        with QUIET, Image.open(io.BytesIO(encoded)) as opened:
            return _decoded(opened, decoding)
    except MemoryError:
        raise
    except Exception as error:  # on damaged files Pillow raises nearly anything
        why = reason(error, encoded)
    raise ValueError(why)  # without the traceback of the other, which holds the image


def _decoded(opened: Image.Image, decoding: Decoding) -> Decoded:
    if 0 in opened.size:
        raise ValueError("has no pixels")
    if opened.format == "EPS":
        raise ValueError("is PostScript, which a program would have to draw")
    tiff = orientation(opened) if opened.format == "TIFF" else 1
    image, transparent, peak = flatten(opened, decoding.background, decoding.bits)
    upright = image if tiff > 1 else turned(image, orientation(opened))
    traits = (
        "alpha" if transparent else "",
        "exif" if upright is not image else "",
        # Pillow turns TIFF images when it decodes them, and did so in earlier versions.
        "tiff" if tiff > 1 and turned(image, tiff) is not image else "",
        "bits" if peak is not None and decoding.bits is not None else "",
        "frames" if _several_frames(opened) else "",
    )
    pixels = np.asarray(_resized(upright, decoding))
    pixels = pixels[None] if pixels.ndim == 2 else pixels.transpose(2, 0, 1)
    return Decoded(pixels, frozenset(filter(None, traits)), peak)


def _several_frames(opened: Image.Image) -> bool:
    try:
        return bool(getattr(opened, "is_animated", False))
    except Exception:  # those behind the first are damaged, and are not read
        return True


def _resized(image: Image.Image, decoding: Decoding) -> Image.Image:
    side = decoding.side
    if side is None:
        return image
    image = image.crop(_middle(image.size)) if decoding.resize == "crop" else image
    return image.resize((side, side), Image.Resampling.BILINEAR)


def _middle(size: tuple[int, int]) -> tuple[int, int, int, int]:
    """Left, top, right and bottom of the largest square in the middle of an image of this width and
    height, rounded as in torchvision's center_crop."""
    width, height = size
    edge = min(size)
    left, top = round((width - edge) / 2), round((height - edge) / 2)
    return left, top, left + edge, top + edge
