"""How far a trial's metrics must lie beyond a threshold, by epoch, for its verdict to be certain.

Pure. The limits are learned by the driver (`sweeps.early_stopping.predictor`) and travel with a
pack: whoever trains it compares numbers, and learns nothing itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import astuple, dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from backdoor.settings.digest import digest
from sweeps.records.thresholds import Thresholds
from sweeps.records.trial_row import TrialRow
from sweeps.statistics.margins import DIGITS

if TYPE_CHECKING:
    from backdoor.result import PartialResult

Floats = npt.NDArray[np.float64]
FAILS, PASSES = "fails", "passes"
#: What is predicted by which metric; `margin` is the smaller of both distances to the thresholds.
VERDICTS = {"attack_success": FAILS, "clean_accuracy": FAILS, "margin": PASSES}


@dataclass(frozen=True)
class StoppingLimit:
    """From which `distance` on, after `epoch`, the verdict by `metric` is certain.

    distance: how far the metric is beyond its threshold, a fraction: above it where the trial
    `fails`, below it where it `passes`; less than 0 where the trial is predicted to cross it.
    curves: finished trials like this one that were as far or farther; wrong: how many of them ended
    with the other verdict.
    """

    metric: str
    epoch: int
    distance: float
    curves: int
    wrong: int


@dataclass(frozen=True)
class StoppingLimits:
    """Of one trial. thresholds: a clean accuracy of None depends on the best point, and is not
    predicted. holdout: whether the trial runs to its end whatever is predicted."""

    thresholds: Thresholds
    limits: tuple[StoppingLimit, ...] = ()
    holdout: bool = False

    def predict(self, epoch: int, clean: float, success: float) -> str | None:
        """The verdict and its reason, in words; None while it is open. clean, success: fractions
        of the test set after `epoch`."""
        figures = np.array([clean]), np.array([success])
        for limit in self.limits:
            if limit.epoch == epoch:
                distance = float(distances(self.thresholds, limit.metric, *figures)[0])
                if distance >= limit.distance:
                    return self._words(limit, clean, success, distance)
        return None

    def _words(self, limit: StoppingLimit, clean: float, success: float, distance: float) -> str:
        value, ends = {
            "attack_success": (success, f"above {self.thresholds.attack_success:g}"),
            "clean_accuracy": (clean, f"below {self.thresholds.clean_accuracy or 0:g}"),
            "margin": (distance, "at 0 or above"),
        }[limit.metric]
        return (
            f"{VERDICTS[limit.metric]}: {limit.metric} {value:.4f} after epoch {limit.epoch} ends "
            f"{ends}, as it did in {limit.curves - limit.wrong} of {limit.curves} finished trials"
        )


def limit_thresholds(thresholds: Thresholds) -> Thresholds:
    """Only the two figures that limits depend on, which travel with a pack."""
    return Thresholds(
        clean_accuracy=thresholds.clean_accuracy, attack_success=thresholds.attack_success
    )


def in_words(thresholds: Thresholds) -> str:
    """The two figures as rows name them: `clean_accuracy >= 0.9, attack_success <= 0.2`."""
    clean, success = thresholds.clean_accuracy, thresholds.attack_success
    least = "" if clean is None else f"clean_accuracy >= {clean!r}, "
    return f"{least}attack_success <= {success!r}"


def misses(thresholds: Thresholds, metric: str, clean: Floats, success: Floats) -> Floats:
    """By how much the metric misses its threshold, above 0 if it does, (n,). clean, success: (n,)
    fractions."""
    found = {"attack_success": success - thresholds.attack_success}
    if thresholds.clean_accuracy is not None:
        found["clean_accuracy"] = thresholds.clean_accuracy - clean
        found["margin"] = np.maximum(*found.values())
    return np.round(found[metric], DIGITS)


def distances(thresholds: Thresholds, metric: str, clean: Floats, success: Floats) -> Floats:
    """How far curve points lie on the side of the verdict that the metric predicts, (n,)."""
    missed = misses(thresholds, metric, clean, success)
    return missed if VERDICTS[metric] == FAILS else -missed


def contradicts(
    thresholds: Thresholds, metric: str, clean: Floats, success: Floats
) -> npt.NDArray[np.bool_]:
    """Whether final figures give another verdict than the metric predicts, (n,)."""
    missed = misses(thresholds, metric, clean, success) > 0
    return ~missed if VERDICTS[metric] == FAILS else missed


def metric_of(predicted: str) -> str:
    """By which metric a verdict was predicted."""
    return predicted.split()[1]


def because(predicted: str) -> str:
    """The reason for stopping a trial whose verdict was predicted."""
    return f"certain: {predicted}"


def stand_in_counts(row: TrialRow, thresholds: Thresholds) -> tuple[float, float, float, float]:
    """Counts (correct, images, success, triggered) that stand for the result of a stopped trial.

    They are those of its last curve point; where they contradict the predicted verdict they are
    moved to the threshold, and one image beyond it if there is one. All are 0 for the metric that
    was not predicted.
    """
    metric, point = metric_of(row.predicted or ""), row.curve[-1]
    images, triggered = row.clean_total, row.measurements[0].total
    correct, success = point.clean_correct, point.success[0]
    most = thresholds.attack_success * triggered
    if metric == "attack_success":
        return 0.0, 0.0, min(max(success, most + 1), triggered), triggered
    least = (thresholds.clean_accuracy or 0.0) * images
    if metric == "clean_accuracy":
        return max(min(correct, least - 1), 0.0), images, 0.0, 0.0
    return max(correct, least), images, min(success, most), triggered


def is_holdout(trial_id: str, share: float) -> bool:
    """Whether a trial is one of those, a `share` of all, that run to their end whatever is
    predicted for them. It depends on the trial's id alone."""
    return int(digest("control", trial_id), 16) < share * 16**16


@dataclass
class Watch:
    """Watches the trials of a pack while they train: an `on_progress` of `run_pack`.

    limits: by trial id. stopped: the trials that it has stopped as they were then, with the
    predicted verdicts. holdouts: the verdicts that it predicted for trials that go on, by id.
    """

    limits: dict[str, StoppingLimits]
    stopped: list[tuple[PartialResult, str]] = field(default_factory=list)
    holdouts: dict[str, str] = field(default_factory=dict)

    @staticmethod
    def over(trial_ids: Sequence[str], limits: Sequence[StoppingLimits | None]) -> Watch | None:
        """None where no trial has limits."""
        found = {t: limit for t, limit in zip(trial_ids, limits, strict=False) if limit is not None}
        return Watch(found) if found else None

    def __call__(self, partial: PartialResult) -> bool:
        """Whether the trial is to be stopped."""
        name = partial.config.trial_id
        limits = self.limits.get(name)
        if limits is None or name in self.holdouts:
            return False
        predicted = limits.predict(partial.epochs_run, *fractions(partial))
        if predicted is None:
            return False
        if limits.holdout:
            self.holdouts[name] = predicted
        else:
            self.stopped.append((partial, predicted))
        return not limits.holdout


def fractions(partial: PartialResult) -> tuple[float, float]:
    """Clean accuracy and attack success on the test set after the last epoch of the curve."""
    point, (total,) = partial.curve[-1], partial.attack_total.values()
    return point.clean_correct / sum(partial.class_total), point.success[0] / max(1, total)


# --- as plain values -----------------------------------------------------------------------------


def plain(packs: Sequence[Sequence[StoppingLimits | None]]) -> dict[str, Any]:
    """The limits of packs as plain values: those of many trials are equal, and written once."""
    known: dict[tuple[Thresholds, tuple[StoppingLimit, ...]], int] = {}

    def number(limits: StoppingLimits | None) -> list[int] | None:
        if limits is None:
            return None
        key = limits.thresholds, limits.limits
        return [known.setdefault(key, len(known)), int(limits.holdout)]

    numbers = [[number(limits) for limits in pack] for pack in packs]
    written = [
        [[t.clean_accuracy, t.attack_success], [astuple(limit) for limit in limits]]
        for t, limits in known
    ]
    return {"known": written, "packs": numbers}


def from_plain(content: dict[str, Any]) -> list[tuple[StoppingLimits | None, ...]]:
    """The limits that `plain` has written, pack by pack."""
    known = [
        (
            Thresholds(clean_accuracy=clean, attack_success=success),
            tuple(StoppingLimit(*limit) for limit in limits),
        )
        for (clean, success), limits in content["known"]
    ]

    def one(pair: list[int] | None) -> StoppingLimits | None:
        if pair is None:
            return None
        thresholds, limits = known[pair[0]]
        return StoppingLimits(thresholds, limits, bool(pair[1]))

    return [tuple(map(one, pack)) for pack in content["packs"]]
