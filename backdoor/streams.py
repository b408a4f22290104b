"""Named random streams: every draw has its own generator, keyed by what defines the draw.

The key of a stream is the name of the draw, the seed, and only the factors that the draw depends
on. So poison sets are nested over poison rates and equal across architectures, batch order is
shared across defences, and adding a draw changes no other one. The whole scheme:

    draw              key
    split             seed of the split, images to split
    split-test        the same, for sources with a test set of their own
    poison            seed, training images
    pattern           the trigger's own pattern seed (or the trial's), the class where classes
                      have patterns of their own, the pattern's shape
    position          the trigger's own position seed (or the trial's); a row an image number
    warp              the trigger's own pattern seed, control points a side
    warp-noise        the same seed, image number, the image's height and width
    primitive         the trigger's own pattern seed, numbers in an image
    reflection        the trigger's own pattern seed; a row an image number
    reflection-from   the seed of the donor images; a row an image number
    quantize-from     the same
    order             seed, training images, epoch
    augmentation      seed, training images, epoch
    init              seed, architecture, input shape, classes
    regularizer       its kind, seed, training images, epoch, step within the epoch
    noise             seed: random numbers of layers in training, such as dropout (serial engine)
    probe-clean       seed, images to choose from, for the clean set that a probe fine-tunes on
    probe-order       seed, images of that set, epoch
    probe-noise       seed: random numbers of layers while a probe trains

The bytes of a key are its parts joined by the unit separator; their SHA-256 seeds a PCG64.
Golden values are in `tests/backdoor/test_streams.py`: changing them changes every result.
"""

from __future__ import annotations

import functools
import hashlib

import numpy as np
import numpy.typing as npt


def stream_seed(name: str, *key: int | str) -> int:
    """A 63-bit seed for the draw `name` with this key."""
    text = "\x1f".join([name, *(f"{type(part).__name__}:{part}" for part in key)])
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1


def stream(name: str, *key: int | str) -> np.random.Generator:
    """A fresh generator for the draw `name`; the same key gives the same numbers, always."""
    return np.random.Generator(np.random.PCG64(stream_seed(name, *key)))


def by_number(
    numbers: npt.NDArray[np.int64], columns: int, name: str, *key: int | str
) -> npt.NDArray[np.float64]:
    """Uniform numbers in [0, 1) for numbered images: numbers (n,) >= 0 to (n, columns).

    They are rows of one long table: what a number gets does not depend on the others.
    """
    rows = 1 << int(numbers.max(initial=0)).bit_length()
    sample: npt.NDArray[np.float64] = _table(rows, columns, name, key)[numbers]
    return sample


@functools.lru_cache(maxsize=8)
def _table(
    rows: int, columns: int, name: str, key: tuple[int | str, ...]
) -> npt.NDArray[np.float64]:
    """(rows, columns), row by row from the stream: a longer table begins with the shorter one."""
    return stream(name, *key).random((rows, columns))
