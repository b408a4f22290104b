"""Named random streams: every draw has its own generator, keyed by what defines the draw.

A stream's key is the name of the draw, the seed, and only the factors that the draw depends on.
So poison sets nest over poison rates and are equal across architectures, batch order is shared
across defences, and no draw shifts because another one was added. The whole scheme:

    draw              key
    split             seed of the split, images to split
    split-test        the same, for sources with a test set of their own
    poison            seed, training images
    pattern           the trigger's own pattern seed (or the trial's), the class where classes
                      have patterns of their own, the pattern's shape
    order             seed, training images, epoch
    augmentation      seed, training images, epoch
    init              seed, architecture, input shape, classes
    probe-clean       seed, images to choose from, for the clean set that a probe fine-tunes on
    probe-order       seed, images of that set, epoch

The bytes of a key are its parts joined by the unit separator; their SHA-256 seeds a PCG64.
Golden values are held in `tests/backdoor/test_streams.py`: changing them changes every result.
"""

from __future__ import annotations

import hashlib

import numpy as np


def stream_seed(name: str, *key: int | str) -> int:
    """A 63-bit seed for the draw `name` with this key."""
    text = "\x1f".join([name, *(f"{type(part).__name__}:{part}" for part in key)])
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1


def stream(name: str, *key: int | str) -> np.random.Generator:
    """A fresh generator for the draw `name`; the same key gives the same numbers, always."""
    return np.random.Generator(np.random.PCG64(stream_seed(name, *key)))
