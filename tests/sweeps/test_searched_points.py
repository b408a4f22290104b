"""What a region search's model says of the points that were tried, and of its recommended one."""

import copy
import time
from dataclasses import replace

import numpy as np
import pytest
from scipy.special import expit, logit
from scipy.stats import norm
from small import begin, small_spec, sweep
from trials import fake_result

from sweeps.ledger import Ledger, finished_rows
from sweeps.levelset.membership import probability
from sweeps.region.fitted_region import FittedRegion
from sweeps.region.model_points import most_accurate, recommended
from sweeps.region.model_region import model_answer
from sweeps.region.new_seeds import new_seeds
from sweeps.region.panel import criteria_of
from sweeps.region.point_table import region_of
from sweeps.region.searched_points import add_searched_points, setting_of_model
from sweeps.runners.serial import SerialRunner
from sweeps.search.level_set import RegionSearch
from sweeps.spec import parse_spec


def answered(trial):
    """Decay above about 0.01 withstands, and costs accuracy."""
    strong = np.log10(trial.defence.weight_decay / 0.01)
    rate = 0.03 if trial.attack is None else trial.attack.poison_rate
    hits = round(450 * expit(-1.4 - 6 * strong - 0.1 * trial.seed + 20 * rate))
    measured = tuple(
        replace(m, success=hits, robust=0, total=450) for m in fake_result(trial).measurements
    )
    right = (round(48 - 3 * max(0.0, strong)),) * 10
    return replace(
        fake_result(trial), measurements=measured, class_correct=right, class_total=(50,) * 10
    )


@pytest.fixture(scope="module")
def spec():
    return small_spec(
        name="searched", seeds=5,
        defence={"architecture": "linear", "weight_decay": {"log": [0.0001, 1]}},
        attack={"trigger": {"kind": "patch", "size": 1}, "poison_rate": [0.01, 0.03]},
        region={"clean_accuracy": 0.8, "attack_success": 0.2},
        search={"kind": "region", "budget": 60, "pending": 60},
    )  # fmt: skip


@pytest.fixture(scope="module")
def ledger(spec, tmp_path_factory):
    paths = begin(tmp_path_factory.mktemp("searched") / "r", spec)
    work = lambda pack: finished_rows([answered(t) for t in pack.trials], "p")  # noqa: E731
    sweep(paths, spec, SerialRunner(work))
    return Ledger(paths.ledger)


@pytest.fixture(scope="module")
def fitted(spec, ledger):
    return FittedRegion.of(spec, ledger)


@pytest.fixture
def region(spec, ledger):
    return region_of(criteria_of(spec), ledger)


def test_each_tried_point_has_a_verdict_and_what_is_expected(region, fitted) -> None:
    add_searched_points(region, fitted)
    model, decays = fitted.search.model(), []
    for point in region["points"]:
        decay = point["factors"]["defence.weight_decay"]
        row = np.array([[np.log10(decay / 0.0001) / 4]])
        chance = probability(model, row)[0]
        assert point["inside"] == pytest.approx(chance, abs=1e-9)
        verdict = "IN" if chance >= max(0.95, fitted.cutoff) else "UNDECIDED"
        assert point["by_model"] == ("OUT" if chance <= 0.05 else verdict)
        decays.append((decay, point["by_model"]))
    assert {word for _, word in decays} >= {"IN", "OUT"}
    assert min(d for d, word in decays if word == "IN") > max(d for d, w in decays if w == "OUT" and d < 0.1)  # fmt: skip
    counts = region["counts"]["by_model"]
    assert counts == {w: sum(v == w for _, v in decays) for w in ("IN", "OUT", "UNDECIDED")}
    assert sum(counts.values()) == len(region["points"])


def test_the_figures_are_those_of_one_new_seed_by_the_worst_attack(region, fitted) -> None:
    add_searched_points(region, fitted)
    model, point = fitted.search.model(), region["points"][3]
    row = fitted.search.tried[point["defence_id"]][None]
    clean, attack = model.clean.at(row), model.attack.at(model.crossed(row))
    spread = 1.96 * np.sqrt(clean.variance() + model.seed_noise(clean, 0))
    logits = clean.mean + np.array([0, -spread[0], spread[0]]) + model.centre[0]
    figures = point["expected"]["clean_accuracy"]
    assert [figures[k] for k in ("expected", "lower", "upper")] == pytest.approx(expit(logits))
    worst = int(np.argmax(attack.mean))
    assert point["expected"]["worst_attack"] == region["panel"][worst]["label"]
    assert point["expected"]["attack_success"]["expected"] == pytest.approx(
        expit(attack.mean[worst] + model.centre[1])
    )


def test_a_thousand_points_take_no_second(fitted) -> None:
    points, start = fitted.domain.sample(1000, 7), time.process_time()
    seeds = new_seeds(fitted.search.model(), points)
    assert time.process_time() - start < 1 and len(seeds) == 1000
    (alone,) = new_seeds(fitted.search.model(), points[900:901])
    assert seeds[900].worst == alone.worst
    assert seeds[900].attacks[1] == pytest.approx(alone.attacks[1])


def test_a_broken_point_is_never_in(region, fitted) -> None:
    before = copy.deepcopy(region)
    add_searched_points(before, fitted)
    inside = next(n for n, point in enumerate(before["points"]) if point["by_model"] == "IN")
    region["points"][inside]["broken"] = 1
    add_searched_points(region, fitted)
    found = region["points"][inside]
    assert found["by_model"] == "UNDECIDED" and found["inside"] >= 0.95
    assert region["counts"]["by_model"]["IN"] == before["counts"]["by_model"]["IN"] - 1


def test_a_point_that_the_space_lacks_has_no_place_in_the_model(region, fitted) -> None:
    region["points"][0]["defence_id"] = "of another space"
    add_searched_points(region, fitted)
    lost = region["points"][0]
    assert (lost["inside"], lost["by_model"]) == (None, "UNDECIDED") and "expected" not in lost


def test_points_of_attacks_outside_the_panel_are_judged_too(spec, ledger) -> None:
    """A model of one rate's trials judges the points of the other's."""
    document = copy.deepcopy(spec.document)
    document["attack"]["poison_rate"] = [0.03]
    one = FittedRegion.of(parse_spec(document), ledger)
    region = region_of(criteria_of(one.spec), ledger)
    add_searched_points(region, one)
    assert len(one.search.optimizer.points) < len(ledger.finished)
    assert all(point["inside"] is not None for point in region["points"])


def test_too_few_trials_add_nothing(spec, region) -> None:
    before = copy.deepcopy(region)
    few = FittedRegion(spec, RegionSearch(spec))
    add_searched_points(region, few)
    assert region == before and setting_of_model(few, region) is None and model_answer(few) is None


def beyond(rate, threshold, above):
    """The chance of a rate beyond a threshold, where its log-odds are normal, by 95 % limits."""
    deviation = (logit(rate["upper"]) - logit(rate["lower"])) / (2 * 1.959964)
    own = norm(logit(rate["expected"]), deviation)
    return own.sf(logit(threshold)) if above else own.cdf(logit(threshold))


def test_the_setting_is_the_recommended_point_with_every_attack(spec, region, fitted) -> None:
    found, point = setting_of_model(fitted, region), recommended(fitted)
    assert found["factors"] == point["factors"] and found["defence"] == point["defence"]
    assert (found["basis"], found["inside"]) == ("model", point["probability"])
    rate = point["clean_accuracy"]
    assert found["clean_accuracy"] == {
        "value": rate["expected"], "lower": rate["lower"], "upper": rate["upper"],
        "confidence": 0.95, "by": "model", "seeds": None,
        "chance_to_miss": pytest.approx(beyond(rate, 0.8, above=False)),
    }  # fmt: skip
    for attack in [found, *found["attacks"]]:
        limits = attack["attack_success"]
        ends = {**limits, "expected": limits["value"]}
        assert limits["chance_to_miss"] == pytest.approx(beyond(ends, 0.2, above=True))
    assert found["worst_attack"] == point["worst_attack"]
    assert [a["label"] for a in found["attacks"]] == [a["label"] for a in region["panel"]]
    highest = max(a["attack_success"]["value"] for a in found["attacks"])
    assert found["attack_success"]["value"] == highest == point["attack_success"]["expected"]
    assert found["margin"] == pytest.approx(min(rate["expected"] - 0.8, 0.2 - highest))
    best = most_accurate(fitted)["clean_accuracy"]["expected"]
    assert found["best_accuracy"] == best
    assert found["cost"] == pytest.approx(best - rate["expected"]) and found["cost"] >= 0
    takes = [control["state"] for control in region["controls"]]
    assert [a["takes"] for a in found["attacks"]] == takes and "takes" in takes
    assert all(a["passes"] and a["baseline_success"] is None for a in found["attacks"])
    del region["controls"]
    assert {a["takes"] for a in setting_of_model(fitted, region)["attacks"]} == {"unknown"}


def test_no_setting_is_given_where_nothing_is_in(spec, ledger, region) -> None:
    strict = parse_spec(
        {**spec.document, "region": {"clean_accuracy": 0.99, "attack_success": 0.2}}
    )
    assert setting_of_model(FittedRegion.of(strict, ledger), region) is None
