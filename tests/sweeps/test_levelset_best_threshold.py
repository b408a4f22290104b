"""The threshold that depends on the best accuracy, against simulation."""

import numpy as np
import pytest
from scipy.special import expit, logit

from sweeps.levelset.best_threshold import DRAWS, SELECTION_BIAS, threshold_below_best
from sweeps.levelset.columns import Box, Columns
from sweeps.levelset.gaussian_process import Data, Hyperparameters, Process
from sweeps.levelset.membership import probability
from sweeps.levelset.model import Panel, Trials
from sweeps.levelset.surrogate import Surrogate
from sweeps.levelset.volume import joint_draws
from sweeps.records.thresholds import Thresholds

LINE = Panel(Columns(()), np.zeros((1, 0)))
IMAGES, BELOW, CENTRE = 1000.0, 0.05, float(logit(0.88))
EVEN = np.linspace(0, 1, 60)[:, None]


def fitted(points, accuracy, below, reference, seed=0):
    """A model of trainings whose attacks all fail."""
    nothing = np.zeros(len(points))
    trials = Trials(points, nothing.astype(np.int64), np.round(IMAGES * accuracy), nothing + IMAGES,
                    nothing, nothing + IMAGES)  # fmt: skip
    surrogate = Surrogate(
        Columns((0,) * points.shape[1]),
        LINE,
        Thresholds(attack_success=0.9, below_best=below),
        reference,
    )
    return surrogate.fit(trials, np.random.default_rng(seed))


def curved():
    """Accuracy about 0.93, known at nine places of a line: two regions of it may have the best."""
    points, rng = np.linspace(0.05, 0.95, 9)[:, None], np.random.default_rng(3)
    values = 0.5 + 0.3 * np.cos(4 * np.pi * points[:, 0]) + 0.2 * rng.standard_normal(9)
    data = Data(Columns((0,)), points, values, np.full(9, 0.05), np.zeros(9))
    return Process.of(data, Hyperparameters(np.array([0.2]), 1.0, 0.02, 0.0))


def simulated(clean, points, many=40_000):
    """Thresholds, (many,), and accuracies at points, (many, m), in joint draws of both."""
    posterior = clean.at(np.concatenate([EVEN, points]))
    rng = np.random.default_rng(7)
    covariance = posterior.covariance(posterior) + 1e-8 * np.eye(len(posterior.mean))
    paths = rng.multivariate_normal(posterior.mean, covariance, many, method="cholesky")
    highest = paths[:, : len(EVEN)].max(axis=1)
    bias = SELECTION_BIAS * (highest.mean() - posterior.mean[: len(EVEN)].max())
    return logit(expit(highest - bias + CENTRE) - BELOW) - CENTRE, paths[:, len(EVEN) :]


def test_a_threshold_is_as_uncertain_as_the_best_and_moves_with_the_accuracy_at_each_point() -> (
    None
):
    """Over many times more draws than it is worked out from."""
    clean, points = curved(), np.linspace(0, 1, 21)[:, None]
    threshold = threshold_below_best(clean, EVEN, BELOW, CENTRE, np.random.default_rng(0))
    thresholds, accuracies = simulated(clean, points)
    covariance = np.cov(thresholds, accuracies.T)
    error = np.sqrt(thresholds.var() / DRAWS)
    assert threshold.mean == pytest.approx(thresholds.mean(), abs=4 * error)
    assert threshold.variance == pytest.approx(thresholds.var(), rel=0.3)
    found = threshold.covariance(clean, clean.at(points))
    assert np.abs(found - covariance[0, 1:]).max() < 0.1 * np.abs(covariance[0, 1:]).max()


def test_more_than_one_point_may_have_the_best() -> None:
    clean = curved()
    points, slopes = threshold_below_best(clean, EVEN, BELOW, CENTRE, np.random.default_rng(0)).best
    assert len(points) == len(slopes) > 2 and (slopes > 0).all()
    steepest = (0.93 * 0.07) / (0.88 * 0.12)
    assert 0.7 * steepest < slopes.sum() <= 1


def test_draws_of_a_volume_have_the_margins_that_the_model_has() -> None:
    """Means and deviations of clean accuracy less the threshold, drawn jointly and computed."""
    points = Box(Columns((0,))).sample(24, 5)
    accuracy = expit(logit(0.93) - 3 * points[:, 0] ** 2)
    model = fitted(points, accuracy, BELOW, EVEN)
    draws = [joint_draws(model, EVEN[::6], np.random.default_rng(s)).clean for s in range(20)]
    drawn, (mean, variance) = np.concatenate(draws), model.margins(EVEN[::6]).clean
    error = np.sqrt(variance / len(drawn))
    assert np.abs(drawn.mean(axis=0) - mean).max() < 5 * error.max() + 0.01
    assert drawn.std(axis=0) == pytest.approx(np.sqrt(variance), rel=0.1, abs=0.01)


def test_the_level_may_hang_on_the_best() -> None:
    """Accuracy falls from 0.95 at x = 0; five points below it lies x = 0.5."""
    points = np.linspace(0, 1, 25)[:, None]
    fall = logit(0.95) - logit(0.90)
    model = fitted(points, expit(logit(0.95) - 2 * fall * points[:, 0]), BELOW, EVEN)
    assert model.accuracy_threshold.variance > 0
    inside = probability(model, np.array([[0.35], [0.65]]))
    assert inside[0] > 0.9 and inside[1] < 0.1


def test_the_best_of_a_plateau_is_not_the_best_of_its_points() -> None:
    """All points are equally good; seeds differ. The threshold is the best's, whatever the noise."""
    points, reference = Box(Columns((0, 0))).sample(60, 1), Box(Columns((0, 0))).sample(256, 0)
    for seed in range(3):
        noise = 0.3 * np.random.default_rng(seed).standard_normal(60)
        model = fitted(points, expit(logit(0.95) + noise), BELOW, reference, seed)
        threshold = model.accuracy_threshold.mean + model.centre[0]
        assert abs(threshold - logit(0.90)) < 3 * np.sqrt(model.accuracy_threshold.variance) + 0.05
        assert expit(threshold) < 0.92
