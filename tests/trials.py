"""Trials and fake rows that many tests use."""

from __future__ import annotations

import hashlib
from typing import Any

from backdoor.config import (
    Training,
    TrialConfig,
    build_attack,
    build_data,
    build_defence,
    measure_id,
)
from backdoor.result import Measurement, TrialResult
from sweeps.ledger import Rows, finished_rows
from sweeps.packs.pack import Pack

CIRCUMSTANCES = ("seconds", "train_seconds", "peak_memory", "host")
PATCH = {"kind": "patch", "size": 1}
DIGITS = build_data("digits")
FEW = build_data({"kind": "digits", "train": 128, "validation": 10, "test": 40})


def trial(
    architecture: Any = "mlp",
    seed: int = 0,
    rate: float = 0.03,
    trigger: Any = PATCH,
    training: Training | None = None,
    data: Any = None,
    **defence: Any,
) -> TrialConfig:
    """A trial on digits; rate 0 is the clean baseline."""
    attack = build_attack({"trigger": trigger, "poison_rate": rate}) if rate else None
    point = build_defence({"architecture": architecture, **defence})
    return TrialConfig(data or DIGITS, point, attack, training or Training(), seed)


def same(one: TrialResult, other: TrialResult) -> bool:
    """Whether two results are equal, apart from times, hosts and the like."""

    def strip(result: TrialResult) -> dict[str, Any]:
        return {k: v for k, v in result.row().items() if k not in CIRCUMSTANCES}

    return strip(one) == strip(other)


def fake_result(config: TrialConfig, measures: Any = ()) -> TrialResult:
    """A result that depends on the trial alone, without training anything."""
    numbers = hashlib.sha256(config.trial_id.encode()).digest()
    attacks = [config.attack] if config.attack else list(measures)
    return TrialResult(
        config.trial_id, config.defence_id, config.attack_id, config.seed, config.canonical,
        "fake", 1, "fingerprint", 1100, 33 if config.attack else 0, 30 if config.attack else 0,
        150 + numbers[0] % 40, 197, (40 + numbers[1] % 10,) * 10, (50,) * 10, False, False,
        tuple(Measurement(measure_id(a), numbers[2], 10, 450) for a in attacks), (),
        0.01, "cpu", "here",
    )  # fmt: skip


def fake_rows(pack: Pack) -> Rows:
    """Work for a runner: rows at once."""
    results = [fake_result(config, pack.settings.measures) for config in pack.trials]
    return finished_rows(results, pack.pack_id)
