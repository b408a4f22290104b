"""Equivalence, AUC and detectability against scipy.stats, loops and rows made by hand."""

import itertools
import json
from dataclasses import replace

import numpy as np
import pytest
import scipy.stats
from made_rows import made
from small import begin, small_spec, sweep

from sweeps.analyses.detectability import detectability
from sweeps.analyses.measures_text import detectability_text
from sweeps.cli.main import main
from sweeps.ledger import Ledger
from sweeps.runners.serial import SerialRunner
from sweeps.statistics.equivalence import auc, bootstrap_mean, resamples, tost


@pytest.mark.parametrize("seed", range(5))
def test_tost_is_two_t_tests_of_scipy(seed) -> None:
    draw = np.random.default_rng(seed)
    values = draw.normal(0.003 * seed, 0.01, 3 + seed)
    found = tost(values, 0.02, 0.05)
    above = scipy.stats.ttest_1samp(values, -0.02, alternative="greater").pvalue
    below = scipy.stats.ttest_1samp(values, 0.02, alternative="less").pvalue
    assert found.p == pytest.approx(max(above, below), rel=1e-9)
    interval = scipy.stats.ttest_1samp(values, 0).confidence_interval(0.9)
    assert (found.lower, found.upper) == pytest.approx((interval.low, interval.high))
    assert found.equivalent == (interval.low > -0.02 and interval.high < 0.02) == (found.p < 0.05)


def test_tost_without_spread_and_with_too_few_differences() -> None:
    assert tost([0.01, 0.01], 0.02).equivalent is True and tost([0.01, 0.01], 0.02).p == 0
    assert tost([0.03, 0.03], 0.02).equivalent is False and tost([0.02, 0.02], 0.02).p == 1
    one, none = tost([0.01], 0.02), tost([], 0.02)
    assert (one.n, one.mean, one.p, one.equivalent) == (1, 0.01, None, None)
    assert (none.n, none.mean, none.p) == (0, None, None)


def test_auc_is_mann_whitneys() -> None:
    draw = np.random.default_rng(0)
    poisoned, clean = draw.integers(80, 90, 7) / 100, draw.integers(84, 94, 5) / 100
    u = scipy.stats.mannwhitneyu(clean, poisoned).statistic
    assert auc(poisoned, clean) == pytest.approx(u / 35)
    assert auc([0.5], [0.5]) == 0.5 and auc([0.4], [0.5]) == 1 and auc([0.6], [0.5]) == 0


def test_bootstrap_and_resamples() -> None:
    assert bootstrap_mean([0.5], 0.95) is None
    values = np.random.default_rng(1).random(40)
    low, high = bootstrap_mean(values, 0.95)
    error = values.std(ddof=0) / np.sqrt(40)
    assert low == pytest.approx(values.mean() - 1.96 * error, abs=0.15 * error)
    assert high == pytest.approx(values.mean() + 1.96 * error, abs=0.15 * error)
    assert sorted(map(tuple, resamples(3).tolist())) == sorted(
        itertools.product(range(3), repeat=3)
    )
    assert resamples(9).shape == (2000, 9) and set(resamples(9).ravel()) == set(range(9))


# --- rows made by hand -------------------------------------------------------------------------

PATCH = {"trigger": {"kind": "patch"}, "poison_rate": 0.03, "label_mode": "all_to_one", "target": 0}


def row(point, attack, seed, correct, success=50, status="finished"):
    """A ledger row: two classes of 100 test images, right answers on each."""
    return made(
        defence_id=point, seed=seed, status=status, class_correct=correct, class_total=[100, 100],
        attack_id="clean" if attack is None else json.dumps(attack),
        config={"attack": attack, "defence": {"weight_decay": point}},
        measurements=[{"measure_id": "m", "success": success, "robust": 0, "total": 100}],
    )  # fmt: skip


ROWS = [
    *(row("a", None, s, (90, 90 + s)) for s in range(3)),
    *(row("a", PATCH, s, (90 - s, 90 + s)) for s in range(3)),  # differences 0, -1, -2 of 200
    *(row("b", None, s, (95, 95)) for s in range(3)),
    *(row("b", PATCH, s, (55, 95), success=90) for s in range(3)),  # class 0 loses 40
    row("b", PATCH, 9, (0, 0)),  # no clean model of this seed
    row("c", PATCH, 0, (90, 90)),  # no clean model at all
    row("a", PATCH, 5, (0, 0), status="failed"),
]  # fmt: skip


def test_points_attacks_and_classes() -> None:
    answer = detectability(ROWS, margin=0.02)
    a, b = answer["points"]
    differences = np.array([0, -1, -2]) / 200
    expected = scipy.stats.ttest_1samp(differences, -0.02, alternative="greater").pvalue
    assert a["clean_accuracy"]["test"]["p"] == pytest.approx(expected)
    assert a["clean_accuracy"]["test"]["equivalent"] and a["seeds"] == [0, 1, 2]
    assert a["clean_accuracy"]["poisoned"] == pytest.approx(0.9)
    assert a["clean_accuracy"]["clean"] == pytest.approx(0.905)
    assert a["classes"][1]["mean"] == 0 and a["classes"][0]["mean"] == pytest.approx(-0.01)
    assert (a["worst_class"], a["worst_loss"]) == (0, pytest.approx(0.01))
    # Poisoned 180, 180, 180 against clean 180, 181, 182 of 200.
    assert a["auc"] == pytest.approx((6 + 0.5 * 3) / 9)
    assert b["clean_accuracy"]["test"]["equivalent"] is False and b["auc"] == 1.0
    assert (b["worst_class"], b["worst_loss"]) == (0, pytest.approx(0.4))
    assert b["seeds"] == [0, 1, 2] and b["attack_success"] == pytest.approx(0.9)
    (attack,) = answer["attacks"]
    overall = answer["overall"]
    assert {k: attack[k] for k in overall} == overall
    assert (overall["points"], overall["tested"], overall["equivalent"]) == (2, 2, 1)
    assert overall["test"]["mean"] == pytest.approx((-0.005 - 0.2) / 2)
    assert overall["auc"]["mean"] == pytest.approx((a["auc"] + 1) / 2)
    assert (overall["auc"]["lower"], overall["auc"]["upper"]) == (a["auc"], 1.0)


def test_losses_are_compared_where_both_models_have_one() -> None:
    losses = {("a", False): 0.4, ("a", True): 0.43, ("b", False): 0.5, ("b", True): 0.4}
    rows = [
        replace(
            r, clean_loss=losses[r.defence_id, not r.is_clean] + 0.01 * r.seed * (not r.is_clean)
        )
        for r in ROWS
        if r.defence_id in "ab"
    ]
    answer = detectability(rows, loss_margin=0.06)
    a, b = (entry["clean_loss"] for entry in answer["points"])
    differences = [0.03, 0.04, 0.05]
    expected = scipy.stats.ttest_1samp(differences, 0.06, alternative="less").pvalue
    assert a["test"]["p"] == pytest.approx(expected) and a["test"]["equivalent"] is True
    assert (a["poisoned"], a["clean"]) == (pytest.approx(0.44), pytest.approx(0.4))
    assert (a["auc"], b["auc"]) == (1.0, 0.0) and b["test"]["mean"] == pytest.approx(-0.09)
    overall = answer["overall"]["clean_loss"]
    assert (overall["tested"], overall["equivalent"]) == (2, 1) and overall["auc"]["mean"] == 0.5
    assert overall["test"]["mean"] == pytest.approx((0.04 - 0.09) / 2)
    text = detectability_text(answer)
    assert "gained loss" in text and "equivalent within 0.06" in text
    rows[0] = replace(rows[0], clean_loss=None)  # a diverged model's: the seed has no pair
    assert detectability(rows)["points"][0]["clean_loss"]["test"]["n"] == 2
    assert detectability(ROWS)["overall"]["clean_loss"] is None
    assert "gained loss" not in detectability_text(detectability(ROWS))


def test_a_class_without_test_images() -> None:
    rows = [replace(r, class_total=(100, 0), class_correct=(r.class_correct[0], 0)) for r in ROWS]
    entry = detectability(rows)["points"][0]
    assert entry["classes"][1]["n"] == 0 and entry["worst_class"] == 0


def test_text_and_nothing_to_compare() -> None:
    text = detectability_text(detectability(ROWS))
    assert "1 of 2 points and attacks are equivalent within 0.02" in text
    assert "class 0, 0.400 of its accuracy, at " in text
    assert "patch to class 0 at 3 %" in text.splitlines()[1]
    nothing = detectability([r for r in ROWS if not r.is_clean])
    assert nothing["points"] == [] and nothing["overall"]["auc"]["mean"] is None
    assert "if `attack` has no poison rate 0, add" in detectability_text(nothing)


def test_the_command(tmp_path, capsys) -> None:
    spec = small_spec()
    paths = begin(tmp_path / "r", spec)
    sweep(paths, spec, SerialRunner())
    assert main(["probe", "detectability", str(paths.root), "--json", "--margin", "0.05"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert answer == json.loads(json.dumps(detectability(Ledger(paths.ledger).trials(), 0.05)))
    assert len(answer["points"]) == 8 and answer["schema_version"] == 1
    assert main(["probe", "detectability", str(paths.root)]) == 0
    assert "lost accuracy" in capsys.readouterr().out
    assert main(["probe", "detectability", str(paths.root), "--margin", "2"]) == 2
    assert "--margin: must be a fraction between 0 and 1, but got 2.0" in capsys.readouterr().err
    assert main(["probe", "detectability", str(paths.root), "--loss-margin", "0"]) == 2
    assert "--loss-margin: must be a number above 0, but got 0.0" in capsys.readouterr().err
