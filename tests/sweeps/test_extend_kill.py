"""SIGKILL while a sweep is extended: it goes on, loses nothing, and trains nothing that it had.

The extension runs in a forked child. Half of the kills come at a random moment, half just before a
randomly chosen step of writing.
"""

from __future__ import annotations

import json
import os
import random
import signal
import time
from pathlib import Path
from typing import Any

import pytest
from small import SMALL, results

import sweeps.storage
from backdoor.engines.convex import Convex
from sweeps.driver.run import extend_sweep, resume_sweep, run_sweep
from sweeps.ledger import Ledger, Rows
from sweeps.packs.pack import Pack
from sweeps.runners.serial import SerialRunner
from sweeps.runners.worker import train_pack
from sweeps.storage.paths import SweepPaths, read_sweep

MANY, FEW = 20, 1
DEFENCE = {"architecture": "ridge", "weight_decay": [0.01, 0.1, 1]}
PATCH, SINE = {"kind": "patch", "size": 1}, "sine"
BEFORE: dict[str, Any] = {
    **SMALL,
    "defence": DEFENCE,
    "attack": {"trigger": [PATCH], "poison_rate": [0, 0.03]},
}
AFTER: dict[str, Any] = {
    **BEFORE,
    "defence": {**DEFENCE, "weight_decay": [0.001, 0.01, 0.1, 1]},
    "attack": {"trigger": [SINE, PATCH], "poison_rate": [0, 0.03]},
    "seeds": 4,
}


def child(folder: Path, log: Path, die_at_step: int) -> int:
    """Extends the sweep, or goes on with it, in a forked process; returns its process id."""
    pid = os.fork()
    if pid:
        return pid
    steps = [0]

    def counted(function: Any) -> Any:
        def step(*args: Any, **kwargs: Any) -> Any:
            steps[0] += 1
            if steps[0] == die_at_step:
                os.kill(os.getpid(), signal.SIGKILL)
            return function(*args, **kwargs)

        return step

    def work(pack: Pack, **hooks: Any) -> Rows:
        with log.open("a") as stream:
            stream.write(json.dumps([trial.trial_id for trial in pack.trials]) + "\n")
        return train_pack(pack, **hooks)

    try:
        sweeps.storage.files.os.fsync = counted(os.fsync)  # type: ignore[attr-defined]
        Path.replace = counted(Path.replace)  # type: ignore[method-assign]
        Path.unlink = counted(Path.unlink)  # type: ignore[method-assign]
        runner = SerialRunner(work)
        if len(read_sweep(SweepPaths(folder))["specs"]) == 1:
            extend_sweep(folder, AFTER, runner=runner, quiet=True)
        else:
            resume_sweep(folder, runner=runner, quiet=True)
        os._exit(0)
    finally:
        os._exit(1)


@pytest.mark.parametrize("kill_count", [FEW, pytest.param(MANY, marks=pytest.mark.slow)])
def test_kill_while_extending(
    kill_count: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Convex, "max_pack", 3)
    whole, rng, kills, rounds = tmp_path / "whole", random.Random(11), 0, 0
    run_sweep(AFTER, whole, runner="serial", quiet=True)
    expected = results(SweepPaths(whole))
    while kills < kill_count:
        rounds += 1
        folder, log = tmp_path / f"r{rounds}", tmp_path / f"log{rounds}"
        run_sweep(BEFORE, folder, runner="serial", quiet=True)
        ledger = Ledger(folder / "ledger")
        kept = {row.trial_id for row in ledger.trials() if not row.is_clean}
        for attempt in range(100):
            at_step = rng.random() < 0.5 and attempt < 6
            pid = child(folder, log, rng.randint(1, 40) if at_step else 0)
            if not at_step and kills < kill_count and attempt < 6:
                time.sleep(rng.uniform(0.02, 0.4))  # the random moment of the kill
                os.kill(pid, signal.SIGKILL)
            code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
            assert code in (0, -signal.SIGKILL)
            kills += code != 0
            if code == 0:
                break
        assert results(SweepPaths(folder)) == expected
        trained = [json.loads(line) for line in log.read_text().splitlines()]
        assert not kept & {name for pack in trained for name in pack}
    assert kills >= kill_count
