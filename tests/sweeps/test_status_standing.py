"""`sweeps status` of a sweep that was verified: the words of region.json, and what is next by them."""

import json
import shlex
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from fake_probes import Counting
from small import begin, small_spec, sweep
from trials import fake_result

from sweeps.answer.write import write_region
from sweeps.cli.main import build_parser, main
from sweeps.cli.status_go_on import SAME_COMMAND, begun, go_on
from sweeps.cli.status_next import claim_of, next_by_standing
from sweeps.ledger import Ledger, finished_rows, with_column
from sweeps.results.extend import extend_results
from sweeps.runners.serial import SerialRunner
from sweeps.storage.files import write_json
from sweeps.storage.paths import SweepPaths, VerificationPaths, read_region
from sweeps.verify.plan import settings_of
from sweeps.verify.run import verification
from sweeps.verify.transfer import transfer_attacks

DEFENCE = {
    "architecture": {"kind": "linear", "weight_decay": [0, 0.01, 0.02, 0.03]},
    "epochs": 3,
}
THRESHOLDS = {"clean_accuracy": 0.9, "attack_success": 0.2, "confidence": 0.95}


def trained(low):
    """Work for a runner: the attack fails from weight decay 0.02 on, and of new seeds below the
    weight decay `low` it does not."""

    def result(config, measures):
        decay = config.defence.weight_decay
        success = 0.05 if decay > 0.015 and (config.seed < 2 or decay > low) else 0.9
        success = 0.02 if config.attack is None else success
        made = fake_result(config, measures)
        measured = tuple(replace(m, success=round(450 * success)) for m in made.measurements)
        return replace(made, class_correct=(475,), class_total=(500,), measurements=measured)

    def work(pack):
        results = [result(config, pack.settings.measures) for config in pack.trials]
        return finished_rows(results, pack.pack_id)

    return SerialRunner(work)


@pytest.fixture(scope="module")
def template(tmp_path_factory):
    """A grid of four points, of which two are IN by means."""
    spec = small_spec(defence=DEFENCE, region=THRESHOLDS, seeds=2)
    paths = begin(tmp_path_factory.mktemp("standing") / "r", spec)
    sweep(paths, spec, trained(0))
    return paths, spec


@pytest.fixture
def swept(template, tmp_path):
    paths, spec = template
    own = SweepPaths(Path(shutil.copytree(paths.root, tmp_path / "r")))
    write_region(own, spec)
    return own, spec


def verified(paths, spec, low=0.0, draws=None, ends=True):
    case = verification(paths, spec, settings_of(draws, None, "median", 0.8), (), None)
    plan, ledger = case.plan, Ledger(case.paths.ledger)
    if ends:
        case.train(ledger, plan, trained(low))
        case.answer(ledger, plan)
    return case.paths.root


def asked(folder, capsys):
    assert main(["status", str(folder), "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def same_words(paths, spec, capsys):
    """What status says, which is what region.json then has; nothing is written by it."""
    before = {file: file.stat().st_mtime_ns for file in paths.root.rglob("*")}
    answer = asked(paths.root, capsys)
    assert {file: file.stat().st_mtime_ns for file in paths.root.rglob("*")} == before
    entry = write_region(paths, spec)["verification"]
    for key, value in answer["verification"].items():
        assert entry[key] == value
    return answer


def harder_to_meet(region):
    thresholds = region["thresholds"]
    return {**thresholds, "attack_success": 0.01}


def test_what_is_next_follows_from_the_standing(swept, capsys) -> None:
    paths, spec = swept
    assert asked(paths.root, capsys)["verification"] is None
    unfinished = verified(paths, spec, draws=30, ends=False)
    answer = same_words(paths, spec, capsys)
    assert answer["verification"]["text"] == "unfinished (0 trainings so far)"
    goes_on = f"sweeps verify {paths.root} --claim 0.8 --draws 30 --target median --basis means"
    assert answer["next"].endswith(f"{goes_on} --transfer none")
    interrupted = f"goes on with verification {unfinished.name}, which was interrupted"
    assert answer["next_why"] == interrupted
    region = read_region(paths.root)
    own = asked(unfinished, capsys)
    assert (own["next"], own["next_why"]) == (answer["next"], interrupted)
    write_json(paths.region, region | {"thresholds": harder_to_meet(region)})
    own = asked(unfinished, capsys)
    assert own["next"].endswith(f"sweeps status {paths.root}")
    assert own["next_why"].startswith("the region has changed since this one began")
    shutil.rmtree(unfinished)

    few = verified(paths, spec, draws=3)
    answer = same_words(paths, spec, capsys)
    assert answer["verification"]["state"] == "too few"
    # 0.8 ** 14 < 0.05 <= 0.8 ** 13
    again = f"sweeps verify {paths.root} --claim 0.8 --draws 14 --transfer none"
    assert answer["next"].endswith(again)
    assert answer["next_why"] == "all draws pass, but they are too few: 14 can prove the claim"
    own = asked(few, capsys)
    assert own["next"].endswith(again) and own["next_why"].startswith("too few (3 of 3 draws")

    proven = verified(paths, spec)
    answer = same_words(paths, spec, capsys)
    assert answer["next"].endswith(f"sweeps train {paths.root}")
    assert asked(proven, capsys)["next"] == answer["next"]
    own = asked(few, capsys)
    assert own["next"].endswith(f"sweeps status {paths.root}"), "it is not the latest"
    assert own["next_why"].startswith("this one: too few (3 of 3 draws")

    failed = verified(paths, spec, low=0.025, draws=20)
    answer = same_words(paths, spec, capsys)
    found = answer["verification"]
    assert found["state"] == "failed" and 0 < found["passed"] < 20 and found["earlier"] == 2
    assert answer["next"] is None and answer["next_why"].startswith("draws did not pass: `")
    assert f"sweeps extend {paths.root} --set seeds=" in answer["next_why"]
    assert "region.attack_success=X` (a higher X) asks for less" in answer["next_why"]
    own = asked(failed, capsys)
    assert own["next"] is None and own["verification"] == found
    assert own["next_why"] == f"{found['text']}: {answer['next_why']}"

    harder = {**spec.document, "region": {**THRESHOLDS, "attack_success": 0.1}}
    extended = extend_results(paths.root, harder)[1]
    answer = same_words(paths, extended, capsys)
    assert answer["verification"]["text"].startswith("stale: failed (")
    own = asked(failed, capsys)
    assert own["verification"] == answer["verification"] and "train" not in (own["next"] or "")


@pytest.mark.parametrize(
    ("given", "settings", "basis"),
    [
        ("none", (30, 7, "median", None), None),
        ("standard-1", (None, None, "share", 0.8), "bounds"),
        ("[{trigger: {kind: patch, size: 2}, target: 1}]", (None, None, "median", None), None),
    ],
)
def test_the_command_goes_on_with_that_very_verification(swept, given, settings, basis) -> None:
    paths, spec = swept
    case = verification(paths, spec, settings_of(*settings), transfer_attacks(spec, given), basis)
    assert case.plan and begun(paths.root, read_region(paths.root)) == case.paths
    following, _ = go_on(paths.root, case.paths)
    args = build_parser().parse_args(shlex.split(following)[1:])
    asked = settings_of(args.draws, args.seeds, args.target, args.claim)
    again = verification(paths, spec, asked, transfer_attacks(spec, args.transfer), args.basis)
    assert again.paths == case.paths
    assert ("--transfer" in following) == (given != "standard-1")


def test_a_plan_that_cannot_be_read_has_no_command(tmp_path) -> None:
    (tmp_path / "plan.json").write_text("{")
    for own in (None, VerificationPaths(tmp_path)):
        assert go_on(tmp_path, own) == (None, SAME_COMMAND)


def test_a_verification_that_can_prove_nothing_does_not_advise_a_model(swept, capsys) -> None:
    paths, spec = swept
    own = verified(paths, spec)
    region = json.loads(paths.region.read_bytes())
    nowhere = [{**control, "state": "nowhere"} for control in region["controls"]]
    write_json(paths.region, region | {"controls": nowhere})
    for folder in (paths.root, own):
        answer = asked(folder, capsys)
        assert answer["next"] is None
        assert f"sweeps extend {paths.root} --set 'attack.poison_rate" in answer["next_why"]
    VerificationPaths(own).answer.write_text("{")
    paths.verification.unlink()
    answer = asked(own, capsys)
    assert answer["verification"] is None and "answer.json cannot be read" in answer["next_why"]


COUNTS = {"by_means": {"IN": 2}, "by_bounds": {"IN": 1, "OUT": 0}, "by_model": {"IN": 1}}
POINTS = [{"seeds": 10}]


@pytest.mark.parametrize(
    ("claim", "options"),
    [("certain", " --basis bounds"), ("likely", " --basis model"), ("means", "")],
)
def test_what_is_verified_is_the_headline(claim, options) -> None:
    region = {"headline": {"claim": claim}, "counts": COUNTS, "points": POINTS}
    for found in (None, {"state": "stale"}, {"state": "used up"}, {"state": "not yet"}):
        following, why = next_by_standing(Path("r"), region, found)
        assert following.endswith(f"sweeps verify r{options}") and "with fresh seeds" in why
        again = found is not None and found["state"] in ("stale", "used up")
        assert why.startswith("verifies again, since ") == again
    searched = {**region, "model": {}}
    assert next_by_standing(Path("r"), searched, None)[0].endswith("sweeps verify r")
    failed = {"state": "failed", "verification_id": "0123456789ab"}
    assert "sweeps verify r --learn 0123456789ab`" in next_by_standing(Path("r"), searched, failed)[1]  # fmt: skip


def test_the_claim_of_a_file_of_before_follows_from_its_counts() -> None:
    none = {"IN": 0, "OUT": 0}
    assert claim_of({"counts": COUNTS}) == "certain"
    assert claim_of({"counts": COUNTS | {"by_bounds": none}}) == "likely"
    assert claim_of({"counts": COUNTS | {"by_bounds": none, "by_model": none}}) == "means"


def test_trials_of_a_verification_are_not_trained_again_for_probes(tmp_path) -> None:
    spec = small_spec(defence=DEFENCE, seeds=1)
    paths = begin(tmp_path / "r", spec)
    sweep(paths, spec, trained(0))
    ledger = Ledger(paths.ledger)
    rows, some = ledger.table(), 3
    assert len(ledger.unprobed([Counting()])) == rows.num_rows
    for file in ledger.files():
        file.unlink()
    sources = ["verify/0123456789ab"] * some + ["0123456789ab"] * (rows.num_rows - some)
    Ledger(paths.ledger).append(with_column(rows, "reused_from", sources))
    assert len(Ledger(paths.ledger).unprobed([Counting()])) == rows.num_rows - some
