"""What a source has before its pixels are decoded: labels, and images that can be decoded."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from backdoor.reading.pixels import Decoded, Decoding, ImageArray, decode

Ids = npt.NDArray[np.int64]
#: Name of an image in messages, and what decodes it, in any thread.
Item = tuple[str, Callable[[], Decoded]]


class Images(Protocol):
    """Images of a source, numbered from 0."""

    def __len__(self) -> int: ...

    def items(self, ids: Ids) -> Iterator[Item]:
        """Images by number, ids (m,) ascending int64. Decoding raises one of
        `backdoor.reading.pixels.UNREADABLE` where an image is damaged or missing."""
        ...


@dataclass(frozen=True)
class ArrayImages:
    """Decoded images: array (n, c, h, w) uint8."""

    array: ImageArray

    def __len__(self) -> int:
        return len(self.array)

    def items(self, ids: Ids) -> Iterator[Item]:
        for number in ids.tolist():
            yield f"image {number}", partial(Decoded, self.array[number])


@dataclass(frozen=True)
class EncodedImages:
    """Encoded images (PNG, JPEG, ...), few of which are in memory at a time.

    count: how many. read: ids (m,) ascending int64 → for each its name in messages, and its encoded
    bytes or its file. decoding: how they are decoded.
    """

    count: int
    read: Callable[[Ids], Iterator[tuple[str, bytes | Path]]]
    decoding: Decoding

    def __len__(self) -> int:
        return self.count

    def items(self, ids: Ids) -> Iterator[Item]:
        for name, encoded in self.read(ids):
            yield name, partial(_decode, encoded, self.decoding)


def _decode(encoded: bytes | Path, decoding: Decoding) -> Decoded:
    return decode(encoded.read_bytes() if isinstance(encoded, Path) else encoded, decoding)


@dataclass(frozen=True)
class Contents:
    """A source before it is decoded; the rules for labels are `backdoor.reading.labels`.

    labels: (n,) whole numbers or text, as the source writes them. images: the n images, in the same
    order. names: name of the label 0, 1, ..., where the source names whole numbers. test_from: the
    index at which the source's own test set begins; None if there is one pool. poisoned: (n,) bool,
    images that come poisoned; None if that is not known. left_out: what is there and is not read,
    by kind, such as `3 files (.txt)`. notes: what was assumed. warnings: what is probably a
    mistake.
    """

    labels: npt.NDArray[Any]
    images: Images
    names: Sequence[str] = ()
    test_from: int | None = None
    poisoned: npt.NDArray[np.bool_] | None = None
    left_out: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
