"""The model of all points, from whole sweeps whose rows are made by hand."""

from __future__ import annotations

import json

import numpy as np
import pytest
from made_sweeps import IMAGES, PATCH, asked, by_decay, judged, trial, trials
from scipy.special import expit

from sweeps.region import seed_model
from sweeps.region.region_text import region_text

#: Shifts of the logits of three seeds.
SHIFTS = (-0.1, 0.0, 0.1)
#: Logits of success at weight decays 0, 1, ...: the threshold of 0.2 is at -1.39.
RAMP = (-4.0, -3.4, -2.8, -2.2, -1.4, -0.8, -0.2, 0.4)


def at(decay, logit, shifts=SHIFTS, accuracy=0.95, attack=PATCH):
    """A point whose seeds shift success alike everywhere."""
    success = [round(IMAGES * float(expit(logit + shift))) for shift in shifts]
    return trials(decay, [round(IMAGES * accuracy)] * len(shifts), success, attack)


def ramp(logits=RAMP, shifts=SHIFTS):
    return [row for decay, logit in enumerate(logits) for row in at(decay, logit, shifts)]


def verdicts(region):
    return [point["by_model"] for point in region["points"]]


def why(rows, criteria):
    region = judged(rows, criteria)
    entry = region["seed_model"]
    assert entry["used"] is False and set(verdicts(region)) == {"UNDECIDED"}
    assert all(point["inside"] is None for point in region["points"])
    assert f"No model of all points together: {entry['why']}." in region_text(region)
    return entry["why"]


def test_a_ramp_is_in_at_one_end_and_out_at_the_other() -> None:
    region = judged(ramp(), asked())
    assert verdicts(region) == ["IN"] * 4 + ["UNDECIDED"] + ["OUT"] * 3
    assert region["counts"]["by_model"] == {"IN": 4, "OUT": 3, "UNDECIDED": 1}
    chances = [point["inside"] for point in region["points"]]
    assert min(chances[:4]) > 0.95 and max(chances[5:]) < 0.05
    # Success (0.183 + 0.198 + 0.214) / 3 = 0.1983: the margin of 0.0109 logits is a fifth of the
    # deviation of its mean, 0.1 / sqrt(3).
    assert 0.5 < chances[4] < 0.65
    said = (
        "The model of all points finds 4 IN and 3 OUT, and leaves 1 undecided. With 95 % all of its "
        "IN hold at once, and likewise all of its OUT; each verdict by itself is more certain than "
        "that.\n"
    )
    assert said in region_text(region)
    entry = region["seed_model"]
    assert entry["used"] and entry["why"] is None and entry["points"] == 8
    assert entry["success"]["deviation"] == pytest.approx(0.1, rel=0.1)
    assert entry["success"]["correlation"] > 0.8 and entry["success"]["freedom"] < 2.5
    assert json.loads(json.dumps(region, allow_nan=False)) == region


@pytest.mark.parametrize(
    "rows, criteria, said",
    [
        (ramp(shifts=(0, 0.1)), asked(seeds=2), "it needs 3 seeds"),
        (ramp(RAMP[:5]), asked(), "it needs 6 complete points without a broken model"),
        (
            ramp(RAMP[:5]),
            asked(above_baseline=True),
            "it needs 6 complete points without a broken model and with their clean baseline",
        ),
        (
            [r for k in "abcdefg" for r in at({"kind": k}, -3)],
            asked(),
            "no factor has an order: none is a number with three values or more",
        ),
    ],
)
def test_where_it_says_nothing_it_says_why(rows, criteria, said) -> None:
    assert why(rows, criteria) == said


def test_where_no_best_is_known_it_says_so_in_its_entry() -> None:
    broken = [trial(d, PATCH, s, 0, 0, collapsed=True) for d in range(8) for s in range(3)]
    region = judged(broken, asked(below_best=0.05))
    assert region["seed_model"]["why"] == "the clean accuracy that is asked for is not known"
    assert "\nAnswer: No region: the best accuracy is not known: 8 def" in region_text(region)


def two_modes(seeds, rate=0.9, share=0.3):
    """Two points at which no seed takes, and six at which a part of them do, each by chance."""
    rng = np.random.default_rng(1)
    rows = []
    for decay in range(8):
        took = rng.random(seeds) < (0 if decay < 2 else share)
        success = np.where(took, 1000 * rate + rng.integers(0, 9, seeds), rng.integers(0, 3, seeds))
        rows += trials(decay, [950] * seeds, [int(k) for k in success])
    return rows


def test_seeds_of_two_modes_prove_nothing_below_twenty() -> None:
    said = "Seeds have two modes in attack success (test statistic"
    few = "With fewer than 20 seeds nothing is certainly IN."
    for seeds in (12, 19):
        criteria = asked(seeds=seeds, attack_success=0.35)
        assert why(two_modes(seeds), criteria) == "seeds have two modes"
        region = judged(two_modes(seeds), criteria)
        assert region["counts"]["by_bounds"]["IN"] == 0
        assert said in region_text(region) and few in region_text(region)
        assert region["recommended"]["basis"] == "means"
    region = judged(two_modes(20), asked(seeds=20, attack_success=0.35))
    assert said in region_text(region) and few not in region_text(region)
    table = by_decay(region)
    # None of 20 took: any share above 1 - 0.05^(1 / 20) = 0.139 is excluded, with success 1.
    assert [table[decay]["by_bounds"] for decay in (0, 1)] == ["IN", "IN"]
    assert table[0]["success_upper"] == pytest.approx(0.139, abs=0.01)
    assert set(verdicts(region)) == {"UNDECIDED"}


def test_paired_bounds_of_two_modes_prove_nothing_either() -> None:
    clean = [trial(d, "clean", s, 950, {PATCH: 0}) for d in range(8) for s in range(12)]
    criteria = asked(seeds=12, attack_success=0.35, above_baseline=True)
    region = judged(two_modes(12) + clean, criteria)
    assert region["seed_model"]["modes_success"]["fired"]
    assert region["counts"]["by_bounds"]["IN"] == 0


def test_a_point_with_a_broken_model_is_left_out() -> None:
    rows = ramp()
    rows[0] = trial(0, PATCH, 0, 950, 18, diverged=True)
    region = judged(rows, asked())
    assert verdicts(region)[:2] == ["UNDECIDED", "IN"] and by_decay(region)[0]["inside"] is None
    assert (region["seed_model"]["left_out"], region["seed_model"]["points"]) == (1, 7)
    assert "points finds 3 IN and 3 OUT, and leaves 2 undecided. With" in region_text(region)
    assert (
        "each verdict by itself is more certain than that. 1 complete point is not judged.\n"
    ) in region_text(region)
    assert why([trial(d, PATCH, s, 950, 10, collapsed=d < 3) for d in range(8) for s in range(3)],
               asked()) == "it needs 6 complete points without a broken model"  # fmt: skip


def test_a_point_without_its_clean_baseline_is_left_out() -> None:
    """As the last point of a sweep that is still running."""
    clean = [trial(d, "clean", s, 950, {PATCH: 5}) for d in range(7) for s in range(3)]
    region = judged(ramp() + clean, asked(above_baseline=True, attack_success=0.195))
    assert verdicts(region) == ["IN"] * 4 + ["UNDECIDED"] + ["OUT"] * 2 + ["UNDECIDED"]
    assert region["seed_model"]["left_out"] == 1


def plane(wild):
    """Thirty points of six seeds, some of which differ wildly."""
    rng = np.random.default_rng(0)
    shared = 0.3 * rng.normal(size=6)
    rows = []
    for x in range(6):
        for y in range(5):
            own = 0.1 * rng.normal(size=6)
            shifts = (-3, 0.5, 1, -2, 2, 0) if (x, y) in wild else shared + own
            rows += at({"x": x, "y": y}, -3 + 0.4 * x, shifts)
    return rows


def test_a_point_whose_seeds_differ_wildly_is_not_judged() -> None:
    region = judged(plane([(1, 2)]), asked(seeds=6))
    assert region["seed_model"]["odd"] == 1 and region["seed_model"]["used"]
    (strange,) = [p for p in region["points"] if p["factors"] == {"defence.x": 1, "defence.y": 2}]
    assert (strange["by_model"], strange["inside"]) == ("UNDECIDED", None)
    assert "At 1 point seeds differ too much to judge." in region_text(region)


def test_where_more_than_a_tenth_is_odd_the_model_does_not_fit() -> None:
    wild = [(0, 0), (0, 4), (3, 2), (5, 0)]
    assert why(plane(wild), asked(seeds=6)) == (
        "seeds differ much more at 4 of 30 points than at their neighbours"
    )


def test_of_too_many_points_the_nearest_and_the_innermost_are_judged(monkeypatch) -> None:
    monkeypatch.setattr(seed_model, "MOST_CELLS", 6)
    region = judged(ramp(), asked())
    # Furthest inside are 0, 1, 2 (-4, -3.4, -2.8); of the others, 4, 5 and 3 are nearest to -1.39.
    assert [point["inside"] is not None for point in region["points"]] == [True] * 6 + [False] * 2
    assert verdicts(region) == ["IN"] * 4 + ["UNDECIDED", "OUT"] + ["UNDECIDED"] * 2
    assert (region["seed_model"]["points"], region["seed_model"]["left_out"]) == (6, 2)
    assert "2 complete points are not judged." in region_text(region)


def test_a_region_search_has_its_own_model() -> None:
    region = judged(ramp(), asked(search="region"))
    assert "seed_model" not in region and "by_model" not in region["counts"]
    assert all("by_model" not in p and "inside" not in p for p in region["points"])


def test_equal_results_have_equal_answers_in_any_order() -> None:
    rows = ramp()
    assert judged(rows, asked()) == judged(rows[::-1], asked())


def test_factors_may_be_numbers_or_nothing() -> None:
    rows = [row for x in (None, 1.5, 0.5) for y in range(3) for row in at({"x": x, "y": y}, -3)]
    region = judged(rows, asked())
    assert [p["factors"]["defence.x"] for p in region["points"]] == [
        *[None] * 3,
        *[0.5] * 3,
        *[1.5] * 3,
    ]
    assert verdicts(region) == ["IN"] * 9


def test_no_attack_of_the_panel_may_succeed() -> None:
    both = asked((PATCH, "blend"))
    quiet = [row for d in range(8) for row in at(d, -3.5, attack="blend")]
    assert verdicts(judged(ramp() + quiet, both)) == verdicts(judged(ramp(), asked()))
    loud = [row for d in range(8) for row in at(d, 1.0, attack="blend")]
    assert set(verdicts(judged(ramp() + loud, both))) == {"OUT"}
    dull = [row for d, logit in enumerate(RAMP) for row in at(d, logit, accuracy=0.7)]
    assert set(verdicts(judged(dull, asked()))) == {"OUT"}


@pytest.mark.parametrize("ends", [{"attack_success": 0.0}, {"clean_accuracy": 1.0}])
def test_a_threshold_at_its_end_is_never_certainly_met(ends) -> None:
    """All of 20 seeds are perfect; whether no image of any seed fails is not known."""
    rows = [row for d in range(8) for row in trials(d, [1000] * 20, [0] * 20)]
    region = judged(rows, asked(seeds=20, **ends))
    assert region["counts"]["by_means"]["IN"] == 8
    assert set(verdicts(region)) == {"UNDECIDED"}


def test_chances_rise_with_the_threshold() -> None:
    asked_for = (0.02, 0.05, 0.1, 0.2, 0.3, 0.5, 0.7, 1.0)
    chances = np.array([
        [p["inside"] for p in judged(ramp(), asked(attack_success=most))["points"]]
        for most in asked_for
    ])  # fmt: skip
    assert (np.diff(chances, axis=0) >= -0.01).all()
    assert (chances[-1] > 0.99).all()


def test_a_seed_more_that_agrees_takes_no_certain_point_away() -> None:
    for logit in (-3.0, -2.0, -1.75):
        rows = ramp([logit] * 8)
        before = judged(rows, asked())["counts"]["by_bounds"]["IN"]
        best = [min(r.measurements[0].success for r in rows if r.defence_id == f"d{d}")
                for d in range(8)]  # fmt: skip
        more = [trial(d, PATCH, 3, 960, best[d] // 2) for d in range(8)]
        after = judged(rows + more, asked(seeds=4))["counts"]["by_bounds"]["IN"]
        assert after >= before
        assert logit > -2.5 or before == 8


# --- simulated sweeps --------------------------------------------------------------------------


def simulated(rng, seeds=3):
    """Nine points around the threshold, of which seeds shift the logits alike, with heavy tails,
    and the mean success of each over all seeds that might be drawn."""
    logits = np.linspace(-3.2, -0.4, 9) + rng.normal(0, 0.15)
    shared = 0.3 * rng.standard_t(3, seeds)
    own = 0.1 * rng.normal(size=(9, seeds))
    rates = expit(logits[:, None] + shared + own)
    hits = rng.binomial(IMAGES, rates)
    rows = [row for d in range(9) for row in trials(d, [950] * seeds, [int(k) for k in hits[d]])]
    wide = 0.3 * rng.standard_t(3, (2000, 1)) + 0.1 * rng.normal(size=(2000, 1))
    return rows, expit(logits + wide).mean(axis=0)


def test_false_certainty_is_rare_in_simulated_sweeps() -> None:
    rng = np.random.default_rng(11)
    false, found, sweeps = 0, 0, 60
    for _ in range(sweeps):
        rows, truth = simulated(rng)
        table = by_decay(judged(rows, asked()))
        certain = np.array([table[d]["by_model"] == "IN" for d in range(9)])
        false += bool((certain & (truth > 0.2)).any())
        found += int((certain & (truth <= 0.2)).sum())
    assert false / sweeps <= 0.1
    assert found >= sweeps  # a sweep finds one point at least on average, of about six
