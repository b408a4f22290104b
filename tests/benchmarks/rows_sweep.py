"""A whole sweep on digits against its bare engine, the obvious Ray Tune script, and their mirrors.

Whole processes in turn, so Ray's start, imports and the disk are what they are.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

from rows_control import wide, wide_spec
from small import begin
from throughput import Row, selected

from sweeps.ledger import Ledger, Rows
from sweeps.packs.pack import PackSettings, make_packs
from sweeps.runners import train_pack
from sweeps.scheduling.loop import run_search
from sweeps.search import make_search
from sweeps.spec import SweepSpec

HERE = Path(__file__).parent
TRIALS, PAIRS = 10_000, 3
#: Trials that the obvious script runs in each pair, and runs that each mirror writes.
PEER_TRIALS, MIRRORED = 50, 300
COLD_SECONDS = 25.0
WHOLE = "digits sweep, 10,000 trials, Tune and ledger vs bare engine"
COLD = "cold start to the first pack, 25 s"
SCRIPT = "digits sweep with mirror vs obvious Ray Tune script"
MIRROR = "mirror to sqlite MLflow vs MLflowLoggerCallback, runs/s"


def rows() -> Iterator[Row]:
    if selected(WHOLE) or selected(COLD):
        ratios, colds = [], []
        for _ in range(PAIRS):
            bare, ours = process("bare", TRIALS), process("tune", TRIALS)
            ratios.append(bare["seconds"] / ours["seconds"])
            colds.append(COLD_SECONDS / ours["cold"])
        yield Row(WHOLE, statistics.median(ratios), 0.91, tuple(ratios))
        yield Row(COLD, statistics.median(colds), 1.0, tuple(colds))
    if selected(SCRIPT):
        ratios = []
        for _ in range(PAIRS):
            peer, ours = _peer(PEER_TRIALS), process("tracked", TRIALS)
            ratios.append(peer["seconds"] / peer["trials"] * TRIALS / ours["seconds"])
        yield Row(SCRIPT, statistics.median(ratios), 20.0, tuple(ratios))
    if selected(MIRROR):
        pairs = [(process("callback", MIRRORED), process("mirror", MIRRORED)) for _ in range(PAIRS)]
        ratios = [theirs["seconds"] / ours["seconds"] for theirs, ours in pairs]
        yield Row(MIRROR, statistics.median(ratios), 3.0, tuple(ratios))


def process(part: str, trials: int, module: str = "rows_sweep") -> dict[str, float]:
    """One part of a module here in a process of its own; what it prints last is its figures."""
    paths = [str(HERE.parents[1]), str(HERE.parent), str(HERE)]
    code = (
        f"import sys; sys.path[:0] = {paths!r}\n"
        f"if __name__ == '__main__':\n    import {module}; {module}.main({part!r}, {trials})"
    )
    with tempfile.TemporaryDirectory() as folder:
        script = Path(folder) / "part.py"
        script.write_text(code)
        return _figures([str(script)], os.pathsep.join(paths))


def _peer(trials: int) -> dict[str, float]:
    return _figures([str(HERE / "obvious_tune.py"), str(trials // 10)], "")


def _figures(arguments: list[str], path: str) -> dict[str, float]:
    environment = {k: v for k, v in os.environ.items() if k != "RAY_ADDRESS"}
    environment |= {"BENCHMARK_STARTED": str(time.time()), "PYTHONPATH": path}
    done = subprocess.run(
        [sys.executable, *arguments], capture_output=True, text=True, env=environment
    )
    if done.returncode:
        raise RuntimeError(done.stderr[-4000:])
    figures: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return figures


def main(part: str, trials: int) -> None:
    """Prints the figures of one part as a line of JSON."""
    parts = {
        "bare": bare,
        "tune": tuned,
        "tracked": tracked,
        "mirror": mirrored,
        "callback": called,
    }
    with tempfile.TemporaryDirectory() as folder:
        print(json.dumps(parts[part](trials, Path(folder))))


# --- the parts -----------------------------------------------------------------------------------


def bare(trials: int, folder: Path) -> dict[str, float]:
    """The same packs in as many processes as there are cores, and nothing else."""
    spec = wide_spec(trials)
    packs = make_packs(make_search(spec).ask(trials), _settings(spec))
    spawn = multiprocessing.get_context("spawn")
    cores = len(os.sched_getaffinity(0))
    with ProcessPoolExecutor(cores, mp_context=spawn) as pool:
        # Imports and the first touch of the data are not the engine's work.
        list(pool.map(train_pack, make_packs(packs[0].trials[:cores], _settings(spec)) * cores))
        start = time.perf_counter()
        done = sum(table.num_rows for table in pool.map(train_pack, packs))
        seconds = time.perf_counter() - start
    assert done == trials
    return {"seconds": seconds}


def tuned(trials: int, folder: Path) -> dict[str, float]:
    """Through Tune into the ledger: from the start of the first pack to the end of the last."""
    from sweeps.runners.tune import TuneRunner

    spec = wide_spec(trials)
    paths = begin(folder / "results", spec)
    ledger = Ledger(paths.ledger)
    outcome = run_search(spec, ledger, make_search(spec), TuneRunner())
    assert outcome.finished == trials, outcome
    first, last = span(ledger.table())
    return {"seconds": last - first, "cold": first - float(os.environ["BENCHMARK_STARTED"])}


def tracked(trials: int, folder: Path) -> dict[str, float]:
    """The command as users run it, with its mirror beside it."""
    out = folder / "results"
    (folder / "wide.yaml").write_text(json.dumps(wide(trials)))  # YAML reads JSON
    subprocess.run(
        [sys.executable, "-m", "sweeps.cli", "run", folder / "wide.yaml", "--out", out],
        check=True, capture_output=True,
    )  # fmt: skip
    first, last = span(Ledger(out / "ledger").table())
    return {"seconds": last - first}


def span(table: Rows) -> tuple[float, float]:
    """When the first pack began and the last one ended, in seconds since 1970.

    A pack's rows share the moment of its end; their seconds add up to its duration."""
    packs = table.group_by("pack_id").aggregate([("seconds", "sum"), ("finished_at", "max")])
    ends, lasted = packs["finished_at_max"].to_pylist(), packs["seconds_sum"].to_pylist()
    return min(end - took for end, took in zip(ends, lasted, strict=True)), max(ends)


def _settings(spec: SweepSpec) -> PackSettings:
    return PackSettings(spec.measures, spec.curve_every, spec.data_root)


def _recorded(trials: int, folder: Path) -> Any:
    """A results folder with so many rows, and a sqlite store whose tables exist already."""
    from trials import fake_result

    from sweeps.ledger import finished_rows
    from sweeps.mirror import mirror

    spec = wide_spec(trials)
    paths = begin(folder / "results", spec)
    uri = f"sqlite:///{folder}/mlflow.db"
    mirror(paths, uri)  # makes the tables and the experiment, so that neither is timed with them
    asked = make_search(spec).ask(trials)
    Ledger(paths.ledger).append(finished_rows([fake_result(t) for t in asked], "pack"))
    return paths, uri


def mirrored(trials: int, folder: Path) -> dict[str, float]:
    from sweeps.mirror import mirror

    paths, uri = _recorded(trials, folder)
    start = time.perf_counter()
    assert mirror(paths, uri).created == trials
    return {"seconds": time.perf_counter() - start}


def called(trials: int, folder: Path) -> dict[str, float]:
    """Ray's callback on the same runs: their parameters, and their metrics as one result."""
    from ray.air.integrations.mlflow import MLflowLoggerCallback

    from sweeps.mirror.run_record import RunRecords
    from sweeps.storage.paths import read_sweep

    paths, uri = _recorded(trials, folder)
    records = [
        RunRecords(read_sweep(paths)).record(row)
        for row in Ledger(paths.ledger).table().to_pylist()
    ]
    callback = MLflowLoggerCallback(uri, experiment_name="callback")
    callback.setup()
    start = time.perf_counter()
    for record in records:
        trial = _Trial(record.name, record.params)
        metrics = {point.key: point.value for point in record.points}
        callback.log_trial_start(trial)
        callback.log_trial_result(1, trial, {"training_iteration": 1, **metrics})
        callback.log_trial_end(trial)
    return {"seconds": time.perf_counter() - start}


class _Trial:
    """The part of Tune's trial that the callback reads."""

    def __init__(self, name: str, config: dict[str, str]) -> None:
        self.name, self.config = name, config

    def __str__(self) -> str:
        return self.name
