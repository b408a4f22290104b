"""How a region stands with fresh trainings: each state, and what changes it."""

import json
import shutil

import pytest
from made_worlds import sync_state, world
from small import begin, small_spec, sweep

import sweeps.verify.model_draws
from backdoor.errors import UserError
from backdoor.settings.digest import digest
from sweeps.answer.verification import verification_entry
from sweeps.ledger import Ledger
from sweeps.records.control_entry import NOWHERE
from sweeps.region.panel import criteria_of
from sweeps.region.point_table import region_of
from sweeps.results.extend import extend_results
from sweeps.runners.serial import SerialRunner
from sweeps.storage.paths import SweepPaths, VerificationPaths, read_sweep
from sweeps.verify.learn import answered_folder, learn, refuse_learning
from sweeps.verify.plan import VerificationSettings, plan_id, read_plan, settings_of
from sweeps.verify.run import verification, write_standing
from sweeps.verify.where_failed import where_failed

LINEAR = {
    "architecture": {"kind": "linear", "weight_decay": [0, 0.01, 0.02, 0.03, 0.04, 0.05]},
    "epochs": 3,
}
THRESHOLDS = {"clean_accuracy": 0.9, "attack_success": 0.2, "confidence": 0.95}
AXIS = {"architecture": "linear", "weight_decay": {"log": [1e-5, 0.1]}, "epochs": 3}
SEARCH = {"kind": "region", "budget": 12, "pending": 6}


@pytest.fixture(scope="module")
def template(tmp_path_factory):
    """A grid of six points, of which three are IN."""
    spec = small_spec(defence=LINEAR, region=THRESHOLDS, seeds=2)
    paths = begin(tmp_path_factory.mktemp("standing") / "r", spec)
    sweep(paths, spec, SerialRunner(world(sync_state)))
    return paths, spec


@pytest.fixture
def swept(template, tmp_path):
    paths, spec = template
    shutil.copytree(paths.root, tmp_path / "r")
    return SweepPaths(tmp_path / "r"), spec


def stands(paths, spec, **changes):
    ledger = Ledger(paths.ledger)
    region = {**region_of(criteria_of(spec), ledger), "controls": [], **changes}
    return verification_entry(paths, region, ledger.ended)


def verified(paths, spec, rates=sync_state, draws=None, claim=0.8, basis=None, train=True):
    settings = settings_of(draws, None, "median", claim)
    case = verification(paths, spec, settings, (), basis)
    plan, ledger = case.plan, Ledger(case.paths.ledger)
    if train:
        case.train(ledger, plan, SerialRunner(world(rates)))
        case.answer(ledger, plan)
    return case


def half(config):
    """At one of the three points that are IN no draw passes."""
    clean, success = sync_state(config)
    return clean, 0.9 if config.defence.weight_decay < 0.025 and config.seed > 1 else success


def test_verified_failed_and_too_few(swept) -> None:
    paths, spec = swept
    assert stands(paths, spec) == {
        "state": "not yet", "text": "not yet", "verification_id": None, "verdict": None,
        "passed": 0, "draws": 0, "claim": None, "lower_bound": None, "basis": None, "earlier": 0,
        "stale_because": None, "failed_where": [],
    }  # fmt: skip
    first = verified(paths, spec)
    entry = stands(paths, spec)
    assert (entry["state"], entry["text"]) == (
        "verified",
        "verified for 80 % of draws (14 of 14 draws of points IN by means pass)",
    )
    assert entry["claim"] == 0.8 and entry["lower_bound"] == pytest.approx(0.05 ** (1 / 14))
    assert (entry["verdict"], entry["basis"], entry["earlier"]) == ("passed", "means", 0)
    assert entry["verification_id"] == first.paths.root.name
    verified(paths, spec, draws=3)
    entry = stands(paths, spec)
    assert (entry["state"], entry["earlier"]) == ("too few", 1)
    assert entry["text"] == (
        "too few (3 of 3 draws of points IN by means pass, which cannot prove it); another: verified "
        "for 80 % of draws (14 of 14 draws of points IN by means pass)"
    )
    verified(paths, spec, half, draws=20)
    entry = stands(paths, spec)
    drawn = [d for d in read_plan(answered_folder(paths, entry["verification_id"])).draws[:20]]
    failing = sum(draw.defence["weight_decay"] == 0.02 for draw in drawn)
    assert 0 < failing < 20
    assert entry["text"] == (
        f"failed ({20 - failing} of 20 draws of points IN by means pass); another: verified for 80 % "
        "of draws (14 of 14 draws of points IN by means pass)"
    )
    (where,) = entry["failed_where"]
    assert where == {
        "condition": "architecture.weight_decay <= 0.02", "failed": failing, "draws": failing,
        "elsewhere_failed": 0, "elsewhere_draws": 20 - failing,
    } or where["condition"].endswith("weight_decay <= 0.02")  # fmt: skip
    # A passing one asked for again is not the latest by that.
    verified(paths, spec)
    assert stands(paths, spec)["state"] == "failed"
    stored = json.loads(paths.verification.read_text())
    assert stored["schema_version"] == 1 and stored["earlier"] == 2
    assert stored["latest"]["verification_id"] == entry["verification_id"]
    assert {(o["passed"], o["draws"]) for o in stored["others"]} == {(14, 14), (3, 3)}
    # Made again from the answers, and not written by who only looks.
    paths.verification.unlink()
    assert stands(paths, spec) == entry and not paths.verification.exists()
    assert write_standing(paths) == stored


def test_unfinished_and_stale(swept) -> None:
    paths, spec = swept
    verified(paths, spec, draws=30, train=False)
    assert stands(paths, spec)["text"] == "unfinished (0 trainings so far)"
    verified(paths, spec)
    assert (
        stands(paths, spec)["text"]
        == "verified for 80 % of draws (14 of 14 draws of points IN by means pass)"
    )
    harder = small_spec(defence=LINEAR, region={**THRESHOLDS, "attack_success": 0.01}, seeds=2)
    entry = stands(paths, harder)
    assert entry["state"] == "stale"
    assert entry["stale_because"] == (
        "the attack success asked for changed (0.2, now 0.01); 3 points left by means"
    )
    more = small_spec(
        defence=LINEAR, region=THRESHOLDS, seeds=2,
        attack={"trigger": [{"kind": "patch", "size": 1}], "poison_rate": [0, 0.01]},
    )  # fmt: skip
    assert stands(paths, more)["stale_because"] == "the panel changed (1 fewer)"
    wider = {"architecture": {**LINEAR["architecture"], "weight_decay": [0, 0.01, 0.02, 0.03, 0.04, 0.05, 0.06]}, "epochs": 3}  # fmt: skip
    document = {**spec.document, "defence": wider}
    extended = extend_results(paths.root, document)[1]
    assert stands(paths, extended)["state"] == "verified", "nothing of it has been trained yet"
    sweep(paths, extended, SerialRunner(world(sync_state)))
    entry = stands(paths, extended)
    assert (
        entry["text"]
        == "stale: verified for 80 % of draws (14 of 14 draws of points IN by means pass) before 1 point was added"
    )
    assert (entry["passed"], entry["draws"], entry["claim"]) == (14, 14, 0.8)


def test_a_panel_that_takes_nowhere_verifies_nothing(swept) -> None:
    paths, spec = swept
    verified(paths, spec)
    controls = [{**c, "state": NOWHERE} for c in region_of(criteria_of(spec), Ledger(paths.ledger))["controls"]]  # fmt: skip
    entry = stands(paths, spec, controls=controls)
    assert entry["state"] == "not yet"
    assert entry["text"] == (
        "proves nothing about backdoors (14 of 14 draws of points IN by means pass, but no attack of the panel takes at "
        "any tried point)"
    )


def test_damaged_files_are_passed_over_and_named(swept) -> None:
    paths, spec = swept
    verified(paths, spec, draws=3)
    last = verified(paths, spec, draws=4)
    answer, plan = last.paths.answer, last.paths.plan
    (paths.verifications / "x").write_text("no folder")
    whole = {file: file.read_bytes() for file in (paths.verification, answer, plan)}
    for damage in ("", "{}", '{"schema_version": 1}', "[1]", "\x00"):
        paths.verification.write_text(damage)
        assert (
            stands(paths, spec)["text"]
            == "too few (4 of 4 draws of points IN by means pass, which cannot prove it)"
        )
        for file in (answer, plan):
            file.write_text(damage)
            entry = stands(paths, spec)
            assert entry["text"] == (
                "too few (3 of 3 draws of points IN by means pass, which cannot prove it); could not be read: "
                f"{file.relative_to(paths.root)}"
            )
            file.write_bytes(whole[file])
    paths.verification.write_bytes(whole[paths.verification])
    assert stands(paths, spec)["draws"] == 4


# --- claims ------------------------------------------------------------------------------------


def test_a_claim_is_part_of_what_is_asked_unless_it_is_the_default(swept) -> None:
    paths, spec = swept
    frozen = read_plan(verified(paths, spec, claim=None, train=False).paths).frozen
    plain = plan_id(frozen, VerificationSettings(59, 5), ())
    assert plan_id(frozen, settings_of(59, 5, "median", 0.95), ()) == plain
    assert plan_id(frozen, settings_of(59, 5, "median", 0.9), ()) != plain
    as_before = {"settings": {"draws": 59, "seeds": 5, "target": "median"}, "transfer": []}
    assert plain == digest("verify", {"frozen": frozen, **as_before})[:12]
    asked = settings_of(None, None, "median", 0.9)
    assert (asked.sized(None).draws, asked.sized(0.99).draws) == (29, 46)
    assert settings_of(None, None, "share", 0.9) == settings_of(None, None, "share")
    assert settings_of(None, None, "median").sized(None).draws == 59
    case = verified(paths, spec, claim=0.9, draws=None)
    assert read_plan(case.paths).settings.claim == 0.9
    answer = json.loads(case.paths.answer.read_text())
    assert (answer["claim"], answer["verdict"], answer["inside"]["draws"]) == (0.9, "passed", 29)


@pytest.mark.parametrize("claim", [0, 1, 1.5, -0.1, float("nan"), 0.99999])
def test_a_claim_that_means_nothing_is_refused(claim) -> None:
    with pytest.raises(UserError) as caught:
        settings_of(None, None, "median", claim)
    (mistake,) = caught.value.mistakes
    assert str(mistake).startswith(
        f"--claim: must be a share of draws from 0.5 to 0.9999, but got {claim}. For "
    )


# --- where it failed ---------------------------------------------------------------------------


def test_where_draws_failed_is_told_by_exact_tests() -> None:
    draws = [{"defence.weight_decay": d, "defence.epochs": i % 3} for i, d in enumerate([0.001] * 14 + [0.1] * 45)]  # fmt: skip
    failed = [i < 9 or i == 20 for i in range(59)]
    assert where_failed(draws, failed) == [
        {"condition": "weight_decay <= 0.001", "failed": 9, "draws": 14,
         "elsewhere_failed": 1, "elsewhere_draws": 45},
    ]  # fmt: skip
    assert where_failed(draws, [False] * 59) == [] == where_failed(draws, [True] * 59)
    # One failing draw of 59 tells nothing: by chance it lies somewhere.
    assert where_failed(draws, [i == 3 for i in range(59)]) == []
    kinds = [{"defence.architecture": ("mlp", "linear")[i < 10], **({"defence.width": 8} if i >= 10 else {})} for i in range(40)]  # fmt: skip
    (entry,) = where_failed(kinds, [i < 10 for i in range(40)])
    assert entry["condition"] == "architecture == linear" and entry["failed"] == 10


# --- learning ----------------------------------------------------------------------------------


def fine(config):
    return 0.97, 0.02


@pytest.fixture(scope="module")
def learner(tmp_path_factory):
    """A region search whose every trial passes, and a verification of it."""
    spec = small_spec(defence=AXIS, search=SEARCH, region=THRESHOLDS, seeds=2)
    paths = begin(tmp_path_factory.mktemp("learner") / "s", spec)
    sweep(paths, spec, SerialRunner(world(fine)))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sweeps.verify.model_draws, "MOST", 1024)
        patch.setattr(sweeps.verify.model_draws, "BATCH", 256)
        return (
            paths,
            spec,
            verified(paths, spec, fine, draws=4, basis="probability").paths.root.name,
        )


@pytest.fixture
def searched(learner, tmp_path):
    paths, spec, name = learner
    shutil.copytree(paths.root, tmp_path / "s")
    own = SweepPaths(tmp_path / "s")
    return own, spec, VerificationPaths(own.verifications / name)


def state_of(paths, spec):
    ledger = Ledger(paths.ledger)
    table = {"points": [], "panel": list(criteria_of(spec).panel)}
    return verification_entry(
        paths, {**region_of(criteria_of(spec), ledger), **table}, ledger.ended
    )


def test_what_was_learned_counts_once_and_is_no_proof_any_more(searched) -> None:
    paths, spec, folder = searched
    name, trained = folder.root.name, len(Ledger(folder.ledger).finished)
    assert trained > 0 and state_of(paths, spec)["state"] == "too few"
    before = Ledger(paths.ledger).ended
    found = learn(paths, spec, Ledger(paths.ledger), answered_folder(paths, name[:6]))
    assert (found.added, found.total) == (trained, trained)
    ledger = Ledger(paths.ledger)
    assert len(ledger.ended) == len(before) + trained
    assert {row.reused_from for row in ledger.trials()} == {None, f"verify/{name}"}
    assert read_sweep(paths)["planned"] == SEARCH["budget"] + trained
    assert read_sweep(paths)["learned"] == {name: trained}
    entry = state_of(paths, spec)
    assert entry["state"] == "used up" and entry["text"] == (
        "used up: too few (4 of 4 draws of settings likely IN pass, which cannot prove it) before its trainings were fed "
        "back into the search"
    )
    assert json.loads(paths.verification.read_text())["latest"]["used_up"] is True
    files = paths.sweep.read_bytes(), paths.verification.read_bytes()
    again = learn(paths, spec, ledger, answered_folder(paths, name))
    assert (again.added, again.total) == (0, trained)
    assert (paths.sweep.read_bytes(), paths.verification.read_bytes()) == files
    # The budget is the search's own: nothing more is trained, and more budget asks for as much.
    sweep(paths, spec, SerialRunner(world(sync_state)))
    assert len(Ledger(paths.ledger).ended) == len(before) + trained
    more = extend_results(paths.root, changes=["search.budget=15"])[1]
    assert read_sweep(paths)["planned"] == 15 + trained
    sweep(paths, more, SerialRunner(world(fine)))
    assert len(Ledger(paths.ledger).ended) == 15 + trained


@pytest.mark.parametrize("place", ["sweeps.ledger.Ledger.append", "sweeps.verify.learn.write_standing", "sweeps.verify.learn.write_json"])  # fmt: skip
def test_learning_that_was_killed_goes_on(place, searched, monkeypatch) -> None:
    paths, spec, folder = searched
    trained = len(Ledger(folder.ledger).finished)

    def killed(*args, **kwargs):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(place, killed)
        with pytest.raises(KeyboardInterrupt):
            learn(paths, spec, Ledger(paths.ledger), folder)
    recorded = len(Ledger(paths.ledger).ended)
    state = state_of(paths, spec)["state"]
    assert state == ("too few" if place.endswith("write_json") else "used up")
    assert recorded <= read_sweep(paths)["planned"]
    learn(paths, spec, Ledger(paths.ledger), folder)
    assert len(Ledger(paths.ledger).ended) == SEARCH["budget"] + trained
    assert read_sweep(paths)["planned"] == SEARCH["budget"] + trained
    assert state_of(paths, spec)["state"] == "used up"


def test_other_searches_do_not_learn_so_and_ids_must_be_known(swept) -> None:
    paths, spec = swept
    with pytest.raises(UserError) as caught:
        refuse_learning(paths, spec)
    assert "--learn: needs a region search, whose model learns from any trial" in str(caught.value)
    assert "--set seeds=N" in str(caught.value)
    with pytest.raises(UserError, match="--learn: must be the id of one verification"):
        answered_folder(paths, "abc")


def test_a_region_search_is_stale_when_trials_were_added(searched) -> None:
    paths, _, _ = searched
    more = extend_results(paths.root, changes=["search.budget=15"])[1]
    sweep(paths, more, SerialRunner(world(fine)))
    entry = state_of(paths, more)
    assert entry["text"] == (
        "stale: too few (4 of 4 draws of settings likely IN pass, which cannot prove it) before 3 trials were added"
    )


def test_a_weaker_claim_that_passed_hides_no_failure(swept) -> None:
    """Another verification of the same region is named with its own claim."""
    paths, spec = swept
    verified(paths, spec, half, draws=20)
    failed = stands(paths, spec)
    assert failed["state"] == "failed" and "; another" not in failed["text"]
    verified(paths, spec, draws=5, claim=0.5)
    entry = stands(paths, spec)
    assert (entry["state"], entry["earlier"]) == ("verified", 1)
    assert entry["text"] == (
        "verified for 50 % of draws (5 of 5 draws of points IN by means pass); another: "
        f"{failed['text']}"
    )


def test_trainings_that_an_extension_took_as_seeds_are_said_as_such(swept) -> None:
    """They were not fed back: the extension by seeds trained the very same ones."""
    paths, spec = swept
    verified(paths, spec)
    more = extend_results(paths.root, {**spec.document, "seeds": 8})[1]
    sweep(paths, more, SerialRunner(world(sync_state)))
    entry = stands(paths, more)
    assert entry["state"] == "stale"
    assert "of its trainings became trials of the sweep" in (entry["stale_because"] or "")


@pytest.mark.parametrize(
    "change",
    [
        {"lower_bound": float("nan")},
        {"failed_where": [1, {"a": 2}]},
        {"draws": -5},
        {"passed": True},
        {"verdict": "not proven"},
        {"passed": 15},
        {"claim": 0.5},
    ],
    ids=str,
)
def test_a_damaged_verification_json_is_made_again(swept, change) -> None:
    paths, spec = swept
    verified(paths, spec)
    before = stands(paths, spec)
    stored = json.loads(paths.verification.read_text())
    stored["latest"] |= change
    paths.verification.write_text(json.dumps(stored))
    assert stands(paths, spec) == before
