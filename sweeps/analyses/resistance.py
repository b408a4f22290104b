"""What is the smallest poison rate at which a backdoor works, at each defence point?

Resistance is the rate at which the mean attack success over seeds first reaches `success`,
interpolated between the rates of the sweep on a logarithmic scale of rates. Its interval resamples
seeds with replacement (a percentile bootstrap; all n^n resamples where they are few), the same ones
at all rates, since trials of a seed share images and poison sets. With three seeds such an interval
is too narrow, and with one there is none. Two figures of Mithridates (Bagdasaryan and Shmatikov
2024, arXiv 2302.04977) are given as well. One is where the poisoning curve, attack success over the
index of the rates, smoothed by a Gaussian of sigma 2, has an inflection (its second difference
changes sign) and attack success is above 15 % and below 90 %. The simplified one is the first rate
with attack success above 50 %. Both assume rates that are spaced evenly on a logarithmic scale.

The schema of what `resistance` returns; rates and success are fractions in [0, 1]:

    schema_version  1
    success, confidence  as asked for
    points          one entry a defence point and trigger with its goal, without the rate:
        defence_id, label, trigger
        curve           one entry a rate, ascending: {poison_rate, attack_success: mean over seeds,
                        by_seed, baseline: success of the clean models on the same images or null,
                        broken: models that collapsed or diverged, which are in the figures}
        seeds           seeds that have all the rates; resistance is theirs
        resistance      {value, lower, upper}, each {rate, bound}: bound is `exact`, or `at_most`
                        where the smallest rate is enough, or `above` where the largest is not;
                        rate is then that end. lower and upper are null with one seed
        inflection      Mithridates' rates, ascending; empty where there is none or fewer than
                        three rates
        simplified      the first rate whose attack success is above 0.5, or null
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Literal, TypedDict

import numpy as np
import numpy.typing as npt
from scipy.ndimage import gaussian_filter1d

from sweeps.analyses.trials import BySeed, PointTrials, points_of, trigger_label
from sweeps.records.trial_row import TrialRow
from sweeps.statistics.equivalence import resamples

SCHEMA_VERSION = 1
#: Mithridates: smoothing in rates, and the range of attack success in which points count.
SIGMA, LEAST_SUCCESS, MOST_SUCCESS, SIMPLE_SUCCESS = 2.0, 0.15, 0.9, 0.5

Floats = npt.NDArray[np.float64]


class Bounded(TypedDict):
    """A rate, or the end of the swept rates that it lies beyond."""

    rate: float
    bound: Literal["exact", "at_most", "above"]


class Resistance(TypedDict):
    """Where a backdoor takes, with its interval; no ends with one seed."""

    value: Bounded
    lower: Bounded | None
    upper: Bounded | None


class CurveEntry(TypedDict):
    """One rate."""

    poison_rate: float
    attack_success: float
    by_seed: dict[str, float]
    baseline: float | None
    broken: int


class ResistanceEntry(TypedDict):
    """One defence point and trigger."""

    defence_id: str
    label: str
    trigger: str
    curve: list[CurveEntry]
    seeds: list[int]
    resistance: Resistance | None
    inflection: list[float]
    simplified: float | None


class Resistances(TypedDict):
    """What `resistance` returns."""

    schema_version: int
    success: float
    confidence: float
    points: list[ResistanceEntry]


def resistance(
    rows: Iterable[TrialRow], success: float = 0.5, confidence: float = 0.95
) -> Resistances:
    """Plain values; see the module for their schema."""
    return {
        "schema_version": SCHEMA_VERSION,
        "success": success,
        "confidence": confidence,
        "points": [
            _entry(point, trigger, by_rate, success, confidence)
            for point in points_of(rows)
            for trigger, by_rate in sorted(_by_trigger(point).items())
        ],
    }


def _by_trigger(point: PointTrials) -> dict[str, dict[float, BySeed]]:
    """Trigger and goal to rate to seed to row, of trials with images that count."""
    found: dict[str, dict[float, BySeed]] = {}
    for by_seed in point.poisoned.values():
        for seed, row in by_seed.items():
            attack = row.config["attack"]
            if row.attack_success is not None:
                rates = found.setdefault(trigger_label(attack), {})
                rates.setdefault(attack["poison_rate"], {})[seed] = row
    return found


def _entry(
    point: PointTrials,
    trigger: str,
    by_rate: Mapping[float, BySeed],
    success: float,
    confidence: float,
) -> ResistanceEntry:
    rates = sorted(by_rate)
    curve = [_curve_entry(point, rate, by_rate[rate]) for rate in rates]
    seeds = sorted(set.intersection(*(set(by_rate[rate]) for rate in rates)))
    table = np.array([[_success(by_rate[rate][s]) for rate in rates] for s in seeds])
    means = [entry["attack_success"] for entry in curve]
    return {
        "defence_id": point.defence_id,
        "label": point.label,
        "trigger": trigger,
        "curve": curve,
        "seeds": seeds,
        "resistance": _with_interval(rates, table, success, confidence) if seeds else None,
        "inflection": inflections(rates, means),
        "simplified": next(
            (r for r, m in zip(rates, means, strict=True) if m > SIMPLE_SUCCESS), None
        ),
    }


def _success(row: TrialRow, measure_id: str | None = None) -> float:
    """Attack success of a row: its first measurement, or the one of this id; NaN without one."""
    for measured in row.measurements:
        if measure_id in (None, measured.measure_id) and measured.total:
            return measured.success / measured.total
    return math.nan


def _curve_entry(point: PointTrials, rate: float, by_seed: BySeed) -> CurveEntry:
    shares = {seed: _success(by_seed[seed]) for seed in sorted(by_seed)}
    measure = next(iter(by_seed.values())).measurements[0].measure_id
    clean = [_success(row, measure) for row in point.clean.values()]
    known = [share for share in clean if not math.isnan(share)]
    return {
        "poison_rate": rate,
        "attack_success": sum(shares.values()) / len(shares),
        "by_seed": {str(seed): share for seed, share in shares.items()},
        "baseline": sum(known) / len(known) if known else None,
        "broken": sum(row.broken for row in by_seed.values()),
    }


# --- where it takes ----------------------------------------------------------------------------


def crossing(rates: Sequence[float], successes: Sequence[float], success: float) -> float:
    """The rate at which the curve first reaches `success`; 0 where it begins there, infinity
    where it never does. Linear in the logarithm of the rate in between."""
    if successes[0] >= success:
        return 0.0
    for i in range(1, len(rates)):
        if successes[i] >= success:
            share = (success - successes[i - 1]) / (successes[i] - successes[i - 1])
            low, high = math.log(rates[i - 1]), math.log(rates[i])
            return math.exp(low + share * (high - low))
    return math.inf


def _with_interval(
    rates: Sequence[float], table: Floats, success: float, confidence: float
) -> Resistance:
    """table: attack success (seeds, rates)."""

    def bounded(value: float) -> Bounded:
        if value == 0:
            return {"rate": rates[0], "bound": "at_most"}
        if value == math.inf:
            return {"rate": rates[-1], "bound": "above"}
        return {"rate": value, "bound": "exact"}

    value = bounded(crossing(rates, table.mean(0).tolist(), success))
    if len(table) < 2:
        return {"value": value, "lower": None, "upper": None}
    samples = sorted(
        crossing(rates, table[chosen].mean(0).tolist(), success) for chosen in resamples(len(table))
    )
    # Ends are among the samples, never between them: infinity has no mean with a number.
    low = samples[math.floor((1 - confidence) / 2 * (len(samples) - 1))]
    high = samples[math.ceil((1 + confidence) / 2 * (len(samples) - 1))]
    return {"value": value, "lower": bounded(low), "upper": bounded(high)}


def inflections(rates: Sequence[float], successes: Sequence[float]) -> list[float]:
    """Mithridates' points: the rates after which the smoothed curve bends the other way."""
    if len(rates) < 3:
        return []
    smooth = gaussian_filter1d(np.asarray(successes, dtype=np.float64), SIGMA)
    bend = np.sign(np.gradient(np.gradient(smooth)))
    places = np.flatnonzero(np.diff(bend)).tolist()
    return [rates[i] for i in places if LEAST_SUCCESS < successes[i] < MOST_SUCCESS]
