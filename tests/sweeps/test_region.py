"""Verdicts and the recommended point, by hand. Bounds: test_seed_bounds.py."""

import pytest
from answered import text_of
from small import begin, small_spec, sweep
from trials import fake_result

from sweeps.ledger import Ledger, finished_rows
from sweeps.region.panel import criteria_of
from sweeps.region.point_table import by_bounds, recommend, region_of
from sweeps.results.create import inactive_settings, planned_trials
from sweeps.runners.serial import SerialRunner
from sweeps.statistics.seed_bounds import Rate
from sweeps.storage.paths import read_sweep


@pytest.mark.parametrize(
    ("clean", "success", "verdict"),
    [
        ([(0.95, 0.93, 0.97)], [(0.1, 0.05, 0.15)], "IN"),
        ([(0.95, 0.93, 0.97)], [(0.1, 0.05, 0.25)], "UNDECIDED"),
        ([(0.95, 0.93, 0.97)], [(0.1, 0.05, 0.15), (0.4, 0.3, 0.5)], "OUT"),
        ([(0.85, 0.8, 0.89)], [(0.1, 0.05, 0.25)], "OUT"),
        ([(0.95, 0.93, 0.97), (0.91, 0.88, 0.93)], [(0.1, 0.05, 0.15)], "UNDECIDED"),
        ([(0.95, None, None)], [(0.1, None, None)], "UNDECIDED"),
    ],
)
def test_verdicts_by_bounds(clean, success, verdict) -> None:
    rates = [Rate(*r) for r in clean], [Rate(*r) for r in success]
    assert by_bounds(*rates, 0.9, 0.2) == verdict
    # What is not firm proves that a point is OUT, never that it is IN.
    not_firm = "UNDECIDED" if verdict == "IN" else verdict
    assert by_bounds([Rate(*r, False) for r in clean], rates[1], 0.9, 0.2) == not_firm
    assert by_bounds(rates[0], [Rate(*r, False) for r in success], 0.9, 0.2) == not_firm


def entry(name, means, bounds, margin):
    return {"defence_id": name, "by_means": means, "by_bounds": bounds, "margin": margin,
            "attack_success": 0.1, "clean_accuracy": 0.9}  # fmt: skip


def test_recommended_is_the_in_point_of_largest_smallest_margin() -> None:
    table = [
        entry("a", "IN", "UNDECIDED", 0.09),
        entry("b", "IN", "IN", 0.02),
        entry("c", "IN", "IN", 0.05),
    ]
    assert recommend(table) == {"defence_id": "c", "basis": "bounds", "margin": 0.05}
    assert recommend(table[:1])["basis"] == "means"
    assert recommend([entry("a", "OUT", "OUT", -0.1)]) is None


def crafted(tmp_path, figures, **changes):
    """A region from chosen counts: figures(trial) gives (clean of 500, validation, success of 450)."""
    from dataclasses import replace

    spec = small_spec(defence={"architecture": "ridge", "weight_decay": [0.01, 0.1, 1]}, **changes)
    paths = begin(tmp_path / "r", spec)

    def work(pack):
        made = []
        for config in pack.trials:
            result = fake_result(config, pack.settings.measures)
            clean, validation, success = figures(config)
            counts = tuple(replace(m, success=success) for m in result.measurements)
            made.append(replace(result, class_correct=(clean,), class_total=(500,),
                                validation_correct=validation, measurements=counts))  # fmt: skip
        return finished_rows(made, "pack")

    sweep(paths, spec, SerialRunner(work))
    return spec, Ledger(paths.ledger), region_of(criteria_of(spec), Ledger(paths.ledger), 18)


def test_a_region_by_hand(tmp_path) -> None:
    """0.01: accurate, attack takes. 0.1: inside. 1: attack fails, inaccurate."""

    def figures(config):
        decay = config.defence.weight_decay
        rate = 0 if config.attack is None else config.attack.poison_rate
        clean = {0.01: 480, 0.1: 470, 1.0: 400}[decay] - int(100 * rate)
        return (
            clean,
            {0.01: 190, 0.1: 185, 1.0: 160}[decay],
            int(450 * {0.01: 30, 0.1: 3, 1.0: 1}[decay] * rate),
        )

    spec, ledger, region = crafted(tmp_path, figures)
    table = {p["factors"]["defence.weight_decay"]: p for p in region["points"]}
    assert region["thresholds"]["clean_accuracy"]["best"] == pytest.approx(477 / 500)
    assert region["thresholds"]["clean_accuracy"]["value"] == pytest.approx(477 / 500 - 0.05)
    assert region["thresholds"]["clean_accuracy"]["best_point"] == table[0.01]["defence_id"]
    assert [table[d]["by_means"] for d in (0.01, 0.1, 1.0)] == ["OUT", "IN", "OUT"]
    assert [table[d]["by_bounds"] for d in (0.01, 0.1, 1.0)] == ["OUT", "UNDECIDED", "OUT"]
    assert [table[d]["seeds_passing"] for d in (0.01, 0.1, 1.0)] == [0, 2, 0]
    assert table[0.1]["clean_accuracy"] == pytest.approx(467 / 500)
    assert table[0.1]["attack_success"] == pytest.approx(40 / 450)
    assert table[0.1]["margin"] == pytest.approx(min(467 / 500 - 427 / 500 - 0.05 + 0.05 - 25 / 500 + 0.0,
                                                     0.2 - 40 / 450), abs=1)  # fmt: skip
    assert table[0.1]["margin"] == pytest.approx(0.03)
    assert region["recommended"] == {"defence_id": table[0.1]["defence_id"], "basis": "means",
                                     "margin": pytest.approx(0.03)}  # fmt: skip
    worst = {a["attack_id"]: a for a in region["panel"]}[table[0.01]["worst_attack"]]
    assert worst["poison_rate"] == 0.03 and worst["label"] == "patch(size=1) at 3 % to class 0"
    assert table[0.01]["attacks"][0]["baseline_success"] == 0.0
    assert table[0.01]["baseline_accuracy"] == pytest.approx(480 / 500)
    text = text_of(region, criteria_of(spec), ledger)
    assert (
        "\nAnswer: 1 of 3 defence points is IN by means only, which claims nothing about new seeds: "
        "clean accuracy >= 0.904 (best - 0.05), attack success <= 0.2 for all 2 attacks.\n"
        "Of 3 tried points, at 95 %: 0 certainly IN, 0 likely IN, 1 undecided, 0 likely OUT, "
        "2 certainly OUT; 1 IN by means\n"
    ) in text
    assert (
        "\nRecommended: ridge, weight_decay 0.1 (IN by means only: no claim about new seeds, margin "
        "0.030 to the nearer threshold)\n  chosen as the point IN by means with the largest margin, "
        "by these figures, which are optimistic\n  clean accuracy 0.934 (mean of 2 seeds; one new "
        "seed: "
    ) in text
    # (477 - 467) / 500 are given up; 3 % of 450 x 3 = 40 of 450 are 0.089.
    best = "the point that is best on validation images"
    assert f"; it costs 0.020 against {best} (0.954)\n" in text
    assert (
        "\n  worst attack: patch(size=1) at 3 % to class 0, success 0.089 (mean of 2 seeds; one new "
    ) in text
    # t(1) beyond (asin(sqrt(90.875 / 450.75)) - asin(sqrt(40.375 / 450.75))) / sqrt(1.5 / 1802) = 5.6
    assert " with 95 %, about 5.6 % of new seeds miss the threshold); clean models 0.000\n" in text


def test_the_best_point_is_chosen_on_validation_not_on_the_test_set(tmp_path) -> None:
    def figures(config):
        decay = config.defence.weight_decay
        return {0.01: 499, 0.1: 450, 1.0: 440}[decay], {0.01: 170, 0.1: 190, 1.0: 180}[decay], 0

    _, _, region = crafted(tmp_path, figures)
    assert region["thresholds"]["clean_accuracy"]["best"] == pytest.approx(0.9)


def test_no_region_is_an_answer(tmp_path) -> None:
    spec, ledger, region = crafted(tmp_path, lambda config: (480, 190, 400))
    assert region["recommended"] is None
    assert region["counts"]["by_means"]["IN"] == 0
    text = text_of(region, criteria_of(spec), ledger)
    assert (
        "\nAnswer: No region: none of 3 defence points meets clean accuracy >= 0.910 (best - 0.05), "
        "attack success <= 0.2 for all 2 attacks.\n"
        "Of 3 tried points, at 95 %: 0 certainly IN, 0 likely IN, 0 undecided, 0 likely OUT, "
        "3 certainly OUT; 0 IN by means\n"
    ) in text
    assert "\nRecommended: none.\n" in text


def test_an_absolute_threshold(tmp_path) -> None:
    _, _, region = crafted(tmp_path, lambda config: (480, 190, 0), region={"clean_accuracy": 0.97})
    assert region["counts"]["by_means"] == {"IN": 0, "OUT": 3, "INCOMPLETE": 0}
    assert region["thresholds"]["clean_accuracy"]["value"] == 0.97


def test_a_point_that_lacks_a_trial_is_incomplete(tmp_path) -> None:
    spec, ledger, _ = crafted(tmp_path, lambda config: (480, 190, 0))
    table = ledger.table()
    missing = next(i for i, r in enumerate(ledger.rows()) if r["attack_id"] != "clean")
    for file in ledger.files():
        file.unlink()
    Ledger(ledger.folder).append(table.slice(0, missing))
    Ledger(ledger.folder).append(table.slice(missing + 1))
    shorter = Ledger(ledger.folder)
    region = region_of(criteria_of(spec), shorter, 18)
    assert region["counts"]["by_means"]["INCOMPLETE"] == 1
    (incomplete,) = [p for p in region["points"] if p["by_means"] == "INCOMPLETE"]
    assert incomplete["by_bounds"] == "UNDECIDED" and incomplete["clean_accuracy"] is None
    text = text_of(region, criteria_of(spec), shorter)
    assert "Of 3 tried points, at 95 %: 0 certainly IN, " in text
    assert ", 1 incomplete; 2 IN by means\n" in text
    assert "\nState: finished, 17 of 18 trials have ended.\n" in text


def test_nothing_recorded_yet(tmp_path) -> None:
    spec = small_spec()
    paths = begin(tmp_path / "r", spec)
    region = region_of(criteria_of(spec), Ledger(paths.ledger), 24)
    assert region["points"] == [] and region["recommended"] is None
    assert (
        "\nAnswer: No defence point is complete yet, none is tried: every attack of the panel needs "
        "every seed.\n"
    ) in text_of(region, criteria_of(spec), Ledger(paths.ledger))


def test_sweep_json_says_what_it_takes_to_look_at_results(tmp_path) -> None:
    """Panel and thresholds as region.json has them, and what the search may try."""
    spec = small_spec()
    paths = begin(tmp_path / "r", spec)
    stored, region = read_sweep(paths), region_of(criteria_of(spec), Ledger(paths.ledger))
    assert stored["panel"] == region["panel"]
    asked, thresholds = stored["thresholds"], region["thresholds"]
    assert asked["rule"] == thresholds["clean_accuracy"]["rule"]
    for key in ("attack_success", "confidence"):
        assert asked[key] == thresholds[key]
    assert (stored["planned"], stored["planned_points"]) == (24, 4)
    assert stored["inactive"]["linear"] == [] and "learning_rate" in stored["inactive"]["ridge"]
    adaptive = small_spec(
        defence={"architecture": ["linear", "mlp"], "weight_decay": {"log": [0.001, 0.1]}},
        search={"kind": "region", "budget": 30},
    )
    assert planned_trials(adaptive) == (30, None)
    assert inactive_settings(adaptive) == {"linear": [], "mlp": []}
