"""Margins and deviations of seeds in logits, calculated by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
from made_sweeps import IMAGES, PATCH, asked, trial, trials

from sweeps.region.cell_margins import accuracy_margins, has_baselines, success_margins
from sweeps.region.point_table import best_point, least_accuracy
from sweeps.region.points import gathered


def logit(p: float) -> float:
    return math.log(p / (1 - p))


def slope(p: float) -> float:
    """Of the logit at p."""
    return 1 / (p * (1 - p))


def margins(rows, criteria):
    points = gathered(rows, criteria.measures, criteria.seeds, 0.95)
    best = best_point(points)
    least = least_accuracy(criteria.thresholds, best)
    points = [point for point in points if point.complete]
    return (
        accuracy_margins(points, best, criteria.thresholds, least),
        success_margins(points, criteria.measures, criteria.thresholds),
    )


def test_margins_are_those_of_the_means() -> None:
    rows = trials(1, (900, 930, 960), (100, 150, 200)) + trials(2, (800, 800, 800), (200, 200, 200))
    clean, success = margins(rows, asked())
    np.testing.assert_allclose(clean.margins, [[logit(0.93) - logit(0.8)], [0]], atol=1e-12)
    np.testing.assert_allclose(success.margins, [[logit(0.2) - logit(0.15)], [0]], atol=1e-12)
    s = slope(0.93)
    np.testing.assert_allclose(clean.deviations[0, 0], [-0.03 * s, 0, 0.03 * s], atol=1e-12)
    s = slope(0.15)
    np.testing.assert_allclose(success.deviations[0, 0], [0.05 * s, 0, -0.05 * s], atol=1e-12)
    # Binomial noise of 1000 images, as of 1001, in logits.
    np.testing.assert_allclose(clean.noise[:, 0], [slope(0.93) / 1001, slope(0.8) / 1001])
    np.testing.assert_allclose(success.noise[:, 0], [slope(0.15) / 1001, slope(0.2) / 1001])


@pytest.mark.parametrize("end", [0, 1])
def test_a_threshold_at_the_end_is_met_and_not_passed(end) -> None:
    """No success at all at `attack_success: 0`, no error at `clean_accuracy: 1`."""
    rows = trials(1, (1000,) * 3, (0,) * 3) + trials(2, (900,) * 3, (100,) * 3)
    found = margins(rows, asked(attack_success=0.0, clean_accuracy=1.0))[1 - end]
    half = 0.5 / 1001
    assert found.margins[:, 0].tolist() == pytest.approx([0, logit(half) - logit(0.1)])
    assert np.isfinite(found.noise).all()


def test_below_best_is_paired_with_the_best_by_seed() -> None:
    rows = trials(1, (940, 950, 960), (0, 0, 0)) + trials(2, (900, 910, 920), (0, 0, 0))
    clean, _ = margins(rows, asked(below_best=0.05))
    # The best is 0.95, so that 0.90 is asked for; seeds shift both alike.
    assert clean.margins[:, 0] == pytest.approx(
        [logit(0.95) - logit(0.9), logit(0.91) - logit(0.9)]
    )
    shifts = np.array([-0.01, 0, 0.01])
    for index, mean in enumerate((0.95, 0.91)):
        expected = shifts * (slope(mean) - slope(0.9))
        np.testing.assert_allclose(clean.deviations[index, 0], expected, atol=1e-12)
        assert clean.noise[index, 0] == pytest.approx((slope(mean) / IMAGES) ** 2)


def test_the_best_is_that_of_the_attack_that_costs_most() -> None:
    rows = [
        *trials(1, (950, 960, 970), (0,) * 3),
        *trials(1, (940, 945, 965), (0,) * 3, "blend"),
        *trials(2, (900,) * 3, (0,) * 3),
        *trials(2, (900,) * 3, (0,) * 3, "blend"),
    ]
    clean, _ = margins(rows, asked((PATCH, "blend"), below_best=0.05))
    # 0.94, 0.945, 0.965 under `blend`: 0.95 on average, moved by -0.01, -0.005, 0.015.
    expected = -np.array([-0.01, -0.005, 0.015]) * slope(0.9)
    np.testing.assert_allclose(clean.deviations[1], [expected, expected], atol=1e-12)
    np.testing.assert_allclose(clean.margins[1], [0, 0], atol=1e-12)


def test_a_best_with_a_broken_model_is_not_paired() -> None:
    rows = trials(1, (940, 950, 960), (0, 0, 0)) + trials(2, (900, 910, 920), (0, 0, 0))
    rows[2] = trial(1, PATCH, 2, 500, 0, collapsed=True)
    clean, _ = margins(rows, asked(below_best=0.05))
    # The best is (0.94 + 0.95) / 2 without the broken seed, and 0.895 is asked for.
    assert clean.margins[1, 0] == pytest.approx(logit(0.91) - logit(0.895))
    shifts = np.array([-0.01, 0, 0.01]) * slope(0.91)
    np.testing.assert_allclose(clean.deviations[1, 0], shifts, atol=1e-12)
    assert clean.noise[1, 0] == pytest.approx(slope(0.91) / 1001)


def test_a_baseline_that_stands_in_is_the_best_by_seed() -> None:
    stopped = trial(1, PATCH, 2, 0, 0, status="stopped")
    clean_models = [trial(1, "clean", seed, 970 + 10 * seed, {PATCH: 0}) for seed in range(3)]
    rows = [*trials(1, (900, 900), (0, 0)), stopped, *clean_models]
    rows += trials(2, (940, 940, 940), (0, 0, 0))
    clean, _ = margins(rows, asked(below_best=0.05))
    assert clean.margins.tolist() == [[pytest.approx(logit(0.94) - logit(0.93))]]
    expected = -np.array([-0.01, 0, 0.01]) * slope(0.93)
    np.testing.assert_allclose(clean.deviations[0, 0], expected, atol=1e-12)


def test_above_the_baseline_is_paired_by_seed() -> None:
    rows = trials(1, (900,) * 3, (120, 150, 180))
    rows += [trial(1, "clean", seed, 900, {PATCH: 50 + 20 * seed}) for seed in range(3)]
    _, success = margins(rows, asked(above_baseline=True, attack_success=0.1))
    # Clean models have 0.05, 0.07, 0.09: at most 0.17 on average.
    assert success.margins[0, 0] == pytest.approx(logit(0.17) - logit(0.15))
    expected = np.array([-0.02, 0, 0.02]) * slope(0.17) - np.array([-0.03, 0, 0.03]) * slope(0.15)
    np.testing.assert_allclose(success.deviations[0, 0], expected, atol=1e-12)
    assert success.noise[0, 0] == pytest.approx((slope(0.15) / IMAGES) ** 2)


def test_a_limit_above_all_success_does_not_depend_on_seeds() -> None:
    rows = trials(1, (900,) * 3, (940, 950, 960))
    rows += [trial(1, "clean", seed, 900, {PATCH: 850 + 50 * seed}) for seed in range(3)]
    _, success = margins(rows, asked(above_baseline=True, attack_success=0.2))
    assert success.margins[0, 0] > 4
    expected = np.array([0.01, 0, -0.01]) * slope(0.95)
    np.testing.assert_allclose(success.deviations[0, 0], expected, atol=1e-12)


def test_whether_all_baselines_are_there() -> None:
    rows = trials(1, (900,) * 3, (120, 150, 180))
    rows += [trial(1, "clean", seed, 900, {PATCH: 50}) for seed in range(3)]
    criteria = asked(above_baseline=True)

    def complete(rows):
        (point,) = gathered(rows, criteria.measures, criteria.seeds, 0.95)
        return has_baselines(point, criteria.measures)

    assert complete(rows) and not complete(rows[:-1])
    assert not complete([*rows[:-1], trial(1, "clean", 2, 900, {"another": 50})])
