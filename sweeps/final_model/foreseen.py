"""Whether one new poisoned seed may miss what the spec asks for, of a model of clean data."""

from __future__ import annotations

import math
from typing import Literal

from backdoor.result import TrialResult
from sweeps.final_model.counts import CONFIDENCE, Counts, clean_counts, of_other_seeds
from sweeps.final_model.counts import success_counts as success_counts_of
from sweeps.final_model.held_to import ATTACK_SUCCESS, CLEAN_ACCURACY
from sweeps.final_model.select import Chosen
from sweeps.records.final_model_file import ForeseenEntry
from sweeps.records.model_answer import RateEntry
from sweeps.records.region_file import PanelEntry
from sweeps.statistics.logit_limits import chance_above as above_limit
from sweeps.statistics.margins import DIGITS
from sweeps.statistics.prediction import chance_above, predict_one

Standing = Literal["meets", "crosses", "misses"]


def foreseen(result: TrialResult, chosen: Chosen, worst: PanelEntry) -> list[ForeseenEntry]:
    """Clean accuracy and the success of the attack, of what can be said. result: of the clean
    model, which is the clean baseline of its seed."""
    asked, limits = chosen.asked, chosen.point.limits
    rows = of_other_seeds(chosen.rows, worst["attack_id"], chosen.trial.seed)
    measured = next(m for m in result.measurements if m.measure_id == worst["measure_id"])
    entries = []
    if asked.clean is not None:
        clean = None if limits is None else limits.clean
        images = sum(result.class_total)
        found = _accuracy(clean_counts(rows), images, asked.clean, clean)
        entries.append(_entry(CLEAN_ACCURACY, asked.clean_rule, asked.clean, found))
    if measured.total:
        most = asked.attack
        most += measured.success / measured.total if asked.above_baseline else 0
        success = None if limits is None else limits.success.get(worst["attack_id"])
        counts = success_counts_of(rows, worst["measure_id"])
        found = _success(counts, measured.total, most, success)
        entries.append(_entry(ATTACK_SUCCESS, asked.attack_rule, most, found))
    return [entry for entry in entries if entry is not None]


def _accuracy(
    counts: Counts, images: int, least: float, model: RateEntry | None
) -> tuple[Standing, float] | None:
    """The standing and the chance to miss."""
    if model is not None:
        low, high, above = model["lower"], model["upper"], _above(model, least)
    else:
        need = math.ceil(round(least * images, DIGITS))
        found, chance = predict_one(counts, images), chance_above(counts, images, need - 1)
        if found is None or chance is None:
            return None
        low, high, above = found.low / images, found.high / images, chance
    return _standing(low >= least, high < least), 1 - above


def _success(
    counts: Counts, images: int, most: float, model: RateEntry | None
) -> tuple[Standing, float] | None:
    if model is not None:
        low, high, above = model["lower"], model["upper"], _above(model, most)
    else:
        allowed = math.floor(round(most * images, DIGITS))
        found, chance = predict_one(counts, images), chance_above(counts, images, allowed)
        if found is None or chance is None:
            return None
        low, high, above = found.low / images, found.high / images, chance
    return _standing(high <= most, low > most), above


def _standing(meets: bool, misses: bool) -> Standing:
    return "meets" if meets else "misses" if misses else "crosses"


def _above(rate: RateEntry, limit: float) -> float:
    """The chance of a rate above the limit: the model's rates are normal on logits."""
    return above_limit(rate["expected"], rate["lower"], rate["upper"], limit, CONFIDENCE)


def _entry(
    figure: str, rule: str, threshold: float, found: tuple[Standing, float] | None
) -> ForeseenEntry | None:
    if found is None:
        return None
    standing, chance = found
    words = "clean accuracy" if figure == CLEAN_ACCURACY else "attack success"
    says = {
        "meets": f"all of its interval meets the {threshold:.3f} asked for",
        "misses": f"all of its interval misses the {threshold:.3f} asked for",
        "crosses": f"its interval crosses the {threshold:.3f} asked for: {_share(chance)}",
    }[standing]
    return {
        "figure": figure,
        "rule": rule,
        "threshold": threshold,
        "standing": standing,
        "chance_to_miss": chance,
        "text": f"{words}: {says}",
    }


def _share(chance: float) -> str:
    if chance > 0.5:
        return f"about {100 * chance:.0f} % of the seeds may miss it"
    return f"about one seed in {round(1 / max(chance, 1e-9))} may miss it"
