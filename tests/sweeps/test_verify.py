"""Verification against worlds whose truth is known, and against counts made by hand."""

import hashlib
import itertools
import json
import shlex
import statistics
from dataclasses import replace

import pytest
from made_worlds import sync_state, world
from scipy import stats
from small import begin, small_spec, sweep

import sweeps.verify.model_draws
from backdoor.config import build_attack
from backdoor.errors import StoredDataError, UserError
from backdoor.streams import stream
from sweeps.cli import FINE, INTERRUPTED
from sweeps.cli.console import FAILURES
from sweeps.cli.main import main
from sweeps.cli.verify_announcing import announce, announce_time
from sweeps.driver import runner
from sweeps.ledger import Ledger
from sweeps.region.fitted_region import FittedRegion
from sweeps.region.panel import criteria_of
from sweeps.region.point_table import region_of
from sweeps.runners.serial import SerialRunner
from sweeps.scheduling.loop import SweepOutcome
from sweeps.statistics.binomial import chance_to_prove, draws_for, fewest_draws, lower_bound
from sweeps.storage import shell
from sweeps.storage.paths import VerificationPaths
from sweeps.verify.answer import _named, answer_of
from sweeps.verify.judge import count, reliability
from sweeps.verify.model_draws import ModelRegion
from sweeps.verify.plan import VerificationSettings, read_plan, settings_of, verifications
from sweeps.verify.run import Verification, verification
from sweeps.verify.transfer import transfer_attacks
from sweeps.verify.verification_text import unfinished_text, verification_text

LINEAR = {
    "architecture": {"kind": "linear", "weight_decay": [0, 0.01, 0.02, 0.03, 0.04, 0.05]},
    "epochs": 3,
}
THRESHOLDS = {"clean_accuracy": 0.9, "attack_success": 0.2, "confidence": 0.95}


def chance(config) -> float:
    """In [0, 1), by the trial alone."""
    return int.from_bytes(hashlib.sha256(config.trial_id.encode()).digest()[:6], "big") / 2**48


def a_sweep(folder, rates=sync_state, **changes):
    spec = small_spec(**{"defence": LINEAR, "region": THRESHOLDS, "seeds": 3, **changes})
    paths = begin(folder / "r", spec)
    sweep(paths, spec, SerialRunner(world(rates)))
    return paths, spec


def verified(paths, spec, rates=sync_state, settings=None, transfer=(), basis=None):
    case = verification(paths, spec, settings or VerificationSettings(), transfer, basis)
    plan, ledger = case.plan, Ledger(case.paths.ledger)
    case.train(ledger, plan, SerialRunner(world(rates)))
    return case, plan, case.answer(ledger, plan)


# --- bounds ------------------------------------------------------------------------------------


@pytest.mark.parametrize(("passed", "total"), [(59, 59), (58, 59), (0, 7), (1, 1), (40, 61)])
def test_the_bound_is_clopper_and_pearsons(passed, total) -> None:
    interval = stats.binomtest(passed, total, alternative="greater").proportion_ci(0.95)
    assert lower_bound(passed, total) == pytest.approx(interval.low, abs=1e-12)


def test_59_of_59_prove_95_percent_and_29_of_29_prove_90() -> None:
    assert fewest_draws(0.95) == 59 and fewest_draws(0.90) == 29
    assert lower_bound(59, 59) >= 0.95 > lower_bound(58, 58)


def test_the_bound_holds_as_often_as_it_says() -> None:
    """Summed over all outcomes, so without chance: it fails in at most 5 % of verifications."""
    for truth in (0.8, 0.9, 0.95, 0.99):
        outcomes = range(60)
        missed = sum(stats.binom.pmf(k, 59, truth) for k in outcomes if lower_bound(k, 59) > truth)
        assert missed <= 0.05


@pytest.mark.parametrize(
    ("claim", "predicted", "draws"),
    [(0.95, 1.0, 59), (0.95, 0.999, 59), (0.95, 0.99, 153), (0.9, 0.99, 46), (0.95, 0.6, 59)],
)
def test_as_many_draws_are_planned_as_it_is_expected_to_take(claim, predicted, draws) -> None:
    assert draws_for(claim, predicted) == draws
    # Counted again, by what each number of failing draws leaves of the bound.
    ways = [k for k in range(draws + 1) if lower_bound(k, draws) >= claim]
    chance = sum(stats.binom.pmf(k, draws, predicted) for k in ways)
    assert chance_to_prove(claim, draws, predicted) == pytest.approx(chance, abs=1e-9)
    assert chance >= 0.9 or predicted < claim


# --- a whole verification ----------------------------------------------------------------------


def test_a_true_region_passes_and_every_figure_can_be_counted_again(tmp_path) -> None:
    paths, spec = a_sweep(tmp_path)
    case, plan, answer = verified(paths, spec)
    inside = {
        p["defence_id"]
        for p in region_of(criteria_of(spec), Ledger(paths.ledger))["points"]
        if p["by_means"] == "IN"
    }
    assert len(inside) == 3
    assert answer["verdict"] == "passed"
    assert answer["inside"] == {
        "draws": 59,
        "passed": 59,
        "share": 1.0,
        "lower_bound": pytest.approx(0.05 ** (1 / 59)),
    }
    assert answer["border"]["draws"] == 0
    assert answer["outside"] == {**answer["outside"], "draws": 15, "passed": 0}
    assert answer["reliability"] is None and answer["transfer"] == []
    assert json.loads(case.paths.answer.read_text()) == answer
    rows = Ledger(case.paths.ledger).rows()
    # 74 draws x 5 seeds x 2 attacks, and every draw has seeds of its own, none of the sweep's.
    assert len(rows) == 740 == answer["trials"]["planned"] == answer["trials"]["finished"]
    seeds = [seed for draw in plan.draws for seed in draw.seeds]
    assert len(set(seeds)) == len(seeds) == 370 and not set(seeds) & {0, 1, 2}
    drawn = {row["defence_id"] for row in rows if row["seed"] in set(seeds[: 59 * 5])}
    assert drawn == inside


def noisy(config):
    """Seeds differ: at the two points that are IN, the attack takes 30 % or 10 % of the time."""
    decay = config.defence.weight_decay
    if decay < 0.015 or decay > 0.035:
        return 0.5, 0.9
    often = 0.3 if decay < 0.025 else 0.1
    return 0.95, (0.6 if config.seed > 2 and chance(config) < often else 0.05)


@pytest.mark.parametrize(("target", "seeds"), [("median", 5), ("median", 6), ("share", 1)])
def test_draws_are_judged_as_stated(tmp_path, target, seeds) -> None:
    paths, spec = a_sweep(tmp_path, noisy)
    case, plan, answer = verified(paths, spec, noisy, VerificationSettings(59, seeds, target))
    by_id = {}
    for row in Ledger(case.paths.ledger).rows():
        clean, measured = sum(row["class_correct"]) / 500, row["measurements"][0]
        by_id.setdefault((row["seed"]), []).append(
            (row["attack_id"], clean, measured["success"] / 450)
        )
    passed = 0
    for draw in plan.draws[:59]:
        assert len(draw.seeds) == seeds
        figures = [one for seed in draw.seeds for one in by_id[seed]]
        fine = True
        for attack in {name for name, _, _ in figures}:
            clean = statistics.median(c for name, c, _ in figures if name == attack)
            success = statistics.median(s for name, _, s in figures if name == attack)
            fine = fine and clean >= 0.9 and success <= 0.2
        passed += fine
    assert answer["inside"]["passed"] == passed < 59
    assert answer["verdict"] == "not proven"
    assert (
        sum(d["passes"] for d in answer["draws"])
        == passed + answer["border"]["passed"] + answer["outside"]["passed"]
    )
    assert answer["claim"] == {"median": 0.95, "share": 0.9}[target]


def test_draws_are_even_over_the_points_inside(tmp_path) -> None:
    """Draws differ with each sweep, so that a level of 0.001 would fail by chance now and then."""
    paths, spec = a_sweep(tmp_path)
    case = verification(paths, spec, VerificationSettings(1000, 5), ())
    drawn = [d.defence["weight_decay"] for d in case.plan.draws if d.stratum == "inside"]
    counts = [drawn.count(value) for value in sorted(set(drawn))]
    assert len(counts) == 3
    assert stats.chisquare(counts).pvalue > 1e-6
    repeated = sum(a == b for a, b in itertools.pairwise(drawn))
    assert stats.binomtest(repeated, 999, 1 / 3).pvalue > 1e-6


def test_basis_bounds_takes_fewer_points(tmp_path) -> None:
    def close(config):
        decay = config.defence.weight_decay
        return sync_state(config)[0], 0.05 if decay > 0.025 else (0.12, 0.19, 0.24)[
            config.seed % 3
        ] if decay > 0.015 else 0.9

    paths, spec = a_sweep(tmp_path, close)
    parts = {
        basis: verification(paths, spec, VerificationSettings(), (), basis).plan.frozen["region"][
            "points"
        ]
        for basis in ("means", "bounds")
    }
    assert {name: len(ids) for name, ids in parts["means"].items()} == {
        "inside": 3,
        "border": 0,
        "outside": 3,
    }
    assert {name: len(ids) for name, ids in parts["bounds"].items()} == {
        "inside": 2,
        "border": 1,
        "outside": 3,
    }


def test_failed_and_collapsed_trainings_count_against_their_draw(tmp_path) -> None:
    paths, spec = a_sweep(tmp_path)
    work = world(sync_state)

    def harsh(pack):
        if any(t.seed in broken for t in pack.trials):
            if len(pack.trials) > 1 or pack.trials[0].seed % 2:
                raise RuntimeError("out of memory")
            rows = work(pack).to_pylist()
            return type(work(pack)).from_pylist(
                [{**r, "collapsed": True} for r in rows], work(pack).schema
            )
        return work(pack)

    case = verification(paths, spec, VerificationSettings(6, 5), ())
    plan, ledger = case.plan, Ledger(case.paths.ledger)
    broken = set(plan.draws[0].seeds[:3]) | set(plan.draws[1].seeds[:2])
    case.train(ledger, plan, SerialRunner(harsh))
    answer = case.answer(ledger, plan)
    # Three of five seeds decide the median, two do not.
    assert [d["passes"] for d in answer["draws"][:6]] == [False, True, True, True, True, True]
    assert [d["broken"] for d in answer["draws"][:3]] == [6, 4, 0] and answer["broken"] == 10
    assert answer["draws"][0]["attack_success"] == 1 and answer["draws"][0]["clean_accuracy"] == 0
    odd = sum(seed % 2 for seed in broken)
    assert answer["trials"]["failed"] == 2 * odd
    assert (
        "10 models failed, diverged or collapsed; they count as not passing."
        in verification_text(answer)
    )
    # What failed is tried again by the same command, and then counts as it turns out.
    case.train(ledger, plan, SerialRunner(work))
    assert case.answer(ledger, plan)["trials"]["failed"] == 0


def test_nothing_inside_is_an_answer(tmp_path) -> None:
    paths, spec = a_sweep(tmp_path, lambda config: (0.95, 0.9))
    _, plan, answer = verified(paths, spec)
    assert plan.draws == () and answer["verdict"] == "empty"
    assert verification_text(answer) == "Nothing to verify: no defence point is inside the region."


def test_a_region_of_which_no_draw_would_surely_pass_is_not_called_empty(
    tmp_path, monkeypatch
) -> None:
    """Not one image in 450 is taken; that the next 450 have none either is another matter."""
    monkeypatch.setattr(sweeps.verify.model_draws, "MOST", 1024)
    paths, spec = a_sweep(
        tmp_path, lambda config: (0.95, 0.0), region={**THRESHOLDS, "attack_success": 0.0},
        defence={"architecture": "linear", "weight_decay": {"log": [1e-5, 0.1]}, "epochs": 3},
        search={"kind": "region", "budget": 30, "pending": 20},
    )  # fmt: skip
    _, plan, answer = verified(paths, spec, lambda config: (0.95, 0.0))
    assert plan.draws == () and answer["verdict"] == "empty"
    assert "expected to pass with the required confidence" in verification_text(answer)
    assert verification(paths, spec, VerificationSettings(5, 5), (), "probability").plan.draws
    nothing = begin(tmp_path / "new", spec)
    assert verification(nothing, spec, VerificationSettings(5, 5), ()).plan.draws == ()


def test_the_draws_that_were_found_are_those_announced(tmp_path, capsys) -> None:
    paths, spec = a_sweep(tmp_path)
    case, plan, _ = verified(paths, spec, settings=VerificationSettings(59, 5))
    ledger = Ledger(case.paths.ledger)
    for found, notes in ((59, 0), (7, 2)):
        announce(case, replace(plan, draws=plan.draws[:found]), ledger)
        said = capsys.readouterr().err.splitlines()[2:]
        assert len(said) == notes
    assert said[0] == "note: so little is inside that 7 of 59 draws were found"
    assert said[1] == "note: 7 draws cannot prove 0.95, even if all pass; 59 can"


def test_the_time_is_said_before_anything_is_trained(tmp_path, capsys, monkeypatch) -> None:
    paths, spec = a_sweep(tmp_path)
    case = verification(paths, spec, VerificationSettings(4, 5), ())
    ledger, trials = Ledger(case.paths.ledger), case.plan.trials(spec)
    took = [trial.seconds for trial in Ledger(paths.ledger).trials()]
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    monkeypatch.setattr("sweeps.verify.expected_cost.closing_seconds", lambda *_: 2.0)
    announce_time(paths, case, case.plan, ledger, "serial")
    said = capsys.readouterr().err
    seconds = 2.0 + len({trial.trial_id for trial in trials}) * statistics.mean(took)
    assert f"about {seconds:.1f} seconds here, if trainings take as long as the" in said
    monkeypatch.setenv("RAY_ADDRESS", "10.0.0.1:6379")
    announce_time(paths, case, case.plan, ledger, "tune")
    assert "if one worker trains all, less on the cluster, if" in capsys.readouterr().err
    case.train(ledger, case.plan, SerialRunner(world(sync_state)))
    announce_time(paths, case, case.plan, ledger, "serial")
    assert capsys.readouterr().err == "", "nothing is missing"


def test_a_region_empty_by_bounds_only_says_so(tmp_path) -> None:
    paths, spec = a_sweep(tmp_path, lambda config: (0.95, 0.19 if config.seed else 0.0))
    _, plan, answer = verified(paths, spec, basis="bounds")
    assert plan.draws == () and "no defence point is IN by bounds" in verification_text(answer)


# --- freezing and going on ---------------------------------------------------------------------


class Impatient(SerialRunner):
    """Stops for good before its third pack."""

    def run(self, feed) -> None:
        for _ in range(2):
            pack = feed.next_pack()
            feed.finished([pack], self.work(pack))
        raise KeyboardInterrupt


def test_an_interrupted_verification_goes_on_where_it_was(tmp_path) -> None:
    paths, spec = a_sweep(tmp_path, noisy)
    case = verification(paths, spec, VerificationSettings(24, 5), ())
    plan, ledger = case.plan, Ledger(case.paths.ledger)
    with pytest.raises(KeyboardInterrupt):
        case.train(ledger, plan, Impatient(world(noisy)))
    recorded = set(Ledger(case.paths.ledger).finished)
    known = {trial.trial_id for trial in plan.trials(spec)}
    assert 0 < len(recorded) < len(known)
    trained = []

    def counted(pack):
        trained.extend(t.trial_id for t in pack.trials)
        return world(noisy)(pack)

    again = verification(paths, spec, VerificationSettings(24, 5), ())
    assert again.paths == case.paths and again.plan == plan
    ledger = Ledger(again.paths.ledger)
    again.train(ledger, again.plan, SerialRunner(counted))
    assert not set(trained) & recorded and {*trained, *recorded} == known
    answer = again.answer(ledger, plan)
    assert answer["trials"] == {"planned": len(known), "finished": len(known), "failed": 0}
    rest = VerificationPaths(tmp_path / "at-once")
    rest.ledger.mkdir(parents=True)
    at_once = Verification(paths, rest, spec, lambda: plan)
    fresh = Ledger(rest.ledger)
    at_once.train(fresh, plan, SerialRunner(world(noisy)))
    assert answer_of(plan, spec, fresh, answer["sweep"], 0) == answer


def test_nothing_is_stopped_early_and_no_curve_is_taken(tmp_path) -> None:
    stopping = {"kind": "median", "grace_period": 1}
    paths, spec = a_sweep(tmp_path, stopping=stopping, curve_every=1)
    assert spec.stopping is not None and spec.curve_every == 1
    case = verification(paths, spec, VerificationSettings(4, 5), ())
    assert case.spec.stopping is None and case.spec.curve_every == 0


def test_a_plan_that_was_changed_is_refused(tmp_path) -> None:
    paths, spec = a_sweep(tmp_path)
    case = verification(paths, spec, VerificationSettings(4, 5), ())
    assert case.plan == read_plan(case.paths)
    text = case.paths.plan.read_text()
    case.paths.plan.write_text(text.replace('"attack_success": 0.2', '"attack_success": 0.4'))
    with pytest.raises(
        StoredDataError, match="must be as it was written before anything was trained"
    ):
        read_plan(case.paths)
    case.paths.plan.write_text(text[:100])
    with pytest.raises(StoredDataError, match=r"plan.json: must be valid JSON"):
        read_plan(case.paths)
    case.paths.plan.write_text(text.replace('"schema_version": 1', '"schema_version": 2'))
    message = "must be a verification's plan with schema version 1, but got 2"
    with pytest.raises(StoredDataError, match=message):
        read_plan(case.paths)


def test_another_question_takes_other_seeds_and_is_reported(tmp_path) -> None:
    paths, spec = a_sweep(tmp_path)
    first = verified(paths, spec, settings=VerificationSettings(4, 5))[1]
    _, second, answer = verified(paths, spec, settings=VerificationSettings(5, 5))
    seeds = [{seed for draw in plan.draws for seed in draw.seeds} for plan in (first, second)]
    assert not seeds[0] & seeds[1]
    assert answer["earlier"] == 1 and len(verifications(paths)) == 2
    assert "Other verifications of this sweep: 1." in verification_text(answer)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((0, None, "median"), "--draws: must be at least 1, but got 0. For example 59."),
        ((None, 4, "median"), "--seeds: must be at least 5: a point is judged by their median, but got 4. Ask for more, or use --target share."),
        ((None, 5, "share"), "--seeds: has no effect with the target `share`, where a draw is a point with one seed, but got 5. Leave it out; --draws sets the number."),
    ],
)  # fmt: skip
def test_settings_that_mean_nothing_are_refused(arguments, message) -> None:
    with pytest.raises(UserError) as caught:
        settings_of(*arguments)
    assert [str(m) for m in caught.value.mistakes] == [message]


# --- reliability and transfer ------------------------------------------------------------------


def test_reliability_counts_by_bins() -> None:
    class Stub:
        def __init__(self, probability, passes):
            self.draw = type("D", (), {"predicted": probability})
            self.passes = passes

    table = reliability(
        [
            Stub(0.01, False),
            Stub(0.05, False),
            Stub(0.15, True),
            Stub(0.97, True),
            Stub(1.0, True),
            Stub(0.96, False),
        ]
    )
    filled = {row["low"]: row for row in table if row["draws"]}
    assert filled[0.0]["draws"] == 1 and filled[0.0]["observed"] == 0
    assert filled[0.05] == {
        "low": 0.05,
        "high": 0.2,
        "draws": 2,
        "passed": 1,
        "predicted": pytest.approx(0.1),
        "observed": 0.5,
    }
    assert filled[0.95]["predicted"] == pytest.approx(2.93 / 3) and filled[0.95][
        "observed"
    ] == pytest.approx(2 / 3)
    assert sum(row["draws"] for row in table) == 6 and table[3]["observed"] is None
    assert reliability([Stub(None, True)]) is None
    assert count([]) == {"draws": 0, "passed": 0, "share": None, "lower_bound": None}


def test_attacks_outside_the_panel_are_trained_inside_and_claim_nothing(tmp_path) -> None:
    def sine_wins(config):
        clean, success = sync_state(config)
        return (
            clean,
            0.9 if config.attack and config.attack.trigger.kind_name() == "sine" else success,
        )

    paths, spec = a_sweep(tmp_path)
    transfer = transfer_attacks(spec, "[sine, {kind: patch, size: 2}]")
    assert [(a.trigger.kind_name(), a.poison_rate, a.target) for a in transfer] == [
        ("sine", 0.03, 0),
        ("patch", 0.03, 0),
    ]
    case, _, answer = verified(paths, spec, sine_wins, VerificationSettings(8, 5), transfer)
    assert answer["inside"]["passed"] == 8
    # The panel's patch is of size 1.
    assert [t["label"] for t in answer["transfer"]] == ["sine at 3 % to class 0", "patch(size=2) at 3 % to class 0"]  # fmt: skip
    (usual,) = transfer_attacks(spec, "patch")
    assert _named(usual, case.plan.frozen["panel"]) == "patch(size=3) at 3 % to class 0"
    assert _named(usual, [usual.identity()]) == "patch at 3 % to class 0"
    assert [(t["draws"], t["passed"]) for t in answer["transfer"]] == [(8, 0), (8, 8)]
    assert len(Ledger(case.paths.ledger).rows()) == 8 * 5 * 4 + 2 * 5 * 2
    passed = verification_text(answer | {"verdict": "passed"}, nowhere=True)
    assert passed.startswith(
        "Proves nothing about backdoors: no attack of the panel takes at any tried "
        "point. 8 of 8 draws inside pass. With "
    )
    assert verification_text(answer, nowhere=True).startswith(
        "Too few draws, the claim is not proven: 8 of 8"
    )
    text = verification_text(answer)
    assert "Attacks outside the panel, about which the region claims nothing (transfer):" in text
    assert "  sine at 3 % to class 0: 0 of 8 draws inside pass (at least 0.0 %)" in text
    assert "5 fresh seeds: clean accuracy >= 0.9, attack success <= 0.2 for every" in text
    one = {**answer, "border": {"draws": 1, "passed": 0, "share": 0.0, "lower_bound": 0.0}}
    one |= {"inside": {**answer["inside"], "draws": 1, "passed": 1}}
    text = verification_text(one)
    assert text.startswith(
        "Too few draws, the claim is not proven: 1 of 1 draw inside passes. With "
    )
    assert "Near the border: 0 of 1 draw passes.\n" in text


def test_the_default_transfer_leaves_out_what_the_panel_has(tmp_path) -> None:
    def kinds(trigger):
        attack = {"trigger": trigger, "poison_rate": [0.03], "target": 3}
        found = transfer_attacks(small_spec(attack=attack), "standard-1")
        return [(a.trigger.kind_name(), a.poison_rate, a.target, a.label_mode) for a in found]

    patch = [("patch", 0.003, 3, "all_to_one"), ("patch", 0.01, 3, "all_to_one")]
    blend = [("blend", 0.003, 3, "all_to_one"), ("blend", 0.01, 3, "all_to_one")]
    sine = [("sine", 0.02, 3, "clean_label"), ("sine", 0.05, 3, "clean_label")]
    assert kinds([{"kind": "patch", "size": 1}]) == patch + blend + sine
    assert kinds([{"kind": "patch", "size": 3}]) == blend + sine
    assert kinds([{"kind": "blend", "opacity": 0.2}]) == patch + sine
    assert transfer_attacks(small_spec(), "none") == ()
    listed = tmp_path / "attacks.json"
    listed.write_text(json.dumps([{"trigger": "sine", "poison_rate": 0.02, "target": 4}]))
    assert transfer_attacks(small_spec(), str(listed)) == (
        build_attack({"trigger": "sine", "poison_rate": 0.02, "target": 4}),
    )


def test_what_does_not_fit_the_data_is_no_default_transfer() -> None:
    said = []
    few = small_spec(
        data={"kind": "digits", "train": 128, "validation": 10, "test": 40},
        attack={"trigger": {"kind": "patch", "size": 1}, "poison_rate": 0.05},
    )
    kept = transfer_attacks(few, "standard-1", said.append)
    # 0.3 % of 128 images are none.
    assert 0.003 not in {a.poison_rate for a in kept} and 0.01 in {a.poison_rate for a in kept}
    assert any(
        "at 0.3 % to class 0 is left out of the transfer attacks: attack.poison_rate: must poison at least one of the 128"
        in line
        for line in said
    )


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("standard-2", "--transfer[0].trigger: must be a known trigger, or alone the name of a panel, but got 'standard-2'. Did you mean 'standard-1'?"),
        ("[3]", "--transfer[0]: must be a trigger, an attack, the name of a panel, or a file that lists them, but got 3."),
        ("[sine, sinus]", "--transfer[1].trigger"),
        ("{kind: patch, size: 9}", "--transfer[0].attack.trigger"),
        ("{trigger: sine, poison_rate: 0}", "--transfer[0].poison_rate: must be above 0, but got 0."),
        ("{trigger: sine, poison_rat: 0.1}", "--transfer[0].poison_rat"),
        ("{kind: patch, size: 1}", "--transfer[0]: must not be on the sweep's own panel, but got 'patch(size=1) at 3 % to class 0'."),
        ("[a: b: c]", "--transfer, line 1: must be valid YAML"),
    ],
)  # fmt: skip
def test_transfer_that_cannot_be_read_is_refused(given, message) -> None:
    with pytest.raises(UserError) as caught:
        transfer_attacks(small_spec(), given)
    assert message in str(caught.value)


# --- a region with probabilities ---------------------------------------------------------------


def front(config):
    """Inside between weight decays 1e-3 and 1e-2, for every attack and seed, smoothly."""
    import math

    x = math.log10(config.defence.weight_decay)
    z = 0.3 * (chance(config) - 0.5)
    return 1 / (1 + math.exp(3 * (x + 2) - 2.9 + z)), 1 / (1 + math.exp(3 * (x + 3) + 1.386 + z))


def test_a_model_of_the_space_is_drawn_from_by_its_probabilities(tmp_path, monkeypatch) -> None:
    paths, spec = a_sweep(
        tmp_path, front, region={**THRESHOLDS, "clean_accuracy": 0.95},
        defence={"architecture": "linear", "weight_decay": {"log": [1e-5, 0.1]}, "epochs": 3},
        search={"kind": "region", "budget": 45, "pending": 9},
    )  # fmt: skip
    case, plan, answer = verified(paths, spec, front, VerificationSettings(59, 5))
    by_part = {
        s: [d for d in plan.draws if d.stratum == s] for s in ("inside", "border", "outside")
    }
    assert [len(draws) for draws in by_part.values()] == [59, 15, 15]
    assert all(d.probability >= 0.95 for d in by_part["inside"])
    assert all(d.passing >= 0.95 for d in by_part["inside"])
    assert all(d.probability > 0.05 and d.passing < 0.95 for d in by_part["border"])
    assert all(d.probability <= 0.05 for d in by_part["outside"])
    assert len({d.defence["weight_decay"] for d in plan.draws}) == 89
    # The front is where the world has it, so what the model calls inside passes.
    assert answer["verdict"] == "passed" and answer["outside"]["passed"] <= 1
    table = {row["low"]: row for row in answer["reliability"]}
    assert table[0.95]["draws"] == table[0.95]["passed"] == 59
    # Bins go by the chance to pass: what is outside may have a little, the border hardly any.
    assert sum(row["draws"] for row in table.values()) == 89
    assert table[0.0]["draws"] >= 10 and table[0.0]["passed"] <= 1
    assert verification(paths, spec, VerificationSettings(59, 5), ()).plan == plan
    assert "drawn evenly from the part of IN where draws are expected" in verification_text(answer)
    # That 90 % of the seeds pass is asked of fewer points than that the median one does.
    share = verification(paths, spec, VerificationSettings(20, 1, "share"), ())
    assert share.plan.frozen["region"]["seeds"] == 0.9 and share.paths != case.paths
    monkeypatch.setattr(sweeps.verify.model_draws, "MOST", 4096)

    def inside(target, basis):
        """Those of 4,096 even draws that are inside, equal draws whoever asks."""
        ledger = Ledger(paths.ledger)
        region = ModelRegion(FittedRegion.of(spec, ledger), ledger.ended, target, 5, basis)
        return {c.defence["weight_decay"] for c in region.sample("inside", 4096, stream("same"))}

    wide = inside("median", "probability")
    assert inside("share", "probability") < wide
    # All that is IN reaches further than the part where five seeds settle it.
    assert inside("median", "verdict") < wide
    with pytest.raises(UserError) as caught:
        verification(paths, spec, VerificationSettings(), (), "bounds")
    assert str(caught.value.mistakes[0]) == (
        "--basis: must be verdict or probability: the region of this sweep is a model of the whole "
        "space, but got 'bounds'. Leave it out, or choose one of those."
    )
    whole = verification(paths, spec, VerificationSettings(59, 5), (), "probability")
    border = [d for d in whole.plan.draws if d.stratum == "border"]
    assert all(d.probability > 0.05 for d in border)
    inside = [d.probability for d in whole.plan.draws if d.stratum == "inside"]
    assert max(d.probability for d in border) < min(inside)
    # So many draws are planned as it is expected to take.
    assert verification(paths, spec, VerificationSettings(0, 5), ()).plan.settings.draws >= 59


# --- the command -------------------------------------------------------------------------------


def test_the_command_trains_answers_and_ends_with_its_verdict(tmp_path, capsys) -> None:
    easy = small_spec(region={"clean_accuracy": 0.0, "attack_success": 1.0})
    sweep(begin(tmp_path / "r", easy), easy, SerialRunner())
    out = str(tmp_path / "r")
    quick = ["verify", out, "--runner", "serial", "--target", "share", "--transfer", "none"]
    capsys.readouterr()
    assert main([*quick, "--draws", "3"]) == 1
    said = capsys.readouterr()
    assert said.out.startswith(
        "Too few draws, the claim is not proven: 3 of 3 draws inside pass. With 95.0 % confidence at least 36.8 % of such draws pass; 90.0 % is claimed."
    )
    options = "--draws 29 --target share --transfer none --runner serial"
    assert f"Draw more: {shell.command('sweeps', 'verify', out)} {options}\n" in said.err
    assert "note: 3 draws cannot prove 0.9, even if all pass; 29 can" in said.err
    assert main([*quick, "--draws", "29", "--json"]) == 0
    streams = capsys.readouterr()
    answer = json.loads(streams.out)
    assert answer["verdict"] == "passed" and answer["inside"]["passed"] == 29
    assert main([*quick, "--draws", "29", "--json"]) == 0
    streams = capsys.readouterr()
    assert json.loads(streams.out) == answer and "58 trials, 58 recorded" in streams.err


class Brief(SerialRunner):
    """Stops for good after one pack."""

    def run(self, feed) -> None:
        pack = feed.next_pack()
        feed.finished([pack], self.work(pack))
        raise KeyboardInterrupt


def test_ctrl_c_loses_nothing_and_names_the_command_that_goes_on(
    tmp_path, capsys, monkeypatch
) -> None:
    paths, _ = a_sweep(tmp_path, attack={"trigger": ["sine", {"kind": "patch", "size": 1}]})
    work = world(sync_state)
    monkeypatch.setattr(runner, "runner_of", lambda name, spec, ledger: Brief(work))
    asked = ["verify", str(paths.root), "--draws", "90", "--transfer", "none", "--runner", "serial"]
    assert main(asked) == INTERRUPTED
    said = capsys.readouterr()
    (folder,) = verifications(paths)
    recorded = Ledger(folder.ledger).finished
    assert 0 < len(recorded) < len(list(read_plan(folder).trials(small_spec())))
    assert (
        said.out == ""
        and f"Interrupted: {len(recorded)} trials are recorded. Go on with: " in said.err
    )
    again = shlex.split(said.err.strip().splitlines()[-1].partition("Go on with: ")[2])
    assert again[1:] == asked
    monkeypatch.setattr(runner, "runner_of", lambda name, spec, ledger: SerialRunner(work))
    assert main(again[1:]) == FINE
    assert recorded < Ledger(folder.ledger).finished and len(verifications(paths)) == 1


def test_a_verification_with_open_trainings_is_not_answered(tmp_path, capsys, monkeypatch) -> None:
    paths, _ = a_sweep(tmp_path)
    left = SweepOutcome(0, 0, False, 0, 0, paths.root, open=2)
    monkeypatch.setattr(Verification, "train", lambda *given: left)
    asked = ["verify", str(paths.root), "--draws", "90", "--transfer", "none", "--runner", "serial"]
    assert main(asked) == FAILURES
    said = capsys.readouterr()
    (folder,) = verifications(paths)
    assert said.out == "" and not folder.answer.exists()
    assert said.err.splitlines()[-2:] == [
        "2 trainings are open: they failed where nothing has succeeded yet, so that nobody knows "
        "whether they or their nodes are at fault. "
        f"`{shell.command('sweeps', 'status', folder.root)}` says why.",
        "The verification is not answered; to go on: "
        f"{shell.command('sweeps', 'verify', paths.root)} --draws 90 --transfer none --runner serial",
    ]


def test_a_sweep_that_has_not_ended_is_finished_before_it_is_verified(tmp_path) -> None:
    said = unfinished_text(20, 24, tmp_path)
    assert said.startswith(
        "Nothing to verify yet: 20 of 24 trials of the sweep have ended, and no "
    )
    assert said.endswith(f"Finish the sweep first: {shell.command('sweeps', 'resume', tmp_path)}")
