"""Products of images without rounding, so that any trials can share one matrix.

Pixels are whole numbers from 0 to 255. Shifted to -128 ... 127, no sum of 1,024 of their products
exceeds 2^24, up to which float32 represents all whole numbers; longer sums are added in float64,
which represents them up to 2^53. Frozen features are larger whole numbers, whose products are
summed in float64 from the beginning, see `backdoor.architectures.frozen_features`. So a product of
two images has the same bits with any other images, in any order, and with any BLAS.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from backdoor.image_store.store import ImageStore

Bytes = npt.NDArray[np.integer]
Ids = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

MIDDLE, SAFE = 128, 1024


def products(a: Bytes, b: Bytes | None = None) -> Floats:
    """a @ b.T of whole numbers, exact: a (m, p), b (n, p), by default a itself; (m, n) float64."""
    other = a if b is None else b
    if a.dtype != np.uint8:
        wide = a.astype(np.float64)
        exact: Floats = wide @ (wide if b is None else b.astype(np.float64)).T
        return exact
    total: Floats | None = None
    for start in range(0, a.shape[1], SAFE):
        left = _shifted(a[:, start : start + SAFE])
        # The same array twice is a symmetric product, which costs half.
        right = left if b is None else _shifted(other[:, start : start + SAFE])
        part = left @ right.T
        # Sums of whole numbers are exact in any order: they are added in place.
        total = part.astype(np.float64) if total is None else np.add(total, part, out=total)
    if total is None:  # no columns
        return np.zeros((len(a), len(other)))
    total += MIDDLE * _sums(a)[:, None] - float(MIDDLE**2 * a.shape[1])
    total += MIDDLE * _sums(other)
    return total


def _shifted(block: Bytes) -> npt.NDArray[np.float32]:
    shifted = block.astype(np.float32)
    shifted -= MIDDLE
    return shifted


def _sums(a: Bytes) -> Floats:
    result: Floats = a.sum(1, dtype=np.int64).astype(np.float64)
    return result


@dataclass(frozen=True)
class Pixels:
    """Images for engines in float64: inputs are pixels * scale - shift, per channel.

    images: (n, inputs) uint8, or int32 for features. scale, shift: (c,) float64.
    """

    images: Bytes
    scale: Floats
    shift: Floats

    @staticmethod
    def of(store: ImageStore, rows: Ids) -> Pixels:
        """The images of these rows."""
        return Pixels(store.pixels(rows), *store.affine())

    def __getitem__(self, rows: Ids) -> Pixels:
        return Pixels(self.images[rows], self.scale, self.shift)

    def wide(self) -> tuple[Floats, Floats]:
        """Scale and shift of every input, (inputs,) each."""
        each = self.images.shape[1] // len(self.scale)
        return np.repeat(self.scale, each), np.repeat(self.shift, each)

    def inputs(self) -> Floats:
        """Inputs of the learner, (n, inputs) float64."""
        scale, shift = self.wide()
        result = self.images * scale
        result -= shift
        return result

    def inner(self, other: Pixels | None = None) -> Floats:
        """Inner products of inputs with those of `other`, by default themselves: (n, m)."""
        parts = []
        for a, b, scale, shift in self._channels(other):
            part = products(a, b)
            part *= scale**2
            if shift:
                part -= scale * shift * (_sums(a)[:, None] + _sums(a if b is None else b))
                part += a.shape[1] * shift**2
            parts.append(part)
        return _total(parts)

    def squared_distances(self, other: Pixels | None = None) -> Floats:
        """Squared Euclidean distances of inputs, (n, m)."""
        parts = []
        for a, b, scale, _ in self._channels(other):
            part = products(a, b)
            part *= -2
            part += _squares(a)[:, None] + _squares(a if b is None else b)
            part *= scale**2
            parts.append(part)
        return _total(parts)

    def variance(self) -> float:
        """Variance of all inputs of all images."""
        sizes, sums, squares = np.zeros((3, len(self.scale)))
        for c, (a, _, scale, shift) in enumerate(self._split(None)):
            size, first, second = a.size, float(_sums(a).sum()), float(_squares(a).sum())
            sizes[c], sums[c] = size, scale * first - size * shift
            squares[c] = scale**2 * second - 2 * scale * shift * first + size * shift**2
        mean = sums.sum() / sizes.sum()
        return float(squares.sum() / sizes.sum() - mean**2)

    def _channels(self, other: Pixels | None) -> list[tuple[Bytes, Bytes | None, float, float]]:
        """Both sets of images, by channel; channels of equal scale and shift count as one."""
        if len(np.unique(self.scale)) == len(np.unique(self.shift)) == 1:
            theirs = None if other is None else other.images
            return [(self.images, theirs, float(self.scale[0]), float(self.shift[0]))]
        return self._split(other)

    def _split(self, other: Pixels | None) -> list[tuple[Bytes, Bytes | None, float, float]]:
        count = len(self.scale)
        ours = np.split(self.images, count, axis=1)
        theirs = [None] * count if other is None else np.split(other.images, count, axis=1)
        return [
            (ours[c], theirs[c], float(self.scale[c]), float(self.shift[c])) for c in range(count)
        ]


def _total(parts: list[Floats]) -> Floats:
    """Their sum, computed in place in the first."""
    for part in parts[1:]:
        parts[0] += part
    return parts[0]


def _squares(a: Bytes) -> Floats:
    wide = a.astype(np.float64)
    result: Floats = np.einsum("ij,ij->i", wide, wide)
    return result
