"""What a worker is handed at once: packs that it trains one after the other.

An engine fills a pack of small models in a third of a second, and Tune takes a tenth to hand one
out. A stint lasts for seconds, whatever its packs are: they need not be of one shape.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from backdoor.config import build_attack, build_trial, digest
from backdoor.registry import PROBES
from backdoor.userfile import files_of
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
        job, files = self.packs[0].job, dict[str, str]()
        trials = [trial for pack in self.packs for trial in pack.trials]
        named: set[Any] = {*job.measures, *(t.attack for t in trials), *(t.defence for t in trials)}
        named |= {trial.training for trial in trials}
        for part in named:
            files |= files_of(part)
        content = {
            "packs": [[trial.canonical for trial in pack.trials] for pack in self.packs],
            "measures": [measure.identity() for measure in job.measures],
            "curve_every": job.curve_every,
            "data_root": job.data_root,
            "files": files,
            "cpu": job.cpu,
            "gpu": job.gpu,
            "stopping": job.stopping,
            "probes": [probe.identity() for probe in job.probes],
        }
        return json.dumps(content, separators=(",", ":"))

    @staticmethod
    def from_json(text: str) -> Stint:
        content: dict[str, Any] = json.loads(text)
        root, files = content["data_root"], content["files"]
        job = Job(
            tuple(build_attack(measure, files) for measure in content["measures"]),
            content["curve_every"], root, content["cpu"], content["gpu"], content["stopping"],
            tuple(PROBES.build(probe) for probe in content["probes"]),
        )  # fmt: skip
        packs = [[build_trial(trial, root, files) for trial in pack] for pack in content["packs"]]
        return Stint(tuple(Pack(tuple(trials), job) for trials in packs))
