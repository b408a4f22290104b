"""Triggers that do harm beside a harmless one, in real commands: what else they cost, and what is
said of them."""

from __future__ import annotations

import json
import os
import resource
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import yaml
from small import SMALL

from sweeps.ledger import Ledger
from sweeps.storage.incident_log import IncidentLog
from sweeps.storage.paths import SweepPaths

ROOT = Path(__file__).parents[2]
#: Less address space than a fault asks for, and more than Ray needs.
SPACE = 40 * 2**30
#: What stderr must not have: the words of Tune and Ray about a worker that ended.
FOREIGN = ("Traceback", "ray.", "(raylet)", "Trial ", "trial_runner", "ERROR", "WARNING")

#: Faults, and the cause by which their trials fail.
DEATHS = {"exit": "trial", "segfault": "trial", "kill": "trial"}
ERRORS = dict.fromkeys(["raise", "leave", "shape", "dtype", "nan", "random"], "trial")
ERRORS["memory"] = "memory"


def question(*faults: str, **changes: Any) -> dict[str, Any]:
    """A harmless trigger and one for each fault: with each one, a linear model and a ridge one."""
    return SMALL | {
        "name": "faults",
        "defence": {"architecture": ["linear", "ridge"], "weight_decay": 0.1, "epochs": 3},
        "attack": {
            "trigger": [
                {"kind": "patch", "size": 1},
                *({"kind": "faulty_triggers:Bad", "how": how} for how in faults),
            ],
            "poison_rate": [0, 0.03],
        },
        "seeds": 1,
        **changes,
    }  # fmt: skip


def command(*words: object, **environment: str) -> subprocess.CompletedProcess[str]:
    path = os.pathsep.join([str(ROOT / "tests"), str(ROOT)])
    return subprocess.run(
        [sys.executable, "-m", "sweeps.cli", *map(str, words)],
        env=os.environ | {"PYTHONPATH": path} | environment,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (SPACE, SPACE)),
        capture_output=True, text=True, timeout=600,
    )  # fmt: skip


def run(folder: Path, runner: str, document: dict[str, Any]) -> subprocess.CompletedProcess[str]:
    (folder / "spec.yaml").write_text(yaml.safe_dump(document))
    return command("run", folder / "spec.yaml", "--out", folder / "r", "--runner", runner)


def rows_of(folder: Path) -> list[dict[str, Any]]:
    return Ledger(folder / "r" / "ledger").rows()


def fault_of(row: dict[str, Any]) -> str | None:
    """The fault of a row's trigger; None of a harmless or a clean one."""
    attack = row["config"]["attack"]
    return None if attack is None else attack["trigger"].get("how")


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
            assert row["host"] and row["failed_at"], (fault_of(row), row["error"])
            assert "faulty_triggers.py:" in row["failed_at"] or "/backdoor/" in row["failed_at"]


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
    assert all(group["host"] and group["place"] for group in answer["failure_groups"])
    assert answer["open"] == [] and answer["nodes"] == []
    shown = command("show", folder / "r", failed[0]["trial_id"])
    assert shown.returncode == 0 and failed[0]["failed_at"] in shown.stderr


@pytest.mark.slow
@pytest.mark.parametrize("causes", [DEATHS, ERRORS], ids=["death", "error"])
def test_faults_on_tune_fail_the_trials_of_their_trigger_only(tmp_path, causes) -> None:
    done = run(tmp_path, "tune", question(*causes))
    check_attribution(tmp_path, causes)
    check_texts(tmp_path, done)


@pytest.mark.slow
def test_errors_in_one_process_fail_the_trials_of_their_trigger_only(tmp_path) -> None:
    causes = ERRORS
    done = run(tmp_path, "serial", question(*causes))
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
    assert "bad" in note and "use the runner `tune`" in note
    now = {row["trial_id"]: row["finished_at"] for row in rows_of(tmp_path)}
    assert kept.items() <= now.items()
    tuned = command("resume", tmp_path / "r", "--runner", "tune")
    assert tuned.returncode == 1, tuned.stderr
    rows = rows_of(tmp_path)
    assert {fault_of(row) for row in rows if row["status"] == "failed"} == {fault}
    assert all(row["status"] == "finished" for row in rows if fault_of(row) is None)
    assert kept.items() <= {row["trial_id"]: row["finished_at"] for row in rows}.items()
