"""Pixels of encoded images, plainly, for `slow_reader.py`."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
from PIL import Image, ImageOps


class RefusedError(Exception):
    """The set must be refused."""


def refuse_if(wrong: Any, why: str) -> None:
    if wrong:
        raise RefusedError(why)


def pixels_of(image: bytes | np.ndarray) -> np.ndarray:
    """(c, h, w): uint8, or uint16 where a file has 16 bits."""
    if isinstance(image, np.ndarray):
        return image
    try:
        opened = Image.open(io.BytesIO(image))
        opened.load()
    except (OSError, SyntaxError, ValueError):
        raise RefusedError("damaged") from None
    opened = ImageOps.exif_transpose(opened)
    refuse_if(opened.mode in ("I", "F"), "32 bits")
    if opened.mode.startswith("I;16"):
        return np.asarray(opened)[None]
    if opened.mode == "P" and "transparency" in opened.info:
        opened = opened.convert("RGBA")
    if opened.mode in ("LA", "RGBA"):
        values = np.array(opened)
        seen, alpha = values[..., :-1], values[..., -1]
        assert set(np.unique(alpha)) <= {0, 255}
        seen[alpha == 0] = 255
        return np.broadcast_to(seen, (*seen.shape[:2], 3)).transpose(2, 0, 1)
    grey = opened.mode in ("1", "L")
    values = np.asarray(opened.convert("L" if grey else "RGB"))
    return values[None] if grey else values.transpose(2, 0, 1)


def same_shape(arrays: list[np.ndarray]) -> list[np.ndarray]:
    """uint8, with as many channels and pixels as all others."""
    wide = [a for a in arrays if a.dtype == np.uint16]
    refuse_if(wide and max(a.max() for a in wide) < 2**14, "how many bits?")
    arrays = [(a // 257).astype(np.uint8) if a.dtype == np.uint16 else a for a in arrays]
    refuse_if(len({a.shape[1:] for a in arrays}) > 1, "several sizes")
    channels = max(len(a) for a in arrays)
    return [np.ascontiguousarray(np.broadcast_to(a, (channels, *a.shape[1:]))) for a in arrays]
