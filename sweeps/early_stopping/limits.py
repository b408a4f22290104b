"""Up to where a trial's curve leaves its verdict open; what lies beyond is foretold. Pure.

The limits are learned by the driver (`sweeps.early_stopping.predictor`) and travel with a pack:
whoever trains it compares numbers, and learns nothing itself.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import astuple, dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from backdoor.settings.digest import digest

if TYPE_CHECKING:
    from backdoor.result import PartialResult

Floats = npt.NDArray[np.float64]
FAILS, PASSES = "fails", "passes"
#: Decimal places to which a margin counts, as in `sweeps.region.point_table`.
DIGITS = 12


@dataclass(frozen=True)
class Bars:
    """What a trial must have to pass: clean accuracy at least `clean_accuracy`, None where that
    hangs on the best point and so is not foretold, and attack success at most `attack_success`."""

    clean_accuracy: float | None
    attack_success: float

    def short(self, metric: str, clean: Floats, success: Floats) -> Floats:
        """By how much the metric misses its bar, above 0 if it does; arrays of fractions."""
        misses = {"attack_success": success - self.attack_success}
        if self.clean_accuracy is not None:
            misses["clean_accuracy"] = self.clean_accuracy - clean
            misses["margin"] = np.maximum(*misses.values())
        return np.round(misses[metric], DIGITS)


#: What is foretold by which metric; `margin` is the smaller of both distances to the bars.
VERDICTS = {"attack_success": FAILS, "clean_accuracy": FAILS, "margin": PASSES}


@dataclass(frozen=True)
class StoppingLimit:
    """Of `curves` trials like this one whose `metric` after `epoch` was as far beyond its bar as
    `reach` or farther, `wrong` ended with another verdict.

    reach: a fraction, how far the metric misses its bar (`fails`), or both hold (`passes`); below 0
    where a trial is foretold to cross it.
    """

    metric: str
    epoch: int
    reach: float
    curves: int
    wrong: int


@dataclass(frozen=True)
class StoppingLimits:
    """Of one trial. control: whether it runs to its end whatever is foretold."""

    bars: Bars
    limits: tuple[StoppingLimit, ...] = ()
    control: bool = False

    def predict(self, epoch: int, clean: float, success: float) -> str | None:
        """The verdict and what tells it, in words; None while it is open. clean, success: fractions
        of the test set after `epoch`."""
        for limit in self.limits:
            if limit.epoch == epoch:
                reach = reaches(self.bars, limit.metric, np.array([clean]), np.array([success]))
                if reach[0] >= limit.reach:
                    return self._words(limit, clean, success, float(reach[0]))
        return None

    def _words(self, limit: StoppingLimit, clean: float, success: float, reach: float) -> str:
        shown, ends = {
            "attack_success": (success, f"above {self.bars.attack_success:g}"),
            "clean_accuracy": (clean, f"below {self.bars.clean_accuracy or 0:g}"),
            "margin": (reach, "at 0 or above"),
        }[limit.metric]
        return (
            f"{VERDICTS[limit.metric]}: {limit.metric} {shown:.4f} after epoch {limit.epoch} ends "
            f"{ends}, as it did in {limit.curves - limit.wrong} of {limit.curves} finished trials"
        )


def reaches(bars: Bars, metric: str, clean: Floats, success: Floats) -> Floats:
    """How strongly curve points speak for the verdict that the metric foretells, (n,)."""
    short = bars.short(metric, clean, success)
    return short if VERDICTS[metric] == FAILS else -short


def contradicts(bars: Bars, metric: str, clean: Floats, success: Floats) -> npt.NDArray[np.bool_]:
    """Whether final figures give another verdict than the metric foretells, (n,)."""
    misses = bars.short(metric, clean, success) > 0
    return ~misses if VERDICTS[metric] == FAILS else misses


def metric_of(told: str) -> str:
    """By which metric this was foretold."""
    return told.split()[1]


def because(told: str) -> str:
    """What a trial was stopped by, where this was foretold of it."""
    return f"certain: {told}"


def side_of(row: Mapping[str, Any], bars: Bars) -> tuple[float, float, float, float]:
    """Counts (correct, images, success, triggered) that stand for a stopped row of the ledger.

    They are those of its last curve point, moved to the bar, and one image beyond it if there is
    one, where they are on the other side of it than foretold. Of a metric that is not foretold all
    are 0.
    """
    metric, point = metric_of(row["foretold"]), row["curve"][-1]
    images, triggered = sum(row["class_total"]), row["measurements"][0]["total"]
    correct, success = point["clean_correct"], point["success"][0]
    most = bars.attack_success * triggered
    if metric == "attack_success":
        return 0.0, 0.0, min(max(success, most + 1), triggered), triggered
    least = (bars.clean_accuracy or 0.0) * images
    if metric == "clean_accuracy":
        return max(min(correct, least - 1), 0.0), images, 0.0, 0.0
    return max(correct, least), images, min(success, most), triggered


def is_holdout(trial_id: str, share: float) -> bool:
    """Whether a trial belongs to those, a `share` of all, that run to their end whatever is
    foretold of them. It follows from the trial's id."""
    return int(digest("control", trial_id), 16) < share * 16**16


@dataclass
class Watch:
    """Looks at the trials of a pack while they train, by trial id: an `on_progress` of `run_pack`.

    stopped: what was known of those that it stopped, and why. controls: what it foretold of others.
    """

    limits: dict[str, StoppingLimits]
    stopped: list[tuple[PartialResult, str]] = field(default_factory=list)
    controls: dict[str, str] = field(default_factory=dict)

    @staticmethod
    def over(trial_ids: Sequence[str], limits: Sequence[StoppingLimits | None]) -> Watch | None:
        """None where there is nothing to look for."""
        found = {t: limit for t, limit in zip(trial_ids, limits, strict=False) if limit is not None}
        return Watch(found) if found else None

    def __call__(self, partial: PartialResult) -> bool:
        name = partial.config.trial_id
        limits = self.limits.get(name)
        if limits is None or name in self.controls:
            return False
        told = limits.predict(partial.epochs_run, *fractions(partial))
        if told is None:
            return False
        if limits.control:
            self.controls[name] = told
        else:
            self.stopped.append((partial, told))
        return not limits.control


def fractions(partial: PartialResult) -> tuple[float, float]:
    """Clean accuracy and attack success on the test set after the last epoch of the curve."""
    point, (total,) = partial.curve[-1], partial.attack_total.values()
    return point.clean_correct / sum(partial.class_total), point.success[0] / max(1, total)


# --- as plain values -----------------------------------------------------------------------------


def plain(packs: Sequence[Sequence[StoppingLimits | None]]) -> dict[str, Any]:
    """The limits of packs as plain values: those of many trials are equal, and written once."""
    known: dict[tuple[Bars, tuple[StoppingLimit, ...]], int] = {}

    def number(limits: StoppingLimits | None) -> list[int] | None:
        if limits is None:
            return None
        key = limits.bars, limits.limits
        return [known.setdefault(key, len(known)), int(limits.control)]

    numbers = [[number(limits) for limits in pack] for pack in packs]
    written = [[astuple(bars), [astuple(limit) for limit in limits]] for bars, limits in known]
    return {"known": written, "packs": numbers}


def from_plain(content: dict[str, Any]) -> list[tuple[StoppingLimits | None, ...]]:
    """The limits that `plain` has written, pack by pack."""
    known = [
        (Bars(*bars), tuple(StoppingLimit(*limit) for limit in limits))
        for bars, limits in content["known"]
    ]

    def one(pair: list[int] | None) -> StoppingLimits | None:
        if pair is None:
            return None
        bars, limits = known[pair[0]]
        return StoppingLimits(bars, limits, bool(pair[1]))

    return [tuple(map(one, pack)) for pack in content["packs"]]
