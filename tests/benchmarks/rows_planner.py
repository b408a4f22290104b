"""What `sweeps check --time` predicts against what the sweep then takes, on three kinds of specs."""

from __future__ import annotations

import json
import statistics
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from rows_sweep import process, span
from small import begin
from throughput import Row, selected

from sweeps.cost.estimate import estimate
from sweeps.ledger import Ledger
from sweeps.packs.pack import PackSettings, make_packs
from sweeps.scheduling.loop import run_search
from sweeps.search import make_search
from sweeps.spec import SweepSpec, parse_spec

#: Goal: a prediction within 30 %.
REQUIRED, RUNS = 0.7, 3
NAME = "planner: 1 - |predicted - took| / took, "

#: Name → the defence space; every point meets two poison rates and the baseline, with seeds.
SPECS: dict[str, tuple[dict[str, Any], int]] = {
    "linear and MLP": (
        {
            "architecture": ["linear", {"kind": "mlp", "width": 32}],
            "weight_decay": {"log": [1e-5, 1e-1], "steps": 50},
            "epochs": [15, 30],
        },
        5,
    ),
    "convex learners": (
        {
            "architecture": ["ridge", "logistic", "linear_svm", "rbf_svm"],
            "weight_decay": {"log": [1e-4, 1e-1], "steps": 16},
        },
        10,
    ),
    "convnet": (
        {
            "architecture": "convnet",
            "weight_decay": {"log": [1e-4, 1e-1], "steps": 4},
            "learning_rate": 0.05,
            "epochs": [4, 8],
        },
        3,
    ),
}


def rows() -> Iterator[Row]:
    for name in SPECS:
        if not selected(NAME + name):
            continue
        ratios = []
        for _ in range(RUNS):
            predicted, took = (_seconds(part, name) for part in ("predict", "take"))
            ratios.append(1 - abs(predicted - took) / took)
        yield Row(NAME + name, statistics.median(ratios), REQUIRED, tuple(ratios))


def _seconds(part: str, name: str) -> float:
    return process(part, list(SPECS).index(name), "rows_planner")["seconds"]


def main(part: str, number: int) -> None:
    """Prints the figure of one part for the spec of that number as a line of JSON."""
    spec = _spec(number)
    with tempfile.TemporaryDirectory() as folder:
        seconds = predicted(spec) if part == "predict" else taken(spec, Path(folder))
    print(json.dumps({"seconds": seconds}))


def _spec(number: int) -> SweepSpec:
    defence, seeds = list(SPECS.values())[number]
    return parse_spec(
        {
            "name": "planned",
            "data": "digits",
            "defence": defence,
            "attack": {"trigger": {"kind": "patch", "size": 1}, "poison_rate": [0, 0.01, 0.03]},
            "seeds": seeds,
            "tracking": "none",
        }
    )


def predicted(spec: SweepSpec) -> float:
    """As `sweeps check --time` has it."""
    job = PackSettings(spec.measures, spec.curve_every, spec.data_root)
    return estimate(make_packs(make_search(spec).ask(4096), job)).seconds


def taken(spec: SweepSpec, folder: Path) -> float:
    """From the first pack's start to the last one's end."""
    from sweeps.runners.tune import TuneRunner

    paths = begin(folder / "results", spec)
    ledger = Ledger(paths.ledger)
    outcome = run_search(spec, ledger, make_search(spec), TuneRunner())
    assert not outcome.failed, outcome
    first, last = span(ledger.table())
    return last - first
