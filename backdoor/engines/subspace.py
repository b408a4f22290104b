"""Approximate leading axes of a set of images by a few products: subspace iteration."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Times = Callable[[Floats], Floats]

AXES, ROUNDS = 64, 3


@dataclass(frozen=True)
class Subspace:
    """Orthonormal axes x.T @ sums, with sums (n, q), and curved = K sums, K = x @ x.T."""

    sums: Floats
    curved: Floats


def subspace(quick: Times, exact: Times, n: int) -> Subspace:
    """Approximately the q <= AXES leading axes of images, given products with K, (n, n).

    It starts from the same numbers for every set of n images.
    """
    basis = np.random.default_rng(0).standard_normal((n, min(AXES, n)))
    for _ in range(ROUNDS):
        basis = np.linalg.qr(quick(basis - basis.mean(0)))[0]
    curved = exact(basis)
    spectrum, turn = np.linalg.eigh(basis.T @ curved)
    real = spectrum > 1e-6 * max(spectrum.max(), 0.0)
    turn = turn[:, real] / np.sqrt(spectrum[real])
    return Subspace(basis @ turn, curved @ turn)
