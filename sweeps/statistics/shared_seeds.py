"""Margins of many cells that were measured with the same seeds, and how far they err together.

A cell is a defence point under an attack; its margin is how far its mean over seeds lies inside a
threshold, in logits. A seed shifts all cells at once: it draws the split and the poison set. So the
errors of the margins are correlated, most between neighbours, and taken as

    s_i s_j (a + b exp(-d_ij / l) + e [i = j]) / n

d_ij is the distance between cells: the sum of the differences of their factors, each from 0 to 1.
s_i^2 is the variance of a seed's margin at cell i, pooled over cells that are alike, by their
factors and by their margins. The shares a, b, e and the length l maximise the restricted likelihood
of the seeds' deviations from their mean. The means themselves are not smoothed: where a border
bends, neighbours would pull them to the wrong side.

Few seeds tell little about the size of the errors, and seeds may be heavy-tailed: all errors have
one common factor of scale, so that they follow a multivariate t distribution. Its degrees of
freedom are those of a variance that is pooled over correlated cells (Satterthwaite 1946, Biometrics
Bull. 2, 110; Box 1954, Ann. Math. Stat. 25, 290): of three seeds that err alike everywhere it has
two, as Student's t of three values.

Notation: N cells, n seeds; margins and deviations are logits.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.linalg import solve_triangular
from scipy.optimize import minimize
from scipy.special import fdtri, ndtri, stdtrit

from sweeps.statistics.arrays import Bools, Floats

#: Margins beyond this say no more than that the threshold is far.
CLIP = 5.0
#: Cells are alike within this difference of their margins, and this distance of their factors.
ALIKE, NEAR = 0.75, 1 / 5
#: Shares and length are fitted to so many cells at most, those nearest to their threshold.
MOST_FITTED = 150
#: Only cells this near to their threshold, in logits, decide how exactly the scale is known.
DECIDING = 1.5
#: Errors are drawn only where they reach the threshold with more than this probability.
NEGLIGIBLE = 1e-5
#: A cell of which the seeds differ so much more than those of its neighbours, by chance less than
#: once in so many sweeps, has an error of its own.
ODD = 1 / 20
#: And of which the variance is at least so many times theirs: of many seeds the smallest difference
#: is no chance, but does no harm.
ODD_RATIO = 4.0
#: The weight of a cell itself in what its seeds are then compared with: little, or it would hide
#: itself, but enough where no other cell is alike.
ITSELF = 0.05


@dataclass(frozen=True)
class Cells:
    """margins (N,), at or above 0 inside. deviations of each seed's margin, (N, n), with rows that
    sum to 0. noise: variances of a seed's margin that are there at least, (N,). distances: (N, N).
    """

    margins: Floats
    deviations: Floats
    noise: Floats
    distances: Floats


@dataclass(frozen=True)
class SharedErrors:
    """margins (N,); covariance of their errors, (N, N), but for the common factor of scale, which
    has so many degrees of freedom. odd: cells of which the seeds differ much more than those of
    their neighbours, (N,): nothing is said of them. seeds: n."""

    margins: Floats
    covariance: Floats
    freedom: float
    odd: Bools
    seeds: int

    @property
    def deciding(self) -> Bools:
        """Cells near their threshold, (N,)."""
        return np.asarray(np.abs(self.margins) <= DECIDING)

    def draws(self, count: int, rng: np.random.Generator) -> Floats:
        """Margins that may be the true ones, (N, count); where the threshold is far, the margin."""
        sizes = np.sqrt(np.diag(self.covariance))
        open_ = np.abs(self.margins) < stdtrit(self.freedom, 1 - NEGLIGIBLE) * sizes
        found = np.repeat(self.margins[:, None], count, axis=1)
        scale = np.sqrt(self.freedom / rng.chisquare(self.freedom, count))
        if open_.any():
            part = self.covariance[np.ix_(open_, open_)]
            jitter = 1e-9 * max(1e-9, float(np.diag(part).mean()))
            root = np.linalg.cholesky(part + jitter * np.eye(len(part)))
            found[open_] += (root @ rng.standard_normal((len(part), count))) * scale
        return np.asarray(found, dtype=np.float64)


def shared_errors(cells: Cells) -> SharedErrors:
    """The errors of these cells' margins; at least two seeds, and one cell."""
    seeds = cells.deviations.shape[1]
    margins = np.clip(cells.margins, -CLIP, CLIP)
    own = (cells.deviations**2).sum(axis=1) / (seeds - 1)
    pooled = _pooled(own, margins, cells.distances)
    scale = np.sqrt(np.maximum(pooled, cells.noise))
    shares = _shares(cells.deviations / scale[:, None], margins, cells.distances)
    correlation = _model(shares, cells.distances)
    freedom = _freedom(correlation, margins, seeds)
    correlation[np.diag_indices(len(margins))] += _largest_of_many(margins) * _alone(shares)
    covariance = np.outer(scale, scale) * correlation / seeds
    limit = max(ODD_RATIO, float(fdtri(seeds - 1, freedom, 1 - ODD / len(margins))))
    others = np.maximum(_pooled(own, margins, cells.distances, ITSELF), cells.noise)
    return SharedErrors(margins, covariance, freedom, own > limit * others, seeds)


def _pooled(own: Floats, margins: Floats, distances: Floats, itself: float = 1.0) -> Floats:
    """Variances of cells, averaged over cells that are alike, (N,). itself: how much less a cell
    itself counts."""
    apart = (margins[:, None] - margins[None, :]) / ALIKE
    weights = np.exp(-0.5 * apart**2 - distances / NEAR)
    weights[np.diag_indices(len(own))] *= itself
    return np.asarray(weights @ own / weights.sum(axis=1), dtype=np.float64)


def _freedom(correlation: Floats, margins: Floats, seeds: int) -> float:
    """Of the scale, from the cells near their threshold, or from all where none is."""
    near = np.abs(margins) <= DECIDING
    part = correlation[np.ix_(near, near)] if near.any() else correlation
    return float((seeds - 1) * len(part) ** 2 / (part**2).sum())


def _largest_of_many(margins: Floats) -> float:
    """By how much the variance of errors that cells do not share is raised. A shared error is the
    same for all points; of many that are not, the largest counts (Sidak 1967, JASA 62, 626)."""
    near = max(1, int((np.abs(margins) <= DECIDING).sum()))
    return float((ndtri(0.95 ** (1 / near)) / ndtri(0.95)) ** 2 - 1)


def _shares(deviations: Floats, margins: Floats, distances: Floats) -> Floats:
    """The fitted parameters of `_model`, (3,)."""
    chosen = np.argsort(np.abs(margins), kind="stable")[:MOST_FITTED]
    contrasts = _contrasts(deviations[chosen])
    if not contrasts.any():
        return np.array([5.0, -4.0, 0.0])  # no seed deviates: the worst case is that all err alike
    part = distances[np.ix_(chosen, chosen)]
    found = minimize(
        _objective,
        np.array([1.5, 1.5, np.log(0.5)]),
        args=(contrasts, part),
        method="L-BFGS-B",
        bounds=[(-4.0, 5.0), (-4.0, 5.0), (np.log(0.05), np.log(10.0))],
        options={"maxiter": 20, "ftol": 1e-4},
    )
    return np.asarray(found.x, dtype=np.float64)


def _alone(parameters: Floats) -> float:
    """The share e of errors that cells do not share."""
    return float(1 / (np.exp(parameters[:2]).sum() + 1))


def _model(parameters: Floats, distances: Floats) -> Floats:
    """Correlations for the logarithms of a / e and b / e, and of l."""
    shares = np.exp([parameters[0], parameters[1], 0.0])
    common, smooth, alone = shares / shares.sum()
    found = common + smooth * np.exp(-distances / np.exp(parameters[2]))
    found[np.diag_indices(len(found))] += alone
    return np.asarray(found, dtype=np.float64)


def _objective(parameters: Floats, contrasts: Floats, distances: Floats) -> float:
    """The negative restricted log posterior, whose common variance is integrated out. The prior is
    wide: most of the variance is shared."""
    factor = np.linalg.cholesky(_model(parameters, distances) + 1e-6 * np.eye(len(distances)))
    white = solve_triangular(factor, contrasts, lower=True, check_finite=False)
    determinant = contrasts.shape[1] * float(np.log(np.diag(factor)).sum())
    likelihood = 0.5 * contrasts.size * float(np.log((white**2).mean())) + determinant
    prior = float(((parameters[:2] - 1.5) ** 2).sum()) / (2 * 1.5**2)
    length = 0.5 * float(parameters[2] - np.log(0.5)) ** 2
    return float(likelihood + prior + length)


def _contrasts(deviations: Floats) -> Floats:
    """Uncorrelated differences between seeds, of a seed's variance each, (N, n - 1)."""
    seeds = deviations.shape[1]
    base = np.column_stack([np.ones(seeds), np.eye(seeds)[:, : seeds - 1]])
    return np.asarray(deviations @ np.linalg.qr(base)[0][:, 1:], dtype=np.float64)
