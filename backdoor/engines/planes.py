"""Linear machines of one training set as planes: a weight a pixel, evaluated together.

Weights are sums of training images, all machines' by one product, and answer for an image by one
row of another, where each machine's kernel values would take a product with all its support
vectors. Both products have one width, filled up with zeros: a machine's bits do not depend on which
others share them.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from backdoor.engines.base import Floats, Ids
from backdoor.engines.whole import Pixels
from backdoor.image_store.store import ImageStore

#: Images are made float64 by so many, not to fill the caches.
WIDTH, CHUNK = 16, 256


class Planes:
    """Of up to `members` trials, with the planes of all pairs of classes of each side by side."""

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
        return -(-pairs // WIDTH) * WIDTH

    @staticmethod
    def members(pairs: int) -> int:
        """How many trials fit."""
        return Planes.width(pairs) // pairs

    def _own(self, member: int) -> slice:
        return slice(member * self.pairs, (member + 1) * self.pairs)

    def decide(self, member: int, store: ImageStore, rows: Ids) -> Floats:
        """Decisions (m, pairs) on images of the bank; those of all trials are kept."""
        key = rows.tobytes()
        if key not in self._answers:
            images = Pixels.of(store, rows).images.astype(np.float64)
            self._answers[key] = images @ self._scaled + self._moved
        return self._answers[key][:, self._own(member)]

    def forget(self) -> None:
        """Drops the decisions that are kept."""
        self._answers = {}

    def plane(self, member: int) -> tuple[Floats, Floats]:
        """Weights (pairs, inputs) and intercepts (pairs,) of one trial."""
        own = self._own(member)
        return np.ascontiguousarray(self.weights[:, own].T), self.intercepts[own].copy()
