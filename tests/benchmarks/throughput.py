"""The throughput table: `make bench-throughput`, on an idle machine.

    python tests/benchmarks/throughput.py [--only NAME ...] [--json FILE]

Each module `rows_*.py` in this folder has `rows() -> Iterator[Row]`, which measures as it goes.
Every ratio is written so that larger is better; the exit code is 1 if a row misses its goal.
"""

from __future__ import annotations

import argparse
import importlib
import json
import statistics
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from figures import make_command, record
from threadpoolctl import threadpool_limits

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
#: With fewer than five runs a lower quartile means little.
RUNS = 5

_asked: list[str] = []


@dataclass(frozen=True)
class Row:
    """ratio: the figure compared with `required`, larger is better. runs: the single ratios."""

    name: str
    ratio: float
    required: float
    runs: tuple[float, ...]

    @property
    def met(self) -> bool:
        return self.ratio >= self.required

    def figures(self) -> dict[str, object]:
        """A line of the table in FIGURES.md."""
        spread = f"{min(self.runs):.2f} to {max(self.runs):.2f}"
        return {"row": self.name, "ratio": self.ratio, "goal": self.required,
                "verdict": "met" if self.met else "MISSED", "runs": spread}  # fmt: skip

    def __str__(self) -> str:
        runs = " ".join(f"{run:.2f}" for run in self.runs)
        verdict = "met" if self.met else "MISSED"
        return f"{self.name:<58}{self.ratio:>8.2f}{self.required:>8g}  {verdict:<7}{runs}"


def selected(name: str) -> bool:
    """Whether a row of this name is to be measured: ask before any work is done for it."""
    return not _asked or any(part in name for part in _asked)


def side_by_side(
    name: str,
    required: float,
    baselines: Sequence[Callable[[], float]],
    ours: Callable[[], float],
    runs: int = RUNS,
) -> Iterator[Row]:
    """A row of one process and one thread: best baseline / ours, in turn, after one warm-up each.

    Each callable does its work once and returns what it cost in seconds, which it may scale up
    from a part of the work. The ratio is the lower quartile of all runs. Nothing is yielded for a
    row that is not selected.
    """
    if not selected(name):
        return
    with one_thread():
        for side in (*baselines, ours):
            side()
        ratios = [min(side() for side in baselines) / ours() for _ in range(runs)]
    yield Row(name, statistics.quantiles(ratios, n=4)[0], required, tuple(ratios))


def timed(
    work: Callable[[], object],
    scale: float = 1.0,
    clock: Callable[[], float] = time.perf_counter,
) -> Callable[[], float]:
    """A callable that does the work and returns its seconds by `clock`, times `scale`.

    Work of one thread may be timed by `time.process_time`, which other load hardly changes.
    """

    def run() -> float:
        start = clock()
        work()
        return scale * (clock() - start)

    return run


@contextmanager
def one_thread() -> Iterator[None]:
    """One thread for torch and for the BLAS and OpenMP libraries loaded so far."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with threadpool_limits(1):
            yield
    finally:
        torch.set_num_threads(before)


def all_rows() -> Iterator[Row]:
    """The selected rows of all modules, each as soon as it is measured."""
    for file in sorted(HERE.glob("rows_*.py")):
        for row in importlib.import_module(file.stem).rows():
            if selected(row.name):
                yield row


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Measures throughput and prints one table.")
    parser.add_argument(
        "--only",
        nargs="+",
        default=[],
        metavar="NAME",
        help="rows whose name has one of these in it",
    )
    parser.add_argument(
        "--json", type=Path, default=ROOT / "build" / "throughput.json", metavar="FILE"
    )
    given = parser.parse_args(arguments)
    _asked[:] = given.only
    print(f"{'row':<58}{'ratio':>8}{'goal':>8}  {'':<7}runs")
    found: list[Row] = []
    for row in all_rows():
        found.append(row)
        print(row, flush=True)
        # After each row: an hour of measurements is not lost to the last one's error.
        given.json.parent.mkdir(parents=True, exist_ok=True)
        given.json.write_text(json.dumps([asdict(row) for row in found], indent=1) + "\n")
    if not found:
        print("no row of that name", file=sys.stderr)
        return 2
    if not _asked:
        typed = make_command("bench-throughput", "CIFAR10", "BACKDOOR_DATA", "BACKDOORBENCH")
        record("throughput", typed, [row.figures() for row in found])
    return int(not all(row.met for row in found))


if __name__ == "__main__":
    # Rows are found beside this file, their data in `tests`; they import this very module by name.
    sys.path[:0] = [str(ROOT), str(ROOT / "tests"), str(HERE)]
    sys.exit(importlib.import_module("throughput").main())
