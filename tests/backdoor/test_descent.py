"""Two-class logistic regression by certified descent, against Newton and its dual problem."""

from dataclasses import dataclass

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from threadpoolctl import threadpool_limits

from backdoor.engines import descent, logistic
from backdoor.engines.descent import GAP, Descent, SignedImages, descend
from backdoor.engines.whole import Pixels

DECAYS = [1e-7, 1e-5, 1e-3, 0.1, 10]


@pytest.fixture(autouse=True)
def one_thread():
    with threadpool_limits(1):
        yield


def drawn(dtype=np.uint8, separable=False, n=300, inputs=40):
    """Pixels of two channels and (n,) bool; the images' spread falls from input to input."""
    draw = np.random.default_rng(0)
    raw = 128 + 70 * np.arange(1, inputs + 1) ** -0.8 * draw.standard_normal((n, inputs))
    score = raw @ draw.standard_normal(inputs)
    score += 0 if separable else score.std() * draw.standard_normal(n)
    images = (raw * (1 if dtype == np.uint8 else 1000)).astype(dtype)
    images[:, 7] = 90  # never changes
    scale = np.array([0.004, 0.03]) / (1 if dtype == np.uint8 else 1000)
    return Pixels(images, scale, np.array([0.5, -1.0])), score > np.quantile(score, 0.3)


def value(x, second, decay, weights, bias):
    losses = np.logaddexp(0, -np.where(second, 1, -1) * (x @ weights + bias))
    return losses.mean() + decay / 2 * weights @ weights


@pytest.mark.parametrize("separable", [False, True])
@pytest.mark.parametrize("dtype", [np.uint8, np.int32])
def test_values_are_as_near_the_optimum_as_certified(dtype, separable) -> None:
    pixels, second = drawn(dtype, separable)
    images, x = SignedImages.of(pixels, second), pixels.inputs()
    for decay in DECAYS:
        point = descend(images, decay)
        if point is None:
            assert decay < 1e-5, "such a decay is no case for Newton"
            continue
        weights, bias = images.model(point)
        assert weights[7] == 0
        theirs = LogisticRegression(solver="newton-cholesky", C=1 / (len(x) * decay), tol=1e-10, max_iter=500).fit(x, second)  # fmt: skip
        best = value(x, second, decay, theirs.coef_[0], theirs.intercept_[0])
        ours = value(x, second, decay, weights, bias)
        assert -1e-9 * best <= ours - best <= GAP * best


def test_the_dual_problem_bounds_the_optimum_from_below() -> None:
    pixels, second = drawn()
    images, x = SignedImages.of(pixels, second), pixels.inputs()
    sign = np.where(second, 1, -1)
    for decay in DECAYS[1:]:
        weights, bias = images.model(descend(images, decay))
        share = 1 / (1 + np.exp(sign * (x @ weights + bias)))
        # Feasible: between 0 and 1, the sums of both classes equal.
        share[second] *= share[~second].sum() / share[second].sum()
        entropy = -(share * np.log(share) + (1 - share) * np.log1p(-share)).mean()
        implied = (share * sign) @ (x - x.mean(0)) / len(x)
        bound = entropy - implied @ implied / (2 * decay)
        ours = value(x, second, decay, weights, bias)
        assert bound <= ours <= bound * (1 + 3 * GAP)


@dataclass
class Shared:
    store: object


def test_newton_takes_over_where_directions_do_not_suffice(monkeypatch) -> None:
    pixels, second = drawn()
    x, decays = pixels.inputs(), [1e-4, 10.0]
    monkeypatch.setattr(Pixels, "of", staticmethod(lambda store, rows: pixels))
    monkeypatch.setattr(descent, "DIRECTIONS", 6)
    images = SignedImages.of(pixels, second)
    assert descend(images, decays[0]) is None
    assert descend(images, decays[1]) is not None
    labels = np.where(second, 4, 2)
    monkeypatch.setattr(logistic, "narrow", lambda pixels: False)
    found = logistic.optima(Shared(None), np.arange(len(x)), labels, 5, decays)
    for (coefficients, intercepts), decay, near in zip(found, decays, (1e-8, GAP), strict=True):
        assert (intercepts[[0, 1, 3]] == logistic.NEVER).all()
        assert not coefficients[:, [0, 1, 3]].any()
        theirs = LogisticRegression(solver="newton-cholesky", C=1 / (len(x) * decay), tol=1e-10).fit(x, second)  # fmt: skip
        best = value(x, second, decay, theirs.coef_[0], theirs.intercept_[0])
        mine = coefficients[:, 4] - coefficients[:, 2], intercepts[4] - intercepts[2]
        assert value(x, second, decay, *mine) - best <= near * best


def test_the_search_along_a_direction_ends_level_however_it_is_scaled() -> None:
    pixels, second = drawn(separable=True)
    rows = SignedImages.of(pixels, second).rows
    for length in (1e-4, 1.0, 1e4):
        start = Descent(rows, 1e-3)
        start.direction = np.float32(length) * (start.wrong @ rows)
        slope = -float(start.wrong @ start.rows @ start.direction)
        start._move(slope)
        after = start.penalty * start.point - start.wrong @ rows
        assert abs(float(after @ start.direction)) <= 0.11 * abs(slope)
