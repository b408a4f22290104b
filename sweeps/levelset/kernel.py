"""Matern-5/2 with one length a column; categories differ by their Hamming distance.

r^2 = sum over number columns of (difference / length)^2, plus 1 / length^2 for every
category column in which two points differ; k = (1 + a + a^2/3) exp(-a) with a = sqrt(5) r (Matern
1960, Rasmussen and Williams 2006, eq. 4.17).

Notation: n or m points of d columns; f coordinates, without unit; r distances, k correlations.
"""

from __future__ import annotations

import numpy as np

from sweeps.levelset.columns import Columns, Floats


def features(points: Floats, columns: Columns, lengths: Floats) -> Floats:
    """(n, d) points as (n, f) coordinates whose squared Euclidean distances are the r^2."""
    parts = [points[:, columns.numbers] / lengths[columns.numbers]]
    for column in columns.codes:
        one_hot = points[:, column, None] == np.arange(columns.categories[column])
        parts.append(one_hot / (np.sqrt(2.0) * lengths[column]))
    return np.concatenate(parts, axis=1)


def squared_distances(one: Floats, other: Floats) -> Floats:
    """(n, f) and (m, f) coordinates to (n, m) squared distances, never below 0."""
    found = -2.0 * one @ other.T
    found += np.einsum("ij,ij->i", one, one)[:, None]
    found += np.einsum("ij,ij->i", other, other)[None, :]
    return np.maximum(found, 0.0, out=found)


def matern(squared: Floats) -> Floats:
    """Correlations in (0, 1] at squared distances."""
    a = 5.0 * squared
    found = a / 3.0
    np.sqrt(a, out=a)
    found += a
    found += 1.0
    found *= np.exp(np.negative(a, out=a), out=a)
    return np.asarray(found, dtype=np.float64)


def matern_with_slope(squared: Floats) -> tuple[Floats, Floats]:
    """`matern`, and its derivative by the squared distance."""
    a = 5.0 * squared
    third = a / 3.0
    decay = np.exp(np.negative(np.sqrt(a, out=a)))
    a += 1.0
    slope = a * decay
    slope *= -5.0 / 6.0
    a += third
    a *= decay
    return a, slope


def per_column(points: Floats, columns: Columns) -> Floats:
    """(n, d) points to (d, n, n): what each column adds to r^2 at length 1."""
    differences = points.T[:, :, None] - points.T[:, None, :]
    squares = differences**2
    squares[columns.codes] = differences[columns.codes] != 0
    return np.asarray(squares, dtype=np.float64)
