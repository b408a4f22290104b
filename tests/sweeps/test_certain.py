"""`stopping: certain`: what is predicted, how often that is wrong, and what a sweep does with it."""

import json
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest
import yaml
from answered import text_of
from made_rows import made
from scipy.special import expit
from scipy.stats import binom
from small import SMALL, begin, results, small_spec, sweep
from trials import fake_result, trial

from backdoor.result import CurvePoint, Measurement
from backdoor.settings.registry import PROBES
from sweeps.cli import FINE, WRONG
from sweeps.cli.main import main
from sweeps.early_stopping.audit import prediction_audit, sentence
from sweeps.early_stopping.limits import (
    StoppingLimit,
    StoppingLimits,
    contradicts,
    is_holdout,
    metric_of,
    stand_in_counts,
)
from sweeps.early_stopping.predictor import (
    Curve,
    OutcomePredictor,
    TrialFeatures,
    certain_beyond,
    curve_of,
)
from sweeps.ledger import Ledger, finished_rows, load_results, trial_rows
from sweeps.packs.chunk import Chunk
from sweeps.packs.pack import Pack, PackSettings, make_packs
from sweeps.records.thresholds import Thresholds
from sweeps.region.panel import criteria_of
from sweeps.region.point_table import region_of
from sweeps.runners.serial import SerialRunner
from sweeps.scheduling.loop import SweepFeed
from sweeps.search import make_search
from sweeps.spec.sections import StoppingSettings

THRESHOLDS = Thresholds(clean_accuracy=0.9, attack_success=0.2)
CERTAIN = {"kind": "certain", "confidence": 0.9}


def settings(**given):
    return StoppingSettings(kind="certain", **given)


# --- limits ------------------------------------------------------------------------------------


def test_a_distance_is_certain_by_the_exact_bound_and_not_by_one_curve_less() -> None:
    distance, right = np.linspace(0.5, 0.1, 60), np.zeros(60, dtype=bool)
    seeds = np.arange(60)
    for error, needed in ((0.1, 29), (0.05, 59)):
        assert certain_beyond(distance[:needed], right[:needed], seeds[:needed], error, 1) == (
            distance[needed - 1], needed, 0,
        )  # fmt: skip
        assert certain_beyond(distance[: needed - 1], right[: needed - 1], seeds, error, 1) is None
    wrong = right.copy()
    wrong[40] = True
    assert certain_beyond(distance, wrong, seeds, 0.1, 1) == (distance[59], 60, 1)
    bound = [binom.cdf(1, n, 0.1) for n in (45, 46)]  # 1 of 46 excludes a share of 0.1 at 95 %
    assert bound[1] <= 0.05 < bound[0]
    assert certain_beyond(distance[:45], wrong[:45], seeds, 0.1, 1) == (distance[39], 40, 0)
    wrong[5] = True  # strongest of all, and wrong: the curves below it cannot make up for it yet
    assert certain_beyond(distance[:45], wrong[:45], seeds, 0.1, 1) is None


def test_curves_of_equal_distance_count_together_and_must_be_of_several_seeds() -> None:
    distance, wrong = np.append(np.full(29, 0.4), 0.4), np.append(np.zeros(29, dtype=bool), True)
    assert certain_beyond(distance, wrong, np.arange(30), 0.1, 1) is None
    one, two = np.zeros(29, dtype=np.int64), np.append(np.zeros(28, dtype=np.int64), 1)
    assert certain_beyond(distance[:29], wrong[:29], one, 0.1, 2) is None
    assert certain_beyond(distance[:29], wrong[:29], two, 0.1, 2) == (0.4, 29, 0)


def test_the_words_and_the_thresholds() -> None:
    limits = StoppingLimits(THRESHOLDS, (StoppingLimit("attack_success", 2, 0.1, 60, 1), StoppingLimit("clean_accuracy", 3, -0.05, 59, 0)))  # fmt: skip
    assert limits.predict(1, 0.1, 1.0) is None
    assert limits.predict(2, 0.95, 0.29) is None
    said = "fails: attack_success 0.3000 after epoch 2 ends above 0.2, as it did in 59 of 60 finished trials"  # fmt: skip
    assert limits.predict(2, 0.95, 0.3) == said and metric_of(said) == "attack_success"
    assert limits.predict(3, 0.96, 0.0) is None
    # Predicted to fall below its threshold, though it is above it now.
    assert limits.predict(3, 0.95, 0.0).startswith("fails: clean_accuracy 0.9500 after epoch 3")
    ends = np.array([0.9, 0.9, 0.899]), np.array([0.2, 0.21, 0.2])
    assert contradicts(THRESHOLDS, "attack_success", *ends).tolist() == [True, False, True]
    assert contradicts(THRESHOLDS, "clean_accuracy", *ends).tolist() == [True, True, False]
    assert contradicts(THRESHOLDS, "margin", *ends).tolist() == [False, True, True]


def test_limits_travel_with_their_pack() -> None:
    trials = tuple(trial(seed=seed) for seed in range(3))
    limit = StoppingLimits(THRESHOLDS, (StoppingLimit("attack_success", 2, 0.1, 60, 1),))
    limits = (limit, None, StoppingLimits(Thresholds(attack_success=0.2), (), True))
    pack = Pack(trials, PackSettings((), 1, predicting=True), limits)
    bare = Pack(trials[:1], PackSettings((), 1, predicting=True))
    assert Chunk.from_json(Chunk((pack, bare)).to_json()).packs == (pack, bare)
    assert [p.limits for p in pack.halves()] == [(), ()]  # they are looked up when handed out


# --- what is learned ---------------------------------------------------------------------------


def row(config, points, end, images=500, triggered=450):
    """A finished row with clean accuracy and attack success after each epoch, and at its end."""
    curve = tuple(
        CurvePoint(epoch, round(clean * images), (round(success * triggered),), 100)
        for epoch, (clean, success) in enumerate([*points, end], 1)
    )
    result = fake_result(config)
    (measured,) = result.measurements
    final = Measurement(measured.measure_id, curve[-1].success[0], 0, triggered)
    return finished_rows([
        result.__class__(**{
            **{name: getattr(result, name) for name in result.__dataclass_fields__},
            "class_correct": (curve[-1].clean_correct,), "class_total": (images,),
            "measurements": (final,), "curve": curve,
        })
    ], "pack")  # fmt: skip


def learned(rows, seeds=3, **given):
    predictor = OutcomePredictor(settings(**{"confidence": 0.9, **given}), THRESHOLDS, seeds)
    predictor.learn(pa.concat_tables(rows))
    return predictor


def strong(decays=(0.01, 0.02), count=30, **given):
    """Trials whose attack succeeds from the first of three epochs on, one for each seed."""
    return [
        trial(seed=seed, epochs=3, weight_decay=decays[seed % len(decays)], **given)
        for seed in range(count)
    ]


def predicted(predictor, config, clean=0.95, success=0.5, epoch=1):
    limits = predictor.limits(config)
    return None if limits is None else limits.predict(epoch, clean, success)


def test_only_trials_of_the_same_family_attack_and_range_count() -> None:
    predictor = learned([row(c, [(0.95, 0.5)] * 2, (0.95, 0.9)) for c in strong()])
    alike = {"seed": 99, "epochs": 3, "weight_decay": 0.015}
    assert predicted(predictor, trial(**alike)).startswith(
        "fails: attack_success 0.5000 after epoch 1"
    )
    assert predicted(predictor, trial(**alike), success=0.49) is None
    squeezing = {"kind": "logit_squeezing", "strength": 0.1}
    for other in (
        {"weight_decay": 0.03}, {"weight_decay": 0.005}, {"learning_rate": 0.2}, {"epochs": 4},
        {"architecture": "linear"}, {"rate": 0.05}, {"trigger": "blend"}, {"regularizer": squeezing},
    ):  # fmt: skip
        assert predicted(predictor, trial(**{**alike, **other})) is None, other
    assert predictor.limits(trial(**alike, rate=0)) is None  # the clean baseline
    assert predictor.limits(trial("ridge", weight_decay=0.015)) is None  # no curve


def test_few_curves_few_seeds_and_equal_models_predict_nothing() -> None:
    rows = [row(c, [(0.95, 0.5)] * 2, (0.95, 0.9)) for c in strong()]
    new = trial(seed=99, epochs=3, weight_decay=0.015)
    assert predicted(learned(rows[:29]), new) is not None
    assert predicted(learned(rows[:28]), new) is None
    grid = [trial(seed=i % 2, epochs=3, weight_decay=0.01 + 0.001 * i) for i in range(30)]
    rows = [row(c, [(0.95, 0.5)] * 2, (0.95, 0.9)) for c in grid]
    assert predicted(learned(rows, seeds=2), new) is not None
    assert predicted(learned(rows, seeds=3), new) is None
    # Clean accuracy of models of equal defence and seed is the same under every attack.
    poor = [c for rate in (0.03, 0.05) for c in strong(count=15, rate=rate)]
    rows = [row(c, [(0.5, 0.1)] * 2, (0.6, 0.1)) for c in poor]
    assert predicted(learned(rows), new, clean=0.5, success=0.1) is None
    rows += [row(c, [(0.5, 0.1)] * 2, (0.6, 0.1)) for c in strong(count=30)[15:]]
    assert predicted(learned(rows), new, clean=0.5, success=0.1).startswith("fails: clean_accuracy")


def test_easy_curves_do_not_count_for_what_remains_after_them() -> None:
    """At epoch 1 thirty are certain. Of the twenty that go on, five end otherwise: at epoch 2 all
    fifty look alike, of which 10 % ended otherwise, but the thirty are left out by then."""
    easy = [row(c, [(0.95, 0.8), (0.95, 0.5)], (0.95, 0.9)) for c in strong(count=100)[:60]]
    rest = strong(count=100)[60:80]
    hard = [row(c, [(0.95, 0.3), (0.95, 0.5)], (0.95, 0.1 if i < 2 else 0.9)) for i, c in enumerate(rest)]  # fmt: skip
    new = trial(seed=99, epochs=3, weight_decay=0.015)
    predictor = learned(easy + hard)
    assert binom.cdf(2, 80, 0.1) < 0.05  # together they would be certain
    assert predicted(predictor, new, success=0.8) is not None
    assert predicted(predictor, new, success=0.5, epoch=2) is None


def test_curves_that_turn_back_keep_similar_ones_in_training() -> None:
    """Attack success that falls again late: what is high early is no verdict then."""
    calm = [row(c, [(0.95, 0.6), (0.95, 0.7)], (0.95, 0.9)) for c in strong(count=60)]
    turning = [row(c, [(0.95, 0.9), (0.95, 0.65)], (0.95, 0.05)) for c in strong(count=68)[60:]]
    new = trial(seed=99, epochs=3, weight_decay=0.015)
    assert predicted(learned(calm), new, success=0.6) is not None
    predictor = learned(calm + turning)
    assert predicted(predictor, new, success=0.95) is None
    assert predicted(predictor, new, success=0.7, epoch=2) is not None  # by then they have fallen
    assert predicted(predictor, new, success=0.65, epoch=2) is None


def test_with_best_minus_x_clean_accuracy_is_left_open_and_any_verdict_needs_both_thresholds() -> (
    None
):
    rows = [row(c, [(0.5, 0.05)] * 2, (0.5, 0.05)) for c in strong()]
    fine = [row(c, [(0.95, 0.05)] * 2, (0.95, 0.05)) for c in strong()]
    new = trial(seed=99, epochs=3, weight_decay=0.015)
    assert predicted(learned(rows), new, clean=0.5, success=0.05).startswith(
        "fails: clean_accuracy"
    )
    relative = OutcomePredictor(settings(confidence=0.9), Thresholds(attack_success=0.2), 3)
    relative.learn(pa.concat_tables(rows))
    assert predicted(relative, new, clean=0.5, success=0.05) is None
    assert predicted(learned(fine), new, success=0.05) is None
    passes = predicted(learned(fine, verdict="any"), new, success=0.05)
    assert passes.startswith(
        "passes: margin 0.0500 after epoch 1 ends at 0 or above, as it did in 30"
    )


def test_the_grace_period_and_rows_without_anything_to_learn() -> None:
    rows = [row(c, [(0.95, 0.5)] * 2, (0.95, 0.9)) for c in strong()]
    new = trial(seed=99, epochs=3, weight_decay=0.015)
    late = learned(rows, grace_period=2)
    assert predicted(late, new) is None and predicted(late, new, epoch=2) is not None
    (first,) = trial_rows(rows[0])
    assert set(curve_of(first).points) == {1, 2} and curve_of(first).end == (0.95, 0.9)
    for change in ({"status": "stopped"}, {"attack_id": "clean"}, {"curve": ()}):
        assert curve_of(replace(first, **change)) is None


# --- how often it is wrong ---------------------------------------------------------------------

EPOCHS, FAMILY = 8, (("epochs", 8),)


def drawn(rng, turning):
    """A made-up trial's defence, and clean accuracy and attack success by epoch, (EPOCHS, 2)."""
    x, t = rng.random(), np.arange(1, EPOCHS + 1) / EPOCHS
    end, tau = 8 * (x - 0.5) + rng.normal(), rng.uniform(0.1, 0.6)
    path = -2.5 + (end + 2.5) * (1 - np.exp(-t / tau)) / (1 - np.exp(-1 / tau))
    path += rng.normal(0, 0.5, EPOCHS) * (1 - t)
    if rng.random() < turning:
        path[EPOCHS // 2 :] -= np.linspace(0, 5, EPOCHS - EPOCHS // 2)
    clean = expit(3 - 6 * max(0, x - 0.8) + rng.normal(0, 0.5) - 2 * (1 - t))
    return x, np.round(np.stack([clean, expit(path)], 1) * 450) / 450


def simulated(seed, confidence, turning):
    """Counts of a made-up sweep in batches: stopped trials, wrong ones among them, and the same of
    holdout trials."""
    rng, count = np.random.default_rng(seed), np.zeros(4, dtype=int)
    predictor = OutcomePredictor(settings(confidence=confidence), THRESHOLDS, 3)
    for _ in range(40):
        finished = []
        for number in range(16):
            x, figures = drawn(rng, turning)
            features = TrialFeatures(FAMILY, "a", (x, 0.01))
            limits = StoppingLimits(THRESHOLDS, predictor.of(features))
            verdicts = (limits.predict(e, *figures[e - 1]) for e in range(1, EPOCHS))
            said = next((v for v in verdicts if v is not None), None)
            holdout = rng.random() < 0.1
            if said is not None:
                wrong = contradicts(THRESHOLDS, metric_of(said), *figures[-1:].T)[0]
                count += np.array([1 - holdout, wrong * (1 - holdout), holdout, wrong * holdout])
            if said is None or holdout:
                points = {e: tuple(figures[e - 1]) for e in range(1, EPOCHS)}
                finished.append(Curve(features, number, points, tuple(figures[-1])))
        predictor.add(finished)
    return count


@pytest.mark.parametrize(("confidence", "turning"), [(0.9, 0.0), (0.9, 0.15), (0.95, 0.05)])
def test_no_more_verdicts_are_wrong_than_declared(confidence, turning) -> None:
    """Over several sweeps, and in nearly every single one."""
    found = np.array([simulated(seed, confidence, turning) for seed in range(6)])
    stopped, wrong, holdouts, missed = found.sum(0)
    assert stopped >= 300 and holdouts >= 30
    assert wrong <= binom.ppf(0.999, stopped, 1 - confidence)
    assert missed <= binom.ppf(0.999, holdouts, 1 - confidence)
    # By the 95 % bound most sweeps are at or below what they declare, not half of them.
    over = [w > (1 - confidence) * s for s, w, *_ in found]
    assert sum(over) <= binom.ppf(0.99, 6, 0.1)


def test_holdouts_are_chosen_by_their_ids() -> None:
    ids = [f"{number:016x}" for number in range(4000)]
    chosen = {i for i in ids if is_holdout(i, 0.1)}
    assert abs(len(chosen) - 400) < 4 * np.sqrt(4000 * 0.09)
    assert chosen == {i for i in reversed(ids) if is_holdout(i, 0.1)}
    assert chosen < {i for i in ids if is_holdout(i, 0.2)}


# --- a sweep -----------------------------------------------------------------------------------

EASY = {
    "defence": {"architecture": "mlp", "epochs": 6, "weight_decay": [1e-4, 0.01, 0.1],
                "learning_rate": [0.001, 0.002, 0.1]},
    "seeds": 12, "region": {"clean_accuracy": 0.85, "attack_success": 0.2},
}  # fmt: skip


@pytest.fixture(scope="module")
def swept(tmp_path_factory):
    """Paths, spec and outcome of a sweep of 324 trials of which some are stopped."""
    spec = small_spec(**EASY, stopping=CERTAIN)
    paths = begin(tmp_path_factory.mktemp("certain") / "r", spec)
    return paths, spec, sweep(paths, spec, SerialRunner())


@pytest.fixture(scope="module")
def calm(tmp_path_factory):
    spec = small_spec(**EASY, curve_every=1)
    paths = begin(tmp_path_factory.mktemp("calm") / "r", spec)
    sweep(paths, spec, SerialRunner())
    return results(paths)


def test_those_stopped_are_the_beginning_of_what_they_would_have_been(swept, calm) -> None:
    paths, spec, outcome = swept
    assert (
        len(
            make_packs(make_search(spec).ask(4096), PackSettings(spec.measures, 1, predicting=True))
        )
        < 20
    )
    found = results(paths)
    stopped = {name: r for name, r in found.items() if r["status"] == "stopped"}
    assert outcome.stopped == len(stopped) >= 30
    assert outcome.finished == len(found) - len(stopped) == len(calm) - len(stopped)
    for name, r in found.items():
        if name not in stopped:
            assert r == calm[name]  # bitwise, whoever was stopped beside it
            continue
        assert r["curve"] == calm[name]["curve"][: r["epochs_run"]] and r["epochs_run"] < 6
        assert r["class_correct"] is r["validation_correct"] is None
        assert r["stopped_by"].startswith("certain: fails: ")
    rows = Ledger(paths.ledger).trials()
    for r in rows:
        if r.trial_id in stopped:
            assert r.predicted == r.stopped_by.removeprefix("certain: ")
            assert not is_holdout(r.trial_id, 0.1) and not r.is_clean
            assert (r.cpus, r.gpus) == (1, 0)
        elif r.predicted:
            assert is_holdout(r.trial_id, 0.1)
    images = sum(r.trained_images for r in rows)
    saved = sum(r["train_images"] * (6 - r["epochs_run"]) for r in stopped.values())
    assert images == sum(r["train_images"] for r in calm.values()) * 6 - saved


def test_the_region_says_how_often_it_was_wrong_and_leaves_points_open(swept, calm, capsys) -> None:
    paths, spec, _ = swept
    ledger = Ledger(paths.ledger)
    region = region_of(criteria_of(spec), ledger, len(calm))
    found = region["foretold"]
    rows = [r for r in ledger.trials() if not r.is_clean]
    holdouts = [r for r in rows if r.predicted and r.finished]
    assert found["stopped"] == len(ledger.stopped) and found["controls"] == len(holdouts) >= 3
    wrong = 0
    for r in holdouts:
        clean, success = r.clean_correct / 500, r.measurements[0].success / r.measurements[0].total
        failed = clean < 0.85 if "clean_accuracy" in r.predicted else success > 0.2
        wrong += not failed
    assert found["wrong"] == wrong and found["error"] == wrong / len(holdouts)
    assert binom.cdf(wrong, len(holdouts), found["error_upper"]) == pytest.approx(0.05)
    saved = sum(6 - r.epochs_run for r in rows if r.status == "stopped")
    assert found["epochs_saved"] == pytest.approx(saved / (6 * len(rows)))
    assert sentence(found) in region["doubts"] and sentence(found) in text_of(
        region, criteria_of(spec), ledger
    )
    for point in region["points"]:
        if point["stopped"]:
            assert (point["by_means"], point["by_bounds"]) == ("INCOMPLETE", "UNDECIDED")
    assert main(["status", str(paths.root), "--json"]) == FINE
    answer = json.loads(capsys.readouterr().out)
    assert answer["foretold"] == len(ledger.stopped) + len(holdouts)
    flat = load_results(paths.root)
    statuses = {s for s, f in zip(flat["status"].to_pylist(), flat["foretold"].to_pylist(), strict=True) if f}  # fmt: skip
    assert statuses == {"stopped", "finished"}


def test_a_broken_holdout_passes_nothing() -> None:
    spec = small_spec(**EASY, stopping=CERTAIN)
    (base,) = trial_rows(row(trial(epochs=3), [(0.9, 0.5)] * 2, (0.95, 0.1)))
    fails = replace(base, predicted="fails: attack_success 0.5")
    assert prediction_audit(criteria_of(spec), [fails])["wrong"] == 1
    assert prediction_audit(criteria_of(spec), [replace(fails, diverged=True)])["wrong"] == 0
    passes = replace(base, predicted="passes: margin 0.1")
    assert prediction_audit(criteria_of(spec), [passes])["wrong"] == 0
    assert prediction_audit(criteria_of(spec), [replace(passes, collapsed=True)])["wrong"] == 1
    empty = prediction_audit(criteria_of(spec), [])
    assert (empty["error"], empty["error_upper"], empty["epochs_saved"]) == (None, None, 0)
    assert "the error rate is unknown" in sentence(empty)
    assert prediction_audit(criteria_of(small_spec(**EASY)), [fails]) is None


def test_resumed_it_trains_no_stopped_trial_again_and_knows_what_was_learned(
    swept, tmp_path
) -> None:
    """A sweep cut off after some packs ends with every trial once, and stops by what it had."""
    paths, spec, _ = swept
    rows = Ledger(paths.ledger).table()
    again = begin(tmp_path / "r", spec)
    keep = [
        bool(stamp < np.median(rows["finished_at"])) for stamp in rows["finished_at"].to_pylist()
    ]
    before = rows.filter(pa.array(keep))
    Ledger(again.ledger).append(before)
    handed = []

    def work(pack):
        from sweeps.runners import train_pack

        handed.append(pack)
        return train_pack(pack)

    outcome = sweep(again, spec, SerialRunner(work))
    names = [t.trial_id for pack in handed for t in pack.trials]
    assert len(set(names)) == len(names) == rows.num_rows - before.num_rows
    assert not set(names) & set(before["trial_id"].to_pylist())
    attacked = [limits for limits in handed[0].limits if limits is not None]
    assert any(limits.limits for limits in attacked)  # from the very first pack on
    assert outcome.finished + outcome.stopped == rows.num_rows and outcome.stopped >= 30
    calm_again = []
    sweep(again, spec, SerialRunner(calm_again.append))
    assert not calm_again


def test_what_is_trained_again_for_its_probes_runs_to_its_end(tmp_path) -> None:
    """A trial that is stopped has no model to probe: it would be tried again at every resume."""
    rows = [row(c, [(0.95, 0.5)] * 2, (0.95, 0.9)) for c in strong()]
    ledger, predictor = (
        Ledger(tmp_path / "ledger"),
        OutcomePredictor(settings(confidence=0.9), THRESHOLDS, 3),
    )
    ledger.append(pa.concat_tables(rows))
    job = PackSettings((), 1, probes=(PROBES.build("persistence"),), predicting=True)
    feed = SweepFeed(make_search(small_spec()), ledger, job, predictor=predictor)
    pack = feed.next_pack()
    assert {trial.trial_id for trial in pack.trials} <= ledger.finished
    assert predictor.limits(pack.trials[0]).limits and set(pack.limits) == {None}
    assert feed.limits(pack.trials[0]) is None
    assert feed.limits(trial(seed=99, epochs=3, weight_decay=0.015)).limits
    assert feed.error is None


# --- the region search -------------------------------------------------------------------------


def search_rows(spec, asked):
    """Rows for what a search asks: every attack takes; every second trial was stopped."""
    from sweeps.ledger import SCHEMA

    found = []
    for number, config in enumerate(asked):
        (plain,) = row(config, [(0.95, 0.6)] * 2, (0.95, 0.9)).to_pylist()
        if number % 2:
            said = "fails: attack_success 0.6000 after epoch 2 ends above 0.2"
            plain |= {"status": "stopped", "foretold": said, "class_correct": None, "epochs_run": 2,
                      "curve": plain["curve"][:2], "validation_correct": None}  # fmt: skip
            plain["measurements"][0]["success"] = None
        found.append(plain)
    return pa.Table.from_pylist(found, schema=SCHEMA)


def test_a_region_search_learns_from_a_stopped_trial_and_never_asks_for_it_again() -> None:
    defence = {"architecture": "mlp", "epochs": 3, "weight_decay": {"log": [1e-3, 1]}}
    spec = small_spec(defence=defence, search={"kind": "region", "budget": 24, "pending": 8},
                      region=EASY["region"], stopping=CERTAIN, seeds=4,
                      attack={"trigger": "patch", "poison_rate": 0.03})  # fmt: skip
    first, asked = make_search(spec), []
    while more := first.ask(100):
        asked += more
        first.tell(search_rows(spec, more))
    assert first.finished and len(asked) == len({t.trial_id for t in asked}) == 24
    assert first.optimizer.trials_known == 12
    rows = search_rows(spec, asked)
    resumed = make_search(spec)
    resumed.tell(rows)
    assert resumed.finished and not resumed.ask(100)  # all of them count against the budget
    known = resumed.optimizer.trials()
    assert (known.images > 0).sum() == 12 and (known.triggered > 0).all()
    assert (known.success[known.images == 0] == 270).all()  # 0.6 of 450, as far as it was known
    half = make_search(spec)
    half.tell(rows.slice(0, 12))
    asked_then = {t.trial_id for t in half.ask(100)}
    assert asked_then and not asked_then & set(rows.slice(0, 12)["trial_id"].to_pylist())


@pytest.mark.parametrize(("metric", "clean", "success", "expected"), [
    ("attack_success", 0.5, 0.95, (0, 0, 10, 10)), ("attack_success", 0.5, 0.4, (0, 0, 5, 10)),
    ("clean_accuracy", 0.05, 0.4, (0, 10, 0, 0)), ("clean_accuracy", 0.5, 0.4, (3, 10, 0, 0)),
])  # fmt: skip
def test_counts_that_stand_in_are_counts(metric, clean, success, expected) -> None:
    """With few images a threshold near an end has less than one image beyond it; a rate above 1 had
    no logit, and the model of the sweep could not be fitted any more."""
    measured = {"measure_id": "m", "success": None, "robust": None, "total": 10}
    found = made(
        status="stopped", foretold=f"fails: {metric} 0.3000 after epoch 2 ends there",
        curve=[{"epoch": 2, "clean_correct": 3, "success": [3]}], class_total=[5, 5],
        measurements=[measured],
    )  # fmt: skip
    thresholds = Thresholds(clean_accuracy=clean, attack_success=success)
    assert stand_in_counts(found, thresholds) == expected


def test_the_seconds_of_stopped_trials_count_against_the_gpu_hours() -> None:
    defence = {"architecture": "mlp", "epochs": 3, "weight_decay": {"log": [1e-3, 1]}}
    budget = {"trials": 300, "gpu_hours": 0.1}  # twelve minutes of half a GPU: twelve trials
    spec = small_spec(defence=defence, search={"kind": "region", "budget": budget, "pending": 2},
                      region=EASY["region"], stopping=CERTAIN, seeds=4, resources={"gpu": 0.5},
                      attack={"trigger": "patch", "poison_rate": 0.03})  # fmt: skip
    search, asked = make_search(spec), []
    while more := search.ask(100):
        asked += more
        rows = search_rows(spec, more)
        place = rows.schema.get_field_index("seconds")
        search.tell(rows.set_column(place, "seconds", pa.array([60.0] * len(more))))
    assert len(asked) in range(10, 13) and search.finished


# --- specs -------------------------------------------------------------------------------------

WRONG_SPECS = {
    "foreign option": ({"stopping": {"kind": "asha", "confidence": 0.9}}, "stopping.confidence: has no meaning for `asha`, but got 0.9. Remove it, or say `kind: certain`."),
    "metric": ({"stopping": {"kind": "certain", "metric": "score"}}, "stopping.metric: has no meaning for `certain`, but got 'score'"),
    "no holdouts": ({"stopping": {"kind": "certain", "control": 0.0}}, "stopping.control: must be greater than 0, but got 0.0."),
    "all certain": ({"stopping": {"kind": "certain", "confidence": 1.0}}, "stopping.confidence: must be less than 1, but got 1.0."),
    "any without a threshold": ({"stopping": {"kind": "certain", "verdict": "any"}}, "stopping.verdict: must be `fails` where clean_accuracy is `best - x`, but got 'any'."),
    "closed forms": ({"stopping": "certain", "defence": {"architecture": "ridge"}}, "stopping: must have something to stop"),
}  # fmt: skip


@pytest.mark.parametrize("name", WRONG_SPECS)
def test_wrong_spec(name, tmp_path, capsys) -> None:
    changes, text = WRONG_SPECS[name]
    defence = {"architecture": "linear", "epochs": 5}
    file = tmp_path / "spec.yaml"
    file.write_text(yaml.safe_dump({**SMALL, "defence": defence, **changes}))
    assert main(["check", str(file)]) == WRONG
    message = capsys.readouterr().err
    assert text in message and "error: 1 mistake in the spec:\n" in message, message


def test_check_says_what_is_stopped(tmp_path, capsys) -> None:
    (tmp_path / "spec.yaml").write_text(yaml.safe_dump({**SMALL, "stopping": "certain"}))
    assert main(["check", str(tmp_path / "spec.yaml")]) == FINE
    out = capsys.readouterr().out
    assert "24 trials in 2 packs" in out
    assert "stopped early: what fails with 95 % certainty, but for 10 % held out, from epoch 1 on" in out  # fmt: skip
