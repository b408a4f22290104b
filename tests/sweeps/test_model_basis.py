"""What is IN by the model of all points together: verified, trained, recommended, and named next."""

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy.special import expit
from small import begin, small_spec, sweep
from trials import fake_result

from backdoor.errors import UserError
from sweeps.answer.write import write_region
from sweeps.cli import FINE, WRONG
from sweeps.cli.main import main
from sweeps.cli.status_next import more_seeds
from sweeps.cli.verify_basis import basis_note
from sweeps.final_model.select import choose
from sweeps.ledger import Ledger, finished_rows
from sweeps.records.setting_text import setting_lines
from sweeps.region.panel import criteria_of
from sweeps.region.point_table import region_of
from sweeps.region.recommended import recommend
from sweeps.region.standing import standing
from sweeps.runners.serial import SerialRunner
from sweeps.storage.paths import SweepPaths
from sweeps.verify.open_region import open_region
from sweeps.verify.plan import VerificationSettings
from sweeps.verify.run import verification
from sweeps.verify.verification_text import verification_text

LINEAR = {
    "architecture": {"kind": "linear", "weight_decay": [0, 0.01, 0.02, 0.03, 0.04, 0.05]},
    "epochs": 3,
}
THRESHOLDS = {"clean_accuracy": 0.9, "attack_success": 0.2, "confidence": 0.95}


def world(rates):
    """Work for a runner. rates(config) gives clean accuracy and attack success."""

    def result(config, measures):
        clean, success = rates(config)
        made = fake_result(config, measures)
        measured = tuple(replace(m, success=round(450 * success)) for m in made.measurements)
        correct = round(500 * clean)
        return replace(made, class_correct=(correct,), class_total=(500,), measurements=measured)

    def work(pack):
        results = [result(config, pack.settings.measures) for config in pack.trials]
        return finished_rows(results, pack.pack_id)

    return work


def noisy(config) -> tuple[float, float]:
    """Seeds differ too much for the bounds of each point, and not for the model of all: in the
    logit of success they have a shift of their own at every point, and one in common. On average
    success falls below 0.2 between weight decay 0.01 and 0.02."""
    if config.attack is None:
        return 0.96, 0.02
    step, seed = round(100 * config.defence.weight_decay), config.seed
    own = np.random.default_rng([1, step, seed]).normal()
    common = np.random.default_rng([1, 99, seed]).normal()
    success = expit(0.4 - 0.9 * step + 0.7 * (own + 0.7 * common))
    return 0.95 - 0.001 * step + 0.005 * np.clip(own, -1, 1), float(success)


def swept(folder: Path, rates=noisy, **changes):
    spec = small_spec(**{"defence": LINEAR, "region": THRESHOLDS, "seeds": 3, **changes})
    paths = begin(folder / "r", spec)
    sweep(paths, spec, SerialRunner(world(rates)))
    return paths, spec


def verified(paths, spec, rates, draws=59):
    """The verification by the model, trained: its plan and its answer."""
    case = verification(paths, spec, VerificationSettings(draws, 5), (), "model")
    plan, ledger = case.plan, Ledger(case.paths.ledger)
    case.train(ledger, plan, SerialRunner(world(rates)))
    return plan, case.answer(ledger, plan)


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A sweep of six points of which the model finds one IN, and the bounds none."""
    paths, spec = swept(tmp_path_factory.mktemp("model"))
    region = write_region(paths, spec)
    assert (region["counts"]["by_model"]["IN"], region["counts"]["by_bounds"]["IN"]) == (1, 0)
    return paths, spec, region


def ids(region, basis, verdict):
    return sorted(p["defence_id"] for p in region["points"] if p[f"by_{basis}"] == verdict)


# --- verify ------------------------------------------------------------------------------------


def test_verify_draws_from_the_points_in_by_model(finished) -> None:
    paths, spec, region = finished
    plan, answer = verified(paths, spec, noisy, draws=8)
    frozen = plan.frozen["region"]
    assert frozen["basis"] == answer["region"]["basis"] == "model"
    assert frozen["points"]["inside"] == ids(region, "model", "IN")
    assert set(frozen["points"]["outside"]) >= set(ids(region, "model", "OUT"))
    assert sum(map(len, frozen["points"].values())) == 6
    assert answer["inside"]["draws"] == 8 and answer["reliability"] is None
    said = verification_text(answer)
    drawn = {draw["label"] for draw in answer["draws"] if draw["stratum"] == "inside"}
    assert (
        "Points were drawn from those tried that are IN by model, with replacement: "
        "1 different one. The claim is about such a point with fresh seeds, not about each of the "
        "points."
    ) in said and len(drawn) == len(ids(region, "model", "IN")) == 1


def test_means_stay_the_default(finished) -> None:
    paths, spec, _ = finished
    kept, asked = (
        open_region(spec, Ledger(paths.ledger), "median", 5, basis).frozen
        for basis in (None, "means")
    )
    assert kept == asked and kept["basis"] == "means"


def test_nothing_in_by_model_is_an_answer(tmp_path) -> None:
    """Success lies on the threshold wherever accuracy holds: the model is certain of no point."""

    def on_the_threshold(config):
        return 0.95, 0.2 + 0.02 * (config.seed % 3 - 1)

    paths, spec = swept(tmp_path, on_the_threshold)
    plan, answer = verified(paths, spec, on_the_threshold)
    assert plan.draws == () and answer["verdict"] == "empty"
    assert verification_text(answer) == (
        "Nothing to verify: no defence point is IN by model. --basis means takes those that are IN "
        "by means, which is not certain; more seeds make the model more certain."
    )


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"seeds": 2}, "it needs 3 seeds"),
        (
            {"defence": {**LINEAR, "architecture": {"kind": "linear", "weight_decay": [0, 0.05]}}},
            "it needs 6 complete points without a broken model",
        ),
    ],
)
def test_without_a_model_there_is_no_such_basis(tmp_path, changes, why, capsys) -> None:
    paths, _ = swept(tmp_path, **changes)
    assert main(["verify", str(paths.root), "--basis", "model", "--transfer", "none"]) == WRONG
    assert (
        "--basis: needs a model of all points together, and this sweep has none: "
        f"{why}, but got 'model'. Take `--basis means` or `--basis bounds`, or finish or extend "
        "the sweep first."
    ) in capsys.readouterr().err
    assert not list(paths.verifications.glob("*")), "nothing is written"


def test_a_basis_of_another_kind_of_region_is_refused(finished) -> None:
    paths, spec, _ = finished
    with pytest.raises(UserError) as found:
        open_region(spec, Ledger(paths.ledger), "median", 5, "verdict")
    assert "must be means, bounds or model: the region of this sweep is made of" in str(found.value)


# --- status ------------------------------------------------------------------------------------


def test_status_counts_by_model_and_names_it_next(finished, capsys) -> None:
    paths, _, region = finished
    shutil.rmtree(paths.verifications)
    assert main(["status", str(paths.root)]) == FINE
    said = capsys.readouterr().out
    counts = ", ".join(f"{n} {word}" for word, n in region["counts"]["by_model"].items())
    assert f"; by model {counts}" in said
    assert (
        f"sweeps verify {paths.root} --basis model   "
        "(tries to prove what is IN by model with fresh seeds)"
    ) in said


def test_more_seeds_are_not_asked_for_where_the_model_is_certain() -> None:
    counts = {"by_means": {"IN": 2}, "by_bounds": {"IN": 0, "OUT": 0, "UNDECIDED": 2}}
    region = {"counts": counts, "points": [{"seeds": 3}]}
    assert more_seeds(region) == 6, "a file of before knows nothing by a model"
    counts["by_model"] = {"IN": 0, "OUT": 0, "UNDECIDED": 2}
    assert more_seeds(region) == 6
    counts["by_model"]["IN"] = 1
    assert more_seeds(region) is None


# --- train -------------------------------------------------------------------------------------


def test_train_says_by_what_its_point_is_in(finished) -> None:
    paths, spec, region = finished
    by_id = {point["defence_id"]: point for point in region["points"]}
    chosen = choose(spec, paths).point
    chance = by_id[chosen.defence_id]["inside"]
    assert chosen.why == f"recommended, IN by model, P(inside) {chance:.2f}" and chance < 0.995
    best = choose(spec, paths, "best").point
    assert by_id[best.defence_id]["by_means"] == "OUT"
    assert best.why == "of the best validation accuracy, OUT by means, P(inside) <0.01"
    named = choose(spec, paths, chosen.defence_id[:8]).point
    assert named.why == f"chosen by its id, IN by model, P(inside) {chance:.2f}"


def judged(**changes):
    return {"by_means": "IN", "by_bounds": "UNDECIDED", **changes}


@pytest.mark.parametrize(
    ("point", "words"),
    [
        (judged(), "IN by means only: not certain"),
        (judged(by_model="UNDECIDED", inside=0.714), "IN by means only: not certain, P(inside) 0.71"),
        (judged(by_model="UNDECIDED", inside=None), "IN by means only: not certain"),
        (judged(by_model="IN", inside=0.9781), "IN by model, P(inside) 0.98"),
        (judged(by_model="IN", by_bounds="IN", inside=1.0), "IN by bounds, P(inside) >0.99"),
        (judged(by_means="OUT", inside=0.001), "OUT by means, P(inside) <0.01"),
        (judged(by_means="INCOMPLETE"), "INCOMPLETE by means"),
    ],
)  # fmt: skip
def test_standings(point, words) -> None:
    assert standing(point) == words


# --- the recommended point ---------------------------------------------------------------------


def point(name, margin, success, clean, **verdicts):
    return {"defence_id": name, "label": name, "margin": margin, "attack_success": success,
            "clean_accuracy": clean, "worst_attack": "a", **judged(**verdicts),
            "attacks": [{"attack_id": "a", "attack_success": success, "baseline_success": 0.0117}]}  # fmt: skip


def limits(value):
    """Of three seeds."""
    return {"value": value, "lower": value - 0.02, "upper": value + 0.01, "confidence": 0.95,
            "by": "seeds", "seeds": 3}  # fmt: skip


def lines(table, baseline=0.0117):
    """Of the recommended setting, as `sweeps region` prints them."""
    chosen = recommend(table)
    thresholds = {"clean_accuracy": {"best_source": "panel"}}
    region = {"points": table, "thresholds": thresholds, "controls": []}
    if chosen is None:
        return setting_lines(region, None)
    of = next(own for own in table if own["defence_id"] == chosen["defence_id"])
    attack = {"attack_id": "a", "label": "patch at 3 %", "passes": True, "takes": "unknown",
              "attack_success": limits(of["attack_success"]), "baseline_success": baseline}  # fmt: skip
    clean = of["clean_accuracy"]
    return setting_lines(region, {
        **chosen, "label": of["label"], "inside": of.get("inside"), "clean_accuracy": limits(clean),
        "attack_success": attack["attack_success"], "worst_attack": "patch at 3 %",
        "best_accuracy": 0.96, "cost": 0.96 - clean, "attacks": [attack],
    })  # fmt: skip


def test_equal_margins_are_decided_by_success_then_by_accuracy() -> None:
    table = [point("a", 0.05, 0.15, 0.97), point("b", 0.05, 0.1, 0.95), point("c", 0.05, 0.1, 0.96),
             point("d", 0.05, 0.1, 0.96), point("e", 0.049, 0.01, 0.99)]  # fmt: skip
    assert recommend(table)["defence_id"] == "c"
    # What floating point makes of 0.3 - 0.25 decides nothing.
    table = [point("a", 0.3 - 0.25, 0.15, 0.97), point("b", 0.05, 0.1, 0.95)]
    assert table[0]["margin"] != table[1]["margin"] and recommend(table)["defence_id"] == "b"


def test_success_counts_as_the_threshold_compares_it() -> None:
    table = [point("a", 0.05, 0.1, 0.97) | {"excess": 0.05}, point("b", 0.05, 0.3, 0.9) | {"excess": 0.02}]  # fmt: skip
    assert recommend(table)["defence_id"] == "b"


def test_the_model_comes_between_bounds_and_means() -> None:
    table = [point("a", 0.09, 0.1, 0.9), point("b", 0.02, 0.1, 0.9, by_model="IN", inside=0.981)]
    assert recommend(table) == {"defence_id": "b", "basis": "model", "margin": 0.02}
    table.append(point("c", 0.01, 0.1, 0.9, by_bounds="IN"))
    assert recommend(table) == {"defence_id": "c", "basis": "bounds", "margin": 0.01}


def test_the_recommended_line_says_how_certain_it_is() -> None:
    assert lines([point("a", 0.028, 0.15, 0.94, by_model="IN", inside=0.981)]) == [
        "Recommended: a (likely IN: by a model of all points together, P(inside) 0.98, margin "
        "0.028 to the nearer threshold)",
        "  chosen as the point likely IN with the highest P(inside), by these figures, which are "
        "optimistic",
        "  clean accuracy 0.940 (mean of 3 seeds; one new seed: 0.920 to 0.950 with 95 %); it costs "
        "0.020 against the point that is best on validation images (0.960)",
        "  worst attack: patch at 3 %, success 0.150 (mean of 3 seeds; one new seed: 0.130 to 0.160 "
        "with 95 %); clean models 0.012",
    ]
    only = [point("a", 0.028, 0.15, 0.94, by_model="UNDECIDED", inside=0.6)]
    assert lines(only)[0] == (
        "Recommended: a (IN by means only: no claim about new seeds, P(inside) 0.60, margin 0.028 "
        "to the nearer threshold)"
    )
    assert lines(only)[1] == (
        "  chosen as the point IN by means with the largest margin, by these figures, which are "
        "optimistic"
    )
    assert lines(only, None)[3] == (
        "  worst attack: patch at 3 %, success 0.150 (mean of 3 seeds; one new seed: 0.130 to 0.160 "
        "with 95 %)"
    )
    proven = [point("a", 0.028, 0.15, 0.94, by_bounds="IN", by_model="IN", inside=0.9981)]
    assert lines(proven)[0] == (
        "Recommended: a (certainly IN: by bounds of its own seeds, P(inside) >0.99, margin 0.028 "
        "to the nearer threshold)"
    )
    assert lines(proven)[1] == (
        "  chosen as the point certainly IN with the largest margin, by these figures, which are "
        "optimistic"
    )
    assert lines([point("a", -0.1, 0.3, 0.8, by_means="OUT")]) == ["Recommended: none."]


@pytest.mark.parametrize(
    ("margin", "words"),
    [
        (0.0, "margin 0.000: on the threshold"),
        (0.0004, "margin 0.000: almost on the threshold"),
        (0.0006, "margin 0.001 to the nearer threshold"),
    ],
)
def test_a_point_on_the_threshold_is_told(margin, words) -> None:
    assert lines([point("a", margin, 0.2, 0.9)])[0] == (
        f"Recommended: a (IN by means only: no claim about new seeds, {words})"
    )


def test_the_region_of_a_sweep_recommends_by_model(finished) -> None:
    paths, spec, _ = finished
    region = write_region(paths, spec)
    chance = region["setting"]["inside"]
    assert region["recommended"]["basis"] == region["setting"]["basis"] == "model"
    assert region["setting"]["text"][0] == (
        f"Recommended: {region['setting']['label']} (likely IN: by a model of all points together, "
        f"P(inside) {chance:.2f}, margin {region['recommended']['margin']:.3f} to the nearer "
        "threshold)"
    )
    assert 0.9 < chance < 0.995


def test_stability_is_that_of_the_point_recommended_by_model(finished) -> None:
    """By means alone another point would be recommended."""
    paths, spec, _ = finished
    region = region_of(criteria_of(spec), Ledger(paths.ledger), None, with_stability=True)
    chosen, found = region["recommended"], region["stability"]
    means = [{**p, "by_model": "UNDECIDED"} for p in region["points"]]
    assert chosen["basis"] == "model" != recommend(means)["basis"]
    assert found["recommended"] == chosen["defence_id"] != recommend(means)["defence_id"]
    assert {change["recommended"] for change in found["changes"]} == {None}
    lost = sum(not change["verdicts"]["means"]["recommended_in"] for change in found["changes"])
    (said,) = (line for line in found["text"] if line.startswith("  The recommended point"))
    assert lost == 0 and said == (
        "  The recommended point stays IN by means after each of 11 changes; the model, by which it "
        "is IN, is not fitted again."
    )


@pytest.mark.parametrize(
    ("claim", "basis", "said"),
    [
        ("likely", None, "note: draws are of the 5 points IN by means; the answer claims more of the 1 point likely IN, which `--basis model` verifies"),
        ("certain", None, "note: draws are of the 5 points IN by means; the answer claims more of the 2 points certainly IN, which `--basis bounds` verifies"),
        ("likely", "means", None),
        ("means", None, None),
    ],
)  # fmt: skip
def test_a_default_that_draws_from_more_than_is_claimed_is_said(
    tmp_path, monkeypatch, claim, basis, said
) -> None:
    counts = {"in_by_means": 5, "likely_in": 1, "certainly_in": 2}
    region = {"headline": {"claim": claim}, "verdicts": {"points": counts}}
    monkeypatch.setattr("sweeps.cli.verify_basis.read_region", lambda folder: region)
    assert basis_note(SweepPaths(tmp_path), basis) == said


def test_without_region_json_nothing_is_said_of_the_basis(tmp_path) -> None:
    assert basis_note(SweepPaths(tmp_path), None) is None
