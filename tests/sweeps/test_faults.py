"""Triggers that do harm beside a harmless one, in real commands: what else they cost, and what is
said of them."""

from __future__ import annotations

import json
import signal
import subprocess
from collections import Counter
from pathlib import Path

import pytest
from faulty_sweeps import command, fault_of, question, rows_of, run

from sweeps.storage.incident_log import IncidentLog
from sweeps.storage.paths import SweepPaths

#: What stderr must not have: the words of Tune and Ray about a worker that ended.
FOREIGN = ("Traceback", "ray.", "(raylet)", "Trial ", "trial_runner", "ERROR", "WARNING")

#: Two packs, which run beside each other on Tune.
TWO = {"architecture": ["linear", "ridge"], "weight_decay": 0.1, "epochs": 3}
#: Faults, and the cause by which their trials fail.
DEATHS = {"exit": "trial", "segfault": "trial", "kill": "trial"}
ERRORS = dict.fromkeys(["raise", "leave", "shape", "dtype", "nan", "random"], "trial")
ERRORS["memory"] = "memory"
#: Faults that leave no trace of the line.
NOWHERE = ("exit", "kill")


def check_attribution(folder: Path, causes: dict[str, str]) -> None:
    """Only trials with a fault failed, and all of these, by their cause."""
    rows = rows_of(folder)
    assert Counter((fault_of(row), row["status"]) for row in rows) == Counter(
        # A clean baseline and the harmless trigger, with each of two architectures.
        {(None, "finished"): 4} | {(how, "failed"): 2 for how in causes}
    ), [(fault_of(row), row["status"], row["error"]) for row in rows]
    for row in rows:
        if row["status"] == "failed":
            assert row["cause"] == causes[fault_of(row)], (row["cause"], row["error"])
            assert row["host"]
            place = row["failed_at"] or ""
            if fault_of(row) in NOWHERE:
                assert not place
            else:
                assert "faulty_triggers.py:" in place or "/backdoor/" in place, row["error"]


def check_texts(folder: Path, done: subprocess.CompletedProcess[str]) -> None:
    """One line a death, and nothing of Tune's; `status` and `show` say where."""
    assert done.returncode == 1, done.stderr
    deaths = [each for each in IncidentLog(SweepPaths(folder / "r").incidents).read()
              if each.failure is not None and each.failure.died]  # fmt: skip
    lines = done.stderr.splitlines()
    assert len([line for line in lines if " died" in line]) == len(deaths), done.stderr
    assert not [line for line in lines if any(word in line for word in FOREIGN)], done.stderr
    answer = json.loads(command("status", folder / "r", "--json").stdout)
    failed = [row for row in rows_of(folder) if row["status"] == "failed"]
    assert sum(group["count"] for group in answer["failure_groups"]) == len(failed)
    assert all(group["host"] for group in answer["failure_groups"])
    assert answer["open"] == [] and answer["nodes"] == []
    row = next(row for row in failed if row["failed_at"])
    shown = command("show", folder / "r", row["trial_id"])
    assert shown.returncode == 0 and row["failed_at"] in shown.stderr


@pytest.mark.slow
@pytest.mark.parametrize("causes", [DEATHS, ERRORS], ids=["death", "error"])
def test_faults_on_tune_fail_the_trials_of_their_trigger_only(tmp_path, causes) -> None:
    done = run(tmp_path, "tune", question(*causes, defence=TWO))
    check_attribution(tmp_path, causes)
    check_texts(tmp_path, done)


@pytest.mark.slow
def test_errors_in_one_process_fail_the_trials_of_their_trigger_only(tmp_path) -> None:
    causes = ERRORS
    done = run(tmp_path, "serial", question(*causes, defence=TWO))
    check_attribution(tmp_path, causes)
    check_texts(tmp_path, done)


@pytest.mark.slow
@pytest.mark.parametrize(("fault", "code"), [("exit", 7), ("segfault", -signal.SIGSEGV)])
def test_a_fault_that_ends_the_only_process_loses_no_row(tmp_path, fault, code) -> None:
    """The first trials have a pack of their own, which is recorded before the fault."""
    document = question(fault)
    document["defence"] |= {"epochs": [1, 2, 3]}
    document["attack"] |= {"poison_rate": 0.03}
    done = run(tmp_path, "serial", document)
    assert done.returncode == code, done.stderr
    kept = {row["trial_id"]: row["finished_at"] for row in rows_of(tmp_path)}
    again = command("resume", tmp_path / "r", "--runner", "serial")
    (note,) = [line for line in again.stderr.splitlines() if "being trained" in line]
    assert "faulty_triggers:Bad" in note and "use the runner `tune`" in note
    now = {row["trial_id"]: row["finished_at"] for row in rows_of(tmp_path)}
    assert kept.items() <= now.items()
    tuned = command("resume", tmp_path / "r", "--runner", "tune")
    assert tuned.returncode == 1, tuned.stderr
    rows = rows_of(tmp_path)
    assert {fault_of(row) for row in rows if row["status"] == "failed"} == {fault}
    assert all(row["status"] == "finished" for row in rows if fault_of(row) is None)
    assert kept.items() <= {row["trial_id"]: row["finished_at"] for row in rows}.items()
