"""Alternatives to a smooth border with normal noise: attacks that succeed or fail, borders that jump."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.special import expit, logit
from scipy.stats import norm

from sweeps.levelset.columns import Box, Columns
from sweeps.levelset.gaussian_process import Data, Hyperparameters, Process
from sweeps.levelset.membership import IN, OUT, labels, probability
from sweeps.levelset.model import Model, Panel, Trials
from sweeps.levelset.model_averaging import (
    HANDICAP,
    OUTCOME_SIZE,
    AlternativeModel,
    as_binary_outcomes,
    binary_model,
    logit_model,
    weights,
)
from sweeps.levelset.surrogate import Surrogate
from sweeps.records.thresholds import Thresholds

LINE, THRESHOLDS, IMAGES = (
    Panel(Columns(()), np.zeros((1, 0))),
    Thresholds(attack_success=0.1, clean_accuracy=0.9),
    1000.0,
)
EVEN = np.linspace(0, 1, 400)[:, None]
QUIET = Hyperparameters(np.array([0.4]), 2.0, 0.05, 0.0)


def fitted(success, rows=150, clean=0.97, thresholds=THRESHOLDS) -> Model:
    """A model of evenly drawn trials with these rates, (n,) each or one number."""
    points = Box(Columns((0,))).sample(rows, 3)
    rates = [np.broadcast_to(r(points[:, 0]) if callable(r) else r, rows) for r in (clean, success)]
    counts = [np.round(IMAGES * rate) for rate in rates]
    trials = Trials(points, np.zeros(rows, dtype=np.int64), counts[0], np.full(rows, IMAGES),
                    counts[1], np.full(rows, IMAGES))  # fmt: skip
    return Surrogate(Columns((0,)), LINE, thresholds, EVEN).fit(trials, np.random.default_rng(0))


def takes(x):
    """Attacks that take in a share 1 - x of the seeds: the median seed resists from one half on."""
    rng = np.random.default_rng(1)
    return expit(
        np.where(rng.random(len(x)) < 1 - x, 3.0, -3.9) + 0.3 * rng.standard_normal(len(x))
    )


def smooth(x):
    return expit(
        8 * (0.5 - x) + logit(0.1) + 0.2 * np.random.default_rng(1).standard_normal(len(x))
    )


def test_bimodal_seeds_are_judged_by_the_median_seed() -> None:
    """The mean of their logits is on the wrong side of the threshold up to x = 0.75."""
    model = fitted(takes)
    alone = labels(probability(replace(model, others=()), EVEN), 0.95)
    found = labels(probability(model, EVEN), 0.95)
    wrong = (EVEN[:, 0] > 0.55) & (EVEN[:, 0] < 0.75)
    assert (alone[wrong] == OUT).mean() > 0.3, "or else this test shows nothing"
    assert not (found[wrong] == OUT).any()
    assert (found[EVEN[:, 0] > 0.8] == IN).mean() > 0.5 and (found[EVEN[:, 0] < 0.3] == OUT).all()
    assert model.likeliest.attack.alpha is not model.attack.alpha


def test_a_smooth_front_keeps_what_its_logits_tell() -> None:
    model = fitted(smooth)
    assert sum(weight for weight, _ in model.others) < 0.2
    assert model.likeliest == replace(model, others=())


def test_a_share_of_seeds_is_never_surer_than_the_median_seed() -> None:
    model, median = fitted(takes, thresholds=replace(THRESHOLDS, target="share")), fitted(takes)
    chance, usual = probability(model, EVEN), probability(median, EVEN)
    assert (chance <= usual + 1e-9).all() and (chance < usual - 0.3).any()
    assert model.others and model.likeliest == replace(model, others=())


def test_a_threshold_that_moves_has_no_binary_outcomes() -> None:
    """Accuracy near the best: clean accuracy has no model of binary outcomes, attack success has."""
    model = fitted(
        takes,
        thresholds=replace(THRESHOLDS, clean_accuracy=None, below_best=0.05),
        clean=lambda x: 0.97 - 0.1 * x,
    )
    assert model.others and all(other.clean is model.clean for _, other in model.others)
    assert all(other.accuracy_threshold is model.accuracy_threshold for _, other in model.others)


def test_the_weights_and_the_models_make_up_the_probability() -> None:
    model = fitted(takes, rows=60)
    own = 1 - sum(weight for weight, _ in model.others)
    parts = [own * probability(replace(model, others=()), EVEN)]
    parts += [weight * probability(other, EVEN) for weight, other in model.others]
    assert probability(model, EVEN) == pytest.approx(np.sum(parts, axis=0))


# --- scores --------------------------------------------------------------------------------------


def rows(count=40):
    rng = np.random.default_rng(0)
    points = rng.random((count, 1))
    values = 4 * (points[:, 0] - 0.5) + 0.4 * rng.standard_normal(count)
    return Data(Columns((0,)), points, values, np.full(count, 0.02), np.ones(count))


def test_scores_are_those_of_models_refitted_without_each_row() -> None:
    data, binary = rows(), as_binary_outcomes(rows())
    expected = [0.0, 0.0]
    for i in range(len(data)):
        others, this = np.arange(len(data)) != i, data.points[i : i + 1]
        posterior = Process.of(data.take(others), QUIET).at(this)
        spread = np.sqrt(posterior.variance()[0] + 0.02 + QUIET.noise)
        right = norm.cdf(np.sign(data.values[i]) * posterior.mean[0] / spread)
        expected[0] += np.log(np.clip(right, 0.02, 0.98))
        mean = Process.of(binary.take(others), QUIET).at(this).mean[0] / OUTCOME_SIZE
        right = 0.5 + 0.5 * np.sign(data.values[i]) * np.clip(mean, -0.96, 0.96)
        expected[1] += np.log(right)
    assert logit_model(data, QUIET).score == pytest.approx(expected[0], abs=1e-5)
    assert binary_model(binary, QUIET).score == pytest.approx(expected[1] - HANDICAP, abs=1e-5)
    assert set(np.abs(binary.values)) == {OUTCOME_SIZE} and (binary.values * data.values >= 0).all()


def test_a_single_surprise_does_not_disprove_a_model() -> None:
    """One training of many fails where all its neighbours are far inside: a seed that diverged.
    A border that is smooth otherwise stays the more likely model, whatever its logit was."""
    data = rows(60)
    one = int(np.abs(data.points[:, 0] - 0.8).argmin())
    values = data.values.copy()
    values[one] = -5.0
    scores = [logit_model(d, QUIET).score for d in (data, replace(data, values=values))]
    assert 0 < scores[0] - scores[1] < 12, "logarithms of normal chances differ by hundreds"
    surprised = replace(data, values=values)
    alternatives = [
        logit_model(surprised, QUIET),
        binary_model(as_binary_outcomes(surprised), QUIET),
    ]
    assert weights(alternatives)[0] > 0.9


def test_weights_are_shares_and_small_ones_are_none() -> None:
    process = Process.of(rows(), QUIET)
    found = weights(
        [
            AlternativeModel(process, -10.0),
            AlternativeModel(process, -11.0),
            AlternativeModel(process, -30.0),
        ]
    )
    assert found == pytest.approx([1 / (1 + np.exp(-1)), 1 / (1 + np.exp(1)), 0.0])


def test_few_seeds_that_agree_by_chance_do_not_make_a_place_certain() -> None:
    """Attacks that take in 59 % of the seeds: hardly ever, at any of seven looks, is more than a
    fifth of that line called IN by chance. A point where they take in 2 % of them is IN."""
    line = np.linspace(0.1, 0.9, 11)
    border, inner = (np.c_[np.full(11, x), line] for x in (0.478, 0.75))
    hyperparameters, fooled, found = Hyperparameters(np.array([0.42, 0.38]), 2.4, 0.17, 1.6), [], []
    for seed in range(100):
        rng = np.random.default_rng(seed)
        points = rng.random((160, 2))
        takes = rng.random(160) < expit(-16 * (points[:, 0] - 0.5))
        looks = [binary_process(points[:n], takes[:n], hyperparameters) for n in range(40, 161, 20)]
        fooled.append(max((certainty(process, border) > 0.95).mean() for process in looks))
        found.append((certainty(looks[-1], inner) > 0.95).mean())
    assert np.mean(np.array(fooled) > 0.2) <= 0.08
    assert np.mean(found) >= 0.95


def binary_process(points, takes, hyperparameters):
    nothing = np.zeros(len(points))
    data = Data(Columns((0, 0)), points, np.where(takes, -2.0, 2.0), nothing, nothing)
    return binary_model(as_binary_outcomes(data), hyperparameters).process


def certainty(process, points):
    """P(most seeds are above the threshold)."""
    posterior = process.at(points)
    return norm.cdf(posterior.mean / np.sqrt(process.variance_inflation * posterior.variance()))
