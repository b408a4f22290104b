"""What a worker is handed at once: packs that it trains one after the other.

An engine fills a pack of small models in a third of a second, and Tune takes a tenth to hand one
out. A stint lasts for seconds, whatever its packs are: they need not be of one shape.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from backdoor.config import Attack, TrialConfig, build_attack, build_trial, digest
from sweeps.plan import Job, Pack


@dataclass(frozen=True)
class Stint:
    """Packs of one sweep, at least one."""

    packs: tuple[Pack, ...]

    @property
    def stint_id(self) -> str:
        """Twelve hex digits that follow from the packs."""
        return digest("stint", [pack.pack_id for pack in self.packs])[:12]

    def to_json(self) -> str:
        """Plain JSON: no pickle travels, and any process can read it."""
        job = self.packs[0].job
        content = {
            "packs": [[trial.canonical for trial in pack.trials] for pack in self.packs],
            "measures": [measure.identity() for measure in job.measures],
            "curve_every": job.curve_every,
            "data_root": job.data_root,
            "cpu": job.cpu,
            "gpu": job.gpu,
            "stopping": job.stopping,
        }
        return json.dumps(content, separators=(",", ":"))

    @staticmethod
    def from_json(text: str) -> Stint:
        content: dict[str, Any] = json.loads(text)
        job = Job(
            _attacks(content["measures"]), content["curve_every"], content["data_root"],
            content["cpu"], content["gpu"], content["stopping"],
        )  # fmt: skip
        return Stint(tuple(Pack(_trials(pack, job), job) for pack in content["packs"]))


def _attacks(measures: Iterable[Any]) -> tuple[Attack, ...]:
    return tuple(build_attack(measure) for measure in measures)


def _trials(pack: Iterable[Any], job: Job) -> tuple[TrialConfig, ...]:
    return tuple(build_trial(trial, job.data_root) for trial in pack)
