"""A final model beside what the spec asks for, and whether chance explains that it misses it.

A threshold is missed beyond chance where the value misses it and the limits of chance do not reach
from the value to the threshold: the value lies outside them on the bad side, or all of them miss
the threshold. The limits are those of one new seed at the point, with 95 %: by the model of a
region search, else a prediction interval from the point's seeds. Where there are neither, they are
those of this model's own rate by its test images alone (exact, Clopper and Pearson 1934, Biometrika
26, 404), which say nothing of other seeds.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from backdoor.result import Measurement, TrialResult
from sweeps.final_model.counts import CONFIDENCE, Counts, of_other_seeds, success_counts
from sweeps.final_model.counts import clean_counts as clean_counts_of
from sweeps.final_model.held_to_text import line
from sweeps.final_model.select import Chosen
from sweeps.records.final_model_file import HeldToEntry
from sweeps.records.model_answer import RateEntry
from sweeps.records.trial_row import CLEAN
from sweeps.statistics.binomial import lower_bound
from sweeps.statistics.margins import DIGITS
from sweeps.statistics.prediction import predict_one

CLEAN_ACCURACY, ATTACK_SUCCESS = "clean_accuracy", "attack_success"


@dataclass(frozen=True)
class Interval:
    """Of a rate, fractions, by what they are known. poisoned: whether they are of poisoned models
    although this one is clean."""

    low: float
    high: float
    by: Literal["seeds", "model", "images"]
    poisoned: bool = False


@dataclass(frozen=True)
class Baseline:
    """How often clean models give the attacker's answer. high: the most that chance explains of
    one new seed; the same as `rate` where it is of the very seed."""

    rate: float
    high: float


def held_to(result: TrialResult, chosen: Chosen) -> list[HeldToEntry]:
    """Each figure of the model beside its threshold, in the order of its figures."""
    return [_accuracy(result, chosen), *(_success(result, chosen, m) for m in result.measurements)]


def missed(entries: list[HeldToEntry]) -> list[str]:
    """The figures that miss what is asked for beyond chance, in words."""
    return [
        entry["figure"].replace("_", " ") for entry in entries if entry["beyond_chance"] is True
    ]


# --- the figures -------------------------------------------------------------------------------


def _accuracy(result: TrialResult, chosen: Chosen) -> HeldToEntry:
    trial, asked = chosen.trial, chosen.asked
    counts = sum(result.class_correct), sum(result.class_total)
    model = None if chosen.point.limits is None else chosen.point.limits.clean
    rows = of_other_seeds(chosen.rows, trial.attack_id, trial.seed)
    entry = _entry(CLEAN_ACCURACY, None, asked.clean_rule, asked.clean, counts)
    if asked.clean is None:
        return _said(entry, "the best accuracy of the sweep is not known")
    limits = _limits(counts, clean_counts_of(rows), model)
    limits = replace(limits, poisoned=limits.by == "model" and chosen.attack is None)
    return _judged(entry, limits, result, at_least=True, edge=asked.clean)


def _success(result: TrialResult, chosen: Chosen, measured: Measurement) -> HeldToEntry:
    asked, name, counts = chosen.asked, measured.measure_id, (measured.success, measured.total)
    entry = _entry(ATTACK_SUCCESS, chosen.words(name), asked.attack_rule, asked.attack, counts)
    if chosen.attack is None:
        return _said(entry, "this model is clean: the rate is that of a clean model")
    if not measured.total:
        return _said(entry, "no test image was triggered")
    baseline = Baseline(0.0, 0.0)
    if asked.above_baseline:
        found = baseline_of(chosen, name)
        if found is None and measured.success / measured.total > asked.attack:
            return _said(
                {**entry, "threshold": None},
                "the success of clean models at this point is not known",
            )
        baseline = found or baseline
        entry["baseline_success"] = None if found is None else found.rate
    entry["threshold"] = baseline.rate + asked.attack
    limits = _limits(counts, _before(chosen, name), _by_model(chosen, chosen.attack["attack_id"]))
    return _judged(entry, limits, result, at_least=False, edge=baseline.high + asked.attack)


def baseline_of(chosen: Chosen, name: str) -> Baseline | None:
    """Of the clean baseline of the same seed, else the mean over the seeds that the sweep has at
    the point; None where it has none. name: of the measure."""
    rows = [row for row in chosen.rows if row.attack_id == CLEAN]
    own = [row for row in rows if row.seed == chosen.trial.seed]
    counts = [(k, n) for k, n in success_counts(own or rows, name) if n]
    if not counts:
        return None
    rate = sum(k / n for k, n in counts) / len(counts)
    return Baseline(rate, rate) if own else Baseline(rate, _limits(counts[0], counts, None).high)


def _before(chosen: Chosen, name: str) -> Counts:
    trial = chosen.trial
    return success_counts(of_other_seeds(chosen.rows, trial.attack_id, trial.seed), name)


def _by_model(chosen: Chosen, attack_id: str) -> RateEntry | None:
    limits = chosen.point.limits
    return None if limits is None else limits.success.get(attack_id)


# --- judging -----------------------------------------------------------------------------------


def _limits(counts: tuple[int, int], before: Counts, model: RateEntry | None) -> Interval:
    """What chance explains, by the first of the three that is known. before: of other seeds."""
    count, total = counts
    if model is not None:
        return Interval(model["lower"], model["upper"], "model")
    if (found := predict_one(before, total, CONFIDENCE)) is not None:
        return Interval(found.low / total, found.high / total, "seeds")
    each = (1 + CONFIDENCE) / 2
    low, other = lower_bound(count, total, each), lower_bound(total - count, total, each)
    return Interval(low, 1 - other, "images")


def _judged(
    entry: HeldToEntry, limits: Interval, result: TrialResult, at_least: bool, edge: float
) -> HeldToEntry:
    """edge: the threshold as favourable as chance in the baseline may make it."""
    value, threshold = entry["value"], entry["threshold"]
    assert value is not None and threshold is not None
    better = 1 if at_least else -1
    meets = round(better * (value - threshold), DIGITS) >= 0
    worst, best = (limits.low, limits.high) if at_least else (limits.high, limits.low)
    misses_edge = round(better * (value - edge), DIGITS) < 0
    outside = better * (value - worst) < 0
    all_miss = round(better * (best - edge), DIGITS) < 0
    broken = result.collapsed or result.diverged
    found: HeldToEntry = {
        **entry,
        "met": meets and not broken,
        "beyond_chance": broken or (misses_edge and (outside or all_miss)),
        "low": limits.low,
        "high": limits.high,
        "by": limits.by,
    }
    state = "diverged" if result.diverged else "collapsed" if result.collapsed else None
    return {**found, "text": line(found, outside, state, poisoned=limits.poisoned)}


def _entry(
    figure: str, attack: str | None, rule: str, threshold: float | None, counts: tuple[int, int]
) -> HeldToEntry:
    count, total = counts
    return {
        "figure": figure,
        "attack": attack,
        "rule": rule,
        "threshold": threshold,
        "baseline_success": None,
        "value": count / total if total else None,
        "met": None,
        "beyond_chance": None,
        "low": None,
        "high": None,
        "by": None,
        "text": "",
    }


def _said(entry: HeldToEntry, why: str) -> HeldToEntry:
    """An entry that is not judged."""
    return {**entry, "text": line(entry, False, None, why)}
