"""Images out of a generator, for tests and benchmarks that care about shapes, not content."""

from __future__ import annotations

import numpy as np

from backdoor.datasets.source import Source


def synthetic_source(n: int, shape: tuple[int, int, int], classes: int = 10) -> Source:
    """n images of uniform noise, each with a bright spot that says its class."""
    draw = np.random.default_rng(0)
    images = draw.integers(0, 200, (n, *shape), dtype=np.uint8)
    labels = draw.integers(0, classes, n)
    images.reshape(n, shape[0], -1)[np.arange(n), :, 3 * labels] = 255
    moments = np.full(shape[0], 0.5, np.float32), np.full(shape[0], 0.25, np.float32)
    names = tuple(str(label) for label in range(classes))
    return Source(
        images, labels, np.arange(n), None, names, "synthetic", *moments, np.zeros(n, dtype=bool)
    )
