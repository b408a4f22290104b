"""From which poison rate on does a backdoor take, at each defence point?

Resistance is the rate at which the mean attack success over seeds first reaches `success`,
interpolated between the rates of the sweep on a logarithmic scale of rates. Its interval draws
seeds with replacement (a percentile bootstrap; all n^n draws where they are few), the same ones at
all rates, since trials of a seed share images and poison sets. With three seeds such an interval
is too narrow, and with one there is none. Beside it stands the point of Mithridates (Bagdasaryan
and Shmatikov 2024, arXiv 2302.04977): where the poisoning curve, attack success over the index of
the rates, smoothed by a Gaussian of sigma 2, has an inflection (its second difference changes
sign) and attack success is above 15 % and below 90 %; and their simplified one, the first rate
with attack success above 50 %. They mean rates spaced evenly on a logarithmic scale.

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
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.ndimage import gaussian_filter1d

from sweeps.analyses.trials import PointTrials, Row, is_broken, points_of, trigger_label
from sweeps.statistics.equivalence import resamples

SCHEMA_VERSION = 1
#: Mithridates: smoothing in rates, and the range of attack success in which it looks.
SIGMA, LEAST_SUCCESS, MOST_SUCCESS, SIMPLE_SUCCESS = 2.0, 0.15, 0.9, 0.5

Entry = dict[str, Any]
Floats = npt.NDArray[np.float64]


def resistance(rows: Iterable[Row], success: float = 0.5, confidence: float = 0.95) -> Entry:
    """Rows of `Ledger.rows` to plain values; see the module for their schema."""
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


def _by_trigger(point: PointTrials) -> dict[str, dict[float, dict[int, Row]]]:
    """Trigger and goal to rate to seed to row, of trials with images that count."""
    found: dict[str, dict[float, dict[int, Row]]] = {}
    for by_seed in point.poisoned.values():
        for seed, row in by_seed.items():
            attack = row["config"]["attack"]
            if row["measurements"] and row["measurements"][0]["total"]:
                rates = found.setdefault(trigger_label(attack), {})
                rates.setdefault(attack["poison_rate"], {})[seed] = row
    return found


def _entry(
    point: PointTrials, trigger: str, by_rate: Mapping[float, Mapping[int, Row]], success: float,
    confidence: float,
) -> Entry:  # fmt: skip
    rates = sorted(by_rate)
    curve = [_curve_entry(point, rate, by_rate[rate]) for rate in rates]
    seeds = sorted(set.intersection(*(set(by_rate[rate]) for rate in rates)))
    table = np.array([[_share(by_rate[rate][s]) for rate in rates] for s in seeds])
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


def _share(row: Row, measure_id: str | None = None) -> float:
    """Attack success of a row: its first measurement, or the one of this id; NaN without one."""
    for m in row["measurements"]:
        if measure_id in (None, m["measure_id"]) and m["total"]:
            return float(m["success"] / m["total"])
    return math.nan


def _curve_entry(point: PointTrials, rate: float, by_seed: Mapping[int, Row]) -> Entry:
    shares = {seed: _share(row) for seed, row in sorted(by_seed.items())}
    measure = next(iter(by_seed.values()))["measurements"][0]["measure_id"]
    clean = [_share(row, measure) for row in point.clean.values()]
    known = [share for share in clean if not math.isnan(share)]
    return {
        "poison_rate": rate,
        "attack_success": sum(shares.values()) / len(shares),
        "by_seed": {str(seed): share for seed, share in shares.items()},
        "baseline": sum(known) / len(known) if known else None,
        "broken": sum(map(is_broken, by_seed.values())),
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
) -> Entry:
    """table: attack success (seeds, rates)."""

    def bounded(value: float) -> Entry:
        if value == 0:
            return {"rate": rates[0], "bound": "at_most"}
        if value == math.inf:
            return {"rate": rates[-1], "bound": "above"}
        return {"rate": value, "bound": "exact"}

    found: Entry = {"value": bounded(crossing(rates, table.mean(0).tolist(), success))}
    if len(table) < 2:
        return found | {"lower": None, "upper": None}
    drawn = sorted(
        crossing(rates, table[chosen].mean(0).tolist(), success) for chosen in resamples(len(table))
    )
    # Ends are among the draws, never between them: infinity has no mean with a number.
    low = drawn[math.floor((1 - confidence) / 2 * (len(drawn) - 1))]
    high = drawn[math.ceil((1 + confidence) / 2 * (len(drawn) - 1))]
    return found | {"lower": bounded(low), "upper": bounded(high)}


def inflections(rates: Sequence[float], successes: Sequence[float]) -> list[float]:
    """Mithridates' points: the rates after which the smoothed curve bends the other way."""
    if len(rates) < 3:
        return []
    smooth = gaussian_filter1d(np.asarray(successes, dtype=np.float64), SIGMA)
    bend = np.sign(np.gradient(np.gradient(smooth)))
    places = np.flatnonzero(np.diff(bend)).tolist()
    return [rates[i] for i in places if LEAST_SUCCESS < successes[i] < MOST_SUCCESS]
