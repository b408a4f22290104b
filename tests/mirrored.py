"""Results folders and what MLflow shows of them, for the tests of the mirror."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from mlflow import MlflowClient
from mlflow.entities import Run
from trials import PATCH, fake_result, trial

from backdoor.config import TrialConfig, build_attack, measure_id
from sweeps.ledger import Ledger, finished_rows
from sweeps.mirror import mlflow_settings
from sweeps.records.trial_row import TrialRow
from sweeps.storage.files import write_json
from sweeps.storage.paths import SweepPaths

SWEEP_ID = "0123456789abcdef" * 2
MEASURES = [build_attack({"trigger": t}).measure() for t in (PATCH, "blend")]


class Folder:
    """A results folder whose sweep names the store `uri`."""

    def __init__(self, root: Path, uri: str | None, **changes: Any) -> None:
        self.paths, self.uri = SweepPaths(root), uri
        self.paths.ledger.mkdir(parents=True)
        described = {
            "schema_version": 1,
            "sweep_id": SWEEP_ID,
            "name": "small",
            "created": "2026-01-01T00:00:00+00:00",
            "data_fingerprint": "0" * 16,
            "class_names": ["0", "1"],
            "planned": 24,
            "versions": {},
            "command": "sweeps run small",
            "measures": {measure_id(m): m.measure_identity() for m in MEASURES},
            "tracking": {"uri": uri},
        }
        write_json(self.paths.sweep, {**described, **changes})

    def record(self, *configs: TrialConfig) -> None:
        rows = finished_rows([fake_result(c, MEASURES) for c in configs], "pack")
        Ledger(self.paths.ledger).append(rows)

    def rows(self) -> dict[str, TrialRow]:
        """By trial id."""
        return {row.trial_id: row for row in Ledger(self.paths.ledger).trials()}


def pair(seed: int = 0) -> list[TrialConfig]:
    """A clean baseline and a poisoned trial."""
    return [trial("ridge", seed, 0, weight_decay=0.1), trial("ridge", seed, weight_decay=0.1)]


def runs(uri: str, experiment: str = "small") -> list[Run]:
    """All runs of an experiment that are not deleted."""
    with mlflow_settings():
        client = MlflowClient(tracking_uri=uri)
        found = client.get_experiment_by_name(experiment)
        assert found is not None
        return list(client.search_runs([found.experiment_id]))


def by_trial(found: list[Run]) -> dict[str, Run]:
    """Trial id → its only run."""
    table = {run.data.tags["trial_id"]: run for run in found}
    assert len(table) == len(found)
    return table


def says(run: Run) -> tuple[Any, ...]:
    """Everything that a run shows, without what the store chose itself."""
    return (run.info.run_name, run.info.status, run.info.start_time, run.info.end_time,
            run.data.params, run.data.metrics, run.data.tags)  # fmt: skip


def until(condition: Callable[[], Any], seconds: float = 60.0) -> None:
    """Waits for a condition; fails where it does not come true."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.02)


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port
