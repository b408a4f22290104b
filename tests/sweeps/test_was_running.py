"""running.json: a fault that ends the process of a serial sweep is attributed to what ran."""

import json
import os
import signal

import pytest
from small import begin, small_spec, sweep
from trials import fake_rows, trial

from backdoor.engines.convex import Convex
from sweeps.cli.main import main
from sweeps.cli.status_running import running_notes
from sweeps.driver.run import resume_sweep
from sweeps.driver.was_running import running_words
from sweeps.ledger import Ledger
from sweeps.packs.pack import Pack, PackSettings
from sweeps.runners.running_note import RunningNote
from sweeps.runners.serial import SerialRunner
from sweeps.storage.files import locked
from sweeps.storage.running_file import Running, RunningFile, read_running

SPEC = {"defence": {"architecture": "ridge", "weight_decay": [0.01, 0.1, 1]}}
PACKS = PackSettings(())


@pytest.fixture
def killed(tmp_path, monkeypatch):
    """A results folder whose process was killed while its fourth trial was trained."""
    monkeypatch.setattr(Convex, "max_pack", 1)
    spec = small_spec(**SPEC)
    paths = begin(tmp_path / "r", spec)
    if not (pid := os.fork()):
        trained = []

        def work(pack):
            trained.append(pack)
            if len(trained) == 4:
                os.kill(os.getpid(), signal.SIGKILL)
            return fake_rows(pack)

        try:
            sweep(paths, spec, SerialRunner(work, note=RunningNote(paths.running)))
        finally:
            os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == -signal.SIGKILL
    return paths, pid


def test_resume_names_the_trial_that_ran_once_and_loses_no_row(killed, capsys, monkeypatch) -> None:
    paths, pid = killed
    found = read_running(paths.running)
    assert found is not None and found.pid == pid and len(found.trial_ids) == 1
    assert len(Ledger(paths.ledger).finished) == 3
    (kind,), (seed,) = found.triggers, found.seeds
    named = "clean baseline" if kind == "clean" else f"trigger {kind}"
    said = f"note: trial {found.trial_ids[0]} ({named}, seed {seed}) was being trained, since 20"
    assert main(["status", str(paths.root)]) == 0
    told = capsys.readouterr().err
    assert said in told and f"when process {pid} on {os.uname().nodename} ended\n" in told
    monkeypatch.setattr(SerialRunner.__init__, "__defaults__", (fake_rows,))
    assert resume_sweep(paths.root, runner="serial").finished == 18
    told = capsys.readouterr().err
    assert said in told and "ended. It is tried again. If the process ends again, use the" in told
    assert not paths.running.exists()
    assert resume_sweep(paths.root, runner="serial").finished == 18
    assert "being trained" not in capsys.readouterr().err


def test_what_was_recorded_before_the_end_is_not_suspected(tmp_path, capsys) -> None:
    spec = small_spec(**SPEC)
    paths = begin(tmp_path / "r", spec)
    sweep(paths, spec, SerialRunner(fake_rows))
    row = Ledger(paths.ledger).trials()[0]
    RunningFile(paths.running).write(Running((row.trial_id,), ("patch",), (0,), 1e9, 1, "h"))
    assert main(["status", str(paths.root)]) == 0
    assert "being trained" not in capsys.readouterr().err


def test_status_names_what_has_been_in_training_for_long(killed) -> None:
    paths, pid = killed
    since = read_running(paths.running).since
    with locked(paths.lock):
        assert list(running_notes(paths, since + 59)) == []
        (note,) = running_notes(paths, since + 3600)
    assert note.endswith(f": in training for 3,600 seconds, by process {pid}")


def test_a_pack_is_named_in_short() -> None:
    ids = tuple(f"{i:016x}" for i in range(5))
    many = Running(ids, ("blend", "clean", "patch", "sine"), (0, 1, 2, 3), 100.0, 7, "h\x1b[2J")
    assert running_words(many, 141.0) == (
        "5 trials (triggers blend, clean, patch, ...; seeds 0, 1, 2, ...), trained together: "
        "0000000000000000, 0000000000000001, 0000000000000002, ...: in training for 41 seconds, "
        "by process 7"
    )


class Odd(BaseException):
    """Not what code should raise."""


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (SystemExit(0), "SystemExit: 0"),
        (Odd("x"), "TrainingError: the training raised Odd: x"),
    ],
)
def test_what_raises_fails_its_pack_only(tmp_path, error, text) -> None:
    """Also what is no Exception; a signal still interrupts."""
    spec = small_spec(**SPEC)
    paths = begin(tmp_path / "r", spec)

    def work(pack):
        if any(t.attack is None for t in pack.trials):
            raise error
        return fake_rows(pack)

    outcome = sweep(paths, spec, SerialRunner(work, note=RunningNote(paths.running)))
    assert (outcome.finished, outcome.failed) == (12, 6)
    errors = {r.error for r in Ledger(paths.ledger).trials() if r.error}
    assert errors == {text}
    assert not paths.running.exists()

    def interrupted(pack):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        sweep(paths, spec, SerialRunner(interrupted, note=RunningNote(paths.running)))
    assert not paths.running.exists()


def test_the_file_is_replaced_in_place_and_never_through_a_link(tmp_path) -> None:
    file, other = tmp_path / "running.json", tmp_path / "other"
    other.write_text("mine")
    file.symlink_to(other)
    assert read_running(file) is None
    note = RunningNote(file)
    many = Pack(tuple(trial(seed=i) for i in range(5)), PACKS)
    note(many)
    assert other.read_text() == "mine" and not file.is_symlink()
    assert read_running(file).trial_ids == tuple(t.trial_id for t in many.trials)
    clean = trial(seed=9, rate=0)
    note(Pack((clean,), PACKS))  # shorter than what it replaces
    found = read_running(file)
    assert (found.trial_ids, found.triggers, found.seeds) == ((clean.trial_id,), ("clean",), (9,))
    note(None)
    note(None)
    assert not file.exists()


def test_a_file_that_cannot_be_written_or_read_is_no_error(tmp_path) -> None:
    note = RunningNote(tmp_path / "gone" / "running.json")
    note(Pack((trial(),), PACKS))
    note(None)
    file = tmp_path / "running.json"
    whole = {"trial_ids": ["a"], "triggers": ["patch"], "seeds": [0], "since": 1.0, "pid": 1,
             "host": "h"}  # fmt: skip
    file.write_text(json.dumps(whole))
    assert read_running(file) == Running(("a",), ("patch",), (0,), 1.0, 1, "h")
    for damage in ({"trial_ids": []}, {"trial_ids": [1]}, {"since": 1e300}, {"since": None},
                   {"seeds": ["x"]}, {"pid": {}}):  # fmt: skip
        file.write_text(json.dumps(whole | damage))
        assert read_running(file) is None
    for text in ("", "{", "[]", "null", '{"trial_ids": ["a"]}', "[" * 100_000):
        file.write_text(text)
        assert read_running(file) is None
    file.unlink()
    os.mkfifo(file)
    assert read_running(file) is None
