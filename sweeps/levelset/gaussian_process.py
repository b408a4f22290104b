"""A Gaussian process: hyperparameters by maximum a posteriori, exact posterior, conditioning.

y = f(x) + noise, f with an unknown constant mean (a wide prior, integrated out) and a `kernel`
covariance. A row's noise is known (binomial) variance plus a learned one, exp(a + b h) with a known
h in [0, 1] for each row. The priors are log-normal and regularise at small n.

Notation: n rows, d columns, m points; y values (n,) in logits, f the function without noise; h the
`shape` of a row's learned noise, exp(a) `noise` and b `slope`. Variances are of logits. Lengths are
in units of the columns, whose range is 1.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
from scipy.linalg import cholesky, lapack, solve_triangular
from scipy.optimize import minimize

from sweeps.levelset.columns import Columns, Floats
from sweeps.levelset.kernel import (
    features,
    matern,
    matern_with_slope,
    per_column,
    squared_distances,
)

#: Prior variance of the constant mean: outcomes are logits within a few units of 0.
MEAN_VARIANCE = 4.0
#: Hyperparameters are fitted to at most so many rows: more take time and change them little.
LARGEST_FIT = 200
_JITTER = 1e-8
#: Hyperparameters are fitted until a step raises the log posterior, which is in the tens or
#: hundreds, by a smaller share than this.
CLOSE = 1e-5


@dataclass(frozen=True)
class Prior:
    """Means and standard deviations of the logarithms; `length` is for one column of `d`."""

    length: tuple[float, float] = (np.log(0.35), 0.7)
    category: tuple[float, float] = (np.log(1.0), 0.8)
    variance: tuple[float, float] = (np.log(2.5), 0.8)
    noise: tuple[float, float] = (np.log(0.15), 1.2)
    slope: tuple[float, float] = (1.5, 1.0)

    def arrays(self, columns: Columns) -> tuple[Floats, Floats]:
        """Means and deviations, in the order of `Hyperparameters.pack`."""
        wide = 0.5 * np.log(max(1.0, len(columns) / 2))
        rows = [
            (self.category if level else (self.length[0] + wide, self.length[1]))
            for level in columns.categories
        ]
        rows += [self.variance, self.noise, self.slope]
        both = np.array(rows, dtype=np.float64)
        return both[:, 0], both[:, 1]


@dataclass(frozen=True)
class Hyperparameters:
    """lengths: (d,); variance: of f; noise: learned, where h = 0; slope: of its logarithm in h."""

    lengths: Floats
    variance: float
    noise: float
    slope: float

    def pack(self) -> Floats:
        scaled = np.log([*self.lengths, self.variance, self.noise])
        return np.append(scaled, self.slope)

    @staticmethod
    def unpack(packed: Floats) -> Hyperparameters:
        scaled = np.exp(packed[:-1])
        return Hyperparameters(scaled[:-2], float(scaled[-2]), float(scaled[-1]), float(packed[-1]))

    def learned_noise(self, shape: Floats) -> Floats:
        """Noise variances, beyond the binomial ones, of rows with these h."""
        return np.asarray(self.noise * np.exp(self.slope * shape), dtype=np.float64)

    def coordinates(self, points: Floats, columns: Columns) -> Floats:
        return features(points, columns, self.lengths)


@dataclass(frozen=True)
class Data:
    """points (n, d), values (n,), known noise variances (n,), and h of the learned noise (n,)."""

    columns: Columns
    points: Floats
    values: Floats
    known: Floats
    shape: Floats

    def __len__(self) -> int:
        return len(self.values)

    def take(self, chosen: np.ndarray) -> Data:
        return replace(
            self,
            points=self.points[chosen],
            values=self.values[chosen],
            known=self.known[chosen],
            shape=self.shape[chosen],
        )


def fit(
    data: Data,
    prior: Prior,
    start: Hyperparameters | None,
    rng: np.random.Generator,
    multi_start: bool = True,
) -> Hyperparameters:
    """The maximum a posteriori hyperparameters, searched from `start`.

    multi_start, or without a start: from the prior's means as well, and from short length scales
    with little noise. Few rows are explained as well by a smooth function with much noise, and the
    better of the two maxima may change as rows are added.
    """
    if len(data) > LARGEST_FIT:
        data = data.take(rng.choice(len(data), LARGEST_FIT, replace=False))
    centre, spread = prior.arrays(data.columns)
    if not len(data):
        return Hyperparameters.unpack(centre)
    short = centre.copy()
    chosen = [*range(len(data.columns)), -2]  # lengths, and the noise
    short[chosen] -= 1.5 * spread[chosen]
    starts = [] if start is None else [start.pack()]
    if multi_start or start is None:
        starts += [centre, short]
    reach = [(c - 4 * s, c + 4 * s) for c, s in zip(centre, spread, strict=True)]
    arguments = (data, per_column(data.points, data.columns), centre, spread)
    found = [
        minimize(
            _objective,
            begin,
            args=arguments,
            jac=True,
            method="L-BFGS-B",
            bounds=reach,
            options={"maxiter": 40, "ftol": CLOSE},
        )
        for begin in starts
    ]
    return Hyperparameters.unpack(min(found, key=lambda result: result.fun).x)


def _objective(
    packed: Floats, data: Data, parts: Floats, centre: Floats, spread: Floats
) -> tuple[float, Floats]:
    """The negative log posterior and its gradient. parts: of `per_column`, (d, n, n).

    It is called dozens of times in every fit, for small matrices: they are kept as rows of n * n
    numbers, so that LAPACK works in place, and the inverse as its lower half, counted twice.
    """
    hyperparameters = Hyperparameters.unpack(packed)
    width, rows = len(data.columns), len(data)
    weights, parts = hyperparameters.lengths**-2, parts.reshape(width, rows * rows)
    signal, slope = matern_with_slope(weights @ parts)
    signal *= hyperparameters.variance
    learned = hyperparameters.learned_noise(data.shape)
    total = signal + MEAN_VARIANCE
    diagonal = slice(None, None, rows + 1)
    total[diagonal] += data.known + learned + _JITTER
    factor, failed = lapack.dpotrf(total.reshape(rows, rows).T, lower=1, overwrite_a=1)
    if failed:
        raise np.linalg.LinAlgError("a covariance is not positive definite")
    alpha, _ = lapack.dpotrs(factor, data.values, lower=1)
    value = 0.5 * data.values @ alpha + np.log(np.diag(factor)).sum()
    inverse = lapack.dpotri(factor, lower=1, overwrite_c=1)[0].T.ravel()
    own = inverse[diagonal].copy()
    # Multiplied by a symmetric matrix and summed, this gives what the whole inverse would, less
    # the outer product.
    inverse *= 2.0
    inverse[diagonal] = own
    inverse -= np.multiply.outer(alpha, alpha).ravel()
    gradient = np.empty_like(packed)
    gradient[width] = 0.5 * inverse @ signal
    slope *= inverse
    gradient[:width] = -hyperparameters.variance * weights * (parts @ slope)
    by_noise = 0.5 * (own - alpha**2) * learned
    gradient[width + 1] = by_noise.sum()
    gradient[width + 2] = by_noise @ data.shape
    off = (packed - centre) / spread
    return float(value + 0.5 * off @ off), gradient + off / spread


def _inverse(factor: Floats) -> Floats:
    """The inverse of a matrix from its lower Cholesky factor."""
    lower, _ = lapack.dpotri(factor, lower=1)
    return np.asarray(lower + np.tril(lower, -1).T, dtype=np.float64)


@dataclass(frozen=True)
class Process:
    """The posterior of f given rows and hyperparameters.

    coordinates: of the rows, (n, f). factor: the lower Cholesky factor of their covariance, (n, n).
    alpha: the inverse of that covariance times the values, (n,). extra: coordinates and factor of
    pending trials, which have no value yet: they reduce variances, not means. binary_inflation: by
    how much variances are raised because the noise is not as it is modelled (binary outcomes).
    residual_inflation: how much larger errors near the threshold are than predicted, as variances,
    >= 1; what joint draws are raised by.
    """

    columns: Columns
    hyperparameters: Hyperparameters
    coordinates: Floats
    factor: Floats
    alpha: Floats
    extra: tuple[Floats, Floats] | None = field(default=None)
    binary_inflation: float = 1.0
    residual_inflation: float = 1.0

    @staticmethod
    def of(data: Data, hyperparameters: Hyperparameters) -> Process:
        where = hyperparameters.coordinates(data.points, data.columns)
        total = _prior(hyperparameters, where, where)
        total[np.diag_indices(len(data))] += (
            data.known + hyperparameters.learned_noise(data.shape) + _JITTER
        )
        factor = cholesky(total, lower=True, check_finite=False) if len(data) else total
        half = _solve(factor, data.values)
        alpha = (
            solve_triangular(factor, half, lower=True, trans=1, check_finite=False)
            if len(data)
            else half
        )
        return Process(data.columns, hyperparameters, where, factor, alpha)

    @property
    def variance_inflation(self) -> float:
        """By how much variances are raised: by `binary_inflation`, and because the hyperparameters
        are only estimated, by n / (n - k) for k of them, as in a regression, and at most by 2."""
        rows, count = len(self.alpha), len(self.columns) + 3
        return self.binary_inflation * (min(2.0, rows / (rows - count)) if rows > count else 2.0)

    def at(self, points: Floats) -> Posterior:
        """The posterior at (m, d) points, in a form from which covariances follow cheaply."""
        where = self.hyperparameters.coordinates(points, self.columns)
        prior = _prior(self.hyperparameters, self.coordinates, where)
        mean = prior.T @ self.alpha
        half = _solve(self.factor, prior)
        if self.extra is not None:
            more, factor = self.extra
            inner = _prior(self.hyperparameters, more, where) - self._half(more).T @ half
            half = np.concatenate([half, _solve(factor, inner)])
        return Posterior(self.hyperparameters, where, half, mean)

    def pending(self, points: Floats, noise: Floats) -> Process:
        """With all trials that are running, at points (m, d); noise: of their values, (m,)."""
        if self.extra is not None:
            raise ValueError("pending trials must be given all at once")
        if not len(points):
            return self
        where = self.hyperparameters.coordinates(points, self.columns)
        half = self._half(where)
        inner = _prior(self.hyperparameters, where, where) - half.T @ half
        inner[np.diag_indices(len(where))] += noise + _JITTER
        return replace(self, extra=(where, cholesky(inner, lower=True, check_finite=False)))

    def _half(self, where: Floats) -> Floats:
        return _solve(self.factor, _prior(self.hyperparameters, self.coordinates, where))


def left_out(data: Data, hyperparameters: Hyperparameters) -> tuple[Floats, Floats]:
    """Means and variances of f at each row, (n,) each, as all the other rows predict it
    (Rasmussen and Williams 2006, eq. 5.12)."""
    if not len(data):
        return np.zeros(0), np.zeros(0)
    noise = data.known + hyperparameters.learned_noise(data.shape) + _JITTER
    process = Process.of(data, hyperparameters)
    precision = np.diag(_inverse(process.factor))
    variance = np.asarray(np.maximum(1 / precision - noise, 1e-9), dtype=np.float64)
    return np.asarray(data.values - process.alpha / precision, dtype=np.float64), variance


@dataclass(frozen=True)
class Posterior:
    """The posterior at m points: means (m,), and what covariances are computed from."""

    hyperparameters: Hyperparameters
    where: Floats
    half: Floats
    mean: Floats

    def variance(self) -> Floats:
        """Posterior variances of f, (m,), above 0."""
        prior = self.hyperparameters.variance + MEAN_VARIANCE
        left = prior - np.einsum("ij,ij->j", self.half, self.half)
        return np.asarray(np.maximum(left, 1e-9), dtype=np.float64)

    def covariance(self, other: Posterior) -> Floats:
        """Posterior covariances of f between these points and others, (m, k)."""
        return _prior(self.hyperparameters, self.where, other.where) - self.half.T @ other.half

    def take(self, chosen: np.ndarray) -> Posterior:
        return Posterior(
            self.hyperparameters, self.where[chosen], self.half[:, chosen], self.mean[chosen]
        )


def _prior(hyperparameters: Hyperparameters, one: Floats, other: Floats) -> Floats:
    correlation = matern(squared_distances(one, other))
    return np.asarray(hyperparameters.variance * correlation + MEAN_VARIANCE, dtype=np.float64)


def _solve(factor: Floats, right: Floats) -> Floats:
    if not len(factor):
        return right
    return np.asarray(
        solve_triangular(factor, right, lower=True, check_finite=False), dtype=np.float64
    )
