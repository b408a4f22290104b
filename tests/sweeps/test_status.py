"""`sweeps status`: running, stopped or finished, how long still, what is known, what to type next."""

import fcntl
import json
import os
import shutil
import time
from dataclasses import replace
from pathlib import Path

import pytest
from small import begin, small_spec
from trials import fake_result

from sweeps.answer.write import write_region
from sweeps.cli.main import main
from sweeps.cli.status_next import more_seeds
from sweeps.ledger import Ledger, failed_rows, finished_rows, with_column
from sweeps.search import make_search
from sweeps.storage import files
from sweeps.storage.files import lock_holder, locked, write_json
from sweeps.storage.paths import SweepPaths, VerificationPaths, read_sweep

ME = f"process {os.getpid()} on {os.uname().nodename}"
ADAPTIVE = {"kind": "optuna", "points": 4}
AXIS = {"architecture": "linear", "weight_decay": {"log": [0.001, 0.1]}, "epochs": 3}


_BEGUN: dict[str, Path] = {}


@pytest.fixture(scope="module", autouse=True)
def home(tmp_path_factory: pytest.TempPathFactory):
    """Where each kind of sweep begins once; tests work on copies."""
    _BEGUN["home"] = tmp_path_factory.mktemp("begun")
    yield
    _BEGUN.clear()


def began(folder: Path, trials: int | None = None, **changes) -> SweepPaths:
    """A sweep of 24 trials with rows of this many, all by default; nothing is trained."""
    spec, key = small_spec(**changes), str(changes)
    if key not in _BEGUN:
        _BEGUN[key] = begin(_BEGUN["home"] / str(len(_BEGUN)), spec).root
    paths = SweepPaths(Path(shutil.copytree(_BEGUN[key], folder / "r")))
    some = make_search(spec).ask(24 if trials is None else trials) if trials != 0 else []
    if some:
        results = [fake_result(trial, spec.measures) for trial in some]
        Ledger(paths.ledger).append(finished_rows(results, "pack"))
    return paths


def asked(folder: Path, capsys) -> dict:
    assert main(["status", str(folder), "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def words(folder: Path, capsys) -> str:
    assert main(["status", str(folder)]) == 0
    return capsys.readouterr().out


# --- the lock ----------------------------------------------------------------------------------


def test_who_holds_the_lock_is_seen_without_taking_it(tmp_path) -> None:
    lock = tmp_path / ".lock"
    assert lock_holder(lock) is None and not lock.exists()
    with locked(lock):
        assert lock_holder(lock) == lock_holder(lock) == ME
        with pytest.raises(files.UserError, match=f"DIR .*is in use by {ME}"), locked(lock):
            raise AssertionError
    assert lock_holder(lock) is None, "what the last one wrote is still there"
    with locked(lock):
        pass


def test_a_sweep_that_starts_waits_for_one_that_looks(tmp_path, monkeypatch) -> None:
    lock = tmp_path / ".lock"
    lock.touch()
    with lock.open() as looking:
        fcntl.flock(looking, fcntl.LOCK_SH)
        waited = []

        def looked(seconds: float) -> None:
            waited.append(seconds)
            fcntl.flock(looking, fcntl.LOCK_UN)

        monkeypatch.setattr(files.time, "sleep", looked)
        with locked(lock):
            assert waited == [files.LOOK] and lock_holder(lock) == ME


# --- running, stopped, finished ----------------------------------------------------------------


def test_a_sweep_that_runs_says_who_runs_it_and_how_long_still(tmp_path, capsys) -> None:
    paths = began(tmp_path, trials=0)
    with locked(paths.lock):
        early = asked(paths.root, capsys)
        assert (early["state"], early["held_by"], early["rate"]) == ("running", ME, None)
        assert "time left          not known yet\n" in words(paths.root, capsys)
        # As if the process had begun a minute ago: a pack of two trials every ten seconds.
        now = time.time()
        os.utime(paths.lock, (now - 60, now - 60))
        trials = make_search(small_spec()).ask(10)
        results = [replace(fake_result(t, ()), seconds=5.0) for t in trials]
        for number in range(5):
            rows = finished_rows(results[2 * number : 2 * number + 2], f"pack {number}")
            at = rows.column_names.index("finished_at")
            ended = type(rows["finished_at"].combine_chunks()).from_pandas
            rows = rows.set_column(at, rows.schema.field(at), ended([now - 50 + 10 * number] * 2))
            Ledger(paths.ledger).append(rows)
        later = asked(paths.root, capsys)
        assert later["rate"] == pytest.approx(0.2, rel=0.02)
        assert later["seconds_left"] == pytest.approx(14 / 0.2, rel=0.02)
        said = words(paths.root, capsys)
    assert (
        f"state              running ({ME})\nverification       not yet\nanswer             "
        in said
    )
    assert "\nrate               0." in said
    assert later["next"].endswith(f"sweeps region {paths.root}")
    stopped = asked(paths.root, capsys)
    assert (stopped["state"], stopped["held_by"], stopped["rate"]) == ("stopped", None, None)
    assert (
        stopped["next"].endswith(f"sweeps resume {paths.root}") and stopped["next_why"] == "goes on"
    )


def test_files_that_are_merged_meanwhile_change_no_count(tmp_path, capsys, monkeypatch) -> None:
    """The writer merges between two readings of `status`, and adds a trial."""
    spec = small_spec()
    paths = began(tmp_path, trials=0)
    trials = make_search(spec).ask(12)
    for trial in trials[:11]:
        Ledger(paths.ledger).append(finished_rows([fake_result(trial, spec.measures)], "pack"))
    first = Ledger.trials

    def merged(ledger: Ledger):
        other = Ledger(paths.ledger)
        other.append(finished_rows([fake_result(trials[11], spec.measures)], "pack"))
        other.compact()
        return first(ledger)

    monkeypatch.setattr(Ledger, "trials", merged)
    answer = asked(paths.root, capsys)
    assert (answer["finished"], answer["failed"]) == (12, 0)
    assert len(list(paths.ledger.iterdir())) == 1


def test_a_finished_grid_counts_points_and_names_the_next_command(tmp_path, capsys) -> None:
    paths = began(tmp_path)
    answer = asked(paths.root, capsys)
    assert answer["state"] == "finished" and answer["verdict"]["points"] == 4
    assert sum(answer["verdict"]["by_means"].values()) == 4 and not paths.region.exists()
    assert answer["next"].endswith(f"sweeps region {paths.root}")
    region = write_region(paths, small_spec())
    assert answer["verdict"]["by_means"] == region["counts"]["by_means"]
    assert answer["verdict"]["by_bounds"] == region["counts"]["by_bounds"]
    following = "verify" if region["recommended"] else "report"
    assert asked(paths.root, capsys)["next"].endswith(f"sweeps {following} {paths.root}")
    chosen = {"defence_id": region["points"][0]["defence_id"], "basis": "means", "margin": 0.0}
    region |= {"recommended": chosen}
    takes = [region["controls"][0] | {"state": "takes"}, *region["controls"][1:]]
    write_json(paths.region, region | {"controls": takes})
    assert asked(paths.root, capsys)["next"].endswith(f"sweeps verify {paths.root}")
    # Where no attack takes, neither a proof nor a model is advised.
    nowhere = [entry | {"state": "nowhere"} for entry in region["controls"]]
    write_json(paths.region, region | {"controls": nowhere})
    answer = asked(paths.root, capsys)
    assert answer["next"] is None and answer["next_why"].endswith(
        f"sweeps extend {paths.root} --set 'attack.poison_rate=[...]', higher rates besides those "
        "of now, or another trigger (no attack of the panel takes at any tried point)"
    )
    assert "verify" not in answer["next_why"] and "train" not in answer["next_why"]


def test_points_that_have_not_begun_are_counted_apart(tmp_path, capsys) -> None:
    """`sweeps region` of the same folder has the points that were tried, and no others."""
    paths = began(tmp_path, trials=8)
    answer = asked(paths.root, capsys)
    region = write_region(paths, small_spec())
    known = answer["verdict"]
    assert known["points"] == len(region["points"]) and known["points"] + known["not_begun"] == 4
    assert known["by_means"] == region["counts"]["by_means"]
    assert answer["verdicts"] == region["verdicts"] and answer["headline"] == region["headline"]
    left = known["not_begun"]
    said = words(paths.root, capsys)
    assert f"{left} point{'s' * (left > 1)} more ha{'ve' if left > 1 else 's'} not begun\n" in said
    name, state, standing, headline = said.split("\n")[:4]
    assert name.startswith("name ") and state.startswith("state ")
    assert standing == "verification       not yet"
    assert headline == f"answer             {region['headline']['text']}"


def test_trials_that_failed_are_tried_again(tmp_path, capsys) -> None:
    paths = began(tmp_path, trials=0)
    trials = make_search(small_spec()).ask(24)
    Ledger(paths.ledger).append(failed_rows(trials[:1], "pack", "RuntimeError: no"))
    results = [fake_result(trial, small_spec().measures) for trial in trials[1:]]
    Ledger(paths.ledger).append(finished_rows(results, "pack"))
    said = words(paths.root, capsys)
    assert "state              finished\n" in said and "  1 x RuntimeError: no\n" in said
    resume = f"sweeps resume {paths.root}   (tries again what failed)\n"
    assert resume in said and said.index(resume) < said.index("planned "), "before the figures"
    assert "failed             1\n" in said and "diverged " not in said


def test_a_search_that_ended_early_is_finished_where_that_is_known(tmp_path, capsys) -> None:
    spec = small_spec(search=ADAPTIVE, defence=AXIS)
    paths = began(tmp_path, trials=6, search=ADAPTIVE, defence=AXIS)
    before = asked(paths.root, capsys)
    assert (before["state"], before["at_most"], before["planned"]) == ("stopped", True, 24)
    assert before["next_why"] == "goes on, or ends at once if the search ended by itself"
    write_region(paths, spec)
    assert asked(paths.root, capsys)["state"] == "stopped", "`sweeps region` writes that too"
    region = write_region(paths, spec, finished=True)  # as a run with `run_sweep`: no map
    assert not paths.map.exists() and region["state"]["state"] == "finished"
    assert asked(paths.root, capsys)["state"] == "finished"
    assert write_region(paths, spec)["state"]["state"] == "finished"
    assert asked(paths.root, capsys)["state"] == "finished"
    # Before version 2 the map told.
    before = {k: v for k, v in region.items() if k != "state"} | {"schema_version": 1}
    write_json(paths.region, before)
    assert asked(paths.root, capsys)["state"] == "stopped"
    paths.map.write_text("the map, which only a sweep that has ended writes")
    assert asked(paths.root, capsys)["state"] == "finished"
    more = make_search(spec).ask(8)
    Ledger(paths.ledger).append(finished_rows([fake_result(more[-1], spec.measures)], "pack"))
    assert asked(paths.root, capsys)["state"] == "stopped", "trials came after that end"


def test_trials_that_are_to_be_trained_again_have_not_ended_for_the_region_either(
    tmp_path, capsys
) -> None:
    paths = began(tmp_path)
    assert write_region(paths, small_spec())["state"]["state"] == "finished"
    sweep = read_sweep(paths)
    more = [*sweep["measures"], "another trigger"]
    write_json(paths.sweep, sweep | {"measures": more, "specs": 2 * sweep["specs"]})
    answer = asked(paths.root, capsys)
    assert (answer["state"], answer["outdated"]) == ("stopped", 8), "the clean baselines"
    assert write_region(paths, small_spec())["state"]["state"] == "stopped"


def test_a_region_search_is_said_by_its_file(tmp_path, capsys) -> None:
    search = {"kind": "region", "budget": 30}
    paths = began(tmp_path, trials=0, search=search, defence=AXIS)
    assert asked(paths.root, capsys)["verdict"] is None
    region = write_region(paths, small_spec(search=search, defence=AXIS))
    space = {"IN": 0.25, "OUT": 0.5, "UNDECIDED": 0.25}
    model = {"space": space, "recommended": None, "stopped_by": "its budget is spent"}
    write_json(paths.region, region | {"schema_version": 1, "model": model})
    os.utime(paths.region, (time.time() - 7200, time.time() - 7200))
    answer = asked(paths.root, capsys)
    assert answer["verdict"]["space"] == space and answer["state"] == "finished"
    said = words(paths.root, capsys)
    text = region["headline"]["text"]
    assert f"answer             {text} (region.json, written 2.0 hours ago)\n" in said
    assert "verdict            of the defence space 25 % IN, 50 % OUT, 25 % UNDECIDED" in said
    assert "(region.json, written 2.0 hours ago)" in said


def test_what_mlflow_lacks_is_said_until_it_is_sent(tmp_path, capsys) -> None:
    paths = began(tmp_path)
    write_region(paths, small_spec())
    write_json(paths.sweep, read_sweep(paths) | {"tracking": {"uri": "sqlite:///x.db"}})
    paths.mirror_log.write_text("mirrored 3/24\nnot mirrored: no answer\n")
    answer = asked(paths.root, capsys)
    assert answer["next"].endswith(f"sweeps mirror {paths.root}")
    assert answer["next_why"] == "sends to MLflow what it lacks: 3 of 24 trials are there"
    for last in ("mirrored 24/24\n", "mirrored all\n"):
        paths.mirror_log.write_text(f"mirrored 3/24\n{last}")
        assert "mirror" not in asked(paths.root, capsys)["next"]
    paths.mirror_log.write_text("not mirrored: refused\n")
    assert "MLflow             0 of 24 trials\n" in words(paths.root, capsys)
    with locked(paths.lock):
        assert "now                sending to MLflow, 0 of 24\n" in words(paths.root, capsys)


def test_a_sweep_whose_trials_have_ended_writes_its_answer(tmp_path, capsys) -> None:
    paths = began(tmp_path)
    with locked(paths.lock):
        said = words(paths.root, capsys)
    assert "\nnow                writing the answer\nverdict            of 4 " in said


def test_an_answer_that_cannot_be_read_is_named(tmp_path, capsys) -> None:
    paths = began(tmp_path)
    write_region(paths, small_spec())
    for name, damage in (("0", '{"verdict": "passed"}'), ("1", "{")):
        (paths.verifications / name).mkdir(parents=True)
        (paths.verifications / name / "answer.json").write_text(damage)
    both = "verify/0/answer.json, verify/1/answer.json"
    said = words(paths.root, capsys)
    assert f"verification       not yet; could not be read: {both}\n" in said
    answer = asked(paths.root, capsys)
    assert answer["verification"]["state"] == "not yet" and "train" not in answer["next"]


def test_trials_of_a_verification_count_apart(tmp_path, capsys) -> None:
    paths = began(tmp_path, trials=0)
    trials = make_search(small_spec()).ask(24)
    for some, source in ((trials[:3], "0123456789ab"), (trials[3:5], "verify/0123456789ab")):
        rows = finished_rows([fake_result(t, small_spec().measures) for t in some], "pack")
        Ledger(paths.ledger).append(with_column(rows, "reused_from", [source] * len(some)))
    answer = asked(paths.root, capsys)
    assert (answer["finished"], answer["reused"], answer["learned"]) == (5, 3, 2)
    assert answer["worker_seconds"] == 0, "they were spent elsewhere"
    said = words(paths.root, capsys)
    assert "taken over         3 trials of other sweeps\n" in said
    assert "fed back           2 trials of a verification\n" in said


def test_an_answer_of_an_earlier_release_has_no_headline(tmp_path, capsys) -> None:
    search = {"kind": "region", "budget": 30}
    paths = began(tmp_path, trials=0, search=search, defence=AXIS)
    region = write_region(paths, small_spec(search=search, defence=AXIS))
    for key in ("headline", "verdicts", "verification"):
        del region[key]
    write_json(paths.region, region)
    answer = asked(paths.root, capsys)
    assert answer["headline"] is answer["verdicts"] is answer["verification"] is None
    assert "\nanswer " not in words(paths.root, capsys)


def test_more_seeds_come_before_a_verification_where_bounds_decide_nothing() -> None:
    counts = {"by_means": {"IN": 2}, "by_bounds": {"IN": 0, "OUT": 0, "UNDECIDED": 2}}
    for seeds, more in ((1, 5), (3, 6), (10, None)):
        assert more_seeds({"counts": counts, "points": [{"seeds": seeds}]}) == more
    counts["by_bounds"]["OUT"] = 1
    assert more_seeds({"counts": counts, "points": [{"seeds": 1}]}) is None


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_that_cannot_be_written_is_read(tmp_path, capsys) -> None:
    paths = began(tmp_path)
    with locked(paths.lock):
        pass
    paths.root.chmod(0o555)
    paths.lock.chmod(0o444)
    try:
        assert asked(paths.root, capsys)["state"] == "finished"
    finally:
        paths.root.chmod(0o755)


def test_nothing_is_written(tmp_path, capsys) -> None:
    paths = began(tmp_path)
    before = {file: file.stat().st_mtime_ns for file in paths.root.rglob("*")}
    words(paths.root, capsys)
    assert {file: file.stat().st_mtime_ns for file in paths.root.rglob("*")} == before


def test_the_folder_of_a_verification_has_a_status(tmp_path, capsys) -> None:
    paths = began(tmp_path)
    own = VerificationPaths(paths.verifications / "0123456789ab")
    own.ledger.mkdir(parents=True)
    attacks = [{"trigger": "a"}, {"trigger": "b"}]
    draws = [{"stratum": "inside", "seeds": [5, 6]}, {"stratum": "border", "seeds": [7]}]
    write_json(own.plan, {"schema_version": 1, "frozen": {"panel": attacks[:1]}, "transfer": attacks, "draws": draws})  # fmt: skip
    answer = asked(own.root, capsys)
    assert (answer["name"], answer["planned"]) == ("verification 0123456789ab", 2 * 2 + 1)
    assert (answer["state"], answer["next"]) == ("stopped", None)
    with locked(own.lock):
        assert "it ends by itself" in words(own.root, capsys)
