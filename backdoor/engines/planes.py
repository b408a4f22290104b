"""Linear machines of one training set as planes: one weight for each pixel, evaluated together.

Weights are sums of training images, for all machines by one product. One more product gives the
decisions of all machines; by kernel values, each machine would need a product with all its support
vectors. Both products have a fixed width, padded with zeros, so that the bits of a machine do not
depend on the others.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from backdoor.engines.base import Floats, Ids
from backdoor.engines.whole import Pixels
from backdoor.image_store.store import ImageStore

#: Padded width; how many images are converted to float64 at once, so that they fit into the cache.
WIDTH, CHUNK = 16, 256


class Planes:
    """Planes of up to `members` trials, each with the planes of all pairs of classes."""

    def __init__(
        self, pixels: Pixels, coefficients: Sequence[Floats], intercepts: Sequence[Floats]
    ) -> None:
        """pixels: the n training images. coefficients: (n, pairs) a trial. intercepts: (pairs,)."""
        self.pairs = coefficients[0].shape[1]
        width = Planes.width(self.pairs)
        sums, self.intercepts = np.zeros((len(pixels.images), width)), np.zeros(width)
        for member, (each, bias) in enumerate(zip(coefficients, intercepts, strict=True)):
            sums[:, self._own(member)], self.intercepts[self._own(member)] = each, bias
        scale, shift = pixels.wide()
        by_pixel = np.zeros((pixels.images.shape[1], width))
        for start in range(0, len(sums), CHUNK):
            some = slice(start, start + CHUNK)
            by_pixel += pixels.images[some].T.astype(np.float64) @ sums[some]
        self.weights = scale[:, None] * by_pixel - shift[:, None] * sums.sum(0)
        # Weights and intercepts of pixels, not of inputs, which are pixels * scale - shift.
        self._scaled = scale[:, None] * self.weights
        self._moved = self.intercepts - shift @ self.weights
        self._answers: dict[bytes, Floats] = {}

    @staticmethod
    def width(pairs: int) -> int:
        """Number of columns: the pairs of one trial, padded."""
        return -(-pairs // WIDTH) * WIDTH

    @staticmethod
    def members(pairs: int) -> int:
        """How many trials fit into the width."""
        return Planes.width(pairs) // pairs

    def _own(self, member: int) -> slice:
        return slice(member * self.pairs, (member + 1) * self.pairs)

    def decide(self, member: int, store: ImageStore, rows: Ids) -> Floats:
        """Decisions (m, pairs) on images of the store; those of all trials are kept."""
        key = rows.tobytes()
        if key not in self._answers:
            images = Pixels.of(store, rows).images.astype(np.float64)
            self._answers[key] = images @ self._scaled + self._moved
        return self._answers[key][:, self._own(member)]

    def forget(self) -> None:
        """Frees the kept decisions."""
        self._answers = {}

    def plane(self, member: int) -> tuple[Floats, Floats]:
        """Weights (pairs, inputs) and intercepts (pairs,) of one trial."""
        own = self._own(member)
        return np.ascontiguousarray(self.weights[:, own].T), self.intercepts[own].copy()
