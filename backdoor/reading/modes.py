"""From the modes of Pillow to grey or RGB of 8 bits: transparency, and 16 bits a channel."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageChops

#: What transparent pixels can be laid over: the value of each channel.
BACKGROUNDS = {"white": 255, "grey": 128, "black": 0}
#: The largest value of 16 bits.
LARGEST = 65535
#: By how much a PNG file's grey values of 2 and 4 bits are multiplied when they are decoded.
SPREAD = {"L;2": 85, "L;4": 17}
#: Premultiplied modes, and those that they are converted to.
PREMULTIPLIED = {"La": "LA", "RGBa": "RGBA"}


class Flat(NamedTuple):
    """An image without transparency.

    image: mode L or RGB. transparent: whether a pixel is another one on its background. peak: the
    largest value of an image of 16 bits a channel, else None. Of colours only the high bytes are
    known, and it is the largest value that they allow.
    """

    image: Image.Image
    transparent: bool
    peak: int | None


class Coding(NamedTuple):
    """How the pixels of a file are coded, as Pillow knows it before they are decoded.

    codec: name of the decoder. raw: how a pixel lies in the file, such as `RGB;16B`. maxval: the
    largest value that a Netpbm file states, else 0.
    """

    codec: str
    raw: str
    maxval: int


def flatten(opened: Image.Image, background: str, bits: int | None) -> Flat:
    """An opened image as grey or RGB of 8 bits, laid over a background.

    background: one of `BACKGROUNDS`. bits: how many of 16 bits are in use; None for all.

    Raises:
        ValueError: there is no rule for its values, or some do not fit into `bits`. Others come
            from Pillow where the file is damaged.
    """
    coding = _coding(opened)
    _check_values(opened, coding)
    opened.load()
    if opened.mode.startswith("I"):
        image, peak = _grey(opened, coding, bits)
    else:
        image, peak = opened, _peak_of_colours(opened, coding)
        if peak is not None and bits not in (None, 16):
            raise ValueError(f"has colours of 16 bits, and `bits: {bits}` is for grey images")
    alpha = _alpha(opened, coding) if opened.has_transparency_data else None
    if image.mode in PREMULTIPLIED:
        image = image.convert(PREMULTIPLIED[image.mode])
    plain = image
    if image.mode not in ("L", "RGB"):
        plain = image.convert("L" if image.mode == "1" else "RGB")
    if alpha is None or alpha.getextrema()[0] == 255:
        return Flat(plain, False, peak)
    laid = _laid_over(plain, alpha, BACKGROUNDS[background])
    return Flat(laid, ImageChops.difference(laid, plain).getbbox() is not None, peak)


def _coding(opened: Image.Image) -> Coding:
    tiles: Any = getattr(opened, "tile", None)
    if not tiles:
        return Coding("", "", 0)
    codec, _, _, args = tiles[0]
    parts = args if isinstance(args, tuple) else (args,)
    raw = parts[0] if parts and isinstance(parts[0], str) else ""
    netpbm = opened.format == "PPM"
    maxval = parts[-1] if netpbm and codec.startswith("ppm") else LARGEST if netpbm else 0
    return Coding(codec, raw, maxval)


def _check_values(opened: Image.Image, coding: Coding) -> None:
    if opened.mode == "F":
        raise ValueError("has values in floating point")
    if opened.mode == "I" and opened.format != "PPM":
        raise ValueError("has values of 32 bits, or below 0")
    tags: Any = getattr(opened, "tag_v2", {})
    if coding.codec == "raw" and tags.get(284) == 2 and max(tags.get(258, (8,))) > 8:
        # Pillow takes the bytes of such a plane for values of 8 bits.
        raise ValueError("has planes of 16 bits that are not compressed")


def _grey(opened: Image.Image, coding: Coding, bits: int | None) -> tuple[Image.Image, int | None]:
    """A grey image of 16 bits as one of 8, and its largest value.

    All 16 bits: a 257th, rounded down. Fewer: the nearest to value * 255 / (2^bits - 1), which is
    never halfway between two. Netpbm files that state their own range, which Pillow has stretched
    to 65,535: the nearest.
    """
    values = np.asarray(opened).astype(np.uint32)
    peak = int(values.max())
    if coding.maxval not in (0, LARGEST):
        return Image.fromarray(((values + 128) // 257).astype(np.uint8)), None
    if bits in (None, 16):
        # Pillow's own conversion clips at 255, and nearly everything would become white.
        return Image.fromarray((values // 257).astype(np.uint8)), peak
    largest = 2**bits - 1
    if peak > largest:
        raise ValueError(f"has the value {peak}, and `bits: {bits}` allows at most {largest}")
    scaled = (values * 510 + largest) // (2 * largest)
    return Image.fromarray(scaled.astype(np.uint8)), peak


def _peak_of_colours(opened: Image.Image, coding: Coding) -> int | None:
    """Of an image whose 16 bits Pillow has reduced to 8; None if it has no more than 8."""
    wide = ";16" in coding.raw
    if not wide and not (coding.codec.startswith("ppm") and coding.maxval == LARGEST):
        return None
    bands = zip(opened.getbands(), opened.split(), strict=True)
    extrema: list[Any] = [band.getextrema() for name, band in bands if name not in "Aa"]
    largest = int(max(high for _, high in extrema))
    # Netpbm values are rounded to the nearest; of others the high bytes are kept.
    return largest * 256 + 255 if wide else max(0, largest * 257 - 128)


def _alpha(opened: Image.Image, coding: Coding) -> Image.Image:
    """How opaque each pixel is, 0 to 255, mode L."""
    if opened.mode in ("1", "L", "RGB") or opened.mode.startswith("I;16"):
        return _opaque_but_for(opened, coding, opened.info["transparency"])
    if opened.mode == "P":
        return opened.convert("RGBA").getchannel("A")
    return opened.getchannel(len(opened.getbands()) - 1)


def _opaque_but_for(opened: Image.Image, coding: Coding, key: Any) -> Image.Image:
    """Alpha of an image with one value, or one colour, that is transparent."""
    if ";16" in coding.raw and opened.mode == "RGB":
        raise ValueError("has colours of 16 bits, of which one is transparent")
    pixels: npt.NDArray[Any] = np.asarray(opened)
    value = bool(key) if opened.mode == "1" else np.asarray(key) * SPREAD.get(coding.raw, 1)
    found = pixels == value
    found = found.all(axis=2) if found.ndim == 3 else found
    return Image.fromarray(np.where(found, np.uint8(0), np.uint8(255)))


def _laid_over(image: Image.Image, alpha: Image.Image, background: int) -> Image.Image:
    """Each value becomes the whole number nearest to (alpha * value + (255 - alpha) * background) /
    255, which is never halfway between two."""
    canvas = Image.new(image.mode, image.size, (background,) * len(image.getbands()))
    canvas.paste(image, mask=alpha)
    return canvas
