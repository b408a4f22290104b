"""The answer of a region search: words and numbers against what can be computed otherwise."""

import html
import json
import re
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from small import begin, small_spec, sweep
from trials import fake_result

from backdoor.config import TrialConfig
from backdoor.errors import UserError
from backdoor.result import TrialResult
from sweeps.answer.write import write_region
from sweeps.cli.main import main
from sweeps.final_model.select import choose
from sweeps.ledger import Ledger, finished_rows
from sweeps.levelset.best_threshold import AccuracyThreshold
from sweeps.levelset.columns import Box, Columns
from sweeps.levelset.describe import describe, judged, products
from sweeps.levelset.membership import probability, summary
from sweeps.levelset.model import Panel
from sweeps.levelset.search import LevelSetSearch, LevelSetSettings, Outcome
from sweeps.levelset.volume import Volume, joint_draws, passing, probability_of, volume
from sweeps.records.headline import headline_of
from sweeps.records.model_notes import model_notes, other_points
from sweeps.records.thresholds import Thresholds
from sweeps.region.fitted_region import FittedRegion
from sweeps.region.model_region import model_answer
from sweeps.results.create import read_spec
from sweeps.runners.serial import SerialRunner
from sweeps.search.level_set import RegionSearch
from sweeps.spec import parse_spec
from sweeps.storage.paths import SweepPaths
from sweeps.storage.shell import command
from sweeps.verify.model_draws import ModelRegion


def square(count: int = 4096) -> np.ndarray:
    return np.random.default_rng(3).random((count, 2))


def test_a_box_is_found_where_the_region_is_one() -> None:
    points = square()
    inside = ((points[:, 0] > 0.3) & (points[:, 0] < 0.8) & (points[:, 1] < 0.5)).astype(float)
    found = describe(points, inside)
    assert found.precision >= 0.94 and found.coverage >= 0.93
    bounds = {i.column: (i.low, i.high) for i in found.intervals}
    assert bounds[0] == pytest.approx((0.3, 0.8), abs=0.03)
    assert bounds[1][0] is None and bounds[1][1] == pytest.approx(0.5, abs=0.03)


def test_a_diagonal_has_no_large_box_but_a_short_rule() -> None:
    points = square()
    inside = (np.abs(points.sum(axis=1) - 1) < 0.12).astype(float)
    box = describe(points, inside)
    features, made = products(points, [0, 1])
    assert made == [(0, 1, 1), (0, 1, -1)]
    rule = describe(features, inside, most=3)
    assert (0 if box is None else box.coverage) < 0.4 < 0.9 < rule.coverage
    assert [i.column for i in rule.intervals] == [2] and rule.precision >= 0.94
    new = square(9000)[4096:]
    again = judged(products(new, [0, 1])[0], (np.abs(new.sum(axis=1) - 1) < 0.12).astype(float), rule.intervals)  # fmt: skip
    assert again.precision == pytest.approx(rule.precision, abs=0.05)


@pytest.mark.parametrize(("keep", "ends"), [(lambda v: v >= 20, (20, None)), (lambda v: v <= 5, (None, 5)), (lambda v: v == 10, (10, 10))])  # fmt: skip
def test_the_ends_of_an_interval_are_values_of_the_region(keep, ends) -> None:
    """Of a factor with few values, the next one beside the region is none of it."""
    values = np.random.default_rng(3).choice([5.0, 10.0, 20.0, 40.0], (2000, 1))
    found = describe(values, keep(values[:, 0]).astype(float))
    assert [(i.low, i.high) for i in found.intervals] == [ends]
    assert found.precision == found.coverage == 1


def test_no_description_is_given_where_none_is_precise() -> None:
    points = square()
    assert describe(points, np.full(len(points), 0.3)) is None


def fitted() -> LevelSetSearch:
    """A search that knows 60 trials of a space where accuracy falls and attacks fail to the right."""
    panel = Panel(Columns((0,)), np.array([[0.0], [1.0]]))
    search = LevelSetSearch(
        Box(Columns((0, 0))), panel, Thresholds(attack_success=0.2, clean_accuracy=0.9)
    )
    for index, point in enumerate(square(60)):
        accuracy, success = (
            0.99 - 0.15 * point[0] ** 3,
            0.9 * (1 - point[0]) ** 2 * (0.5 + 0.5 * (index % 2)),
        )
        number = search.add(point, index % 2)
        search.tell(number, Outcome(round(500 * accuracy), 500, round(450 * success), 450))
    return search


def test_joint_draws_agree_with_the_probabilities_of_single_points() -> None:
    search = fitted()
    model, points = search.current(), square(200)
    drawn = joint_draws(model, points, np.random.default_rng(0))
    both = np.array([True, True])
    often = drawn.inside(both).mean(axis=0)
    assert np.abs(often - probability(model, points)).max() < 0.13, "4 standard errors of 256 draws"
    assert np.abs(often.mean() - probability(model, points).mean()) < 0.01
    clean, attack = passing(model, points)
    assert np.abs((drawn.clean > 0).mean(axis=0) - clean).max() < 0.13
    assert np.abs((drawn.attack > 0).mean(axis=0) - attack).max() < 0.13
    weak = probability_of(model, points, np.array([True, False]))
    assert (weak >= probability_of(model, points, both) - 1e-9).all()


@pytest.mark.parametrize("target", ["median", "share"])
def test_the_front_ends_at_the_volume(target) -> None:
    """A part of the panel is judged as the whole is: by alternative models too, and for as many seeds."""
    fit, points = fitted().current(), square(300)
    model = replace(fit, thresholds=replace(fit.thresholds, target=target), noise=(0.2, 0.4))
    model = replace(
        model, others=((0.7, replace(model, accuracy_threshold=AccuracyThreshold(0.8))),)
    )
    whole, weak = (probability_of(model, points, np.array([True, b])) for b in (True, False))
    assert whole == pytest.approx(probability(model, points), abs=2e-5)
    assert whole.mean() < weak.mean()


def test_the_volume_has_the_spread_of_the_draws() -> None:
    drawn = np.zeros((100, 50), dtype=bool)
    for row in range(100):
        drawn[row, : row // 4] = True
    size = volume(drawn, 0.25)
    shares = np.array([row // 4 / 50 for row in range(100)])
    assert size.fraction == 0.25
    assert size.lower == pytest.approx(0.25 + np.quantile(shares, 0.05) - shares.mean())
    assert size.upper == pytest.approx(0.25 + np.quantile(shares, 0.95) - shares.mean())


def test_where_nothing_was_drawn_any_volume_is_possible() -> None:
    """region.json holds no NaN: a category of many had none of the points, and none was written."""
    assert volume(np.zeros((100, 0), dtype=bool), 0.25) == Volume(0.25, 0.0, 1.0)


SPACE = {
    "architecture": ["linear", {"kind": "mlp", "width": 8}],
    "weight_decay": {"log": [0.001, 0.1]},
    "learning_rate": {"log": [0.01, 1]},
}


def answered(trial: TrialConfig) -> TrialResult:
    """Linear models withstand where decay times rate is at least 0.003; MLPs nowhere."""
    result, defence = fake_result(trial), trial.defence
    strong = np.log10(defence.weight_decay * defence.learning_rate / 0.003)
    resists = strong if defence.architecture.kind == "linear" else -2.0
    hits = round(450 / (1 + np.exp(1.4 + 6 * resists + 0.1 * (trial.seed - 2))))
    right = 48 if strong < 0.9 else 40
    measured = tuple(replace(m, success=hits, robust=0, total=450) for m in result.measurements)
    return replace(
        result, measurements=measured, class_correct=(right,) * 10, class_total=(50,) * 10
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    spec = small_spec(
        name="searched", defence=SPACE, seeds=5,
        attack={"trigger": {"kind": "patch", "size": 1}, "poison_rate": [0.01, 0.03]},
        region={"clean_accuracy": 0.9, "attack_success": 0.2},
        search={"kind": "region", "budget": 120, "pending": 20},
    )  # fmt: skip
    paths = begin(tmp_path_factory.mktemp("searched") / "r", spec)
    sweep(paths, spec, SerialRunner(lambda p: finished_rows([answered(t) for t in p.trials], "p")))
    write_region(paths, spec)
    return paths.root


def region_on(folder, defence, answers, **changes):
    """region.json of a sweep over this space in which a trial has these (clean, success) rates."""
    spec = small_spec(
        name="searched", defence=defence, attack={"trigger": "patch", "poison_rate": 0.03},
        region={"clean_accuracy": 0.8, "attack_success": 0.2},
        **{"seeds": 30, "search": {"kind": "region", "budget": 40}} | changes,
    )  # fmt: skip

    def work(pack):
        return finished_rows([counted(t, *answers(t.defence)) for t in pack.trials], "p")

    paths = begin(folder, spec)
    sweep(paths, spec, SerialRunner(work))
    return write_region(paths, spec)


def counted(trial: TrialConfig, clean: float, success: float) -> TrialResult:
    result = fake_result(trial)
    measured = (replace(result.measurements[0], success=round(450 * success), robust=0, total=450),)
    right = (round(50 * clean),) * 10
    return replace(result, measurements=measured, class_correct=right, class_total=(50,) * 10)


def test_a_space_of_categories_has_a_category_for_its_box(tmp_path) -> None:
    def answers(defence):
        return 0.9, 0.02 if defence.architecture.kind == "linear" else 0.9

    region = region_on(tmp_path / "r", {"architecture": ["linear", "ridge"]}, answers)
    box = {"category": {"defence.architecture": "linear"}, "intervals": []}
    assert region["model"]["box"].items() >= box.items()
    assert "largest box: linear (100 % of it inside, 100 % of the region)" in region["text"]


@pytest.mark.parametrize("inside", [True, False])
def test_a_zero_beside_a_scale_is_distinguished_from_it(tmp_path, inside) -> None:
    """Without it the words would say that the box holds whatever the weight decay is."""

    def answers(defence):
        return 0.9, 0.02 if (defence.weight_decay == 0) == inside else 0.9

    defence = {"architecture": "linear", "weight_decay": [0, {"log": [1e-3, 1]}]}
    region = region_on(tmp_path / "r", defence, answers)
    words = "weight_decay 0" if inside else "weight_decay 0.001 to 1"
    assert f"largest box: {words} (100 % of it inside, 100 % of the region)" in region["text"]
    assert {str(m["category"]["defence.weight_decay"]) for m in region["model"]["maps"]} == {
        "0.001 to 1"
    }


@pytest.mark.parametrize(("cutoff", "why"), [(0.95, "it is certain enough"), (0.99, None)])
def test_a_search_is_not_said_to_be_certain_of_what_its_answer_holds_back(cutoff, why) -> None:
    """All points are sure one by one, and a fiftieth is IN, unless too many may be wrong at once."""
    inside = np.repeat([0.96, 0.045], [2, 98])
    optimizer = SimpleNamespace(points=[], settings=LevelSetSettings(), used_up=False, trials_known=200, enough=100)  # fmt: skip
    search = SimpleNamespace(optimizer=optimizer, affordable=9)
    assert RegionSearch.ended(search, summary(inside, 0.95, cutoff)) == why


def test_a_search_that_goes_on_is_answered_and_says_what_it_would_try(tmp_path) -> None:
    def interrupted(pack):
        if len(Ledger(paths.ledger).finished) >= 24:
            raise KeyboardInterrupt
        return finished_rows([counted(t, 0.9, 0.05) for t in pack.trials], "p")

    spec = small_spec(defence=SPACE, region={"clean_accuracy": 0.8, "attack_success": 0.2},
                      search={"kind": "region", "budget": 120, "pending": 4})  # fmt: skip
    paths = begin(tmp_path / "r", spec)
    with pytest.raises(KeyboardInterrupt):
        sweep(paths, spec, SerialRunner(interrupted))
    region = write_region(paths, spec)
    model = region["model"]
    assert model["trials"] < 120 and model["stopped_by"] is None and len(model["next"]) == 4
    known = Ledger(paths.ledger).rows()
    for one in model["next"]:
        assert all(
            (r["config"]["defence"], r["seed"]) != (one["defence"], one["seed"]) for r in known
        )
    assert model["maps"] and region["next"] == model["next"]
    assert (region["state"]["state"], region["state"]["why"]) == ("stopped", None)
    assert (
        f"State: stopped, {model['trials']} of at most 120 trials have ended. `sweeps resume` goes on."
    ) in region["text"]


def test_the_answer_is_what_the_space_was_made_to_be(folder) -> None:
    model = json.loads((folder / "region.json").read_text())["model"]
    linear, mlp = model["categories"]
    assert "linear" in linear["label"] and "mlp" in mlp["label"]
    assert mlp["IN"] == 0 and mlp["volume"]["fraction"] < 0.05
    # 0.003 <= decay * rate <= 0.003 * 10**0.9, in log10 of a square 2 x 2: the truth by counting.
    grid = np.add.outer(np.linspace(-3, -1, 400), np.linspace(-2, 0, 400)) - np.log10(0.003)
    truth = ((grid >= 0) & (grid < 0.9)).mean()
    assert linear["volume"]["fraction"] == pytest.approx(truth, abs=0.08)
    assert linear["volume"]["lower"] - 0.05 <= truth <= linear["volume"]["upper"] + 0.05
    assert sum(model["space"].values()) == pytest.approx(1)
    assert model["recommended"]["factors"]["defence.architecture"] == "linear"
    assert model["recommended"]["probability"] >= 0.95
    assert [f["poison_rate"] for f in model["front"]] == [0.01, 0.03]
    assert any("x" in i["factor"] for i in model["rule"]["intervals"]), model["rule"]
    assert model["rule"]["category"]["defence.architecture"] == "linear"
    assert {"clean accuracy"} < {entry["label"] for entry in model["limits"]}


def test_the_words_and_the_report_say_the_same(folder, capsys) -> None:
    assert main(["region", str(folder)]) == 0
    said = capsys.readouterr().out
    region = json.loads((folder / "region.json").read_text())
    share, volume = region["model"]["space"]["IN"], region["model"]["volume"]
    assert (
        f"\nAnswer: {100 * share:.3g} % of the defence space is likely IN: clean accuracy >= 0.9, "
        "attack success <= 0.2 for all 2 attacks.\nOf the defence space, at 95 %: "
        f"{100 * share:.3g} % likely IN, "
    ) in said
    inside = f"best estimate of the share inside {100 * volume['fraction']:.3g} % (90 % interval "
    assert f" likely OUT; {inside}" in said
    assert "\nRecommended: linear" in said and "\nshort rule: " in said and "\n  1 patch" in said
    setting = region["setting"]
    assert setting["label"] == region["model"]["recommended"]["label"]
    assert f"\nRecommended: {setting['label']} (likely IN: by a model of all points" in said
    assert said.endswith("\n".join(region["text"]) + "\n")
    assert main(["report", str(folder)]) == 0
    page = (folder / "report.html").read_text()
    words = " ".join(html.unescape(re.sub(r"<[^>]+>", " ", page)).split())
    assert (
        region["headline"]["text"] in words and f"Recommended setting {setting['label']} " in words
    )
    assert "by the model of the search" in page and "inside with 95 % probability" in page
    assert "Accuracy against attack" not in page, "no point is complete"


def test_the_point_that_the_answer_recommends_can_be_trained(folder, capsys) -> None:
    """It is the model's, and no trial of the search was at it."""
    model = json.loads((folder / "region.json").read_text())["model"]
    assert main(["train", str(folder), "--attack", "worst"]) == 0
    out, point = capsys.readouterr().out, model["recommended"]
    success = point["attack_success"]
    assert out.startswith(
        f"{point['label']} (recommended, IN by model, P(inside) >0.99), seed 5, on data "
    )
    assert f"attack success {success['expected']:.3f} ({success['lower']:.3f} to " in out
    limits = f"by the model: {success['lower']:.3f} to {success['upper']:.3f}"
    assert limits in out and "none can be given" not in out
    assert "\nMeets what the spec asks for: accuracy and attack success.\n" in out
    (written,) = folder.glob("models/*/config.json")
    config = json.loads(written.read_text())
    assert config["trial"]["defence"] == point["defence"] and config["point_modelled"] == point
    tried = {row["defence_id"] for row in Ledger(folder / "ledger").rows()}
    assert config["point"]["defence_id"] not in tried
    assert config["attack"]["label"] == point["worst_attack"]
    paths = SweepPaths(folder)
    best = choose(read_spec(paths), paths, "best")
    assert best.point.not_in is None, "by the model it is IN as well"
    spoilt = json.loads((folder / "region.json").read_text())["points"]
    likely = next(point for point in spoilt if point["verdict"] == "likely out")
    out_there = choose(read_spec(paths), paths, likely["defence_id"]).point.not_in
    assert "asked for are clean accuracy >= 0.9, attack success <= 0.2 for all 2 " in out_there
    assert best.trial.defence.active() == model["most_accurate"]["defence"]
    assert main(["train", str(folder), "--point", "zz"]) == 2
    assert f"{command('sweeps', 'export', folder)} --csv FILE` lists" in capsys.readouterr().err


def test_too_few_trials_say_nothing(tmp_path, capsys) -> None:
    spec = small_spec(
        defence=SPACE, search={"kind": "region", "budget": 120},
        attack={"trigger": {"kind": "patch", "size": 1}, "poison_rate": [0.01]},
    )  # fmt: skip
    paths = begin(tmp_path / "r", spec)
    assert main(["region", str(paths.root)]) == 0
    assert "Too few trials have finished" in capsys.readouterr().out


def test_a_share_of_the_seeds_asks_for_more_than_the_median_seed(folder, tmp_path) -> None:
    spec = small_spec(
        name="searched", defence=SPACE, seeds=5,
        attack={"trigger": {"kind": "patch", "size": 1}, "poison_rate": [0.01, 0.03]},
        region={"clean_accuracy": 0.9, "attack_success": 0.2, "target": "share"},
        search={"kind": "region", "budget": 120, "pending": 20},
    )  # fmt: skip
    median = parse_spec(
        {**spec.document, "region": {**spec.document["region"], "target": "median"}}
    )
    ledger = Ledger(folder / "ledger")
    strict, usual = (model_answer(FittedRegion.of(s, ledger)) for s in (spec, median))
    assert strict["volume"]["fraction"] < usual["volume"]["fraction"]
    assert strict["space"]["IN"] <= usual["space"]["IN"]
    region = {"model": strict, "thresholds": {"confidence": 0.95}, "points": [{}] * 37}
    assert model_notes(region)[0] == (
        f"By a model of {strict['trials']} trials at 37 points, for 90 % of the seeds. A trial is one "
        "attack with one seed: what it says of other attacks and seeds there is inferred."
    )


@pytest.mark.parametrize(
    ("least", "said"),
    [(0.9991, "Points with P(inside) >= 0.999 are IN"), (np.inf, "No point is IN")],
)
def test_points_that_may_be_wrong_together_are_held_back(folder, monkeypatch, least, said) -> None:
    """From the answer, its words and what `verify` draws inside."""
    region = json.loads((folder / "region.json").read_text())
    usual = region["model"]
    together = (
        "Points with P(inside) >= 0.95 are likely IN, each by itself; with 95 % at most 5 % of them "
        "are outside."
    )
    assert together in region["text"]
    none = usual | {"space": usual["space"] | {"IN": 0.0}}
    assert together not in model_notes(region | {"model": none}), "it would be of no point"
    assert usual["cutoff"] == 0.95 and "outside together" not in "".join(region["text"])
    for place in ("sweeps.region.fitted_region", "sweeps.verify.model_draws"):
        monkeypatch.setattr(f"{place}.cutoff", lambda *_: least)
    spec, ledger = read_spec(SweepPaths(folder)), Ledger(folder / "ledger")
    held = model_answer(FittedRegion.of(spec, ledger))
    assert held["cutoff"] == (least if least < 1 else None)
    assert held["space"]["IN"] < usual["space"]["IN"] and held["volume"] == usual["volume"]
    assert held["space"]["OUT"] == usual["space"]["OUT"]
    assert (held["recommended"] is None) == (least > 1)
    less = region | {"model": held}
    text = "\n".join(model_notes(less))
    claim = headline_of(less)
    assert claim["claim"] == ("likely" if least < 1 else "none")
    assert claim["text"].startswith("No point of the defence space is likely IN") == (least > 1)
    titles = [line.partition(":")[0] for line in other_points(less) if not line.startswith(" ")]
    nearest = ["Most likely inside, but not IN"] if least > 1 else []
    assert titles == [*nearest, "Most accurate"]
    assert (
        f"{said}: model errors are correlated, so among all points with P(inside) >= 0.95 more than "
        "5 % could be outside together." in text
    )
    assert together not in text
    region, draw = (
        ModelRegion(FittedRegion.of(spec, ledger), ledger.ended, "median", 5, "probability"),
        np.random.default_rng(),
    )
    drawn = region.sample("inside", 5, draw)
    assert len(drawn) == (5 if least < 1 else 0)
    assert all(candidate.probability >= least - 1e-6 for candidate in drawn)
    chances = [candidate.probability for candidate in region.sample("border", 200, draw)]
    assert max(chances) > 0.95, "what is held back is not sure, and so at the border"


def test_only_a_region_search_knows_shares_of_seeds() -> None:
    with pytest.raises(UserError) as wrong:
        small_spec(region={"target": "share"})
    (mistake,) = wrong.value.mistakes
    assert mistake.place == "region.target" and "search `grid`" in str(mistake)
    assert "verify --target share" in mistake.remedy
