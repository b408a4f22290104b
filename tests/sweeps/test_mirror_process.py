"""The mirror beside a running sweep: it keeps up, ends when the sweep does, and never stops it."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from mirrored import Folder, by_trial, free_port, pair, runs, until
from trials import trial

import sweeps
from sweeps.ledger import Ledger, failed_rows
from sweeps.mirror import MirrorProcess, only_mirror
from sweeps.mirror.follower import Follower, wait
from sweeps.storage.shell import command

pytest_plugins = ["mirror_fixtures"]


#: As in pyproject.toml, for the mirror's process.
STRICT = "error,ignore:The ``noload`` loader strategy is deprecated:DeprecationWarning"


@pytest.fixture(autouse=True)
def warnings_are_errors(monkeypatch: pytest.MonkeyPatch) -> None:
    """In the mirror's process, which inherits the environment."""
    monkeypatch.setenv("PYTHONWARNINGS", STRICT)


def log(folder: Folder) -> list[str]:
    file = folder.paths.mirror_log
    return file.read_text().splitlines() if file.exists() else []


# --- the process -------------------------------------------------------------------------------


def test_rows_are_mirrored_while_the_sweep_runs(folder: Folder) -> None:
    folder.record(*pair(0))
    process = MirrorProcess(folder.paths)
    process.start()
    assert process.pid is not None and os.getsid(process.pid) == process.pid
    assert os.getpriority(os.PRIO_PROCESS, process.pid) == 19, "behind Ray's workers, which have 15"
    until(lambda: log(folder)[-1:] == ["mirrored 2/2"])
    folder.record(*pair(1))
    process.notify()
    until(lambda: log(folder)[-1:] == ["mirrored 4/4"])
    os.killpg(process.pid, signal.SIGINT)  # Ctrl-C is for the sweep
    os.killpg(process.pid, signal.SIGTERM)  # so is the stop of a cluster job
    folder.record(*pair(2))
    heard: list[tuple[int, int]] = []
    assert process.finish(lambda done, total: heard.append((done, total))) is None
    assert all(total == 6 for _, total in heard)
    assert set(by_trial(runs(folder.uri))) == set(folder.rows())
    assert process.finish() is None


def test_dead_server_gives_a_warning_with_the_command(tmp_path: Path) -> None:
    uri = f"http://127.0.0.1:{free_port()}"
    folder = Folder(tmp_path / "a folder", uri)
    folder.record(*pair(0))
    process = MirrorProcess(folder.paths)
    process.start()
    until(lambda: log(folder))
    process.notify()
    warning = process.finish()
    assert warning is not None and "\n" not in warning
    assert warning.startswith(
        f"Some results are not in MLflow yet: MLflow's store {uri} cannot be used: "
    )
    assert "refused" in warning
    again = command("sweeps", "mirror", folder.paths.root)
    assert ". Nothing is lost. The first run fixed this address: start the store or " in warning
    assert warning.endswith(f": {again}   or send them elsewhere: {again} --uri sqlite:///FILE")


@pytest.mark.slow
def test_mirror_ends_when_the_sweep_is_killed(folder: Folder) -> None:
    folder.record(*pair(0))
    sweep = (
        "import sys, time; from pathlib import Path\n"
        "from sweeps.mirror import MirrorProcess\n"
        "from sweeps.storage import SweepPaths\n"
        "process = MirrorProcess(SweepPaths(Path(sys.argv[1])))\n"
        "process.start(); print(process.pid, flush=True); time.sleep(600)\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(Path(sweeps.__file__).parents[1])}
    with subprocess.Popen(
        [sys.executable, "-c", sweep, str(folder.paths.root)],
        stdout=subprocess.PIPE, text=True, env=environment,
    ) as parent:  # fmt: skip
        assert parent.stdout is not None
        mirror = int(parent.stdout.readline())
        parent.kill()
    until(lambda: not _alive(mirror))
    assert log(folder)[-1] == "mirrored 2/2"
    assert len(by_trial(runs(folder.uri))) == 2


def _alive(pid: int) -> bool:
    """Whether a process runs; one that ended and was not waited for does not."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state != "Z"


def test_stalled_mirror_is_given_up(folder: Folder) -> None:
    process = MirrorProcess(folder.paths, stall=0.3)
    process.start()
    assert process.pid is not None
    os.kill(process.pid, signal.SIGSTOP)
    for _ in range(100_000):  # more than the pipe holds
        process.notify()
    warning = process.finish()
    assert warning is not None and warning.startswith(
        "Some results are not in MLflow yet: no progress for 0.3 s"
    )
    assert not _alive(process.pid)


def _kill(process: MirrorProcess) -> int:
    pid = process.pid
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    # Its threads may end after it: only then its parent can see its end.
    os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
    return pid


@pytest.mark.slow
def test_a_killed_mirror_is_started_again_and_lacks_nothing(folder: Folder) -> None:
    folder.record(*pair(0))
    process = MirrorProcess(folder.paths)
    process.start()
    until(lambda: log(folder)[-1:] == ["mirrored 2/2"])
    killed = _kill(process)
    folder.record(*pair(1))
    process.notify()
    assert process.pid != killed, "new rows show that it is missing"
    _kill(process)
    heard: list[tuple[int, int]] = []
    assert process.finish(lambda done, total: heard.append((done, total))) is None
    assert [done for done, _ in heard] == sorted({done for done, _ in heard}), "none goes back"
    assert set(by_trial(runs(folder.uri))) == set(folder.rows())


def test_a_mirror_that_is_killed_again_and_again_is_given_up(
    folder: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sweeps.mirror.process.RESTARTS", 1)
    process = MirrorProcess(folder.paths)
    process.notify()
    assert "it was not started" in str(process.finish())
    process.start()
    first = _kill(process)
    process.notify()
    assert process.pid != first
    second = _kill(process)
    process.notify()
    assert process.pid == second
    assert "it ended with -9. Nothing is lost. Send them with: " in str(process.finish())


def test_mirror_that_cannot_start(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "/nowhere/python")
    process = MirrorProcess(folder.paths)
    process.start()
    process.notify()
    warning = process.finish()
    assert "it did not start" in str(warning) and "/nowhere/python" in str(warning)


def test_log_cannot_move_the_cursor(folder: Folder) -> None:
    process = MirrorProcess(folder.paths)
    folder.paths.mirror_log.write_bytes(b"fine\nnot mirrored: \x1b[2Jgone\xff\r\n\n")
    assert process._last_line() == "not mirrored: [2Jgone\N{REPLACEMENT CHARACTER}"


# --- the follower ------------------------------------------------------------------------------


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def test_failures_are_tried_again_later_and_later(tmp_path: Path, folder: Folder) -> None:
    clock, said = Clock(), list[str]()
    folder.record(*pair(0))
    store = tmp_path / "mlflow.db"
    whole = store.read_bytes()
    store.write_text("not a database at all")
    follower = Follower(folder.paths, said.append, clock)
    pauses = []
    for _ in range(6):
        follower.step()
        pauses.append(follower.pause)
        follower.step()  # too early: nothing happens
        assert follower.pause == pauses[-1]
        clock.now += follower.pause
    assert pauses == [5, 10, 20, 40, 60, 60]
    assert len(said) == 1 and said[0].startswith("not mirrored: MLflow's store sqlite:")
    store.write_bytes(whole)
    follower.step()
    assert said[1] == "mirrored 1/2" and said[-1] == "mirrored 2/2"
    assert follower.pause == 2
    assert follower.last() and len(by_trial(runs(folder.uri))) == 2


def test_last_pass_says_why_it_failed(tmp_path: Path, folder: Folder) -> None:
    said = list[str]()
    folder.record(*pair(0))
    follower = Follower(folder.paths, said.append)
    follower.step()
    folder.record(*pair(1))
    (tmp_path / "mlflow.db").write_text("overwritten by something else")
    assert not follower.last()
    assert said[-1].startswith("not mirrored: ") and "is not a sqlite database" in said[-1]


def test_quiet_ledger_costs_nothing(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    folder.record(*pair(0))
    said = list[str]()
    follower = Follower(folder.paths, said.append)
    follower.step()

    def forbidden(*args: Any) -> Any:
        raise AssertionError("the ledger was read, or MLflow was asked")

    before = len(said)
    monkeypatch.setattr("sweeps.ledger.ledger.Ledger.table", forbidden)
    monkeypatch.setattr("sweeps.mirror.run_view.RunView.sync", forbidden)
    monkeypatch.setattr("sweeps.mirror.run_view.RunView.__init__", forbidden)
    follower.step()
    assert said[before:] == []
    assert follower.last()


def test_failed_trial_that_finishes_later_is_noticed(folder: Folder) -> None:
    said = list[str]()
    config = trial("ridge")
    Ledger(folder.paths.ledger).append(failed_rows([config], "pack", "out of memory"))
    follower = Follower(folder.paths, said.append)
    follower.step()
    assert [run.info.status for run in runs(folder.uri)] == ["FAILED"]
    folder.record(config)
    follower.step()
    assert [run.info.status for run in runs(folder.uri)] == ["FINISHED"]


def test_folder_that_is_being_mirrored_is_waited_for(folder: Folder) -> None:
    clock, said = Clock(), list[str]()
    folder.record(*pair(0))
    follower = Follower(folder.paths, said.append, clock)
    with only_mirror(folder.paths):
        follower.step()
    assert "must not be mirrored by two processes at once" in said[0]
    clock.now += 5
    follower.step()
    assert said[-1] == "mirrored 2/2"


def test_lines_and_the_end_of_a_pipe() -> None:
    out, into = os.pipe()
    try:
        assert not wait(out, 0)
        os.write(into, b"\n\n")
        assert not wait(out, 60)
        assert not wait(out, 0)
        os.close(into)
        assert wait(out, 60)
    finally:
        os.close(out)
        with contextlib.suppress(OSError):
            os.close(into)
