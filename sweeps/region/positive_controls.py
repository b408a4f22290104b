"""Attacks that bite: of each attack of the panel, at which of the tried points it takes.

A point is said to resist an attack only if that attack is known to take somewhere: one that takes
nowhere may as well be no attack at all. It takes at a point where its success is above that of the
clean baseline on the same triggered images, paired by seed, by a one-sided t-bound
(`sweeps.statistics.paired.excess`), and where a test that is corrected for the number of points
denies that both are alike (`without_effect`): an attack without effect is said to take in at most
5 % of sweeps, however many points there are.

Relabelled images alone make a model answer the target class more often, whatever the trigger is. So
success must also be above the share of the same images that the same models get wrong without the
trigger. A trigger that changes no pixel never is: whoever takes an image for the target class has
it wrong.

A region search trains no clean baseline. There the second comparison stands alone, of each single
model by the noise of its test images, with an error of 5 % divided among all models; the attack
takes if models of two seeds show it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from sweeps.early_stopping.limits import metric_of
from sweeps.records.control_entry import (
    ERRORS,
    NOWHERE,
    PAIRED,
    POOLED,
    TAKES,
    UNKNOWN,
    ControlBasis,
    ControlEntry,
)
from sweeps.records.criteria import REGION_SEARCH, Criteria
from sweeps.records.trial_row import STOPPED, TrialRow
from sweeps.region.control_figures import ControlFigures, control_figures
from sweeps.region.control_reasons import why_unknown
from sweeps.region.points import Point
from sweeps.statistics.margins import DIGITS
from sweeps.statistics.paired import Excess, Pair, excess, image_bound, without_effect
from sweeps.statistics.seed_bounds import Counts

#: Of every bound here, whatever the confidence of the thresholds is: the docstrings say 5 %.
CONFIDENCE = 0.95


@dataclass(frozen=True)
class _Finding:
    """What was compared. takes_at: None where points are pooled. largest: of the largest lower
    bound; at: its point."""

    basis: ControlBasis
    compared: int
    takes: bool
    takes_at: int | None
    largest: Excess
    at: ControlFigures | None


def positive_controls(
    criteria: Criteria, points: Sequence[Point], labels: Sequence[str], rows: Sequence[TrialRow]
) -> list[ControlEntry]:
    """The value of `controls` in region.json, in the order of the panel.

    points, labels: those of the table. rows: finished and stopped trials.
    """
    stopped: dict[str, list[TrialRow]] = defaultdict(list)
    for row in rows:
        if row.status == STOPPED:
            stopped[row.attack_id].append(row)
    named = list(zip(points, labels, strict=True))
    controls = []
    for attack in criteria.panel:
        name = attack["attack_id"]
        figures = [control_figures(attack, point, label) for point, label in named]
        controls.append(_entry(name, figures, stopped[name], criteria.search == REGION_SEARCH))
    return controls


def _entry(
    name: str, figures: Sequence[ControlFigures], stopped: Sequence[TrialRow], region_search: bool
) -> ControlEntry:
    found = _finding(figures, region_search)
    takes = found is not None and found.takes
    hidden = sum(map(_may_have_succeeded, stopped))
    why = None if takes else why_unknown(figures, found is not None, hidden, region_search)
    largest = None if found is None else found.largest
    at = None if found is None else found.at
    return {
        "attack_id": name,
        "state": TAKES if takes else NOWHERE if why is None else UNKNOWN,
        "why": why,
        "basis": None if found is None else found.basis,
        "points": sum(bool(each.trained) for each in figures),
        "compared": 0 if found is None else found.compared,
        "takes_at": None if found is None else found.takes_at,
        "defence_id": None if at is None else at.point.defence_id,
        "label": None if at is None else at.label,
        "excess": None if largest is None else largest.mean,
        "lower": None if largest is None else largest.lower,
        "seeds": 0 if largest is None else largest.pairs,
        "broken": sum(each.broken for each in figures),
        "broken_baselines": sum(each.broken_baselines for each in figures),
        "stopped": len(stopped),
    }


def _may_have_succeeded(row: TrialRow) -> bool:
    """Whether a stopped trial may have ended with a high success: not where it was certain to
    pass."""
    return row.predicted is None or metric_of(row.predicted) != "margin"


def _finding(figures: Sequence[ControlFigures], region_search: bool) -> _Finding | None:
    """The first comparison that is possible; None where none is."""
    return _paired(figures) or _pooled(figures) or (_by_errors(figures) if region_search else None)


def _paired(figures: Sequence[ControlFigures]) -> _Finding | None:
    """At each point that has two seeds of attack and clean baseline."""
    known = [(each, list(pairs.values())) for each in figures if len(pairs := each.pairs) > 1]
    if not known:
        return None
    bounds = [(each, excess(pairs, CONFIDENCE)) for each, pairs in known]
    takes_at = sum(
        bound.shown
        and not without_effect(pairs, CONFIDENCE, len(known))
        and _above_errors(list(each.beyond_errors.values()))
        for (each, bound), (_, pairs) in zip(bounds, known, strict=True)
    )
    at, largest = max(bounds, key=lambda pair: _lower(pair[1]))
    return _Finding(PAIRED, len(known), takes_at > 0, takes_at, largest, at)


def _above_errors(pairs: Sequence[Pair]) -> bool:
    """Whether success is above what the models get wrong anyway; so it is where that is unknown."""
    return len(pairs) < 2 or excess(pairs, CONFIDENCE).shown


def _pooled(figures: Sequence[ControlFigures]) -> _Finding | None:
    """Of each seed all points together, the attack's and the clean baseline's."""
    success = _by_seed(figures, lambda each: each.success)
    clean = _by_seed(figures, lambda each: each.clean)
    errors = _by_seed(figures, lambda each: each.errors)
    seeds = sorted(success.keys() & clean.keys())
    if len(seeds) < 2:
        return None
    found = excess([(success[seed], clean[seed]) for seed in seeds], CONFIDENCE)
    own = [(success[seed], errors[seed]) for seed in seeds if seed in errors]
    compared = sum(bool(each.success) for each in figures)
    return _Finding(POOLED, compared, found.shown and _above_errors(own), None, found, None)


def _by_seed(
    figures: Sequence[ControlFigures], counts: Callable[[ControlFigures], Mapping[int, Counts]]
) -> dict[int, Counts]:
    """Sums over points."""
    found: dict[int, Counts] = {}
    for each in figures:
        for seed, (k, n) in counts(each).items():
            sums = found.get(seed, (0, 0))
            found[seed] = sums[0] + k, sums[1] + n
    return found


@dataclass(frozen=True)
class _Model:
    """One model whose success is held against its own errors."""

    at: ControlFigures
    seed: int
    pair: Pair


def _by_errors(figures: Sequence[ControlFigures]) -> _Finding | None:
    """Each model by itself, by its errors on the same images without the trigger."""
    models = [_Model(each, *item) for each in figures for item in each.beyond_errors.items()]
    if not models:
        return None
    confidence = 1 - (1 - CONFIDENCE) / len(models)
    bounds = [(image_bound(model.pair, confidence), model) for model in models]
    biting = [model for lower, model in bounds if round(lower, DIGITS) > 0]
    takes = len({model.seed for model in biting}) > 1
    lower, best = max(bounds, key=lambda bound: bound[0])
    largest = Excess(excess([best.pair], CONFIDENCE).mean, lower, 1)
    takes_at = _points_of(biting) if takes else 0
    return _Finding(ERRORS, _points_of(models), takes, takes_at, largest, best.at)


def _points_of(models: Sequence[_Model]) -> int:
    return len({model.at.point.defence_id for model in models})


def _lower(found: Excess) -> float:
    """Of two pairs or more."""
    assert found.lower is not None
    return found.lower
