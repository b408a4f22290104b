"""How often a certain verdict was wrong, by the trials that ran to their end all the same.

region.json has it as `predicted`, where the spec says `stopping: {kind: certain}`:

- `stopped`: trials that ended because their verdict was certain; `controls`: trials that were
  foretold, and ran to their end; `wrong`: those of the controls that ended with another verdict.
- `error`: the share of wrong ones; `error_upper`: the exact one-sided 95 % bound of it among all
  that were foretold, since controls are drawn by chance. Both are null without controls.
- `declared`: the share of wrong verdicts that the spec allows.
- `epochs_saved`: the share of the epochs of recorded, attacked trials that were not trained.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from sweeps.early_stopping.limits import Bars, contradicts, metric_of
from sweeps.ledger import FINISHED, STOPPED, accuracies
from sweeps.spec import SweepSpec
from sweeps.statistics.binomial import lower_bound

Row = Mapping[str, Any]


def prediction_audit(spec: SweepSpec, rows: Sequence[Row]) -> dict[str, Any]:
    """`predicted` as region.json has it, under that name; nothing where the spec foretells nothing.

    rows: of the ledger, finished and stopped.
    """
    if spec.stopping is None or not spec.predicting:
        return {}
    bars = Bars(spec.region.clean_accuracy, spec.region.attack_success)
    controls = [row for row in rows if row["foretold"] and row["status"] == FINISHED]
    wrong = sum(was_wrong(row, bars) for row in controls)
    right = len(controls) - wrong
    found = {
        "stopped": sum(row["status"] == STOPPED for row in rows),
        "controls": len(controls),
        "wrong": wrong,
        "error": wrong / len(controls) if controls else None,
        "error_upper": 1 - lower_bound(right, len(controls)) if controls else None,
        "declared": 1 - spec.stopping.confidence,
        "epochs_saved": _saved(rows),
    }
    return {"foretold": found}


def was_wrong(row: Row, bars: Bars) -> bool:
    """Whether a finished trial ended with another verdict than was foretold. A model that broke
    passes nothing, whatever its figures are."""
    metric, measured = metric_of(row["foretold"]), row["measurements"][0]
    clean = accuracies(dict(row))["clean_accuracy"]
    success = measured["success"] / max(1, measured["total"])
    broken = bool(row["collapsed"] or row["diverged"])
    other = bool(contradicts(bars, metric, np.array([clean]), np.array([success]))[0])
    return broken if metric == "margin" and broken else other and not broken


def _saved(rows: Sequence[Row]) -> float:
    planned = saved = 0
    for row in rows:
        epochs = row["config"]["defence"].get("epochs", 0)
        if row["attack_id"] != "clean":
            planned += epochs
            saved += epochs - row["epochs_run"] if row["status"] == STOPPED else 0
    return saved / planned if planned else 0.0


def sentence(found: Mapping[str, Any]) -> str:
    """The same in words."""
    text = (
        f"{found['stopped']} trials were stopped because their verdict was certain, which saved "
        f"{100 * found['epochs_saved']:.3g} % of the epochs."
    )
    if not found["controls"]:
        return (
            f"{text} None that was foretold has run to its end: nothing says how often that errs."
        )
    return (
        f"{text} Of {found['controls']} others foretold that ran to their end all the same, "
        f"{found['wrong']} ended otherwise: at most {100 * found['error_upper']:.3g} % are wrong, "
        f"with 95 % confidence; {100 * found['declared']:.3g} % were declared."
    )
