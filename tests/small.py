"""Small specs and sweeps that many tests use."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

from sweeps.ledger import RESULT_COLUMNS, Ledger
from sweeps.results.create import create_results
from sweeps.scheduling.loop import SweepOutcome, run_search
from sweeps.search import make_search
from sweeps.spec import SweepSpec, parse_spec
from sweeps.storage.paths import SweepPaths

SMALL: dict[str, Any] = {
    "name": "small",
    "data": "digits",
    "defence": {
        "architecture": [{"kind": "linear", "weight_decay": [0, 0.03]}, {"kind": "ridge", "weight_decay": [0.01, 1]}],
        "epochs": 3,
    },
    "attack": {"trigger": [{"kind": "patch", "size": 1}], "poison_rate": [0, 0.01, 0.03]},
    "seeds": 2,
    "tracking": "none",
}  # fmt: skip


def small_spec(**changes: Any) -> SweepSpec:
    """The small spec with sections replaced: 24 trials, milliseconds each."""
    return parse_spec({**copy.deepcopy(SMALL), **changes})


def begin(folder: Path, spec: SweepSpec) -> SweepPaths:
    return create_results(spec, folder, ["sweeps", "run", "small"])


def of_before(paths: SweepPaths, **changes: Any) -> None:
    """Makes a results folder one of a release that kept no digest of the spec, which may then be
    written otherwise. changes: of sweep.json."""
    known = {"specs", "spec_digest", "criteria_digest", "defaults"}
    kept = {k: v for k, v in json.loads(paths.sweep.read_text()).items() if k not in known}
    paths.sweep.write_text(json.dumps(kept | changes))


def sweep(paths: SweepPaths, spec: SweepSpec, runner: Any, observers: Any = ()) -> SweepOutcome:
    """Runs or resumes a sweep in a folder."""
    return run_search(spec, Ledger(paths.ledger), make_search(spec), runner, observers)


def results(paths: SweepPaths) -> dict[str, dict[str, Any]]:
    """Trial id → its result, without times, hosts and the like."""
    rows = Ledger(paths.ledger).rows()
    table = {row["trial_id"]: {key: row[key] for key in RESULT_COLUMNS} for row in rows}
    assert len(table) == len(rows)
    return table
