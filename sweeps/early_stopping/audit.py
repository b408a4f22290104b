"""How often a certain verdict was wrong, by the holdout trials that ran to their end all the same.

region.json has it as `foretold`, where the spec says `stopping: {kind: certain}`:

- `stopped`: trials that ended because their verdict was certain; `controls`: holdout trials, for
  which a verdict was predicted and which ran to their end; `wrong`: those of the controls that
  ended with another verdict.
- `error`: the share of wrong ones; `error_upper`: its exact one-sided 95 % bound among all trials
  with a predicted verdict, since controls are a random sample of them. Both are null without
  controls.
- `declared`: the share of wrong verdicts that the spec allows.
- `epochs_saved`: the share of the epochs of recorded, attacked trials that were not trained.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from backdoor.wording import counted, noun_for
from sweeps.early_stopping.limits import contradicts, in_words, limit_thresholds, metric_of
from sweeps.records.criteria import Criteria
from sweeps.records.region_file import PredictionAudit
from sweeps.records.thresholds import Thresholds
from sweeps.records.trial_row import STOPPED, TrialRow
from sweeps.statistics.binomial import lower_bound


def prediction_audit(criteria: Criteria, rows: Sequence[TrialRow]) -> PredictionAudit | None:
    """`foretold` as region.json has it; None where no verdict is predicted.

    rows: of the ledger, finished and stopped.
    """
    if criteria.prediction_confidence is None:
        return None
    thresholds = limit_thresholds(criteria.thresholds)
    # Verdicts from before the sweep was extended are about other thresholds.
    present = (None, in_words(thresholds))
    holdouts = [row for row in rows if row.predicted and row.finished and row.thresholds in present]
    wrong = sum(was_wrong(row, thresholds) for row in holdouts)
    right = len(holdouts) - wrong
    return {
        "stopped": sum(row.status == STOPPED for row in rows),
        "controls": len(holdouts),
        "wrong": wrong,
        "error": wrong / len(holdouts) if holdouts else None,
        "error_upper": 1 - lower_bound(right, len(holdouts)) if holdouts else None,
        "declared": 1 - criteria.prediction_confidence,
        "epochs_saved": _epochs_saved(rows),
    }


def was_wrong(row: TrialRow, thresholds: Thresholds) -> bool:
    """Whether a finished trial ended with another verdict than the predicted one. A broken model
    passes nothing, whatever its figures are."""
    metric = metric_of(row.predicted or "")
    if row.broken:
        return metric == "margin"
    clean, success = np.array([row.clean_accuracy]), np.array([row.attack_success or 0.0])
    return bool(contradicts(thresholds, metric, clean, success)[0])


def _epochs_saved(rows: Sequence[TrialRow]) -> float:
    attacked = [row for row in rows if not row.is_clean]
    planned = sum(row.epochs for row in attacked)
    saved = sum(row.epochs - (row.epochs_run or 0) for row in attacked if row.status == STOPPED)
    return saved / planned if planned else 0.0


def sentence(found: PredictionAudit) -> str:
    """The same in words."""
    text = (
        f"{counted(found['stopped'], 'trial was', 'trials were')} stopped because "
        f"{noun_for(found['stopped'], 'its', 'their')} verdict was certain, which saved "
        f"{100 * found['epochs_saved']:.3g} % of the epochs."
    )
    if found["error_upper"] is None:
        return (
            f"{text} No other trial with a predicted verdict has run to its end: the error rate "
            "is unknown."
        )
    return (
        f"{text} Of {found['controls']} holdout trials with a predicted verdict, "
        f"{found['wrong']} ended with another verdict: at most {100 * found['error_upper']:.3g} % "
        f"are wrong, with 95 % confidence; {100 * found['declared']:.3g} % were declared."
    )
