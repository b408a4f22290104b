"""The recommended setting of a search that completes points, with limits for one new seed.

The limits are prediction intervals over the seeds of the point (`sweeps.statistics.prediction`).
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from sweeps.records.answer_entry import AttackAtSetting, LimitsEntry, SettingEntry
from sweeps.records.control_entry import UNKNOWN
from sweeps.records.control_text import control_of
from sweeps.records.region_file import AttackEntry, RegionFile
from sweeps.records.trial_row import TrialRow
from sweeps.statistics.margins import DIGITS
from sweeps.statistics.prediction import chance_above, predict_one

#: Of the limits for one new seed.
CONFIDENCE = 0.95
#: Successes and images of each seed.
Counts = list[tuple[int, int]]


def setting_of(region: RegionFile, rows: Sequence[TrialRow]) -> SettingEntry | None:
    """What is known of the recommended point; None where none is recommended. rows: the finished
    trials of at least that point. Its `text` is empty."""
    chosen = region["recommended"]
    if chosen is None:
        return None
    point = next(p for p in region["points"] if p["defence_id"] == chosen["defence_id"])
    own = [row for row in rows if row.defence_id == point["defence_id"] and row.finished]
    attacks = [_at_setting(region, attack, own) for attack in point["attacks"]]
    lowest = min(point["attacks"], key=lambda attack: attack["clean_accuracy"])
    worst = point.get("excess_attack", point["worst_attack"])
    best = region["thresholds"]["clean_accuracy"]["best"]
    accuracy = point["clean_accuracy"] or 0.0
    decisive = next(attack for attack in attacks if attack["attack_id"] == worst)
    return {
        "defence_id": point["defence_id"],
        "label": point["label"],
        "factors": point["factors"],
        "defence": own[0].config["defence"],
        "basis": chosen["basis"],
        "margin": chosen["margin"],
        "inside": point.get("inside"),
        "clean_accuracy": _limits(accuracy, _clean_counts(own, lowest), _least(region)),
        "attack_success": decisive["attack_success"],
        "worst_attack": decisive["label"],
        "best_accuracy": best,
        "cost": None if best is None else round(best - accuracy, DIGITS),
        "attacks": attacks,
        "text": [],
    }


def _at_setting(
    region: RegionFile, attack: AttackEntry, rows: Sequence[TrialRow]
) -> AttackAtSetting:
    name = attack["attack_id"]
    label = next(own["label"] for own in region["panel"] if own["attack_id"] == name)
    control = control_of(region, name)
    compared = attack.get("excess", attack["attack_success"])
    return {
        "attack_id": name,
        "label": label,
        "attack_success": _limits(
            attack["attack_success"], _success_counts(rows, attack), None, _most(region)
        ),
        "baseline_success": attack["baseline_success"],
        "passes": round(region["thresholds"]["attack_success"] - compared, DIGITS) >= 0,
        "takes": UNKNOWN if control is None else control["state"],
    }


def _clean_counts(rows: Sequence[TrialRow], attack: AttackEntry) -> Counts:
    return [
        (row.clean_correct, row.clean_total) for row in rows if row.attack_id == attack["attack_id"]
    ]


def _success_counts(rows: Sequence[TrialRow], attack: AttackEntry) -> Counts:
    own = [row for row in rows if row.attack_id == attack["attack_id"] and row.measurements]
    return [(row.measurements[0].success, row.measurements[0].total) for row in own]


def _least(region: RegionFile) -> float | None:
    return region["thresholds"]["clean_accuracy"]["value"]


def _most(region: RegionFile) -> float | None:
    """None where success is compared with that of the clean baseline."""
    thresholds = region["thresholds"]
    return None if "attack_rule" in thresholds else thresholds["attack_success"]


def _limits(
    value: float, counts: Counts, least: float | None = None, most: float | None = None
) -> LimitsEntry:
    """Of a new seed measured on as many images as the fewest of a seed. least, most: what is asked
    for, whichever it is."""
    images = min((total for _, total in counts), default=0)
    found = predict_one(counts, images, CONFIDENCE)
    return {
        "value": value,
        "lower": None if found is None else found.low / found.total,
        "upper": None if found is None else found.high / found.total,
        "confidence": CONFIDENCE,
        "by": "seeds",
        "seeds": len(counts),
        "chance_to_miss": _chance_to_miss(counts, images, least, most),
    }


def _chance_to_miss(
    counts: Counts, images: int, least: float | None, most: float | None
) -> float | None:
    if least is not None:
        meets = chance_above(counts, images, math.ceil(round(least * images, DIGITS)) - 1)
        return None if meets is None else 1 - meets
    if most is not None:
        return chance_above(counts, images, math.floor(round(most * images, DIGITS)))
    return None
