"""Decodes all images of a source once, on all cores, with few of them in memory at a time.

One pass finds what takes every image: damaged files, sizes, grey levels of each class (for the
normalization), and a hash of each image's pixels. A `Sink` keeps those that are needed.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from dataclasses import dataclass, field, replace
from typing import Protocol

import numpy as np
import numpy.typing as npt
from PIL import Image

from backdoor.reading.contents import Ids, Images
from backdoor.reading.files import listed, wrong_root
from backdoor.reading.pixels import UNREADABLE, Decoded, ImageArray
from backdoor.reading.threads import in_threads

#: Damaged images that a message names; it gives the number of the others.
NAMED = 20
#: Images of 16 bits a channel that all stay within so many bits are scans of fewer bits.
BITS_IN_USE = 14

#: Pixels up to which numpy counts grey levels faster than Pillow.
FEW_PIXELS = 8192

Shape = tuple[int, int, int]


class Sink(Protocol):
    """Keeps decoded images."""

    def begin(self, shape: Shape) -> None:
        """All images that follow are (c, h, w). A second call forgets those before it."""

    def put(self, number: int, pixels: ImageArray) -> None:
        """pixels: (h, w, c) uint8, contiguous. Called from several threads."""


@dataclass(frozen=True)
class Scan:
    """What the n images of a source are.

    shape: (c, h, w). digests: (n,) uint64, a hash of each image's pixels. constant: (n,) bool,
    images whose pixels are all equal. counts: (classes, c, 256) int64, how many values of each
    grey level the images of the training pool have, by class. traits: how many images have each of
    `pixels.TRAITS`.
    """

    shape: Shape
    digests: npt.NDArray[np.uint64]
    constant: npt.NDArray[np.bool_]
    counts: npt.NDArray[np.int64]
    traits: dict[str, int]


def scan(images: Images, labels: Ids, pool: int, sink: Sink) -> Scan:
    """Decodes every image.

    labels: (n,) int64, class numbers. pool: the first so many images are the training pool.

    Raises:
        UserError: with the names of all images that cannot be decoded; of one that has not the size
            of most; or that values of 16 bits a channel use few of them.
    """
    shape = _first_shape(images)
    if shape is None:
        shape = (1, 1, 1)  # none can be decoded: the pass says which
    try:
        return _scan(_Pass(shape, labels, pool, sink), images)
    except _ColourError:
        return _scan(_Pass((3, *shape[1:]), labels, pool, sink), images)


def pixel_digest(pixels: ImageArray) -> int:
    """A hash of one image, (h, w, c) uint8, contiguous; from 0 to 2**64 - 1."""
    return int.from_bytes(hashlib.blake2b(pixels.data, digest_size=8).digest(), "little")


class _ColourError(Exception):
    """The first image of colour in a set that was grey so far."""


@dataclass(frozen=True)
class _Seen:
    """An image that could be decoded."""

    size: tuple[int, int]
    traits: frozenset[str]
    peak: int | None
    colour: bool
    digest: int = 0
    constant: bool = False
    levels: npt.NDArray[np.int64] | None = None


@dataclass(frozen=True)
class _Pass:
    """One pass over the images, all of which are to be of this shape."""

    shape: Shape
    labels: Ids
    pool: int
    sink: Sink

    def examine(self, number: int, decoded: Decoded) -> _Seen:
        """Hands one image on, and says what it is."""
        channels, size = self.shape[0], decoded.pixels.shape[1:]
        colour = len(decoded.pixels) > 1
        seen = _Seen((size[0], size[1]), decoded.traits, decoded.peak, colour)
        if size != self.shape[1:]:
            return seen
        if colour and channels == 1:
            raise _ColourError
        pixels = as_rows(decoded.pixels, channels)
        self.sink.put(number, pixels)
        levels = grey_levels(pixels)
        constant = bool((levels.max(1) == size[0] * size[1]).all())
        return replace(seen, digest=pixel_digest(pixels), constant=constant, levels=levels)


def as_rows(pixels: ImageArray, channels: int) -> ImageArray:
    """(c, h, w) to (h, w, channels), contiguous; grey images get equal channels."""
    if len(pixels) != channels:
        pixels = np.broadcast_to(pixels, (channels, *pixels.shape[1:]))
    return np.ascontiguousarray(pixels.transpose(1, 2, 0))


def grey_levels(pixels: ImageArray) -> npt.NDArray[np.int64]:
    """How often each channel of an image (h, w, c) has each value: (c, 256)."""
    h, w, c = pixels.shape
    if h * w <= FEW_PIXELS:
        each = pixels.reshape(-1, c).T
        return np.stack([np.bincount(channel, minlength=256) for channel in each])
    # Of large images, Pillow counts several times as fast as numpy.
    mode = "L" if c == 1 else "RGB"
    image = Image.frombuffer(mode, (w, h), pixels, "raw", mode, 0, 1)
    return np.array(image.histogram(), dtype=np.int64).reshape(c, 256)


def _scan(this: _Pass, images: Images) -> Scan:
    n, (channels, *_) = len(images), this.shape
    classes = int(this.labels.max()) + 1
    found = _Found()
    digests, constant = np.zeros(n, np.uint64), np.zeros(n, bool)
    counts = np.zeros((classes, channels, 256), np.int64)
    this.sink.begin(this.shape)
    for number, (name, seen) in enumerate(in_threads(images, np.arange(n), this.examine)):
        if isinstance(seen, Exception):
            found.damaged.append((name, seen))
            continue
        found.note(name, seen)
        digests[number], constant[number] = seen.digest, seen.constant
        if number < this.pool and seen.levels is not None:
            counts[this.labels[number]] += seen.levels
    found.check()
    return Scan(this.shape, digests, constant, counts, dict(found.traits))


@dataclass
class _Found:
    """What a pass found that may be wrong, or is to be counted."""

    damaged: list[tuple[str, Exception]] = field(default_factory=list)
    traits: Counter[str] = field(default_factory=Counter)
    sizes: Counter[tuple[int, int]] = field(default_factory=Counter)
    example: dict[tuple[int, int], str] = field(default_factory=dict)
    peak: int = -1
    deep: str = ""
    colour: bool = False

    def note(self, name: str, seen: _Seen) -> None:
        self.traits.update(seen.traits)
        self.sizes[seen.size] += 1
        self.example.setdefault(seen.size, name)
        if seen.peak is not None and seen.peak > self.peak:
            self.peak, self.deep, self.colour = seen.peak, name, seen.colour

    def check(self) -> None:
        if self.damaged:
            names = [f"{name} ({reason(error)})" for name, error in self.damaged]
            rule = "must hold images that can be decoded, of 8 or 16 bits a channel"
            raise wrong_root(rule, listed(names, NAMED), "Replace or remove them.")
        if len(self.sizes) > 1:
            sizes = self.sizes.most_common()
            usual, odd = sizes[0][0], sizes[-1][0]
            value = f"{self.example[odd]}: {odd[0]} x {odd[1]}"
            value += f" where most are {usual[0]} x {usual[1]} pixels"
            rule = "must hold images of one size"
            raise wrong_root(rule, value, "Resize them all: --set data.image_size=SIDE.")
        if 0 <= self.peak < 2**BITS_IN_USE and "bits" not in self.traits:
            rule = "must hold images that use the range of their 16 bits a channel, 0 to 65535"
            value = f"{self.peak}, the largest value, in {self.deep}"
            bits = max(9, self.peak.bit_length())
            scans = f"If they are scans of {bits} bits, say so: --set data.bits={bits}. "
            if self.colour:  # of which only eight bits can be read
                scans = "If they have fewer bits, convert them to images of 8 bits. "
            remedy = f"{scans}If they are as dark as that, --set data.bits=16."
            raise wrong_root(rule, value, remedy)


def reason(error: Exception) -> str:
    """Why an image cannot be decoded, in one short line."""
    text = " ".join(str(error).split())
    if isinstance(error, OSError) and error.strerror:
        text = error.strerror
    if text.startswith("cannot identify image file"):
        text = "no image of a known format"
    return "".join(c if c.isprintable() else "?" for c in text)[:100] or type(error).__name__


def _first_shape(images: Images) -> Shape | None:
    """(c, h, w) of the first image that can be decoded."""
    for _, decode in images.items(np.arange(len(images))):
        try:
            c, h, w = decode().pixels.shape
        except UNREADABLE:
            continue
        return c, h, w
    return None
