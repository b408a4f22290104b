"""The time that `sweeps verify` announces, beside the time that it takes: `make bench-verify-cost`.

    python tests/benchmarks/verify_cost.py [--only CASE] [--runs N] [--claim C ...]

Each run makes a sweep and then verifies a copy of it for each claim, one after the other, so that
both meet the machine in about the same state. Time counts from the announcement to the verdict. Of
the serial runner the CPU seconds of the process are given too: where the machine is busy with other
work, they are less than the seconds on the clock.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from figures import make_command, record

ROOT = Path(__file__).resolve().parents[2]
UNITS = {"seconds": 1.0, "minutes": 60.0, "hours": 3600.0, "days": 86400.0}
ANNOUNCED = re.compile(r"claim [\d.]+: about ([\d.]+) (\w+) here(.*)")
#: What is announced may differ by this share from what it takes.
REQUIRED = 0.3

ATTACK = {
    "trigger": [{"kind": "patch", "size": 1, "position": "bottom_right"}, "sine"],
    "poison_rate": [0.03],
    "target": 0,
}
REGION = {"clean_accuracy": 0.8, "attack_success": 0.9, "confidence": 0.95}
LINEAR = {"kind": "linear", "weight_decay": [0, 0.01, 0.02, 0.04]}
MLP = {"kind": "mlp", "width": 64, "weight_decay": [0, 0.003, 0.01, 0.02]}
RIDGE = {"kind": "ridge", "weight_decay": [0.01, 0.1, 0.3, 1]}
PLANE = {"weight_decay": {"log": [1e-5, 0.01]}, "learning_rate": {"log": [0.01, 0.3]}}


@dataclass(frozen=True)
class Case:
    """A sweep, and options of its verification."""

    name: str
    runner: str
    defence: dict[str, Any]
    seeds: int = 3
    search: Any = "grid"
    options: tuple[str, ...] = ()

    def spec(self) -> dict[str, Any]:
        """Plain values of the spec; JSON is YAML."""
        return {
            "name": "verify-cost",
            "data": "digits",
            "defence": self.defence,
            "attack": ATTACK,
            "training": {"batch_size": 64},
            "seeds": {"count": self.seeds, "base": 0},
            "region": REGION,
            "search": self.search,
            "tracking": "none",
        }


GRID = {"architecture": [LINEAR, MLP], "learning_rate": 0.1, "epochs": 30}
CASES = (
    Case("grid of linear and mlp", "serial", GRID),
    Case("the same by Ray, 2 workers", "tune", GRID),
    Case("grid of ridge", "serial", {"architecture": [RIDGE], "epochs": 1}),
    Case(
        "region search of mlp", "serial",
        {"architecture": {"kind": "mlp", "width": 64}, "epochs": 20, **PLANE},
        100, {"kind": "region", "budget": 240},
    ),
    Case(
        "grid of convnets", "serial",
        {"architecture": [{"kind": "convnet", "width": 8}], "weight_decay": [0, 0.001],
         "learning_rate": 0.1, "epochs": 10},
        3, "grid", ("--draws", "8"),
    ),
)  # fmt: skip


@dataclass(frozen=True)
class Run:
    """announced, wall: seconds; cpu: of the process and its children, of the whole command."""

    announced: float
    wall: float
    cpu: float
    basis: str


def begun(case: Case, folder: Path) -> Path:
    """The results folder of the case's sweep."""
    spec = folder / "spec.yaml"
    spec.write_text(json.dumps(case.spec()), encoding="utf-8")
    _sweeps("run", str(spec), "--runner", case.runner, "--out", str(folder / "sweep"))
    return folder / "sweep"


def verified(case: Case, sweep: Path, claim: str) -> Run:
    """Verifies a copy of a sweep, and reads what it says and when."""
    copy = sweep.parent / f"claim-{claim}"
    shutil.copytree(sweep, copy)
    asked = ("verify", str(copy), "--claim", claim, "--runner", case.runner, *case.options)
    before = os.times()
    process = subprocess.Popen(
        _argv(*asked, "--transfer", "none"), env=_environment(), cwd=sweep.parent, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    ends: list[float] = []

    def read_verdict() -> None:
        assert process.stdout is not None
        for line in process.stdout:
            if not ends and line.strip():
                ends.append(time.perf_counter())

    reader = threading.Thread(target=read_verdict)
    reader.start()
    found, begins, said = None, 0.0, []
    assert process.stderr is not None
    for line in process.stderr:
        said.append(line)
        if found is None and (found := ANNOUNCED.search(line)):
            begins = time.perf_counter()
    process.wait()
    reader.join()
    if found is None or not ends:
        raise SystemExit(f"{case.name}: no time was announced\n{''.join(said)}")
    after = os.times()
    cpu = after.children_user + after.children_system
    cpu -= before.children_user + before.children_system
    shutil.rmtree(copy)
    return Run(float(found[1]) * UNITS[found[2]], ends[0] - begins, cpu, found[3].strip(" ,"))


def _argv(*words: str) -> list[str]:
    return [sys.executable, "-m", "sweeps.cli", *words]


def _environment() -> dict[str, str]:
    tree = os.environ.get("TREE", str(ROOT))
    return os.environ | {
        "PYTHONPATH": tree,
        "OMP_NUM_THREADS": "1",
        "OPENBLAS_NUM_THREADS": "1",
        "PYTHONUNBUFFERED": "1",
    }


def _sweeps(*words: str) -> None:
    run = subprocess.run(_argv(*words), env=_environment(), capture_output=True, text=True)
    if run.returncode != 0:
        raise SystemExit(f"{' '.join(words)}\n{run.stderr}")


def row(case: Case, claim: str, run: Run) -> dict[str, object]:
    """A line of the table."""
    ratio = run.announced / run.wall
    cpu = f"{run.cpu:.1f}" if case.runner == "serial" else ""
    return {
        "case": case.name,
        "claim": claim,
        "announced s": run.announced,
        "taken s": run.wall,
        "ratio": ratio,
        "CPU s": cpu,
        "within": "yes" if 1 - REQUIRED <= ratio <= 1 + REQUIRED else "NO",
        "estimated": run.basis,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", default="", help="cases with this in their name")
    parser.add_argument("--runs", type=int, default=3, help="of each case; default 3")
    parser.add_argument("--claim", nargs="+", default=["0.95", "0.9"], help="default 0.95 0.9")
    args = parser.parse_args()
    rows = []
    for case in (case for case in CASES if args.only in case.name):
        for _ in range(args.runs):
            with tempfile.TemporaryDirectory() as folder:
                sweep = begun(case, Path(folder))
                for claim in args.claim:
                    rows.append(row(case, claim, verified(case, sweep, claim)))
                    print(*(f"{v:.2f}" if isinstance(v, float) else v for v in rows[-1].values()),
                          sep=" | ", flush=True)  # fmt: skip
    if not args.only:
        record("cost of a verification", make_command("bench-verify-cost"), rows)
    raise SystemExit(any(row["within"] == "NO" for row in rows))


if __name__ == "__main__":
    main()
