"""The same question by four searches, answered by formulas: weight decay lowers attack success first
and clean accuracy later, so that there is a region between."""

from __future__ import annotations

import contextlib
import math
from pathlib import Path
from typing import Any

import numpy as np
from small import begin, small_spec

from backdoor.config import Attack, TrialConfig, measure_id
from backdoor.result import Measurement, TrialResult
from backdoor.streams import stream
from sweeps.answer.write import write_region
from sweeps.ledger import Ledger, Rows, finished_rows
from sweeps.packs.pack import Pack
from sweeps.runners.replay import ReplayRunner
from sweeps.scheduling.loop import run_search
from sweeps.search import make_search
from sweeps.spec import SweepSpec
from sweeps.storage.paths import SweepPaths

CLEAN, TRIGGERED = 1000, 900
GRID = [0.0003, 0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1]
WIDE = {"log": [1e-4, 1]}
#: Search → what replaces sections of the small spec.
SEARCHES: dict[str, dict[str, Any]] = {
    "grid": {"search": {"kind": "grid"}, "weight_decay": GRID},
    "sobol": {"search": {"kind": "sobol", "points": 16}, "weight_decay": WIDE},
    "tpe": {"search": {"kind": "optuna", "sampler": "tpe", "points": 16}, "weight_decay": WIDE},
    "region": {"search": {"kind": "region", "budget": 80}, "weight_decay": WIDE},
}
STATES = ("finished", "interrupted", "empty")


def asked(search: str, success: float = 0.2, accuracy: float = 0.8, seeds: int = 4) -> SweepSpec:
    """Two architectures by weight decay, two poison rates and the clean baseline."""
    own = dict(SEARCHES[search])
    defence = {"architecture": ["linear", "mlp"], "weight_decay": own.pop("weight_decay")}
    limits = {"clean_accuracy": accuracy, "attack_success": success}
    return small_spec(name=search, defence=defence, seeds=seeds, region=limits, **own)


class Formulas:
    """Recorded trainings of any trial."""

    def has(self, trial: TrialConfig) -> bool:
        return True

    def seconds(self, trial: TrialConfig) -> float:
        return 1.0

    def rows(self, pack: Pack) -> Rows:
        results = [_result(trial, pack.settings.measures) for trial in pack.trials]
        return finished_rows(results, pack.pack_id)


def _result(trial: TrialConfig, measures: tuple[Attack, ...]) -> TrialResult:
    level = math.log10(trial.defence.weight_decay)
    draws = stream("formulas", trial.trial_id).normal(size=3)
    common = stream("formulas", trial.seed).normal()
    accuracy = _logistic(3.0 - 3.0 * _rise(level, -0.3) + 0.1 * (draws[0] + common))
    right = round(CLEAN * accuracy)
    attacks = [trial.attack] if trial.attack else list(measures)
    found = []
    for attack in attacks:
        takes = 0.0 if trial.attack is None else _rise(-level, 1.7) * 5 + 20 * attack.poison_rate
        success = _logistic(-4.0 + takes + 0.15 * (draws[1] + common))
        found.append(Measurement(measure_id(attack), round(TRIGGERED * success), 10, TRIGGERED))
    by_class = tuple(right // 10 + (number < right % 10) for number in range(10))
    poisoned = 30 if trial.attack else 0
    return TrialResult(
        trial.trial_id, trial.defence_id, trial.attack_id, trial.seed, trial.canonical,
        "fake", 1, "fingerprint", 1100, poisoned, poisoned,
        round(197 * accuracy), 197, by_class, (CLEAN // 10,) * 10, False, False,
        tuple(found), (), 0.01, "cpu", "here",
    )  # fmt: skip


def _rise(level: float, middle: float) -> float:
    return _logistic(5 * (level - middle))


def _logistic(value: float) -> float:
    return float(1 / (1 + np.exp(-value)))


def made(folder: Path, spec: SweepSpec, state: str = "finished") -> SweepPaths:
    """A results folder with its region.json: of a sweep that has ended, was interrupted after a
    part of its trials, or has not trained any."""
    paths = begin(folder, spec)
    run(paths, spec, {"finished": None, "interrupted": 37, "empty": 0}[state])
    return paths


def run(paths: SweepPaths, spec: SweepSpec, most: int | None = None) -> None:
    """Trains up to `most` trials, all where that is None."""
    if most != 0:
        with contextlib.suppress(KeyboardInterrupt):
            run_search(spec, Ledger(paths.ledger), make_search(spec), _Some(most))
    write_region(paths, spec, finished=None if most is not None else True)


class _Some(ReplayRunner):
    """Ends after so many trials, as an interrupted run does."""

    def __init__(self, most: int | None) -> None:
        super().__init__(Formulas())
        self._most = most

    def _answer(self, feed: Any, pack: Pack) -> None:
        super()._answer(feed, pack)
        if self._most is not None:
            self._most -= len(pack.trials)
            if self._most <= 0:
                raise KeyboardInterrupt
