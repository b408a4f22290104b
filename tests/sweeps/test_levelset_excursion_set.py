"""Points that are IN hold together: their errors do not come one by one."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from scipy.special import expit, logit
from scipy.stats import chi2

from sweeps.levelset import excursion_set
from sweeps.levelset.columns import Box, Columns
from sweeps.levelset.excursion_set import MOST, cutoff, drawn_inside
from sweeps.levelset.gaussian_process import Data, Hyperparameters, Process
from sweeps.levelset.membership import IN, UNDECIDED, labels, probability
from sweeps.levelset.model import Panel, Trials
from sweeps.levelset.model_averaging import PRIOR_ROWS, logit_model, residual_inflation
from sweeps.levelset.surrogate import Surrogate
from sweeps.records.thresholds import Thresholds

SIZE, IMAGES = 100, 1000.0


def patched(monkeypatch, chances, copies=SIZE):
    """P(inside) of `copies` points in each of some patches, each right or wrong as a whole, by
    itself, as often as its probability says: what very many draws of the model would show."""
    wrong = 1 - np.array(chances)
    right = np.stack(np.meshgrid(*[[True, False]] * len(wrong), indexing="ij"), -1)
    right = right.reshape(-1, len(wrong))
    weights = np.prod(np.where(right, 1 - wrong, wrong), axis=1)
    drawn = np.repeat(right, np.round(1e5 * weights).astype(int), axis=0)
    patch = np.repeat(np.arange(len(wrong)), copies)
    monkeypatch.setattr(excursion_set, "drawn_inside", lambda model, where: drawn[:, where[:, 0]])
    inside = np.repeat(chances, copies) + np.tile(np.linspace(1e-4, 0, copies), len(wrong))
    return patch[:, None], inside


MODEL = SimpleNamespace(panel=[0])


def test_what_is_in_stops_where_one_patch_too_many_may_be_wrong(monkeypatch) -> None:
    """0.995 * 0.99 * 0.975 = 0.9605 is enough. With a fourth patch of 0.96 it is 0.922: only so few
    of its points may join that they are a twentieth of all."""
    points, inside = patched(monkeypatch, [0.995, 0.99, 0.975, 0.96])
    least = cutoff(MODEL, points, inside, 0.95)
    assert 0.96 < least < 0.975 + 1e-4
    found = labels(inside, 0.95, least)
    assert (found[:300] == IN).all() and (found[300:] == IN).sum() <= 0.05 * 300 / 0.95 + 1
    assert (found[-80:] == UNDECIDED).all(), "held back, but not OUT"


@pytest.mark.parametrize("chances", [[0.951], [0.99, 0.98], [0.999] * 8, [0.96, 0.5, 0.01]])
def test_where_errors_are_rare_enough_confidence_suffices(monkeypatch, chances) -> None:
    points, inside = patched(monkeypatch, chances)
    assert cutoff(MODEL, points, inside, 0.95) == 0.95


def test_equally_sure_points_are_in_together_or_not_at_all(monkeypatch) -> None:
    points, inside = patched(monkeypatch, [0.99, 0.97, 0.9601])
    assert cutoff(MODEL, points, inside.round(3), 0.95) == 0.97
    points, inside = patched(monkeypatch, [0.96, 0.96, 0.96])
    assert cutoff(MODEL, points, inside.round(3), 0.95) == np.inf


def test_nothing_certain_asks_for_no_more(monkeypatch) -> None:
    monkeypatch.delattr(excursion_set, "drawn_inside")  # no draws are needed
    assert cutoff(MODEL, np.zeros((3, 1)), np.array([0.94, 0.5, 0.0]), 0.95) == 0.95


def searched(noise, rows=150):
    """A model of trials over the unit square whose seeds differ so much, in logits."""
    box, rng = Box(Columns((0, 0))), np.random.default_rng(2)
    points, panel = box.sample(rows, 3), Panel(Columns((2,)), np.arange(2.0)[:, None])
    attacks = np.arange(rows) % 2
    front = 9 * (0.45 - points.sum(axis=1) / 2) + logit(0.1)
    rates = expit(front + 0.5 * attacks + noise * rng.standard_normal(rows))
    all_images = np.full(rows, IMAGES)
    trials = Trials(points, attacks, np.round(0.97 * all_images), all_images,
                    np.round(rates * IMAGES), all_images)  # fmt: skip
    thresholds, even = Thresholds(attack_success=0.1, clean_accuracy=0.9), box.sample(512, 5)
    return Surrogate(box.columns, panel, thresholds, even).fit(trials, rng), even


@pytest.mark.parametrize("noise", [0.3, 3.0])
def test_draws_are_as_often_inside_as_the_model_says(noise) -> None:
    """Alternative models and attacks included, without the inflation of variances at the border."""
    model, even = searched(noise)
    assert noise < 1 or model.others, "or else no alternative is drawn"
    plain = replace(
        model,
        clean=replace(model.clean, residual_inflation=1.0),
        attack=replace(model.attack, residual_inflation=1.0),
    )
    chance = probability(plain, even)
    shown = drawn_inside(plain, even)
    assert np.abs(shown.mean(axis=0) - chance).max() < 0.15  # 4.8 deviations of 256 draws
    assert np.abs(shown.mean() - chance.mean()) < 0.03


def test_noisy_seeds_take_more_than_confidence() -> None:
    quiet, noisy = (searched(noise) for noise in (0.3, 1.5))
    for (model, even), more in ((quiet, False), (noisy, True)):
        inside = probability(model, even)
        assert (inside >= 0.95).sum() > 20
        least = cutoff(model, even, inside, 0.95)
        assert (least > 0.95) == more
        assert cutoff(model, even, inside, 0.95) == least, "always the same"


def test_errors_larger_than_predicted_count_where_the_border_is() -> None:
    """Squared errors of normal rows are 1 in the mean. Far from the threshold, where values are
    clipped, nothing is learned of how large errors are."""
    normal = chi2.rvs(1, size=400, random_state=0)
    assert residual_inflation(normal) == pytest.approx(
        max(1.0, (normal.sum() + PRIOR_ROWS) / (400 + PRIOR_ROWS))
    )
    assert residual_inflation(normal) < 1.1 and 1.8 < residual_inflation(2 * normal) < 2.2
    assert residual_inflation(np.zeros(0)) == residual_inflation(np.full(9, 0.2)) == 1.0
    rng = np.random.default_rng(0)
    x = np.linspace(0, 1, 120)[:, None]
    near = np.abs(x[:, 0] - 0.5) < 0.2
    hyperparameters, nothing = Hyperparameters(np.array([0.5]), 4.0, 0.05, 0.0), np.zeros(120)
    off = {}
    for noisy in (near, ~near):
        values = 10 * (x[:, 0] - 0.5) + np.where(noisy, 1.5, 0.2) * rng.standard_normal(120)
        data = Data(Columns((0,)), x, values, nothing, nothing)
        off[bool(noisy[60])] = logit_model(data, hyperparameters).process.residual_inflation
    assert off[True] > 5 and off[False] < 1.5
    assert Process.of(data, hyperparameters).residual_inflation == 1.0
    assert MOST >= 20, "enough to measure a twentieth"
