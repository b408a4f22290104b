"""Matern-5/2 with one length a column, oblique fronts, and Hamming distances for categories.

r^2 = sum over number columns of (oblique difference / length)^2, plus 1 / length^2 for every
category column in which two points differ; k = (1 + a + a^2/3) exp(-a) with a = sqrt(5) r (Matern
1960, Rasmussen and Williams 2006, eq. 4.17). An oblique difference is that of x_k plus a learned
multiple of each number column before it (the L of an L D L' metric): fronts of training often run
along products, such as learning rate times weight decay.
"""

from __future__ import annotations

import numpy as np

from sweeps.levelset.columns import Columns, Floats


def features(points: Floats, columns: Columns, lengths: Floats, mix: Floats) -> Floats:
    """(n, d) points as (n, f) coordinates whose squared Euclidean distances are the r^2.

    mix: strictly lower triangular, (numbers, numbers).
    """
    numbers = points[:, columns.numbers]
    parts = [(numbers + numbers @ mix.T) / lengths[columns.numbers]]
    for column in columns.codes:
        hot = points[:, column, None] == np.arange(columns.levels[column])
        parts.append(hot / (np.sqrt(2.0) * lengths[column]))
    return np.concatenate(parts, axis=1)


def squared_distances(one: Floats, other: Floats) -> Floats:
    """(n, f) and (m, f) coordinates to (n, m) squared distances, never below 0."""
    found = -2.0 * one @ other.T
    found += np.einsum("ij,ij->i", one, one)[:, None]
    found += np.einsum("ij,ij->i", other, other)[None, :]
    return np.maximum(found, 0.0, out=found)


def matern(squared: Floats) -> Floats:
    """Correlations in (0, 1] at squared distances."""
    a = np.sqrt(5.0 * squared)
    return np.asarray((1.0 + a + a * a / 3.0) * np.exp(-a), dtype=np.float64)


def matern_slope(squared: Floats) -> Floats:
    """The derivative of `matern` by the squared distance."""
    a = np.sqrt(5.0 * squared)
    return np.asarray(-(5.0 / 6.0) * (1.0 + a) * np.exp(-a), dtype=np.float64)


def differences(points: Floats, columns: Columns) -> tuple[Floats, Floats]:
    """Of all pairs: differences of the numbers (numbers, n, n), and whether codes differ."""
    found = points.T[:, :, None] - points.T[:, None, :]
    return found[columns.numbers], np.asarray(found[columns.codes] != 0, dtype=np.float64)
