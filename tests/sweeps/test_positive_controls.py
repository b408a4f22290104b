"""Attacks that take nowhere are told as such, by rows that are made by hand."""

import json
import math
from types import SimpleNamespace

import pytest
from answered import answered
from made_rows import made
from scipy import stats
from small import begin, small_spec

from sweeps.cli.status_panel import panel_states
from sweeps.cli.status_verdict import of_file
from sweeps.records.control_text import control_answer, control_line, control_warning
from sweeps.records.criteria import Criteria
from sweeps.records.thresholds import Thresholds
from sweeps.region.point_table import region_of
from sweeps.region.region_text import region_text
from sweeps.statistics.paired import excess, image_bound, without_effect

BITES, IDLE = "bites", "idle"
THRESHOLDS = Thresholds(clean_accuracy=0.8, attack_success=0.2)


def criteria(seeds=3, search="grid"):
    panel = tuple(
        {"attack_id": name, "measure_id": f"m-{name}", "label": f"{name} at 5 % to class 0",
         "trigger": name, "poison_rate": 0.05, "target": 0}
        for name in (BITES, IDLE)
    )  # fmt: skip
    return Criteria(name="made", panel=panel, seeds=tuple(range(seeds)), thresholds=THRESHOLDS,
                    search=search)  # fmt: skip


def model(point, attack, seed, success, correct=90, **columns):
    """A trained model: `success` of 100 triggered images of class 1, `correct` of 100 clean ones.
    success: of a clean baseline by attack."""
    of = success if isinstance(success, dict) else {attack: success}
    measured = [
        {"measure_id": f"m-{a}", "success": k, "robust": 0, "total": 100} for a, k in of.items()
    ]
    config = {
        "data": {},
        "training": {},
        "defence": {"weight_decay": point},
        "attack": None if attack == "clean" else {"target": 0, "label_mode": "all_to_one"},
    }
    return made(**{
        "trial_id": f"{point}-{attack}-{seed}", "defence_id": f"d{point}", "attack_id": attack,
        "seed": seed, "config": config, "measurements": measured, "class_correct": (50, correct),
        "class_total": (50, 100), "validation_correct": 90, "validation_total": 100, **columns,
    })  # fmt: skip


def rows_of(points, seeds=3, clean=True, **columns):
    """points: weight decay → successes of BITES and of IDLE, one a seed."""
    rows = []
    for point, success in points.items():
        for seed in range(seeds):
            rows += [model(point, a, seed, success[a][seed]) for a in (BITES, IDLE)]
            if clean:
                rows.append(model(point, "clean", seed, {BITES: 2, IDLE: 2}, **columns))
    return rows


def judged(rows, **asked):
    groups = {
        of: [row for row in rows if row.status == of] for of in ("finished", "stopped", "failed")
    }
    given, ledger = criteria(**asked), SimpleNamespace(trials=lambda: rows, **groups)
    return answered(region_of(given, ledger), given, rows)


def controls(region):
    return {entry["attack_id"]: entry for entry in region["controls"]}


#: At 1 the attack takes; at 2 both are as good as a clean model, whose success is 2 of 100.
TAKEN = {1: {BITES: (60, 64, 68), IDLE: (2, 3, 1)}, 2: {BITES: (3, 2, 2), IDLE: (2, 2, 2)}}


def test_an_attack_that_never_takes_beside_one_that_does() -> None:
    region = judged(rows_of(TAKEN))
    found = controls(region)
    bites, idle = found[BITES], found[IDLE]
    # Differences .58, .62, .66: their spread .0016 is less than the noise of 100 images.
    noise = sum(
        sum(p * (1 - p) / 100 for p in ((k + 0.5) / 101, 2.5 / 101)) for k in (60, 64, 68)
    ) / 3  # fmt: skip
    assert noise > 0.0016
    assert bites["lower"] == pytest.approx(0.62 - stats.t.ppf(0.95, 2) * math.sqrt(noise / 3))
    assert (bites["state"], bites["basis"], bites["excess"]) == (
        "takes",
        "paired",
        pytest.approx(0.62),
    )
    assert (bites["points"], bites["compared"], bites["takes_at"], bites["seeds"]) == (2, 2, 1, 3)
    assert (bites["defence_id"], bites["label"]) == ("d1", region["points"][0]["label"])
    assert (idle["state"], idle["takes_at"], idle["why"]) == ("nowhere", 0, None)
    text = region_text(region)
    assert (
        "1 bites at 5 % to class 0\n    takes at 1 of 2 points, success up to 0.62 above clean\n"
        in text
    )
    assert (
        "2 idle at 5 % to class 0\n    not shown to be resisted: it takes at none of 2 points (0.00 above "
        in text
    )
    assert control_answer(region) == [] and "proves nothing" not in text
    assert control_warning(region) == (
        "warning: attack 2 of the panel takes at no tried point: it is not shown to be resisted"
    )
    (said,) = panel_states(of_file(region, 0.0))
    assert said == "takes nowhere, not shown to be resisted: idle at 5 % to class 0"


def test_a_panel_that_never_takes_proves_nothing() -> None:
    quiet = {1: {BITES: (2, 3, 1), IDLE: (2, 2, 2)}, 2: {BITES: (2, 2, 2), IDLE: (3, 1, 2)}}
    region = judged(rows_of(quiet))
    assert {entry["state"] for entry in region["controls"]} == {"nowhere"}
    assert [p["by_means"] for p in region["points"]] == ["IN", "IN"]
    nothing = "The panel proves nothing: no attack of it takes at any tried point."
    assert nothing in region_text(region) and control_warning(region) == f"warning: {nothing}"
    assert list(panel_states(of_file(region, 0.0))) == [nothing]
    alone = "  on accuracy alone: no attack of the panel takes at any tried point"
    assert region["recommended"] and region["setting"]["text"][-1] == alone
    assert f"\n{alone}\n" in region_text(region)
    assert "\n  (takes: succeeds above clean models, by a 95 % bound and a test" in region_text(
        region
    )
    region["controls"][0]["state"] = "takes"
    taken = answered(region, criteria(), rows_of(quiet))
    assert alone not in region_text(taken) and nothing not in region_text(taken)


def test_relabelled_images_alone_are_no_attack_that_takes() -> None:
    """With a trigger that changes no pixel, images are taken for the target where they are wrong:
    30 of 100 errors explain 25 successes, though clean models have only 2."""
    rows = [
        row
        for row in rows_of({1: {BITES: (25, 26, 27), IDLE: (2, 2, 2)}})
        if row.attack_id != BITES
    ]
    poisoned = [model(1, BITES, seed, 25 + seed, correct=70) for seed in range(3)]
    found = controls(judged(rows + poisoned))[BITES]
    assert found["lower"] > 0.1 and (found["state"], found["takes_at"]) == ("nowhere", 0)
    exact = [model(1, BITES, seed, 25 + seed, correct=98) for seed in range(3)]
    assert controls(judged(rows + exact))[BITES]["state"] == "takes"


def test_without_a_clean_baseline_nothing_is_known_and_the_remedy_is_said() -> None:
    region = judged(rows_of(TAKEN, clean=False))
    for entry in region["controls"]:
        assert (entry["state"], entry["basis"], entry["points"], entry["compared"]) == (
            "unknown",
            None,
            2,
            0,
        )
        assert entry["why"] == (
            "no clean baseline has been trained; add rate 0 to `attack.poison_rate` with "
            "`sweeps extend`"
        )
    assert "It is not known whether the panel proves anything" in region_text(region)
    assert control_warning(region).startswith("warning: It is not known whether the panel")


def test_a_broken_clean_baseline_is_none() -> None:
    region = judged(rows_of(TAKEN, collapsed=True))
    for entry in region["controls"]:
        assert (entry["state"], entry["broken_baselines"]) == ("unknown", 6)
        assert entry["why"].startswith("all 6 clean baselines collapsed or diverged; ")
    # One of six is left out of the pairing: two seeds of the point are left.
    rows = rows_of(TAKEN)
    broken = next(row for row in rows if row.attack_id == "clean")
    rows[rows.index(broken)] = model(1, "clean", 0, {BITES: 99, IDLE: 99}, diverged=True)
    found = controls(judged(rows))
    assert (found[BITES]["state"], found[BITES]["seeds"]) == ("takes", 2)
    assert found[BITES]["excess"] == pytest.approx((0.62 + 0.66) / 2)
    assert control_line(found[BITES]).endswith(
        " (left out: 1 collapsed or diverged clean baseline)"
    )


def test_a_point_at_which_all_models_collapsed_does_not_count() -> None:
    """Each gives the target to all images: a success of 1 that proves nothing."""
    rows = [row for row in rows_of(TAKEN) if row.attack_id == "clean" or row.defence_id == "d2"]
    rows += [
        model(1, a, s, 100, correct=0, collapsed=True) for a in (BITES, IDLE) for s in range(3)
    ]
    found = controls(judged(rows))[BITES]
    assert (found["state"], found["points"], found["compared"], found["broken"]) == (
        "nowhere",
        2,
        1,
        3,
    )
    assert "takes at none of 1 point (" in control_line(found)
    alone = controls(judged([row for row in rows if row.defence_id == "d1"]))[BITES]
    assert alone["state"] == "unknown"
    assert alone["why"].startswith("all 3 models of it collapsed or diverged; train longer")


def test_incomplete_points_count_with_the_seeds_that_they_have() -> None:
    rows = [row for row in rows_of(TAKEN) if not (row.seed == 2 and row.attack_id == BITES)]
    region = judged(rows)
    assert {point["by_means"] for point in region["points"]} == {"INCOMPLETE"}
    assert (controls(region)[BITES]["state"], controls(region)[BITES]["seeds"]) == ("takes", 2)


def test_one_seed_at_each_point_is_pooled_and_one_in_all_is_unknown() -> None:
    """Seeds 0 and 1 at one point each, with differences .58 and .62."""
    rows = [row for row in rows_of({1: TAKEN[1], 2: TAKEN[1]}) if (row.defence_id, row.seed) in (("d1", 0), ("d2", 1))]  # fmt: skip
    found = controls(judged(rows))[BITES]
    assert (found["state"], found["basis"], found["excess"]) == (
        "takes",
        "pooled",
        pytest.approx(0.6),
    )
    assert (found["takes_at"], found["defence_id"]) == (None, None)
    assert control_line(found) == "takes on average over 2 points, success 0.60 above clean"
    single = controls(judged(rows_of(TAKEN, seeds=1), seeds=1))[BITES]
    assert single["state"] == "unknown" and "add seeds with `sweeps extend`" in single["why"]


def test_a_region_search_is_judged_by_its_models_own_errors() -> None:
    """It trains no clean baseline. 10 of 100 clean images are wrong, at a confidence of 1 - .05 / 6."""
    region = judged(rows_of(TAKEN, clean=False), search="region")
    found = controls(region)
    bites = found[BITES]
    noise = sum(p * (1 - p) / 100 for p in (68.5 / 101, 10.5 / 101))
    assert bites["lower"] == pytest.approx(0.58 - stats.norm.ppf(1 - 0.05 / 6) * math.sqrt(noise))
    assert (bites["state"], bites["basis"], bites["takes_at"], bites["compared"]) == (
        "takes",
        "errors",
        1,
        2,
    )
    assert bites["excess"] == pytest.approx(0.58) and found[IDLE]["state"] == "nowhere"
    assert "above the model's own errors, as no clean baseline is trained" in control_line(bites)
    one = [row for row in rows_of(TAKEN, clean=False) if row.seed == 0]
    assert controls(judged(one, search="region"))[BITES]["state"] == "nowhere", (
        "one seed is not two"
    )
    paired = controls(judged(rows_of(TAKEN), search="region"))[BITES]
    assert paired["basis"] == "paired", "where there are clean baselines"


def test_trials_that_were_stopped_may_be_those_that_it_took_in() -> None:
    rows = [row for row in rows_of({2: TAKEN[2]}) if not (row.attack_id == BITES and row.seed == 2)]
    why = "fails: attack_success 0.9000 after epoch 2 ends above 0.2, as it did in 9 of 9"
    stopped = made(
        trial_id="s",
        defence_id="d2",
        attack_id=BITES,
        seed=2,
        status="stopped",
        **{"foretold": why},
    )
    found = controls(judged([*rows, stopped]))
    assert (found[BITES]["state"], found[BITES]["stopped"]) == ("unknown", 1)
    assert found[BITES]["why"].startswith(
        "1 trial of it was stopped early, perhaps since it succeeds"
    )
    passes = made(trial_id="s", defence_id="d2", attack_id=BITES, seed=2, status="stopped",
                  **{"foretold": "passes: margin 0.1 after epoch 2 ends at 0 or above"})  # fmt: skip
    assert controls(judged([*rows, passes]))[BITES]["state"] == "nowhere"


def test_folders_of_before_say_nothing_of_it() -> None:
    region = judged(rows_of(TAKEN))
    del region["controls"]
    text = region_text(answered(region, criteria(), rows_of(TAKEN)))
    assert "withstands" not in text and "not shown to be resisted" not in text
    assert "  1 bites at 5 % to class 0\n  2 idle" in text
    assert control_warning(region) is None and list(panel_states(of_file(region, 0.0))) == []


def test_nothing_is_said_of_a_sweep_that_has_not_begun() -> None:
    region = judged([])
    assert {e["why"] for e in region["controls"]} == {
        "no trial of it has finished; finish the sweep with `sweeps resume`"
    }
    assert control_answer(region) == [] and control_warning(region) is None


def test_folder_report_and_train_say_it(tmp_path, capsys) -> None:
    """The report has it in its panel and in its answer; region.json is plain JSON."""
    from dashboards.report import report_page
    from dashboards.results import Results

    paths = begin(tmp_path / "r", small_spec())
    region = judged(rows_of({1: TAKEN[2]}))
    sweep = json.loads(paths.sweep.read_text())
    page = report_page(Results(json.loads(json.dumps(region)), sweep, "", [], []))
    assert (
        "<strong>The panel proves nothing: no attack of it takes at any tried point.</strong>"
        in page
    )
    assert page.count("not shown to be resisted: it takes at none of 1 point") == 2
    alone = "<p>on accuracy alone: no attack of the panel takes at any tried point</p>"
    assert (alone in page) == (region["recommended"] is not None)
    del region["controls"]
    assert "Where each attack takes" not in report_page(Results(region, sweep, "", [], []))


# --- the bounds --------------------------------------------------------------------------------


def test_a_bound_takes_two_pairs_and_equal_differences_keep_the_noise_of_images() -> None:
    assert math.isnan(excess([], 0.95).mean)
    one = excess([((9, 10), (1, 10))], 0.95)
    assert (one.mean, one.lower, one.shown) == (pytest.approx(0.8), None, False)
    equal = [((1, 20), (0, 20))] * 3
    assert not excess(equal, 0.95).shown and without_effect(equal, 0.95)
    p, q = 1.5 / 21, 0.5 / 21
    noise = (p * (1 - p) + q * (1 - q)) / 20
    assert excess(equal, 0.95).lower == pytest.approx(
        0.05 - stats.t.ppf(0.95, 2) * math.sqrt(noise / 3)
    )
    assert image_bound(equal[0], 0.95) == pytest.approx(
        0.05 - stats.norm.ppf(0.95) * math.sqrt(noise)
    )


def test_no_effect_is_denied_by_students_test_with_the_error_divided_among_points() -> None:
    pairs = [((400, 1000), (20, 1000)), ((520, 1000), (60, 1000)), ((610, 1000), (10, 1000))]
    rates = [[k / n for k, n in side] for side in zip(*pairs, strict=True)]
    p = stats.ttest_ind(*rates, alternative="greater").pvalue
    most = 0.05 / p  # so many points may there be
    assert not without_effect(pairs, 0.95, int(most)) and without_effect(pairs, 0.95, int(most) + 1)
    assert without_effect(pairs[:1], 0.95)


def test_an_attack_without_effect_is_seldom_said_to_take() -> None:
    """Nine points and three seeds; rates are normal on logits, with an effect that points share."""
    import numpy as np

    draw, alarms, sweeps = np.random.default_rng(5), 0, 300
    for _ in range(sweeps):
        base = draw.uniform(-6, -0.5, 9)
        k, c = (
            draw.binomial(450, 1 / (1 + np.exp(-(base + 0.7 * draw.normal(size=(3, 1)) + 0.45 * draw.normal(size=(3, 9))))))
            for _ in range(2)
        )  # fmt: skip
        points = [[((int(k[s, p]), 450), (int(c[s, p]), 450)) for s in range(3)] for p in range(9)]
        alarms += any(not without_effect(pairs, 0.95, 9) for pairs in points)
    assert alarms / sweeps <= 0.05
