"""Sweeps in which a trigger does harm, as real commands."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
from pathlib import Path
from typing import Any

import yaml
from small import SMALL

from sweeps.ledger import Ledger

ROOT = Path(__file__).parents[1]
#: Less address space than a fault asks for, and more than Ray needs.
SPACE = 40 * 2**30


def question(*faults: str, **changes: Any) -> dict[str, Any]:
    """A linear model with a harmless trigger, and with one for each fault."""
    return SMALL | {
        "name": "faults",
        "defence": {"architecture": "linear", "weight_decay": 0.1, "epochs": 3},
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


def started(*words: object, **environment: str) -> subprocess.Popen[str]:
    """The command, in a process of its own whose memory is limited."""
    path = os.pathsep.join([str(ROOT / "tests"), str(ROOT)])
    return subprocess.Popen(
        [sys.executable, "-m", "sweeps.cli", *map(str, words)],
        env=os.environ | {"PYTHONPATH": path} | environment,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (SPACE, SPACE)),
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


def command(*words: object, **environment: str) -> subprocess.CompletedProcess[str]:
    """The same, to its end."""
    process = started(*words, **environment)
    out, err = process.communicate(timeout=600)
    return subprocess.CompletedProcess(process.args, process.returncode, out, err)


def run(folder: Path, runner: str, document: dict[str, Any]) -> subprocess.CompletedProcess[str]:
    (folder / "spec.yaml").write_text(yaml.safe_dump(document))
    return command("run", folder / "spec.yaml", "--out", folder / "r", "--runner", runner)


def rows_of(folder: Path) -> list[dict[str, Any]]:
    return Ledger(folder / "r" / "ledger").rows()


def fault_of(row: dict[str, Any]) -> str | None:
    """The fault of a row's trigger; None of a harmless or a clean one."""
    attack = row["config"]["attack"]
    return None if attack is None else attack["trigger"].get("how")
