"""The end of a sweep on the terminal: the answer, then MLflow; signals; what killed ones left."""

from __future__ import annotations

import fcntl
import io
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import pytest
import yaml
from mirrored import until
from small import SMALL, begin, small_spec
from trials import fake_rows

from sweeps import read_region, run_sweep
from sweeps.driver import backlog
from sweeps.driver.hard_stop import INTERRUPTED
from sweeps.driver.messages import Messages, interrupted
from sweeps.driver.status_line import StatusLine
from sweeps.ledger import Ledger
from sweeps.mirror import MirrorProcess
from sweeps.runners.processes import descendants, kill
from sweeps.runners.scratch import LOCK, PREFIX, scratch_folder
from sweeps.runners.serial import SerialRunner
from sweeps.storage.leftovers import clear_leftovers
from sweeps.storage.paths import SweepPaths
from sweeps.storage.shell import command

ROOT = Path(__file__).parents[2]


class Mirror(MirrorProcess):
    """Takes what is said of it, and notes what has been there by then."""

    def __init__(self, paths, warning=None, counts=(), interrupted=False) -> None:
        super().__init__(paths)
        self.warning, self.counts, self.cut = warning, counts, interrupted
        self.seen, self.stopped = [], False

    def start(self) -> None:
        self.required = True

    def finish(self, on_wait=None, within=float("inf")):
        self.seen += [self.paths.region.exists(), within]
        for done, total in self.counts:
            self.reached = done, total
            on_wait(done, total)
        if self.cut:
            raise KeyboardInterrupt
        return self.warning

    def stop(self) -> None:
        self.stopped = True


def _run(tmp_path, monkeypatch, runner=None, **mirror):
    made = []

    def build(paths, uri=None):
        made.append(Mirror(paths, **mirror))
        return made[0]

    monkeypatch.setattr("sweeps.driver.execute.MirrorProcess", build)
    question = SMALL | {"tracking": {"uri": f"sqlite:///{tmp_path}/m.db"}}
    outcome = run_sweep(question, tmp_path / "r", runner=runner or SerialRunner(fake_rows))
    return outcome, made[0]


def test_the_region_is_written_before_mlflow_is_waited_for(tmp_path, monkeypatch, capsys) -> None:
    outcome, mirror = _run(tmp_path, monkeypatch)
    assert not outcome.interrupted and read_region(outcome.folder)["points"]
    assert mirror.seen == [True, float("inf")] and not mirror.stopped
    assert "MLflow" not in capsys.readouterr().err


def test_ctrl_c_leaves_the_backlog_to_a_command_and_keeps_the_answer(
    tmp_path, monkeypatch, capsys
) -> None:
    outcome, mirror = _run(tmp_path, monkeypatch, counts=[(7, 24)], interrupted=True)
    assert not outcome.interrupted and mirror.stopped
    again = command("sweeps", "mirror", tmp_path / "r")
    said = capsys.readouterr().err
    assert said.endswith(
        f"MLflow has 7 trials so far. Nothing is lost; this sends the rest: {again}\n"
    )


def test_an_interrupted_sweep_does_not_wait_for_mlflow(tmp_path, monkeypatch, capsys) -> None:
    class Cut(SerialRunner):
        def run(self, feed) -> None:
            pack = feed.next_pack()
            feed.finished([pack], self.work(pack))
            raise KeyboardInterrupt

    outcome, mirror = _run(tmp_path, monkeypatch, Cut(fake_rows), warning="late")
    assert outcome.interrupted and mirror.stopped and mirror.seen == [False, 0.0]
    again = command("sweeps", "resume", tmp_path / "r")
    said = capsys.readouterr().err
    assert f"trials are recorded. Go on with: {again}\n" in said
    assert said.endswith(f"MLflow lacks trials. Nothing is lost; this sends the rest: {again}\n")


class _Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_the_backlog_is_one_line_of_a_terminal_that_goes(tmp_path, monkeypatch) -> None:
    terminal = _Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setattr(backlog, "SILENT", 0.0)
    monkeypatch.setattr("sweeps.driver.status_line.REDRAW_EVERY", 0.0)
    monkeypatch.setenv("COLUMNS", "60")
    mirror = Mirror(begin(tmp_path / "r", small_spec()), counts=[(5, 24), (24, 24)])
    mirror.required = True
    backlog.wait_for_mirror(mirror, mirror.paths, Messages())
    said = terminal.getvalue()
    assert "\n" not in said and said.endswith("\r\x1b[K")
    lines = said.split("\r\x1b[K")[1:-1]
    assert [line[: line.index(".")] for line in lines] == [
        "sending trials to MLflow: 5/24", "sending trials to MLflow: 24/24",
    ]  # fmt: skip
    assert all(len(line) < 60 for line in lines)


def test_a_line_that_is_too_long_loses_its_sentence_not_half_of_a_command(
    tmp_path, monkeypatch
) -> None:
    monkeypatch.setattr(sys, "stderr", _Terminal())
    paths = begin(tmp_path / "r", small_spec())
    line, again = backlog._Line(paths, False, 24), command("sweeps", "mirror", paths.root)
    texts = []
    for width in (400, 60, 40):
        monkeypatch.setenv("COLUMNS", str(width))
        texts.append(line._text(5, 24, 0.0))
    counts = "sending trials to MLflow: 5/24"
    whole = f"{counts}. Ctrl-C leaves the rest to {again}"
    assert texts == [whole, f"{counts}. Ctrl-C is safe", counts]


def test_what_mlflow_has_after_an_interrupt_is_by_the_ledger(tmp_path, monkeypatch) -> None:
    mirror = Mirror(begin(tmp_path / "r", small_spec()))
    monkeypatch.setattr(backlog, "_recorded", lambda paths: 24)
    mirror.reached = 24, 24
    assert backlog._lacking(mirror, mirror.paths, "mirror") == "MLflow has all 24 recorded trials."
    mirror.reached = 23, 23
    assert "this sends the rest" in backlog._lacking(mirror, mirror.paths, "mirror")


def test_an_interrupt_after_the_last_trial_asks_for_the_answer_only(tmp_path) -> None:
    paths = SweepPaths(tmp_path)
    region, resume = (command("sweeps", each, tmp_path) for each in ("region", "resume"))
    assert interrupted(paths, 24, 24) == (
        "Interrupted: all 24 trials are recorded; only the answer is missing. "
        f"Write it with: {region}"
    )
    assert interrupted(paths, 1, 24).endswith(f"1 trial is recorded. Go on with: {resume}")


def test_what_is_trained_again_is_counted_by_its_reason(capsys) -> None:
    Messages().say_outdated(18, stopped=6, left=54)
    Messages().say_outdated(1, stopped=1, left=3)
    assert capsys.readouterr().err == (
        "18 of the 54 trials to train are trained again: 12 clean baselines that lack a trigger "
        "and 6 trials that other thresholds had stopped\n"
        "1 of the 3 trials to train is trained again: 1 trial that other thresholds had stopped\n"
    )


def test_without_a_terminal_lines_come_now_and_then() -> None:
    stream = io.StringIO()
    line = StatusLine(stream)
    for number in range(5):
        line.show(lambda number=number: f"line {number}")
    line.clear()
    line.show(lambda: "end", last=True)
    assert stream.getvalue() == "line 0\nend\n"


# --- what killed processes left ------------------------------------------------------------------


def test_unfinished_files_of_killed_processes_go(tmp_path) -> None:
    paths = begin(tmp_path / "r", small_spec())
    (paths.ledger / "probes").mkdir(exist_ok=True)
    gone = [paths.ledger / ".part-00000000000000000001-abcdef.parquet.0123abcd.tmp",
            paths.ledger / ".fold-1.tmp", paths.ledger / "probes" / ".part-1.0123abcd.tmp",
            paths.root / ".region.json.0123abcd.tmp"]  # fmt: skip
    stays = [paths.root / ".mine.tmp", paths.root / "notes.tmp", paths.root / ".report.html.89abcdef.tmp"]  # fmt: skip
    for file in [*gone, *stays]:
        file.write_text("half")
    link = paths.root / ".region.svg.0123abcd.tmp"
    link.symlink_to(stays[0])
    with stays[2].open():  # another command is writing it
        assert clear_leftovers(paths) == len(gone)
    assert not any(file.exists() for file in gone) and all(file.exists() for file in stays)
    assert link.is_symlink()
    gone[0].write_text("half")
    paths.region.unlink(missing_ok=True)
    from sweeps import resume_sweep

    resume_sweep(paths.root, SerialRunner(fake_rows), quiet=True)
    assert not gone[0].exists() and not stays[2].exists()


def test_scratch_folders_of_dead_processes_go(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    dead, alive, foreign = (tmp_path / f"{PREFIX}{name}" for name in ("dead", "alive", "foreign"))
    for folder in (dead, alive, foreign):
        (folder / "chunks").mkdir(parents=True)
    (dead / LOCK).touch()
    (tmp_path / f"{PREFIX}link").symlink_to(dead)
    with (alive / LOCK).open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        with scratch_folder() as own:
            assert not dead.exists() and alive.exists() and foreign.exists() and own.exists()
            with scratch_folder():
                assert own.exists()
    assert not own.exists() and (tmp_path / f"{PREFIX}link").is_symlink()


# --- signals ---------------------------------------------------------------------------------------

STUCK = """
import ctypes, os, signal, subprocess, sys, time
from pathlib import Path
from sweeps.driver.hard_stop import ends_soon
from sweeps.runners.scratch import scratch_folder
signal.signal(signal.SIGINT, lambda *_: None)
child = subprocess.Popen(["sleep", "600"])
with scratch_folder() as folder, ends_soon(lambda: print("told", flush=True), 0.1):
    print(child.pid, folder, flush=True)
    ctypes.CDLL(None).pause()
    while True:
        ctypes.CDLL(None).pause()
"""


def test_two_signals_end_a_process_whose_main_thread_hangs() -> None:
    process = subprocess.Popen([sys.executable, "-c", STUCK], stdout=subprocess.PIPE, text=True,
                               env=os.environ | {"PYTHONPATH": str(ROOT)})  # fmt: skip
    assert process.stdout is not None
    child, folder = process.stdout.readline().split()
    assert descendants(process.pid) == [int(child)]
    process.send_signal(signal.SIGINT)
    until(lambda: _signals_pending(process.pid) == 0)
    process.send_signal(signal.SIGINT)
    assert process.communicate(timeout=20)[0] == "told\n"
    assert process.returncode == INTERRUPTED and not Path(folder).exists()
    until(lambda: not _runs(int(child)))


def _signals_pending(pid: int) -> int:
    status = Path(f"/proc/{pid}/status").read_text()
    return int(
        next(line for line in status.splitlines() if line.startswith("ShdPnd")).split()[1], 16
    )


def _runs(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_one_signal_ends_nothing() -> None:
    from sweeps.driver.hard_stop import ends_soon

    before, count = signal.signal(signal.SIGINT, lambda *_: None), threading.active_count()
    try:
        with ends_soon(lambda: None, 0.0):
            os.kill(os.getpid(), signal.SIGINT)
            assert threading.active_count() == count + 1
        assert threading.active_count() == count
    finally:
        signal.signal(signal.SIGINT, before)


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("moment", ["Ray starts", "rows"])
def test_two_signals_end_a_sweep_on_its_own_ray(tmp_path, number, moment) -> None:
    """Within 5 s on a machine that is not busy; the rows that were recorded stay."""
    document = SMALL | {
        "defence": {"architecture": "mlp", "epochs": list(range(500, 530)), "weight_decay": 0.01}
    }
    (tmp_path / "spec.yaml").write_text(yaml.safe_dump(document))
    folder, scratch, error = tmp_path / "r", tmp_path / "tmp", tmp_path / "stderr"
    scratch.mkdir()
    words = [
        sys.executable,
        "-m",
        "sweeps.cli",
        "run",
        str(tmp_path / "spec.yaml"),
        "--out",
        str(folder),
    ]
    settings = os.environ | {"PYTHONPATH": str(ROOT), "TMPDIR": str(scratch), "RAY_TMPDIR": "/tmp"}
    with error.open("w") as stderr:
        process = subprocess.Popen(words, stderr=stderr, stdout=subprocess.PIPE, env=settings)
    try:
        until(lambda: "starting Ray" in error.read_text(), 120)
        until(lambda: len(descendants(process.pid)) > 2, 120)
        if moment == "rows":
            until(lambda: list(folder.glob("ledger/part-*")), 120)
        ours = descendants(process.pid)
        process.send_signal(number)
        until(lambda: "Stopping" in error.read_text() or _signals_pending(process.pid) == 0)
        process.send_signal(number)
        began = time.monotonic()
        out, _ = process.communicate(timeout=60)
        took = time.monotonic() - began
    finally:
        kill([*descendants(process.pid), process.pid] if process.poll() is None else [])
    assert process.returncode == INTERRUPTED, error.read_text()
    assert took < 5 or os.getloadavg()[0] > (os.cpu_count() or 1)
    recorded = len(Ledger(folder / "ledger").finished)
    assert (recorded > 0) == (moment == "rows") and out == b""
    said = error.read_text()
    assert f"Interrupted: {recorded} trials are recorded. Go on with: " in said
    assert "Traceback" not in said and "***" not in said
    until(lambda: not any(map(_runs, ours)))
    assert not list(scratch.glob(f"{PREFIX}*"))
