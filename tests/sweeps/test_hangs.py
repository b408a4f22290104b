"""Trainings that hang, and those that only seem to: what is ended, how soon, and what it costs."""

from __future__ import annotations

import signal
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import yaml
from faulty_sweeps import fault_of, question, started
from mirrored import until
from small import begin, small_spec, sweep

from sweeps.driver.messages import STOPPING
from sweeps.ledger import Ledger
from sweeps.records.failure import HANG, PREEMPTED, TIME
from sweeps.runners.tune import TuneRunner

pytestmark = pytest.mark.usefixtures("local_ray")
#: Seconds without a sign of life: not fewer, since other processes may keep the CPUs busy.
HANG_AFTER = 5.0


def hanging(folder: Path, *faults: str, hang_after: float = HANG_AFTER, **changes: Any) -> Any:
    """Runs a sweep in which a trigger has one of these faults. Outcome, and its rows."""
    document = question(*faults, **changes)
    spec = small_spec(**{k: v for k, v in document.items() if k not in ("data", "tracking")})
    paths = begin(folder / "r", spec)
    outcome = sweep(paths, spec, TuneRunner(hang_after=hang_after))
    return outcome, Ledger(paths.ledger).rows()


def ends(rows: list[dict[str, Any]]) -> Counter[Any]:
    return Counter((fault_of(row), row["status"], row["cause"]) for row in rows)


def no_baseline(fault: str) -> dict[str, Any]:
    """The attack without clean baselines, which are measured with the trigger as well."""
    return {"trigger": question(fault)["attack"]["trigger"], "poison_rate": 0.03}


FINE = {(None, "finished", None): 2}


def test_a_training_that_sleeps_for_ever_is_ended_and_its_neighbour_is_not(tmp_path) -> None:
    outcome, rows = hanging(tmp_path, "sleep", hang_after=3.0, attack=no_baseline("sleep"))
    assert ends(rows) == {(None, "finished", None): 1, ("sleep", "failed", HANG): 1}
    assert (outcome.finished, outcome.failed, outcome.open) == (1, 1, 0)
    (failed,) = [row for row in rows if row["status"] == "failed"]
    assert failed["error"].startswith("no sign of life for 3 s: ")
    assert "faulty_triggers.py:" in failed["failed_at"], "where it sleeps"


@pytest.mark.slow
@pytest.mark.parametrize("fault", ["sleep", "deadlock", "stop"])
def test_what_hangs_is_ended_and_its_neighbours_are_not(tmp_path, fault) -> None:
    outcome, rows = hanging(tmp_path, fault)
    assert ends(rows) == FINE | {(fault, "failed", HANG): 1}
    assert (outcome.finished, outcome.failed, outcome.open) == (2, 1, 0)


@pytest.mark.slow
def test_a_call_that_keeps_the_gil_and_computes_is_no_hang(tmp_path) -> None:
    _, rows = hanging(tmp_path, "compute")
    assert ends(rows) == FINE | {("compute", "finished", None): 1}
    assert max(row["seconds"] for row in rows) > HANG_AFTER


@pytest.mark.slow
def test_a_trial_ends_at_its_deadline(tmp_path) -> None:
    _, rows = hanging(tmp_path, "spin", resources={"time_limit": "4s"})
    assert ends(rows) == FINE | {("spin", "failed", TIME): 1}
    assert all("4 s" in row["error"] for row in rows if row["status"] == "failed")


@pytest.mark.slow
def test_a_worker_whose_process_on_ray_is_stopped_is_replaced(tmp_path) -> None:
    """Ray itself would wait for it for ever."""
    outcome, _ = hanging(tmp_path, "stop parent once")
    assert (outcome.finished, outcome.failed, outcome.open) == (3, 0, 0)


@pytest.mark.slow
@pytest.mark.parametrize("fault", ["sleep", "deadlock", "stop", "stop parent"])
def test_ctrl_c_ends_a_command_in_which_a_training_hangs(tmp_path, fault) -> None:
    (tmp_path / "spec.yaml").write_text(yaml.safe_dump(question(fault)))
    tell = tmp_path / "tell"
    words = "run", tmp_path / "spec.yaml", "--out", tmp_path / "r"
    process = started(*words, FAULTY_TRIGGERS_TELL=str(tell))
    while process.poll() is None and not tell.exists():
        time.sleep(0.05)
    assert process.poll() is None, process.communicate()
    trainer, begun = int(tell.read_text().split()[-1]), time.monotonic()
    process.send_signal(signal.SIGINT)
    # Python sees two signals that come together as one.
    said = ""
    while STOPPING.strip() not in said and (line := process.stderr.readline()):
        said += line
    process.send_signal(signal.SIGINT)
    _, rest = process.communicate(timeout=60)
    said += rest
    took = time.monotonic() - begun
    assert process.returncode == 130 and "Go on with" in said, said
    assert took < 10, said
    until(lambda: not Path(f"/proc/{trainer}").exists())


@pytest.mark.slow
def test_a_trial_that_loses_its_worker_three_times_while_it_is_alone_is_recorded(tmp_path) -> None:
    _, rows = hanging(tmp_path, "kill parent", attack=no_baseline("kill parent"))
    assert ends(rows) == {(None, "finished", None): 1, ("kill parent", "failed", PREEMPTED): 1}
    (failed,) = [row for row in rows if row["status"] == "failed"]
    assert "worker process has died" in failed["error"], "Ray knows more than that it is lost"
    assert "Some common causes" not in failed["error"]
