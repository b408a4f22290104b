"""Tune's ASHA and median rule over trials that can be compared, rebuilt from the ledger on resume.

Tune has one scheduler for each experiment. This one has one of Tune's rules for every attack and
number of epochs (`sweeps.early_stopping.rules` says why) and shows it only two numbers of each
report, since Tune's median rule keeps every result that it sees for good. What Tune's rules assume:

- ASHA ends a trial at max_t, and compares a late report with an early rung, unless
  `stop_last_trials` is off.
- The median rule pauses trials while it has too few samples. A paused trial would start again from
  its first epoch, since we give Tune no checkpoints; an endless `min_time_slice` prevents pauses.
- A trial whose worker died starts again under the same id: reports that were seen are not shown
  again.
- An exception in a scheduler ends the experiment: it is kept in `error`, and the trial goes on.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from ray.tune.schedulers import (
    AsyncHyperBandScheduler,
    FIFOScheduler,
    MedianStoppingRule,
    TrialScheduler,
)

from backdoor.config import TrialConfig
from sweeps.early_stopping.limits import StoppingLimits, because
from sweeps.early_stopping.rules import METRICS, metrics
from sweeps.ledger import FAILED, Rows, trial_rows
from sweeps.packs.pack import Pack
from sweeps.records.trial_row import TrialRow
from sweeps.spec.sections import StoppingSettings

#: The keys of a report for the epoch after which it was made, and for the number of packs left.
EPOCH: Final = "epoch"
LEFT: Final = "left"


class CancellingScheduler(FIFOScheduler):  # type: ignore[misc]  # ray has no types
    """Ends chunks that are cancelled.

    cancel: called after each report that has the number of packs left, with the Tune trial id and
    this number; says whether to end the chunk.
    """

    def __init__(self, cancel: Callable[[str, int], bool]) -> None:
        super().__init__()
        self.error: Exception | None = None
        self._cancel = cancel

    def __deepcopy__(self, memo: Any) -> CancellingScheduler:
        return self

    def on_trial_result(self, controller: Any, trial: Any, result: Mapping[str, Any]) -> str:
        try:
            return self._decide(controller, trial, result)
        except Exception as error:
            self.error = self.error or error
            return str(TrialScheduler.CONTINUE)

    def _decide(self, controller: Any, trial: Any, result: Mapping[str, Any]) -> str:
        cancelled = self._cancel(trial.trial_id, result.get(LEFT, 0))
        return str(TrialScheduler.STOP if cancelled else TrialScheduler.CONTINUE)


class CertainScheduler(CancellingScheduler):
    """Ends a trial whose verdict is certain by what is known when it reports.

    pack_of: the pack of a Tune trial id, None where there is none. limits: those of a trial. stop:
    called for a trial that ends, with its Tune trial id, the reason and the prediction. predict:
    called for a holdout trial, which goes on, with its Tune trial id and the prediction.
    """

    def __init__(
        self,
        pack_of: Callable[[str], Pack | None],
        limits: Callable[[TrialConfig], StoppingLimits | None],
        stop: Callable[[str, str, str], None],
        predict: Callable[[str, str], None],
        cancel: Callable[[str, int], bool] = lambda tune_id, left: False,
    ) -> None:
        super().__init__(cancel)
        self._pack_of, self._limits, self._stop, self._predict = pack_of, limits, stop, predict

    def _decide(self, controller: Any, trial: Any, result: Mapping[str, Any]) -> str:
        pack, epoch = self._pack_of(trial.trial_id), result.get(EPOCH)
        if pack is None or epoch is None:
            return super()._decide(controller, trial, result)
        (config,) = pack.trials
        limits = self._limits(config)
        figures = result["clean_accuracy"], result["attack_success"]
        predicted = None if limits is None else limits.predict(epoch, *figures)
        if limits is None or predicted is None:
            return str(TrialScheduler.CONTINUE)
        if limits.holdout:
            self._predict(trial.trial_id, predicted)
            return str(TrialScheduler.CONTINUE)
        self._stop(trial.trial_id, because(predicted), predicted)
        return str(TrialScheduler.STOP)


class StoppingScheduler(CancellingScheduler):
    """Decides after each report whether a trial goes on.

    pack_of: the pack of a Tune trial id, None where there is none. stop: called with the Tune trial
    id of a trial that ends, and the reason. past: the ledger's rows, from which the rules learn
    first.
    """

    def __init__(
        self,
        settings: StoppingSettings,
        pack_of: Callable[[str], Pack | None],
        stop: Callable[[str, str], None],
        past: Rows | None = None,
        cancel: Callable[[str, int], bool] = lambda tune_id, left: False,
    ) -> None:
        super().__init__(cancel)
        self._settings, self._pack_of, self._stop = settings, pack_of, stop
        self._rules: dict[tuple[str, int], Any] = {}
        self._seen: dict[str, int] = {}
        for row in () if past is None else trial_rows(past):
            self._remember(row)

    def _decide(self, controller: Any, trial: Any, result: Mapping[str, Any]) -> str:
        pack, epoch = self._pack_of(trial.trial_id), result.get(EPOCH, 0)
        before = self._seen.get(trial.trial_id, 0)
        if pack is None or epoch <= before:
            return super()._decide(controller, trial, result)
        (config,) = pack.trials
        rule = self._rule(config.attack_id, config.defence.epochs)
        if not before:
            rule.on_trial_add(controller, trial)
        self._seen[trial.trial_id] = epoch
        value = result[self._settings.metric]
        verdict: str = rule.on_trial_result(controller, trial, self._shown(epoch, value))
        if verdict == TrialScheduler.STOP:
            self._stop(trial.trial_id, self._reason(epoch, value))
        return verdict

    def _reason(self, epoch: int, value: float) -> str:
        settings = self._settings
        return f"{settings.kind}: {settings.metric} {value:.4f} after epoch {epoch}"

    def _shown(self, epoch: int, value: float) -> dict[str, float]:
        return {EPOCH: epoch, self._settings.metric: value}

    def _rule(self, attack_id: str, epochs: int) -> Any:
        key = attack_id, epochs
        if key not in self._rules:
            self._rules[key] = _make_rule(self._settings, epochs)
        return self._rules[key]

    def _remember(self, row: TrialRow) -> None:
        """Shows a rule the curve of a recorded trial. `on_trial_complete` takes a result without
        deciding anything."""
        if row.status == FAILED or row.is_clean:
            return
        past, epochs = _Past(row.trial_id), row.config["defence"].get("epochs", 0)
        for epoch, found in _curve(row):
            if epoch < epochs:
                rule = self._rule(row.attack_id, epochs)
                rule.on_trial_add(None, past)
                shown = self._shown(epoch, found[self._settings.metric])
                rule.on_trial_complete(None, past, shown)


@dataclass(frozen=True)
class _Past:
    """The part of a Tune trial that its rules read."""

    trial_id: str


def _curve(row: TrialRow) -> Iterator[tuple[int, dict[str, float]]]:
    """(epoch, metrics) of the points of a recorded curve that have a validation count."""
    for point in row.curve:
        found = metrics(point, row.validation_total or 0, row.measurements[0].total)
        if found is not None:
            yield point.epoch, found


def _make_rule(settings: StoppingSettings, epochs: int) -> Any:
    common = {"time_attr": EPOCH, "metric": settings.metric, "mode": METRICS[settings.metric]}
    if epochs <= settings.grace_period:
        return FIFOScheduler()
    if settings.kind == "asha":
        return AsyncHyperBandScheduler(
            **common,
            max_t=epochs,
            grace_period=settings.grace_period,
            reduction_factor=settings.reduction_factor,
            stop_last_trials=False,
        )
    return MedianStoppingRule(
        **common,
        grace_period=settings.grace_period,
        min_samples_required=settings.min_samples_required,
        min_time_slice=math.inf,
    )
