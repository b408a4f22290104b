"""The best accuracy without broken models, by hand calculations."""

from dataclasses import replace

import numpy as np
import pytest
from answered import answered
from made_rows import made
from scipy.special import expit
from small import begin, small_spec, sweep
from trials import fake_result

from backdoor.evaluate import clean_counts
from sweeps.cli.main import main
from sweeps.ledger import Ledger, finished_rows
from sweeps.levelset.columns import Columns
from sweeps.levelset.model import Panel, Trials
from sweeps.levelset.surrogate import Surrogate
from sweeps.records.thresholds import Thresholds
from sweeps.records.unknown_best import unknown_best
from sweeps.region.best_accuracy import from_baseline, from_panel
from sweeps.region.panel import criteria_of
from sweeps.region.point_table import region_of
from sweeps.region.points import point_of
from sweeps.region.region_text import region_text
from sweeps.runners.serial import SerialRunner

A, B, CLEAN = "a", "b", "clean"


def row(attack, seed, accuracy, **broken):
    """Of 100 test and 100 validation images."""
    measured = [{"measure_id": "m", "success": 0, "robust": 0, "total": 10}]
    return made(
        attack_id=attack, seed=seed, class_correct=(accuracy,), class_total=(100,), config={"data": {}, "defence": {}, "training": {}, "attack": None},
        validation_correct=accuracy - 1, validation_total=100, measurements=measured, **broken,
    )  # fmt: skip


def reference(rows, seeds=(0, 1, 2)):
    found = from_panel(rows, [A, B], seeds)
    return found and (round(found.clean_accuracy, 9), round(found.validation_accuracy, 9))


WHOLE = [row(A, 0, 90), row(A, 1, 92), row(A, 2, 94), row(B, 0, 91), row(B, 1, 93), row(B, 2, 95)]


def test_a_seed_with_a_broken_model_is_left_out_for_all_attacks() -> None:
    assert reference(WHOLE) == (0.92, 0.91)
    for broken in ("collapsed", "diverged"):
        spoilt = [*WHOLE[:3], row(B, 0, 10, **{broken: True}), *WHOLE[4:]]
        assert reference(spoilt) == (0.93, 0.92)  # (92 + 94) / 2 under a; not (90 + 92 + 94) / 3
    two = [*WHOLE[:2], row(A, 2, 10, collapsed=True), row(B, 0, 0, diverged=True), *WHOLE[4:]]
    assert reference(two) == (0.92, 0.91)  # seed 1 alone
    assert reference(WHOLE[1:]) is None  # one is missing
    assert reference([*WHOLE, row(A, 7, 10, collapsed=True)]) == (0.92, 0.91)  # no seed of the spec


def test_an_attack_that_is_broken_with_every_seed_does_not_count() -> None:
    dead = [row(B, seed, 10, collapsed=True) for seed in range(3)]
    assert reference([*WHOLE[:3], *dead]) == (0.92, 0.91)
    assert reference([row(A, s, 10, collapsed=True) for s in range(3)] + dead) is None
    none_left = [row(A, 0, 10, collapsed=True), *WHOLE[1:3], WHOLE[3],
                 row(B, 1, 10, collapsed=True), row(B, 2, 10, diverged=True)]  # fmt: skip
    assert reference(none_left) is None


def test_a_baseline_that_stands_in_leaves_out_its_broken_seeds() -> None:
    rows = [row(CLEAN, 0, 95), row(CLEAN, 1, 10, collapsed=True), row(CLEAN, 2, 97)]
    found = from_baseline(rows, (0, 1, 2))
    assert found.clean_accuracy == pytest.approx(0.96) and found.source == "baseline"
    assert from_baseline(rows[:2], (0, 1, 2)) is None
    assert from_baseline(rows[1:2], (1,)) is None
    stopped = replace(row(A, 0, 90), status="stopped")
    point = point_of([*rows, stopped], [A], (0, 1, 2), 0.95)
    assert point.reference.clean_accuracy == pytest.approx(0.96)


# --- whole regions -----------------------------------------------------------------------------

SEEDS = 2


def judged(tmp_path, breaks, **changes):
    """Three points with accuracy 0.96, 0.94 and 0.90 under every attack, whose attacks never
    succeed. breaks(decay, rate, seed): whether this model collapsed, with accuracy 0.1."""
    spec = small_spec(defence={"architecture": "ridge", "weight_decay": [0.01, 0.1, 1]}, **changes)
    paths = begin(tmp_path / "r", spec)

    def work(pack):
        results = []
        for config in pack.trials:
            rate = 0 if config.attack is None else config.attack.poison_rate
            broken = breaks(config.defence.weight_decay, rate, config.seed)
            clean = 50 if broken else {0.01: 480, 0.1: 470, 1.0: 450}[config.defence.weight_decay]
            made_up = fake_result(config, pack.settings.measures)
            counts = tuple(replace(m, success=0) for m in made_up.measurements)
            results.append(replace(
                made_up, class_correct=(clean,), class_total=(500,), validation_total=200,
                validation_correct=clean * 2 // 5, measurements=counts, collapsed=broken,
            ))  # fmt: skip
        return finished_rows(results, "pack")

    sweep(paths, spec, SerialRunner(work))
    ledger, criteria = Ledger(paths.ledger), criteria_of(spec)
    region = answered(region_of(criteria, ledger, 18), criteria, ledger.trials())
    return region, {p["factors"]["defence.weight_decay"]: p for p in region["points"]}


def test_one_collapsed_seed_does_not_lower_the_bar(tmp_path) -> None:
    region, table = judged(tmp_path, lambda d, rate, seed: (d, rate, seed) == (0.01, 0.03, 1))
    asked = region["thresholds"]["clean_accuracy"]
    assert asked["best"] == pytest.approx(0.96) and asked["value"] == pytest.approx(0.91)
    assert asked["best_point"] == table[0.01]["defence_id"]
    assert asked["left_out"] == [{"defence_id": table[0.01]["defence_id"], "source": "panel",
                                  "models": 1, "seeds": [1], "reference": True}]  # fmt: skip
    # Its own point has it in its means, (0.96 + 0.1) / 2, and is never IN.
    assert table[0.01]["clean_accuracy"] == pytest.approx(0.53)
    assert [table[d]["by_means"] for d in (0.01, 0.1, 1.0)] == ["OUT", "IN", "OUT"]
    assert table[0.1]["margin"] == pytest.approx(0.03)
    text = region_text(region)
    assert "The best accuracy leaves out 1 broken model of 1 defence point (ridge, weight_decay 0.01: seed 1)" in text  # fmt: skip
    assert "at least 99 % of the clean test images" in text


def test_a_point_whose_models_are_all_broken_cannot_be_the_best(tmp_path) -> None:
    region, table = judged(tmp_path, lambda d, rate, seed: d == 0.01 and rate > 0)
    asked = region["thresholds"]["clean_accuracy"]
    assert asked["best"] == pytest.approx(0.94)
    (entry,) = asked["left_out"]
    assert (entry["models"], entry["seeds"], entry["reference"]) == (4, [0, 1], False)
    assert [table[d]["by_means"] for d in (0.01, 0.1, 1.0)] == ["OUT", "IN", "IN"]
    said = "1 of these points has no seed left, and cannot be the most accurate."
    assert said in region_text(region)


def test_no_best_is_known_where_every_model_is_broken(tmp_path, capsys) -> None:
    region, table = judged(tmp_path, lambda d, rate, seed: rate > 0)
    asked = region["thresholds"]["clean_accuracy"]
    assert (asked["best"], asked["value"], asked["best_point"]) == (None, None, None)
    assert region["counts"]["by_means"] == {"IN": 0, "OUT": 3, "INCOMPLETE": 0}
    assert table[0.1]["clean_accuracy"] == pytest.approx(0.1) and table[0.1]["margin"] is None
    said = "\nAnswer: No region: the best accuracy is not known: 3 defence points have ended, and no seed is left where no model collapsed or diverged."  # fmt: skip
    assert said in region_text(region)
    assert unknown_best([]) is None
    assert main(["status", str(tmp_path / "r")]) == 0
    said = "of 3 defence points by means 0 IN, 3 OUT, 0 INCOMPLETE; by bounds 0 IN, 0 OUT, 3 UNDECIDED; no best accuracy is known: models are broken"  # fmt: skip
    assert said in capsys.readouterr().out
    assert main(["train", str(tmp_path / "r"), "--point", "best"]) == 2
    assert "needs a point with a seed for which no model collapsed" in capsys.readouterr().err


def test_a_broken_clean_baseline_leaves_the_best_as_it_is(tmp_path) -> None:
    """Its point is never IN, as before; its panel says how accurate it is."""
    region, table = judged(tmp_path, lambda d, rate, seed: (d, rate, seed) == (0.01, 0, 0))
    asked = region["thresholds"]["clean_accuracy"]
    assert asked["best"] == pytest.approx(0.96) and asked["left_out"] == []
    assert [table[d]["by_means"] for d in (0.01, 0.1, 1.0)] == ["OUT", "IN", "OUT"]
    assert table[0.01]["broken"] == 1


def test_a_region_searchs_best_is_that_of_unbroken_models() -> None:
    """Accuracy 0.95 at one end of a line and 0.8 at the other; two models collapsed at the better."""
    x = np.linspace(0, 1, 16)[:, None]
    rates = np.where(x[:, 0] < 0.5, 0.95, 0.8)
    points, broken = np.concatenate([x, x[:2]]), np.arange(18) >= 16
    correct = np.round(1000 * np.append(rates, [0.1, 0.1]))
    full, none = np.full(18, 1000.0), np.zeros(18)
    thresholds = Thresholds(attack_success=0.2, below_best=0.05)

    def least(flags):
        line = Panel(Columns((0,)), np.zeros((1, 1)))
        trials = Trials(points, none.astype(np.int64), correct, full, none, full, flags)
        surrogate = Surrogate(Columns((0,)), line, thresholds, np.linspace(0, 1, 64)[:, None])
        model = surrogate.fit(trials, np.random.default_rng(0))
        return float(expit(model.accuracy_threshold.mean + model.centre[0]))

    assert least(broken) == pytest.approx(0.90, abs=0.005)
    assert least(None) < 0.885  # as if they were models like any other


# --- the formula -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("labels", "predicted", "collapsed"),
    [
        ([0] * 500 + [1] * 500, [0] * 990 + [1] * 10, True),
        ([0] * 500 + [1] * 500, [0] * 989 + [1] * 11, False),
        ([0] * 995 + [1] * 5, [0] * 995 + [1] * 5, False),  # right about all of a skewed set
        ([0] * 995 + [1] * 5, [0] * 997 + [1] * 3, False),  # (1 + 0.995) / 2 is 0.9975
        ([0] * 995 + [1] * 5, [0] * 998 + [1] * 2, True),
        ([0] * 995 + [1] * 5, [1] * 995 + [0] * 5, True),  # the rare class for nearly all
        ([0, 1] * 500, [0, 0, 1, 1] * 250, False),  # at chance, but its answers vary
        ([0, 1] * 500, [1, 0] * 500, False),  # all-to-all, wrong about all
    ],
)
def test_the_formula_of_a_collapsed_model(labels, predicted, collapsed) -> None:
    assert clean_counts(np.array(predicted), np.array(labels), 2).collapsed is collapsed
