"""Prediction intervals against scipy's t, by hand, and by simulation with known coverage."""

import math

import numpy as np
import pytest
import scipy.stats

from sweeps.statistics.prediction import predict_one


def test_it_is_the_t_interval_of_one_future_observation_on_the_angles() -> None:
    """Computed again with scipy.stats, for counts that scatter far beyond binomial noise."""
    counts = [(80, 400), (120, 400), (170, 400), (100, 400)]
    found = predict_one(counts, 400, 0.9)
    angles = np.arcsin(np.sqrt([(k + 3 / 8) / (n + 3 / 4) for k, n in counts]))
    ends = scipy.stats.t.interval(0.9, 3, angles.mean(), angles.std(ddof=1) * math.sqrt(5 / 4))
    low, high = (400.75 * np.sin(np.clip(ends, 0, math.pi / 2)) ** 2 - 3 / 8).tolist()
    assert low > 1 and (found.low, found.high) == (math.floor(low), math.ceil(high))
    assert (found.total, found.seeds, found.confidence) == (400, 4, 0.9)


@pytest.mark.parametrize("k", [0, 1, 30, 225, 449, 450])
def test_seeds_that_agree_leave_the_binomial_noise(k) -> None:
    """Where the rate is well inside, Student's t times the noise of two binomials' difference."""
    found = predict_one([(k, 450)] * 3, 450)
    assert found.low <= k <= found.high and found.high > found.low
    if k in (30, 225):
        p = k / 450
        reach = scipy.stats.t.ppf(0.975, 2) * math.sqrt(450 * p * (1 - p) * (1 + 1 / 3))
        assert found.high - found.low == pytest.approx(2 * reach, rel=0.1)
    mirrored = predict_one([(450 - k, 450)] * 3, 450)
    assert (mirrored.low, mirrored.high) == (450 - found.high, 450 - found.low)


def test_none_of_450_three_times_expects_few_the_fourth_time() -> None:
    found = predict_one([(0, 450)] * 3, 450)
    assert found.low == 0 and found.high / 450 < 0.03
    assert predict_one([(0, 450)] * 10, 450).high <= 4


def test_more_noise_is_expected_of_a_smaller_test_set() -> None:
    small, large = (predict_one([(45, 450)] * 3, total) for total in (100, 1000))
    assert (small.high - small.low) / 100 > (large.high - large.low) / 1000


@pytest.mark.parametrize(("counts", "total"), [([], 50), ([(3, 50)], 50), ([(3, 50), (0, 0)], 50), ([(3, 50)] * 3, 0)])  # fmt: skip
def test_one_seed_gives_none(counts, total) -> None:
    assert predict_one(counts, total) is None


def test_it_stays_within_the_images_there_are() -> None:
    found = predict_one([(0, 50), (50, 50)], 50)
    assert (found.low, found.high) == (0, 50)


SIMULATED = 800


@pytest.mark.parametrize("seeds", [2, 3, 10])
@pytest.mark.parametrize("scatter", [0.0, 0.2, 1.0])
@pytest.mark.parametrize("p", [0.001, 0.02, 0.3, 0.93])
def test_a_new_seed_lies_inside_as_often_as_is_said(p, scatter, seeds) -> None:
    """Seeds whose rates scatter normally on the logits, not the scale that the method is built
    on; each with 450 test images."""
    rng = np.random.default_rng([int(1000 * p), int(100 * scatter), seeds])
    logits = math.log(p / (1 - p)) + scatter * rng.standard_normal((SIMULATED, seeds + 1))
    drawn = rng.binomial(450, 1 / (1 + np.exp(-logits)))
    covered = _coverage(drawn)
    # Three standard errors below; the noise as the least spread makes it cover more often.
    assert covered >= 0.95 - 3 * math.sqrt(0.95 * 0.05 / SIMULATED)


def test_beyond_the_noise_the_coverage_is_nearly_exact() -> None:
    rng = np.random.default_rng(7)
    angles = 0.7 + 0.15 * rng.standard_normal((6000, 4))
    covered = _coverage(rng.binomial(450, np.sin(angles) ** 2))
    assert abs(covered - 0.95) < 0.012


def _coverage(drawn) -> float:
    """The share of rows whose last count lies where the others make it expected."""
    found = (predict_one([(int(k), 450) for k in row[:-1]], 450) for row in drawn)
    inside = [each.holds(int(row[-1])) for each, row in zip(found, drawn, strict=True)]
    return sum(inside) / len(inside)
