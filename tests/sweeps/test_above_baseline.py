"""`attack_success: baseline + x`: spec, verdicts by hand, and what cannot be judged by it."""

import json
import math
from dataclasses import replace

import pytest
from answered import text_of
from scipy import stats
from small import begin, small_spec, sweep
from trials import fake_result

from backdoor.errors import UserError
from dashboards.figures import plot_accuracy_against_attack, plot_success_against_rate
from dashboards.region_map import plot_region_map
from dashboards.report import write_report
from sweeps.ledger import Ledger, finished_rows
from sweeps.region.panel import criteria_of
from sweeps.region.point_table import region_of
from sweeps.results.stored import stored, stored_criteria
from sweeps.results.update_region import update_region
from sweeps.runners.serial import SerialRunner
from sweeps.search import make_search
from sweeps.statistics.paired_bounds import difference_by_seed, mean_difference
from sweeps.verify.plan import settings_of
from sweeps.verify.run import verification
from sweeps.verify.verification_text import verification_text

RULE = {"clean_accuracy": 0.9, "attack_success": "baseline + 0.1"}
DEFENCE = {"architecture": "ridge", "weight_decay": [0.01, 0.1, 1]}
EITHER = "region.attack_success: must be a fraction in [0, 1] or `baseline + x`, but got "


# --- the spec ----------------------------------------------------------------------------------


def test_the_rule_is_read_and_kept() -> None:
    for written in ("baseline + 0.1", "baseline+.1", " baseline  + 0.10 "):
        asked = small_spec(region={"attack_success": written}).region
        assert (asked.attack_success, asked.above_baseline) == (0.1, True)
        assert asked.attack_rule == "baseline + 0.1"
    assert (
        small_spec(region={"attack_success": "baseline + 0"}).region.attack_rule == "baseline + 0"
    )
    plain = small_spec(region={"attack_success": 0.1}).region
    assert (plain.above_baseline, plain.attack_rule) == (False, "0.1")
    assert plain != small_spec(region={"attack_success": "baseline + 0.1"}).region


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("baseline - 0.1", "by at most x: write baseline + 0.1."),
        ("base + 0.1", "Did you mean 'baseline + 0.1'?"),
        ("0.1 + baseline", "Did you mean 'baseline + 0.1'?"),
        ("best - 0.1", "Did you mean 'baseline + 0.1'?"),
        ("baseline + 0,1", "Did you mean 'baseline + 0.1'?"),
        ("baseline + 10 %", "x is a fraction: for 10 % write baseline + 0.1."),
        ("baseline + 10", "x is a fraction: for 10 % write baseline + 0.1."),
        ("baseline + 1000", "x is a fraction, at most 1: for example baseline + 0.1."),
        ("baseline", "For example 0.2, or baseline + 0.1."),
        ("0,2", "If it means 0.2, write it so, in digits and without quotes."),
    ],
)
def test_other_texts_are_refused_with_what_to_write(given, said) -> None:
    with pytest.raises(UserError) as caught:
        small_spec(region={"attack_success": given})
    assert [str(m) for m in caught.value.mistakes] == [f"{EITHER}{given!r}. {_full(said)}"]


def _full(said):
    above = "Attack success may lie above that of the clean baseline, "
    return above + said if said.startswith("by at most") else said


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        (
            {"attack": {"trigger": "patch", "poison_rate": [0.01, 0.03]}},
            "attack.poison_rate: must include 0 where region.attack_success is `baseline + 0.1`, but got 'no rate 0'. Rate 0 is the clean baseline: --set \"attack.poison_rate=[0, 0.01, 0.03]\". ",
        ),
        (
            {"search": {"kind": "region", "budget": 30}},
            "search.kind: must not be region where region.attack_success is `baseline + 0.1`, but got 'region'. A region search trains single trials, without a clean baseline: --set \"search={kind: random, points: 40}\". ",
        ),
        (
            {"stopping": "certain"},
            "stopping.kind: must not be certain where region.attack_success is `baseline + 0.1`, but got 'certain'. A trial that trains cannot be judged without its clean baseline: --set stopping=none. ",
        ),
    ],
)  # fmt: skip
def test_what_cannot_be_judged_by_it_is_refused(changes, said) -> None:
    with pytest.raises(UserError) as caught:
        small_spec(region=RULE, **changes)
    instead = "Or give region.attack_success as a fraction: --set region.attack_success=0.2."
    assert [str(m) for m in caught.value.mistakes] == [said + instead]


# --- bounds ------------------------------------------------------------------------------------


def test_bounds_of_the_mean_difference_are_not_inside_students_t() -> None:
    ones, others = [(60, 100), (70, 100), (80, 100)], [(50, 100), (55, 100), (90, 100)]
    found = mean_difference(ones, others, 0.95)
    assert difference_by_seed(ones, others) == pytest.approx([0.1, 0.15, -0.1])
    spread = stats.tstd([0.1, 0.15, -0.1])
    reach = stats.t.ppf(0.95, 2) * spread / math.sqrt(3)
    assert (found.mean, found.upper) == pytest.approx((0.05, 0.05 + reach))
    assert 0.05 - reach - 0.05 < found.lower < 0.05 - reach


def test_seeds_that_agree_keep_the_noise_of_both_rates() -> None:
    found = mean_difference([(50, 99)] * 4, [(20, 99)] * 4, 0.95)
    noise = (0.505 * 0.495 + 0.205 * 0.795) / 100
    reach = stats.t.ppf(0.95, 3) * math.sqrt(noise / 4)
    assert found.upper == pytest.approx(30 / 99 + reach)
    one = mean_difference([(5, 10), (0, 0)], [(1, 10), (3, 10)], 0.95)
    assert (one.mean, one.lower, one.upper) == (pytest.approx(0.4), None, None)
    assert math.isnan(mean_difference([(0, 0)], [(1, 10)], 0.95).mean)


# --- verdicts ----------------------------------------------------------------------------------

#: Successes of 450: weight decay → the clean baseline's by seed, and that of rate 0.01 and 0.03.
SUCCESS = {
    0.01: ((90, 135), (99, 144), (126, 171)),  # 0.08 above at most; 0.33 is above a plain 0.1
    0.1: ((0, 90), (0, 90), (45, 135)),  # exactly 0.1 above with each seed
    1.0: ((0, 180), (45, 180), (135, 180)),  # 0.15 above: 0.3 with seed 0, nothing with seed 1
}


def recorded(tmp_path, breaks=lambda decay, rate, seed: False, lacks=None, **changes):
    spec = small_spec(defence=DEFENCE, region=RULE, **changes)
    paths = begin(tmp_path / "r", spec)

    def work(pack):
        results = []
        for config in pack.trials:
            rate = 0 if config.attack is None else config.attack.poison_rate
            decay = config.defence.weight_decay
            hits = SUCCESS[decay][{0: 0, 0.01: 1, 0.03: 2}[rate]][config.seed % 2]
            result = fake_result(config, pack.settings.measures)
            counts = tuple(replace(m, success=hits, total=450) for m in result.measurements)
            results.append(replace(
                result, class_correct=(480,), class_total=(500,), measurements=counts,
                collapsed=breaks(decay, rate, config.seed),
            ))  # fmt: skip
        return finished_rows(results, "pack")

    sweep(paths, spec, SerialRunner(work))
    return spec, paths, work


def table_of(region):
    return {p["factors"]["defence.weight_decay"]: p for p in region["points"]}


def test_verdicts_by_hand(tmp_path) -> None:
    spec, paths, _ = recorded(tmp_path)
    region = region_of(criteria_of(spec), Ledger(paths.ledger), 18)
    asked, table = region["thresholds"], table_of(region)
    assert (asked["attack_success"], asked["attack_rule"]) == (0.1, "baseline + 0.1")
    assert [table[d]["excess"] for d in (0.01, 0.1, 1.0)] == pytest.approx([0.08, 0.1, 0.15])
    assert [table[d]["by_means"] for d in (0.01, 0.1, 1.0)] == ["IN", "IN", "OUT"]
    assert [table[d]["margin"] for d in (0.01, 0.1, 1.0)] == pytest.approx([0.02, 0.0, -0.05])
    assert [table[d]["seeds_passing"] for d in (0.01, 0.1, 1.0)] == [2, 2, 1]
    assert table[0.01]["attack_success"] == pytest.approx(0.33)  # its own figure, as before
    worst = next(a for a in table[1.0]["attacks"] if a["attack_id"] == table[1.0]["excess_attack"])
    assert worst["excess_by_seed"] == pytest.approx({"0": 0.3, "1": 0.0})
    bound = mean_difference([(135, 450), (180, 450)], [(0, 450), (180, 450)], 0.95)
    assert table[1.0]["excess_upper"] == pytest.approx(bound.upper)
    assert [table[d]["by_bounds"] for d in (0.01, 0.1, 1.0)] == ["UNDECIDED"] * 3
    text = text_of(region, criteria_of(spec), Ledger(paths.ledger))
    assert "attack success <= baseline + 0.1, paired by seed, for all 2 attacks" in text
    assert "to class 0, success 0.330 (mean of 2 seeds; one new seed: " in text
    assert " with 95 %); 0.080 above its clean baseline (0.250)\n" in text
    (header,) = [line for line in text.splitlines() if line.startswith("id ")]
    assert header.split().count("above") == 1


def test_a_missing_or_broken_baseline(tmp_path) -> None:
    spec, paths, _ = recorded(
        tmp_path, lambda decay, rate, seed: (decay, rate, seed) == (0.01, 0, 1)
    )
    ledger = Ledger(paths.ledger)
    table = table_of(region_of(criteria_of(spec), ledger, 18))
    assert (table[0.01]["by_means"], table[0.01]["seeds_passing"]) == ("OUT", 1)
    trials, whole = ledger.trials(), ledger.table()
    clean = [(row.is_clean, row.config["defence"].get("weight_decay")) for row in trials]
    missing = clean.index((True, 0.1))
    for file in ledger.files():
        file.unlink()
    Ledger(ledger.folder).append(whole.slice(0, missing))
    Ledger(ledger.folder).append(whole.slice(missing + 1))
    region = region_of(criteria_of(spec), Ledger(ledger.folder), 18)
    assert table_of(region)[0.1]["by_means"] == "INCOMPLETE"
    assert region["counts"]["by_means"]["INCOMPLETE"] == 1


def test_folder_report_and_figures_know_the_rule(tmp_path) -> None:
    spec, paths, _ = recorded(tmp_path)
    content = stored(criteria_of(spec), spec.to_yaml())
    assert content["thresholds"]["attack_rule"] == "baseline + 0.1"
    assert stored_criteria({"name": "small", **content}).thresholds == spec.region
    region = update_region(paths)
    assert json.loads(paths.region.read_text())["thresholds"]["attack_rule"] == "baseline + 0.1"
    axes = plot_accuracy_against_attack(region).axes[0]
    assert axes.get_ylabel().startswith("attack success above the clean baseline")
    drawn = [line.get_ydata() for line in plot_success_against_rate(region).axes[0].lines]
    assert [0.1, 0.1] in [list(values) for values in drawn]  # the threshold, in the unit of:
    assert any(list(values) == pytest.approx([0.02, 0.08]) for values in drawn if len(values) == 2)
    assert plot_region_map(region).axes
    page = write_report(paths.root, tmp_path / "report.html").read_text()
    words = " ".join(page.split())
    assert "at most 0.1 more than with the clean baseline of the same seed. Limits are for" in words
    assert "attack success &lt;= baseline + 0.1, paired by seed, for all 2 attacks" in words


def test_optunas_constraint_is_what_is_above_the_baseline(tmp_path) -> None:
    search = {"kind": "optuna", "points": 3, "pending": 1}
    spec, paths, _ = recorded(tmp_path, search=search)
    again = make_search(spec)
    again.tell(Ledger(paths.ledger).table())
    again.ask(1)
    found = [trial.constraints["attack_success"] for trial in again.study.trials if trial.values]
    assert sorted(found) == pytest.approx([-0.02, 0.0, 0.05])


def test_a_verification_trains_baselines_and_judges_pairs(tmp_path) -> None:
    spec, paths, work = recorded(tmp_path)
    case = verification(paths, spec, settings_of(6, 5, "median"), ())
    plan = case.plan
    trials = list(plan.trials(case.spec))
    assert sum(t.attack is None for t in trials) == sum(len(d.seeds) for d in plan.draws)
    assert plan.frozen["thresholds"]["attack_rule"] == "baseline + 0.1"
    ledger = Ledger(case.paths.ledger)
    case.train(ledger, plan, SerialRunner(work))
    answer = case.answer(ledger, plan)
    inside = [draw for draw in answer["draws"] if draw["stratum"] == "inside"]
    # Every seed of weight decay 0.01 is 0.08 above, and of 0.1 exactly 0.1.
    assert {round(draw["excess"], 9) for draw in inside} == {0.08, 0.1}
    assert answer["inside"]["passed"] == 6 == answer["inside"]["draws"]
    assert "attack success <= baseline + 0.1, paired by seed, for every attack" in verification_text(answer)  # fmt: skip
