"""PNG files of any depth, which Pillow reads and does not write."""

from __future__ import annotations

import struct
import zlib

import numpy as np


def raw_png(shape: tuple[int, int], depth: int, colour: int, rows: bytes) -> bytes:
    """A PNG file of any depth; rows: the content of all rows, each after its filter byte."""
    head = struct.pack(">IIBBBBB", shape[1], shape[0], depth, colour, 0, 0, 0)
    chunks = [(b"IHDR", head), (b"IDAT", zlib.compress(rows)), (b"IEND", b"")]
    parts = [
        struct.pack(">I", len(c)) + name + c + struct.pack(">I", zlib.crc32(name + c))
        for name, c in chunks
    ]
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def wide_png(values: np.ndarray) -> bytes:
    """(h, w), (h, w, 3) or (h, w, 4) uint16 as a PNG file of 16 bits a channel."""
    colour = 0 if values.ndim == 2 else {3: 2, 4: 6}[values.shape[2]]
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in values)
    return raw_png((values.shape[0], values.shape[1]), 16, colour, rows)


def gray_png(values: np.ndarray, depth: int) -> bytes:
    """(h, w) with h x w values below 2 ** depth as a grey PNG file of 2 or 4 bits."""
    bits = [np.unpackbits(row.astype(np.uint8)[:, None], axis=1)[:, 8 - depth :] for row in values]
    rows = b"".join(b"\0" + np.packbits(row.ravel()).tobytes() for row in bits)
    return raw_png((values.shape[0], values.shape[1]), depth, 0, rows)
