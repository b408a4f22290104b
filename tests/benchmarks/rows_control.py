"""What the machinery around the trainings costs: search, plan, feed, ledger. Nothing is trained."""

from __future__ import annotations

import gc
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
from small import begin
from throughput import Row, selected
from trials import fake_result

from backdoor.memory import return_freed
from sweeps.ledger import Ledger, Rows, finished_rows
from sweeps.runners.replay import ReplayRunner
from sweeps.scheduling.loop import run_search
from sweeps.search import make_search
from sweeps.spec import SweepSpec, parse_spec

#: Trials of the replayed sweep, its goal in trials a second, and the driver's bytes a trial.
TRIALS, RATE, GROWTH = 10_000, 300.0, 2048.0
READ_ROWS, READ_SECONDS = 100_000, 2.0
RUNS = 3
CONTROL = "control plane, 10,000 replayed trials, 300/s"
MEMORY = "driver memory, 2 KiB a replayed trial"
READ = "ledger of 100,000 rows read, 2 s"


def rows() -> Iterator[Row]:
    """Three rows; each run is a process of its own, so that memory starts from nothing."""
    if selected(CONTROL) or selected(MEMORY):
        runs = [_in_process("replay") for _ in range(RUNS)]
        rates = tuple(run["rate"] / RATE for run in runs)
        yield Row(CONTROL, statistics.median(rates), 1.0, rates)
        growths = tuple(GROWTH / run["growth"] for run in runs)
        yield Row(MEMORY, statistics.median(growths), 1.0, growths)
    if selected(READ):
        ratios = tuple(READ_SECONDS / run for run in _in_process("read")["seconds"])
        yield Row(READ, statistics.median(ratios), 1.0, ratios)


def _in_process(part: str) -> Any:
    here = Path(__file__).parent
    paths = [str(here.parents[1]), str(here.parent), str(here)]
    code = f"import sys; sys.path[:0] = {paths!r}; import rows_control; rows_control.main({part!r})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(done.stderr)
    return json.loads(done.stdout.splitlines()[-1])


def main(part: str) -> None:
    """Prints the figures of one part as a line of JSON."""
    print(json.dumps(_replayed() if part == "replay" else _read()))


def wide(trials: int) -> dict[str, Any]:
    """A grid of so many linear trials on digits: decays x 2 rates x 5 seeds."""
    decays = {"log": [1e-6, 1e-1], "steps": trials // 10}
    return {
        "name": "wide",
        "data": "digits",
        "defence": {"architecture": {"kind": "linear", "weight_decay": decays}},
        "attack": {"trigger": {"kind": "patch", "size": 1}, "poison_rate": [0.01, 0.03]},
        "seeds": 5,
    }


def wide_spec(trials: int) -> SweepSpec:
    """The same, without a mirror."""
    return parse_spec({**wide(trials), "tracking": "none"})


def _tape(folder: Path, trials: int) -> None:
    """A ledger with the same figures for every trial that the spec asks for."""
    asked = make_search(wide_spec(trials)).ask(trials)
    Ledger(folder).append(finished_rows([fake_result(trial) for trial in asked], "recorded"))


class _Watch:
    """Notes the process's memory after each pack."""

    def __init__(self) -> None:
        self.seen: list[tuple[int, int]] = []
        self.rows = 0

    def recorded(self, rows: Rows) -> None:
        self.rows += rows.num_rows
        self.seen.append((self.rows, _resident()))

    def growth(self, trials: int) -> float:
        """Bytes for each trial from the first quarter on, when caches and imports no longer grow."""
        sync_state = [pair for pair in self.seen if pair[0] >= trials / 4]
        count, size = zip(*sync_state, strict=True)
        return max(1.0, statistics.linear_regression(count, size).slope)


def _resident() -> int:
    """Resident memory of this process in bytes."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * 4096


def _replayed(trials: int = TRIALS) -> dict[str, float]:
    spec, watch = wide_spec(trials), _Watch()
    with tempfile.TemporaryDirectory() as folder:
        paths, tape = begin(Path(folder) / "results", spec), Path(folder) / "tape"
        _tape(tape, trials)
        ledger, runner = Ledger(paths.ledger), ReplayRunner(Ledger(tape), workers=16)
        _give_back()
        start = time.perf_counter()
        outcome = run_search(spec, ledger, make_search(spec), runner, [watch])
        seconds = time.perf_counter() - start
    assert outcome.finished == trials, outcome
    return {"rate": trials / seconds, "growth": watch.growth(trials)}


def _give_back() -> None:
    """Returns freed memory, which would otherwise hide growth."""
    gc.collect()
    pa.default_memory_pool().release_unused()
    return_freed()


def _read() -> dict[str, list[float]]:
    spec = wide_spec(1000)
    one = fake_result(make_search(spec).ask(1)[0])
    with tempfile.TemporaryDirectory() as folder:
        ledger = Ledger(Path(folder))
        for first in range(0, READ_ROWS, 1000):
            ids = range(first, first + 1000)
            ledger.append(finished_rows([replace(one, trial_id=f"{i:016x}") for i in ids], "pack"))
        seconds = []
        for _ in range(RUNS):
            start = time.perf_counter()
            assert len(Ledger(Path(folder)).finished) == READ_ROWS
            seconds.append(time.perf_counter() - start)
    return {"seconds": seconds}
