"""The recommended setting of a region.json of version 1, as version 2 has it."""

from __future__ import annotations

import contextlib
import json
from typing import Any

from sweeps.records.answer_entry import AttackAtSetting, LimitsEntry, SettingEntry
from sweeps.records.control_entry import UNKNOWN
from sweeps.records.control_text import control_of
from sweeps.records.model_answer import DefenceEntry, Factors, ModelPointEntry, RateEntry
from sweeps.records.region_file import AttackEntry, PanelEntry, PointEntry, RegionFile
from sweeps.statistics.margins import DIGITS

#: Of limits for one new seed.
CONFIDENCE = 0.95
#: Settings of a defence that are components with a kind and settings of their own.
COMPONENTS = ("architecture", "regularizer")


def setting_of_before(region: RegionFile) -> SettingEntry | None:
    """None where nothing is recommended. Its `text` is empty."""
    if "model" in region:
        model = region["model"]
        chosen = model.get("recommended") if model else None
        return _of_model(region, chosen) if chosen else None
    recommended = region.get("recommended")
    if recommended is None:
        return None
    named = (p for p in region["points"] if p["defence_id"] == recommended["defence_id"])
    return _of_point(region, next(named))


# --- a point that was tried --------------------------------------------------------------------


def _of_point(region: RegionFile, point: PointEntry) -> SettingEntry:
    chosen = region["recommended"]
    assert chosen is not None
    worst = point.get("excess_attack", point["worst_attack"])
    attacks = [_at_point(region, attack) for attack in point["attacks"]]
    decisive = next(attack for attack in attacks if attack["attack_id"] == worst)
    accuracy = point["clean_accuracy"] or 0.0
    best = region["thresholds"]["clean_accuracy"]["best"]
    return {
        "defence_id": point["defence_id"],
        "label": point["label"],
        "factors": point["factors"],
        "defence": nested(point["factors"]),
        "basis": chosen["basis"],
        "margin": chosen["margin"],
        "inside": point.get("inside"),
        "clean_accuracy": _mean(accuracy, point["seeds"]),
        "attack_success": decisive["attack_success"],
        "worst_attack": decisive["label"],
        "best_accuracy": best,
        "cost": None if best is None else round(best - accuracy, DIGITS),
        "attacks": attacks,
        "text": [],
    }


def _at_point(region: RegionFile, attack: AttackEntry) -> AttackAtSetting:
    compared = attack.get("excess", attack["attack_success"])
    passes = round(region["thresholds"]["attack_success"] - compared, DIGITS) >= 0
    own = next(own for own in region["panel"] if own["attack_id"] == attack["attack_id"])
    value = _mean(attack["attack_success"], len(attack["success_by_seed"]))
    return _attack(region, own, value, passes, attack["baseline_success"])


def _mean(value: float, seeds: int) -> LimitsEntry:
    """Without limits: these need the trials."""
    return {
        "value": value,
        "lower": None,
        "upper": None,
        "confidence": CONFIDENCE,
        "by": "seeds",
        "seeds": seeds,
    }


def nested(factors: Factors) -> DefenceEntry:
    """A defence as a trial has it, from its settings by dotted name."""
    defence: dict[str, Any] = {}
    for name, value in factors.items():
        *path, last = name.removeprefix("defence.").split(".")
        inner = defence
        for part in path:
            inner = inner.setdefault(part, {})
        if not path and last in COMPONENTS:
            inner[last] = {"kind": value, **inner.get(last, {})}
        else:
            inner[last] = _value(value)
    return defence


def _value(value: object) -> object:
    """A list is written as JSON text."""
    if isinstance(value, str) and value.startswith("["):
        with contextlib.suppress(ValueError):
            return json.loads(value)
    return value


# --- the point that the model of a region search recommends ------------------------------------


def _of_model(region: RegionFile, chosen: ModelPointEntry) -> SettingEntry:
    model = region["model"]
    assert model is not None
    accuracy, success = chosen["clean_accuracy"], chosen["attack_success"]
    most = region["thresholds"]["attack_success"]
    margins = (accuracy["expected"] - model["clean_accuracy"], most - success["expected"])
    tried = (p["defence_id"] for p in region["points"] if p["factors"] == chosen["factors"])
    named = (own for own in region["panel"] if own["label"] == chosen["worst_attack"])
    passes = success["expected"] <= most
    best = model["most_accurate"]["clean_accuracy"]["expected"]
    return {
        "defence_id": next(tried, ""),
        "label": chosen["label"],
        "factors": chosen["factors"],
        "defence": chosen["defence"],
        "basis": "model",
        "margin": round(min(margins), DIGITS),
        "inside": chosen["probability"],
        "clean_accuracy": _expected(accuracy),
        "attack_success": _expected(success),
        "worst_attack": chosen["worst_attack"],
        "best_accuracy": best,
        "cost": round(best - accuracy["expected"], DIGITS),
        "attacks": [_attack(region, own, _expected(success), passes, None) for own in named],
        "text": [],
    }


def _expected(rate: RateEntry) -> LimitsEntry:
    return {
        "value": rate["expected"],
        "lower": rate["lower"],
        "upper": rate["upper"],
        "confidence": CONFIDENCE,
        "by": "model",
        "seeds": None,
    }


def _attack(
    region: RegionFile,
    own: PanelEntry,
    success: LimitsEntry,
    passes: bool,
    baseline: float | None,
) -> AttackAtSetting:
    control = control_of(region, own["attack_id"])
    return {
        "attack_id": own["attack_id"],
        "label": own["label"],
        "attack_success": success,
        "baseline_success": baseline,
        "passes": passes,
        "takes": UNKNOWN if control is None else control["state"],
    }
