"""Which verdicts are certain before a training has ended, learned from finished trainings.

A trial is compared with finished ones of the same family: equal in every category of the defence
(architecture, regularizer, ...), in the number of epochs and, except for clean accuracy, in the
attack. Take those curves of the family that are, after some epoch, at least as far beyond a
threshold as the trial is: a share of them ended with the other verdict. The verdict is predicted
where the exact upper 95 % bound of this share (Clopper and Pearson 1934) is at most
1 - confidence. So it takes log(0.05) / log(confidence) finished curves before anything is
predicted: 29 for 0.9, 59 for 0.95, 299 for 0.99. A plain share, (wrong + 1) / (curves + 1), is
unbiased over sweeps, but within one sweep an optimistic first limit would stay for a long time.

The number of independent curves is smaller than it seems. Curves of equal defence and seed hardly
differ in clean accuracy between attacks, and count once for it. The split and the initial weights
of one seed may favour all of its trials, so curves of at least `SEEDS` seeds are required, or of
all seeds where the sweep has fewer.

Curves predicted at an epoch are not used for later ones, because such new trials are stopped
before, and those that remain are harder to predict. Nor is there extrapolation: a trial is
predicted only where each number of its defence lies within the range of the curves that the limit
was learned from.

The bound holds for trials that come from the same distribution as the finished ones. It may be
wrong for a search that moves to other points, or where all points share their seeds: the holdout
trials show that.

Holdout trials (`sweeps.early_stopping.limits.is_holdout`), a declared share, run to their end
whatever is predicted. They are the only finished trials that had a predicted verdict, so the shares
above stay unbiased.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.special import betaincinv

from backdoor.config import TrialConfig
from backdoor.settings.schema import is_number
from sweeps.early_stopping.limits import (
    VERDICTS,
    Floats,
    StoppingLimit,
    StoppingLimits,
    contradicts,
    distances,
    is_holdout,
    limit_thresholds,
)
from sweeps.early_stopping.rules import may_stop
from sweeps.ledger import Rows, flatten_factors, trial_rows
from sweeps.records.thresholds import Thresholds
from sweeps.records.trial_row import TrialRow
from sweeps.spec import SweepSpec
from sweeps.spec.sections import StoppingSettings

Bools = npt.NDArray[np.bool_]
Ints = npt.NDArray[np.int64]
#: The confidence of the bound of a share of wrong verdicts.
BOUND = 0.95
#: Seeds that the curves behind a limit must have, at least.
SEEDS = 3
#: Limits are learned again once the number of curves has grown by this share.
GROWTH = 0.05


@dataclass(frozen=True)
class TrialFeatures:
    """What a trial is compared by. family: the categories of its defence, and its epochs; numbers:
    those of its defence, and last the poison rate."""

    family: tuple[tuple[str, Any], ...]
    attack_id: str
    numbers: tuple[float, ...]

    @staticmethod
    def of(canonical: Mapping[str, Any], attack_id: str) -> TrialFeatures:
        """Of a canonical configuration."""
        defence = canonical["defence"]
        flat = flatten_factors({"data": {}, "training": {}, "attack": None, "defence": defence})
        del flat["attack.poison_rate"]
        epochs = flat.pop("defence.epochs")
        numbers = {k: float(v) for k, v in flat.items() if is_number(v)}
        numbers["poison_rate"] = float((canonical["attack"] or {}).get("poison_rate", 0.0))
        categories = {k: v for k, v in flat.items() if not is_number(v)}
        family = {"epochs": epochs, **categories, "numbers": ",".join(sorted(numbers))}
        return TrialFeatures(
            tuple(sorted(family.items())), attack_id, tuple(numbers[k] for k in sorted(numbers))
        )


@dataclass(frozen=True)
class Curve:
    """A finished trial: epoch → (clean accuracy, attack success), and both at its end."""

    features: TrialFeatures
    seed: int
    points: dict[int, tuple[float, float]]
    end: tuple[float, float]


@dataclass(frozen=True)
class _LearnedLimit:
    """A limit, and the ranges (2, d) of the numbers of the curves beyond it."""

    limit: StoppingLimit
    ranges: Floats

    def covers(self, numbers: Floats) -> bool:
        """Whether the numbers (d,) of a trial are within the ranges."""
        return bool(((self.ranges[0] <= numbers) & (numbers <= self.ranges[1])).all())


class OutcomePredictor:
    """Learns limits from the ledger's rows, and gives those of a trial. seeds: of the sweep."""

    def __init__(self, settings: StoppingSettings, thresholds: Thresholds, seeds: int = 1) -> None:
        self.settings, self.thresholds = settings, thresholds
        self._seeds = min(seeds, SEEDS)
        self._curves: list[Curve] = []
        self._learned = 0
        self._limits: dict[tuple[Any, ...], list[_LearnedLimit]] = {}

    def learn(self, rows: Rows) -> None:
        """Adds rows of the ledger, those that are finished, attacked, and have a curve."""
        self.add(curve for row in trial_rows(rows) if (curve := curve_of(row)) is not None)

    def add(self, curves: Iterable[Curve]) -> None:
        """Adds finished curves, to learn from when limits are next asked for."""
        self._curves += curves

    def limits(self, trial: TrialConfig) -> StoppingLimits | None:
        """Of a trial that is about to be trained; None for one that may not be stopped."""
        if not may_stop(trial):
            return None
        found = self.of(TrialFeatures.of(trial.canonical, trial.attack_id))
        holdout = is_holdout(trial.trial_id, self.settings.control)
        return StoppingLimits(self.thresholds, found, holdout)

    def of(self, features: TrialFeatures) -> tuple[StoppingLimit, ...]:
        """The limits of trials with these features, by epoch."""
        self._refresh()
        numbers = np.array(features.numbers)
        found = [
            learned.limit
            for metric in self._metrics
            for learned in self._limits.get(_group(metric, features), ())
            if learned.covers(numbers)
        ]
        return tuple(sorted(found, key=_order))

    @property
    def _metrics(self) -> list[str]:
        """Those whose threshold is known, in the order in which they are compared."""
        metrics = ["attack_success"]
        if self.thresholds.clean_accuracy is not None:
            metrics += ["clean_accuracy"]
            metrics += ["margin"] if self.settings.verdict == "any" else []
        return metrics

    def _refresh(self) -> None:
        if len(self._curves) < (1 + GROWTH) * self._learned or not self._curves:
            return
        self._learned = len(self._curves)
        families = defaultdict(list)
        for curve in self._curves:
            families[curve.features.family].append(curve)
        self._limits = defaultdict(list)
        for curves in families.values():
            for group, learned in self._learned_limits(curves):
                self._limits[group].append(learned)

    def _learned_limits(
        self, curves: list[Curve]
    ) -> Iterator[tuple[tuple[Any, ...], _LearnedLimit]]:
        """The limits that are learned from curves of one family, epoch by epoch."""
        numbers = np.array([curve.features.numbers for curve in curves])
        seeds = np.array([curve.seed for curve in curves])
        end = np.array([curve.end for curve in curves]).T
        remaining = np.ones(len(curves), dtype=np.bool_)
        groups = [pair for metric in self._metrics for pair in _members(metric, curves)]
        for epoch in sorted({epoch for curve in curves for epoch in curve.points}):
            if epoch < self.settings.grace_period:
                continue
            now = np.array([c.points.get(epoch, (np.nan, np.nan)) for c in curves]).T
            for group, members, counted in groups:
                distance = distances(self.thresholds, group[0], *now)
                among = members & remaining & np.isfinite(distance)
                wrong, some = contradicts(self.thresholds, group[0], *end), among & counted
                limit = self._certain_beyond(distance[some], wrong[some], seeds[some])
                if limit is not None:
                    beyond = among & (distance >= limit[0])
                    remaining &= ~beyond
                    ranges = np.array([numbers[beyond].min(0), numbers[beyond].max(0)])
                    yield group, _LearnedLimit(StoppingLimit(group[0], epoch, *limit), ranges)

    def _certain_beyond(
        self, distance: Floats, wrong: Bools, seeds: Ints
    ) -> tuple[float, int, int] | None:
        return certain_beyond(distance, wrong, seeds, 1 - self.settings.confidence, self._seeds)


def _order(limit: StoppingLimit) -> tuple[int, int]:
    return limit.epoch, list(VERDICTS).index(limit.metric)


def _group(metric: str, features: TrialFeatures) -> tuple[Any, ...]:
    """Trials of equal group are compared by this metric. Poison hardly changes clean accuracy, as
    long as its rate is within the range of the curves."""
    attack = "" if metric == "clean_accuracy" else features.attack_id
    return metric, features.family, attack


def _members(metric: str, curves: list[Curve]) -> Iterator[tuple[tuple[Any, ...], Bools, Bools]]:
    """The groups of curves of one family: a name and two masks over the curves, (n,) each.

    The first mask says which curves belong to the group. The second says which curves count: one
    for each defence and seed where the attack hardly matters.
    """
    names = [_group(metric, curve.features) for curve in curves]
    models = [
        (name, curve.features.numbers[:-1], curve.seed)
        for name, curve in zip(names, curves, strict=True)
    ]
    first: dict[Any, int] = {}
    for place, model in enumerate(models):
        first.setdefault(model, place)
    counted = np.zeros(len(curves), dtype=np.bool_)
    counted[list(first.values())] = True
    for name in dict.fromkeys(names):
        yield name, np.array([n == name for n in names]), counted


def certain_beyond(
    distance: Floats, wrong: Bools, seeds: Ints, error: float, seeds_needed: int
) -> tuple[float, int, int] | None:
    """The smallest distance from which on verdicts are certain, how many curves are as far, and how
    many of these are wrong; None where no distance is large enough.

    distance, wrong, seeds: (n,) of finished curves. error: the largest share of wrong verdicts.
    seeds_needed: different seeds that these curves must have, at least.
    """
    if not len(distance):
        return None
    order = np.argsort(-distance, kind="stable")
    ranked, errors = distance[order], np.cumsum(wrong[order])
    counts = np.arange(1, len(ranked) + 1)
    new = np.zeros(len(ranked), dtype=np.int64)
    new[np.unique(seeds[order], return_index=True)[1]] = 1
    last_of_ties = np.append(ranked[1:] < ranked[:-1], True)
    bound = betaincinv(errors + 1, np.maximum(counts - errors, 1e-9), BOUND)
    fine = (bound <= error * (1 + 1e-9)) & (np.cumsum(new) >= seeds_needed) & last_of_ties
    if not fine.any():
        return None
    place = int(np.flatnonzero(fine)[-1])
    return float(ranked[place]), int(counts[place]), int(errors[place])


def curve_of(row: TrialRow) -> Curve | None:
    """What can be learned from a row of the ledger; None for one that has not finished, a clean
    baseline, or one without a curve."""
    if not row.finished or row.is_clean or not row.curve:
        return None
    images, measured = row.clean_total, row.measurements[0]
    total = max(1, measured.total)
    points = {
        point.epoch: (point.clean_correct / images, point.success[0] / total)
        for point in row.curve
        if point.epoch < row.epochs
    }
    end = row.clean_correct / images, measured.success / total
    return Curve(TrialFeatures.of(row.config, row.attack_id), row.seed, points, end)


def predictor_of(spec: SweepSpec) -> OutcomePredictor | None:
    """Of a spec with `stopping: certain`; None for any other."""
    if spec.stopping is None or not spec.predicting:
        return None
    return OutcomePredictor(spec.stopping, limit_thresholds(spec.region), len(spec.seeds))
