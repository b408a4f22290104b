"""The bundled region search on Ray Tune, as a user runs it, and the proof of what it found."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

from sweeps.ledger import Ledger
from sweeps.storage.paths import SweepPaths

SPEC = "digits-region"


def sweeps(*words):
    """Seconds and standard output of one command in a process of its own."""
    start = time.perf_counter()
    environment = {k: v for k, v in os.environ.items() if k != "RAY_ADDRESS"}
    done = subprocess.run(
        [sys.executable, "-m", "sweeps.cli", *words], stdout=subprocess.PIPE, text=True,
        env=environment,
    )  # fmt: skip
    if done.returncode not in (0, 1):
        raise RuntimeError(f"sweeps {' '.join(words)} ended with code {done.returncode}")
    return time.perf_counter() - start, done.stdout


def live(folder):
    """What came of a run and of its verification. without_start: seconds without Ray's start."""
    out = Path(folder) / "live"
    seconds, _ = sweeps("run", SPEC, "--out", str(out), "--runner", "tune")
    _, region = sweeps("region", str(out), "--json")
    proving, proof = sweeps("verify", str(out), "--transfer", "none", "--runner", "tune", "--json")
    answer, rows = json.loads(proof), Ledger(SweepPaths(out).ledger).rows()
    return {
        "trials": len(rows),
        "seconds": seconds,
        "without_start": training_seconds(rows),
        "stopped_by": json.loads(region)["model"]["stopped_by"],
        "verdict": answer["verdict"],
        "verify_trials": answer["trials"]["finished"],
        "verify_seconds": proving,
    }


def training_seconds(rows):
    """From the beginning of the first pack to the end of the last one."""
    first = min(rows, key=lambda row: row["finished_at"])
    pack = sum(row["seconds"] for row in rows if row["pack_id"] == first["pack_id"])
    return max(row["finished_at"] for row in rows) - first["finished_at"] + pack


def obvious(trials):
    """Seconds a trial of the full grid by the obvious script, of which so many are run."""
    script = Path(__file__).parents[1] / "obvious_region.py"
    done = subprocess.run(
        [sys.executable, str(script), str(trials)], stdout=subprocess.PIPE, text=True, check=True
    )
    found = json.loads(done.stdout.splitlines()[-1])
    return found["seconds"] / found["trials"]
