"""Errors that cells share through their seeds, against slow computations and known cases."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from sweeps.statistics import shared_seeds
from sweeps.statistics.shared_seeds import Cells, SharedErrors, shared_errors

#: ln(a / e), ln(b / e), ln l.
PARAMETERS = np.array([1.2, -0.4, np.log(0.3)])


def line(cells: int) -> np.ndarray:
    """Distances of evenly spaced points from 0 to 1."""
    at = np.linspace(0, 1, cells)
    return np.abs(at[:, None] - at[None, :])


def of(margins, values, noise=1e-6, distances=None) -> Cells:
    """Cells of seeds with these margins, (cells, seeds), around their own means."""
    values = np.asarray(values, dtype=np.float64)
    cells = len(values)
    return Cells(
        np.asarray(margins, dtype=np.float64),
        values - values.mean(axis=1, keepdims=True),
        np.full(cells, noise),
        line(cells) if distances is None else distances,
    )


def slow_correlation(parameters, distances) -> list[list[float]]:
    """a + b exp(-d / l) + e [i = j], where a + b + e = 1."""
    a, b, e = math.exp(parameters[0]), math.exp(parameters[1]), 1.0
    a, b, e, length = a / (a + b + e), b / (a + b + e), e / (a + b + e), math.exp(parameters[2])
    cells = range(len(distances))
    return [[a + b * math.exp(-distances[i][j] / length) + e * (i == j) for j in cells]
            for i in cells]  # fmt: skip


def test_covariance_and_freedom_are_those_of_a_slow_computation(monkeypatch) -> None:
    rng = np.random.default_rng(3)
    margins, seeds = np.array([-0.5, 0.2, 1.4, 2.5, -9.0, 0.7]), 4
    cells = of(margins, rng.normal(size=(6, seeds)), noise=0.3)
    monkeypatch.setattr(shared_seeds, "_shares", lambda *_: PARAMETERS)
    found = shared_errors(cells)

    clipped = [max(-5.0, min(5.0, float(m))) for m in margins]
    own = [sum(float(d) ** 2 for d in row) / (seeds - 1) for row in cells.deviations]
    deviation = []
    for i in range(6):
        weights = [math.exp(-0.5 * ((clipped[i] - clipped[j]) / 0.75) ** 2
                            - cells.distances[i][j] / 0.2) for j in range(6)]  # fmt: skip
        pooled = sum(w * v for w, v in zip(weights, own, strict=True)) / sum(weights)
        deviation.append(math.sqrt(max(pooled, 0.3)))
    correlation = slow_correlation(PARAMETERS, cells.distances)
    near = [i for i in range(6) if abs(clipped[i]) <= 1.5]
    assert near == [0, 1, 2, 5]
    squares = sum(correlation[i][j] ** 2 for i in near for j in near)
    assert found.freedom == pytest.approx((seeds - 1) * len(near) ** 2 / squares)
    # Of 4 errors that are not shared the largest counts: Phi(q)^4 = 0.95 for one of them.
    raised = (stats.norm.ppf(0.95**0.25) / stats.norm.ppf(0.95)) ** 2
    alone = 1 / (math.exp(1.2) + math.exp(-0.4) + 1)
    expected = [[deviation[i] * deviation[j] / seeds
                 * (correlation[i][j] + (i == j) * alone * (raised - 1)) for j in range(6)]
                for i in range(6)]  # fmt: skip
    np.testing.assert_allclose(found.covariance, expected, rtol=1e-12)
    assert found.margins.tolist() == clipped and found.seeds == seeds
    assert found.deciding.tolist() == [True, True, True, False, False, True]


def test_the_likelihood_is_that_of_multivariate_normal_contrasts() -> None:
    rng = np.random.default_rng(4)
    deviations = of(np.zeros(5), rng.normal(size=(5, 4))).deviations
    contrasts, distances = shared_seeds._contrasts(deviations), line(5)
    assert contrasts.shape == (5, 3)
    np.testing.assert_allclose(contrasts @ contrasts.T, deviations @ deviations.T, atol=1e-12)

    def minus_log(parameters) -> float:
        covariance = np.array(slow_correlation(parameters, distances)) + 1e-6 * np.eye(5)
        variance = np.mean([c @ np.linalg.solve(covariance, c) / 5 for c in contrasts.T])
        normal = stats.multivariate_normal(np.zeros(5), variance * covariance)
        return float(-normal.logpdf(contrasts.T).sum())

    def prior(parameters) -> float:
        first, second, length = parameters
        wide = stats.norm(1.5, 1.5)
        return -(wide.logpdf(first) + wide.logpdf(second) + stats.norm.logpdf(length, np.log(0.5)))

    other = np.array([-0.7, 2.0, np.log(2.0)])
    found = [shared_seeds._objective(p, contrasts, distances) for p in (PARAMETERS, other)]
    expected = [minus_log(p) + prior(p) for p in (PARAMETERS, other)]
    assert found[0] - found[1] == pytest.approx(expected[0] - expected[1], rel=1e-8)


def test_draws_have_the_covariance_and_the_tails_of_a_multivariate_t() -> None:
    covariance = np.array([[1.0, 0.5, 0.0], [0.5, 4.0, -1.0], [0.0, -1.0, 2.0]])
    margins = np.array([0.3, -1.0, 2.0])
    model = SharedErrors(margins, covariance, 5.0, np.zeros(3, dtype=np.bool_), 4)
    errors = model.draws(60_000, np.random.default_rng(0)) - margins[:, None]
    np.testing.assert_allclose(np.cov(errors), covariance * 5 / 3, atol=0.15)
    for row, variance in zip(errors, np.diag(covariance), strict=True):
        for tail in (0.9, 0.99, 0.999):
            beyond = (row / math.sqrt(variance) > stats.t.ppf(tail, 5)).mean()
            assert beyond == pytest.approx(1 - tail, rel=0.3)
    # One scale for all: large errors come together, though these two are not correlated.
    large = np.abs(errors) / np.sqrt(np.diag(covariance))[:, None] > 4
    assert large[0][large[2]].mean() > 5 * large[0].mean()


@pytest.mark.parametrize("seeds", [3, 10])
def test_one_effect_that_all_cells_share_has_the_freedom_of_its_seeds(seeds) -> None:
    rng = np.random.default_rng(1)
    effect = rng.normal(size=seeds)
    shared = effect + 0.02 * rng.normal(size=(30, seeds))
    found = shared_errors(of(np.linspace(-1, 1, 30), shared))
    assert seeds - 1 <= found.freedom < 1.3 * (seeds - 1)
    correlation = found.covariance / np.sqrt(np.outer(*2 * [np.diag(found.covariance)]))
    assert correlation.min() > 0.8
    alone = shared_errors(of(np.linspace(-1, 1, 30), rng.normal(size=(30, seeds))))
    assert alone.freedom > 3 * (seeds - 1)
    off = alone.covariance[~np.eye(30, dtype=bool)].mean()
    assert off < 0.4 * np.diag(alone.covariance).mean()


def test_a_cell_whose_seeds_differ_wildly_is_odd() -> None:
    rng = np.random.default_rng(2)
    values = rng.normal(size=5) + 0.2 * rng.normal(size=(40, 5))
    plain = shared_errors(of(np.linspace(-1, 1, 40), values))
    assert not plain.odd.any()
    values[17] = [-20, 15, 3, -8, 10]
    found = shared_errors(of(np.linspace(-1, 1, 40), values))
    assert np.flatnonzero(found.odd).tolist() == [17]


def test_seeds_that_agree_at_all_cells_err_alike_in_the_worst_case() -> None:
    found = shared_errors(of(np.linspace(-1, 1, 6), np.ones((6, 4)), noise=0.09))
    assert found.freedom == pytest.approx(3, rel=0.02)
    np.testing.assert_allclose(np.diag(found.covariance), 0.09 / 4, rtol=0.03)
    assert not found.odd.any()


def test_one_cell_is_students_t() -> None:
    values = np.array([[1.0, 2.0, 4.0]])
    found = shared_errors(of([0.4], values))
    assert found.freedom == pytest.approx(2) and not found.odd.any()
    assert found.covariance[0, 0] == pytest.approx(values.var(ddof=1) / 3)
    draws = found.draws(100_000, np.random.default_rng(0))
    inside = stats.t.cdf(0.4 / math.sqrt(values.var(ddof=1) / 3), 2)
    assert (draws >= 0).mean() == pytest.approx(inside, abs=0.01)


@pytest.mark.parametrize(
    "margins, values, noise",
    [
        ([0.0, 0.0], [[0, 0], [0, 0]], 1e-12),
        ([1e9, -1e9, 0.0], [[1, 2, 3], [3, 2, 1], [0, 0, 0]], 1e-12),
        ([0.0] * 4, 1e6 * np.arange(8).reshape(4, 2), 1e-12),
        ([0.0] * 4, 1e-9 * np.arange(12).reshape(4, 3) ** 2, 1e-15),
        ([-5.0] * 3, [[0, 1e5], [1, -1], [0, 0]], 2.0),
        ([0.5], [[0, 1]], 1.0),
    ],
)
def test_all_figures_are_finite(margins, values, noise) -> None:
    cells = len(margins)
    for distances in (line(cells), np.zeros((cells, cells)), 20.0 * (1 - np.eye(cells))):
        found = shared_errors(of(margins, values, noise, distances))
        draws = found.draws(50, np.random.default_rng(0))
        assert np.isfinite(found.covariance).all() and np.isfinite(draws).all()
        assert math.isfinite(found.freedom) and found.freedom >= np.shape(values)[1] - 1 - 1e-9
