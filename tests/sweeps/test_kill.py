"""SIGKILL at 50 points: while packs run, while a segment is written, while segments are merged.

The sweep runs in a forked child, with work that takes 10 ms. Half of the kills come at a random
moment, half just before a randomly chosen step of writing or merging.
"""

import json
import os
import random
import signal
import time

import pytest
from small import begin, results, small_spec, sweep
from trials import fake_rows

import sweeps.ledger
import sweeps.storage
from backdoor.engines.convex import Convex
from sweeps.ledger import Ledger
from sweeps.runners.serial import SerialRunner

#: Kills in the slow test: enough that some fall into a write. A few show that a resume works.
MANY, FEW = 50, 6
SPEC = {
    "defence": {"architecture": "ridge", "weight_decay": [0.001, 0.01, 0.1, 1]},
    "seeds": 6,
    "attack": {"trigger": [{"kind": "patch", "size": 1}, "blend"], "poison_rate": [0, 0.01, 0.03]},
}


def child(paths, spec, log, die_at_step):
    """Runs the sweep in a forked process; returns its process id."""
    pid = os.fork()
    if pid:
        return pid
    steps = [0]

    def counted(function):
        def step(*args, **kwargs):
            steps[0] += 1
            if steps[0] == die_at_step:
                os.kill(os.getpid(), signal.SIGKILL)
            return function(*args, **kwargs)

        return step

    def work(pack):
        with log.open("a") as stream:
            stream.write(json.dumps([t.trial_id for t in pack.trials]) + "\n")
        time.sleep(0.01)
        return fake_rows(pack)

    try:
        from pathlib import Path

        sweeps.storage.files.os.fsync = counted(os.fsync)
        Path.replace = counted(Path.replace)
        Path.unlink = counted(Path.unlink)
        sweep(paths, spec, SerialRunner(work))
        os._exit(0)
    finally:
        os._exit(1)


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    spec = small_spec(**SPEC)
    paths = begin(tmp_path_factory.mktemp("calm") / "r", spec)
    sweep(paths, spec, SerialRunner(fake_rows))
    return results(paths)


@pytest.mark.parametrize("kill_count", [FEW, pytest.param(MANY, marks=pytest.mark.slow)])
def test_kill_and_resume(tmp_path, monkeypatch, undisturbed, kill_count) -> None:
    monkeypatch.setattr(Convex, "max_pack", 3)
    monkeypatch.setattr(sweeps.ledger.ledger, "COMPACT_AT", 6)
    rng, spec = random.Random(7), small_spec(**SPEC)
    kills = completed = 0
    left_behind = set()
    while kills < kill_count or completed == 0:
        paths = begin(tmp_path / f"sweep-{completed}", spec)
        log = tmp_path / f"log-{completed}"
        recorded, read = set(), 0
        while True:
            by_step = rng.random() < 0.5
            limit = rng.randint(1, 40) if by_step else 0
            pid = child(paths, spec, log, limit if kills < kill_count else 0)
            if not by_step and kills < kill_count:
                time.sleep(rng.uniform(0, 0.25))  # where the kill falls is the randomness tested
                os.kill(pid, signal.SIGKILL)
            status = os.waitpid(pid, 0)[1]
            lines = log.read_text().splitlines() if log.exists() else []
            trained = {i for line in lines[read:] for i in json.loads(line)}
            read = len(lines)
            assert not trained & recorded, "a recorded trial was trained again"
            recorded = set(results(paths))
            left_behind |= {f.suffix for f in paths.ledger.iterdir() if f.name.startswith(".")}
            if os.WIFEXITED(status):
                assert os.WEXITSTATUS(status) == 0
                break
            assert os.WTERMSIG(status) == signal.SIGKILL
            kills += 1
        completed += 1
        assert results(paths) == undisturbed
        ledger = Ledger(paths.ledger)
        assert not ledger.failed and len(ledger.finished) == len(undisturbed)
    assert kills >= kill_count
    assert left_behind <= {".tmp"}
    assert left_behind or kill_count == FEW, (
        "no kill fell into a write: the test has lost its point"
    )
