"""Which verdicts are certain before a training has ended, learned from those that have.

Trials are compared with finished ones of the same family: equal in every category of the defence
(architecture, regularizer, ...), in the number of epochs and, but for clean accuracy, in the
attack. After an epoch, of the family's curves that reach as far beyond a bar as the trial does or
farther, some share ended with another verdict. The trial is foretold where that share is at most
1 - confidence by its exact upper 95 % bound (Clopper and Pearson 1934). So it takes log(0.05) /
log(confidence) finished curves before anything is foretold: 29 for 0.9, 59 for 0.95, 299 for 0.99.
A plain share, (wrong + 1) / (curves + 1), is right on average over sweeps, but a sweep that begins
with a lucky limit goes on with it for long.

Curves are not as many as they seem. Those of equal defence and seed hardly differ in clean accuracy
from attack to attack, and count once there. One seed's split and weights may favour all of its
trials, so that curves of `SEEDS` seeds are asked for, or of all where the sweep has fewer.

What is foretold at one epoch is left out of the curves of later ones, since trials like it do not
get there: those that remain are harder, and easy ones must not vouch for them. Nor do curves vouch
for defences that they know nothing of: a trial is foretold only where each number of its defence
lies between those of the curves that foretell it.

How sure the bound is holds for trials that are drawn as the finished ones were. A search that moves
on, or points that all seeds share, may make it less sure: that is what controls are for.

Among finished trials, those that were foretold are there by chance alone: a declared share of them,
the controls (`sweeps.early_stopping.limits.is_holdout`), runs to its end. They keep the shares
honest.
"""

from __future__ import annotations

import json
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
    Bars,
    Floats,
    StoppingLimit,
    StoppingLimits,
    contradicts,
    is_holdout,
    reaches,
)
from sweeps.early_stopping.rules import may_stop
from sweeps.ledger import FINISHED, Rows, flatten_factors
from sweeps.spec import SweepSpec
from sweeps.spec.sections import StoppingSettings

Bools = npt.NDArray[np.bool_]
Ints = npt.NDArray[np.int64]
#: Of the bound of a share of wrong verdicts.
BOUND = 0.95
#: Curves of so many seeds speak for those of others.
SEEDS = 3
#: Limits are learned anew once so large a part more is known.
GROWTH = 0.05


@dataclass(frozen=True)
class Kind:
    """What a trial is compared by. family: the categories of its defence and its epochs; numbers:
    of its defence, and the poison rate."""

    family: tuple[tuple[str, Any], ...]
    attack_id: str
    numbers: tuple[float, ...]

    @staticmethod
    def of(canonical: Mapping[str, Any], attack_id: str) -> Kind:
        defence = canonical["defence"]
        flat = flatten_factors({"data": {}, "training": {}, "attack": None, "defence": defence})
        del flat["attack.poison_rate"]
        epochs = flat.pop("defence.epochs")
        numbers = {k: float(v) for k, v in flat.items() if is_number(v)}
        numbers["poison_rate"] = float((canonical["attack"] or {}).get("poison_rate", 0.0))
        categories = {k: v for k, v in flat.items() if not is_number(v)}
        family = {"epochs": epochs, **categories, "numbers": ",".join(sorted(numbers))}
        return Kind(
            tuple(sorted(family.items())), attack_id, tuple(numbers[k] for k in sorted(numbers))
        )


@dataclass(frozen=True)
class Curve:
    """A finished trial: epoch → (clean accuracy, attack success), and both at its end."""

    kind: Kind
    seed: int
    points: dict[int, tuple[float, float]]
    end: tuple[float, float]


@dataclass(frozen=True)
class _Reach:
    """A limit, and the ranges (2, d) of the numbers of the curves beyond it."""

    limit: StoppingLimit
    ranges: Floats

    def knows(self, numbers: Floats) -> bool:
        return bool(((self.ranges[0] <= numbers) & (numbers <= self.ranges[1])).all())


class OutcomePredictor:
    """Learns limits from the ledger's rows, and says those of a trial."""

    def __init__(self, settings: StoppingSettings, bars: Bars, seeds: int = 1) -> None:
        self.settings, self.bars = settings, bars
        self._seeds = min(seeds, SEEDS)
        self._curves: list[Curve] = []
        self._learned = 0
        self._limits: dict[tuple[Any, ...], list[_Reach]] = {}

    def learn(self, rows: Rows) -> None:
        """Takes rows of the ledger, those that are finished, attacked, and have a curve."""
        self.take(curve for row in rows.to_pylist() if (curve := curve_of(row)) is not None)

    def take(self, curves: Iterable[Curve]) -> None:
        """Takes finished curves, to learn from when limits are next asked for."""
        self._curves += curves

    def limits(self, trial: TrialConfig) -> StoppingLimits | None:
        """Of a trial that is about to be trained; None where it will not be stopped."""
        if not may_stop(trial):
            return None
        found = self.of(Kind.of(trial.canonical, trial.attack_id))
        control = is_holdout(trial.trial_id, self.settings.control)
        return StoppingLimits(self.bars, found, control)

    def of(self, kind: Kind) -> tuple[StoppingLimit, ...]:
        """The limits of a kind of trial, by epoch."""
        self._refresh()
        numbers = np.array(kind.numbers)
        found = [
            reach.limit
            for metric in self._metrics
            for reach in self._limits.get(_group(metric, kind), ())
            if reach.knows(numbers)
        ]
        return tuple(sorted(found, key=_order))

    @property
    def _metrics(self) -> list[str]:
        """Those whose bar is known, in the order in which they are looked at."""
        asked = ["attack_success"]
        if self.bars.clean_accuracy is not None:
            asked += ["clean_accuracy"]
            asked += ["margin"] if self.settings.verdict == "any" else []
        return asked

    def _refresh(self) -> None:
        if len(self._curves) < (1 + GROWTH) * self._learned or not self._curves:
            return
        self._learned = len(self._curves)
        families = defaultdict(list)
        for curve in self._curves:
            families[curve.kind.family].append(curve)
        self._limits = defaultdict(list)
        for curves in families.values():
            for group, reach in self._family(curves):
                self._limits[group].append(reach)

    def _family(self, curves: list[Curve]) -> Iterator[tuple[tuple[Any, ...], _Reach]]:
        """The limits that curves of one family teach, epoch by epoch."""
        numbers = np.array([curve.kind.numbers for curve in curves])
        seeds = np.array([curve.seed for curve in curves])
        end = np.array([curve.end for curve in curves]).T
        left = np.ones(len(curves), dtype=np.bool_)
        groups = [pair for metric in self._metrics for pair in _members(metric, curves)]
        for epoch in sorted({epoch for curve in curves for epoch in curve.points}):
            if epoch < self.settings.grace_period:
                continue
            now = np.array([c.points.get(epoch, (np.nan, np.nan)) for c in curves]).T
            for group, members, counted in groups:
                reach = reaches(self.bars, group[0], *now)
                among = members & left & np.isfinite(reach)
                wrong, some = contradicts(self.bars, group[0], *end), among & counted
                cut = self._farthest(reach[some], wrong[some], seeds[some])
                if cut is not None:
                    beyond = among & (reach >= cut[0])
                    left &= ~beyond
                    ranges = np.array([numbers[beyond].min(0), numbers[beyond].max(0)])
                    yield group, _Reach(StoppingLimit(group[0], epoch, *cut), ranges)

    def _farthest(self, reach: Floats, wrong: Bools, seeds: Ints) -> tuple[float, int, int] | None:
        return farthest(reach, wrong, seeds, 1 - self.settings.confidence, self._seeds)


def _order(limit: StoppingLimit) -> tuple[int, int]:
    return limit.epoch, list(VERDICTS).index(limit.metric)


def _group(metric: str, kind: Kind) -> tuple[Any, ...]:
    """Trials of equal group are compared by this metric. Poison hardly moves clean accuracy, as
    long as its rate is one that the curves know."""
    attack = "" if metric == "clean_accuracy" else kind.attack_id
    return metric, kind.family, attack


def _members(metric: str, curves: list[Curve]) -> Iterator[tuple[tuple[Any, ...], Bools, Bools]]:
    """The groups of curves of one family: their name, which belong to it, and which of all count:
    of equal defence and seed one does, where the attack hardly matters."""
    names = [_group(metric, curve.kind) for curve in curves]
    models = [
        (name, curve.kind.numbers[:-1], curve.seed)
        for name, curve in zip(names, curves, strict=True)
    ]
    first: dict[Any, int] = {}
    for place, model in enumerate(models):
        first.setdefault(model, place)
    counted = np.zeros(len(curves), dtype=np.bool_)
    counted[list(first.values())] = True
    for name in dict.fromkeys(names):
        yield name, np.array([n == name for n in names]), counted


def farthest(
    reach: Floats, wrong: Bools, seeds: Ints, error: float, least: int
) -> tuple[float, int, int] | None:
    """The smallest reach beyond which verdicts are certain, how many curves are, and wrong ones.

    reach, wrong, seeds: (n,) of finished curves. error: the largest share of wrong verdicts. least:
    seeds that curves must be of. None where no reach will do.
    """
    if not len(reach):
        return None
    order = np.argsort(-reach, kind="stable")
    ranked, errors = reach[order], np.cumsum(wrong[order])
    counts = np.arange(1, len(ranked) + 1)
    new = np.zeros(len(ranked), dtype=np.int64)
    new[np.unique(seeds[order], return_index=True)[1]] = 1
    last_of_ties = np.append(ranked[1:] < ranked[:-1], True)
    bound = betaincinv(errors + 1, np.maximum(counts - errors, 1e-9), BOUND)
    fine = (bound <= error * (1 + 1e-9)) & (np.cumsum(new) >= least) & last_of_ties
    if not fine.any():
        return None
    place = int(np.flatnonzero(fine)[-1])
    return float(ranked[place]), int(counts[place]), int(errors[place])


def curve_of(row: Mapping[str, Any]) -> Curve | None:
    """What a row of the ledger teaches; None where it has not finished, or has nothing to teach."""
    if row["status"] != FINISHED or row["attack_id"] == "clean" or not row["curve"]:
        return None
    images, (measured, *_) = sum(row["class_total"]), row["measurements"]
    total = max(1, measured["total"])
    config = json.loads(row["config"]) if isinstance(row["config"], str) else row["config"]
    epochs = config["defence"].get("epochs", 0)
    points = {
        point["epoch"]: (point["clean_correct"] / images, point["success"][0] / total)
        for point in row["curve"]
        if point["epoch"] < epochs
    }
    end = sum(row["class_correct"]) / images, measured["success"] / total
    return Curve(Kind.of(config, row["attack_id"]), row["seed"], points, end)


def predictor_of(spec: SweepSpec) -> OutcomePredictor | None:
    """What a spec with `stopping: certain` asks for; None for any other."""
    if spec.stopping is None or spec.stopping.kind != "certain":
        return None
    bars = Bars(spec.region.clean_accuracy, spec.region.attack_success)
    return OutcomePredictor(spec.stopping, bars, len(spec.seeds))
