"""Families of distributions of a rate over seeds, with their true means, for `bounds.py`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from scipy.special import expit, logit, ndtri, stdtrit

#: Probabilities at which a true mean is taken, and their weights: Gauss and Legendre's rule.
PLACES, WEIGHTS = np.polynomial.legendre.leggauss(400)
QUANTILES, WEIGHTS = (1 + PLACES) / 2, WEIGHTS / 2
#: Success of an attack where it takes and where it does not.
TAKEN, FAILED = 0.9, 0.02
SHARES, SPREADS = (0.05, 0.1, 0.2, 0.3, 0.5), (0.0, 0.4)

Draw = Callable[[np.random.Generator, tuple[int, ...]], np.ndarray]


@dataclass(frozen=True)
class Family:
    """A distribution of rates: draw(generator, shape) gives some of mean `mean`."""

    kind: str
    name: str
    mean: float
    draw: Draw


def one_mode() -> Iterator[Family]:
    """Normal and heavy-tailed logits, and beta rates that have one mode."""
    for centre in (-4, -3, -2, -1, 0):
        for scale in (0.1, 0.3, 0.6, 1.0, 1.5):
            yield normal(centre, scale)
        for freedom in (2, 3, 5):
            for scale in (0.1, 0.3, 0.6, 1.0):
                yield heavy(centre, scale, freedom)
    for mean in (0.02, 0.05, 0.1, 0.2, 0.5):
        for weight in (2.5, 5, 10, 30, 100, 1000):
            if max(mean, 1 - mean) * weight >= 1:
                yield beta(mean, weight)


def normal(centre: float, scale: float) -> Family:
    mean = float(expit(centre + scale * ndtri(QUANTILES)) @ WEIGHTS)
    return Family(
        "normal logits",
        f"normal({centre}, {scale})",
        mean,
        lambda draw, shape: expit(centre + scale * draw.standard_normal(shape)),
    )


def heavy(centre: float, scale: float, freedom: int) -> Family:
    mean = float(expit(centre + scale * stdtrit(freedom, QUANTILES)) @ WEIGHTS)
    return Family(
        "heavy-tailed logits",
        f"t{freedom}({centre}, {scale})",
        mean,
        lambda draw, shape: expit(centre + scale * draw.standard_t(freedom, shape)),
    )


def beta(mean: float, weight: float) -> Family:
    return Family(
        "beta rates",
        f"beta({mean}, {weight})",
        mean,
        lambda draw, shape: draw.beta(mean * weight, (1 - mean) * weight, shape),
    )


def two_modes(share: float, spread: float, together: bool = False) -> Family:
    """An attack takes with this share of seeds. spread: deviation of logits around both modes;
    together: whether a seed takes in all cells, the first axis, or in none."""
    levels, by_quantile = logit([TAKEN, FAILED]), ndtri(QUANTILES)
    taken, failed = (float(expit(level + spread * by_quantile) @ WEIGHTS) for level in levels)

    def draw(generator: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
        takes = generator.random((1, *shape[1:]) if together else shape) < share
        return expit(np.where(takes, *levels) + spread * generator.standard_normal(shape))

    mean = share * taken + (1 - share) * failed
    return Family("two modes", f"{share} take, spread {spread}", mean, draw)
