"""What the model of a region search says of the points that were tried, and of its recommended one.

A region search completes no points, so that hardly any has a verdict of its own seeds. Its model
says of each how likely it is inside, and what one new seed does there.
"""

from __future__ import annotations

from collections import Counter

import numpy as np

from backdoor.config import build_defence
from sweeps.levelset.membership import IN, OUT, UNDECIDED, labels, probability
from sweeps.records.answer_entry import AttackAtSetting, LimitsEntry, SettingEntry
from sweeps.records.model_answer import RateEntry
from sweeps.records.region_file import ExpectedFigures, PointEntry, RegionFile
from sweeps.region.fitted_region import FittedRegion
from sweeps.region.model_points import most_accurate_index, recommended, recommended_index
from sweeps.region.model_region import accuracy_thresholds
from sweeps.region.new_seeds import NewSeed, new_seeds
from sweeps.statistics.logit_limits import chance_above
from sweeps.statistics.margins import DIGITS

#: Of the limits for one new seed.
CONFIDENCE = 0.95
WORDS = {IN: "IN", OUT: "OUT", UNDECIDED: "UNDECIDED"}


def add_searched_points(region: RegionFile, fitted: FittedRegion) -> None:
    """Adds to each tried point P(inside), the verdict by it, and what the model expects there; and
    how many points have which verdict.

    A point that the spec's space does not have, of a folder whose spec was changed, has no
    place in the model: it is UNDECIDED with `inside` None, and nothing is expected of it. A point
    with a broken model is never IN, however likely the model takes it to be inside: an attack that
    fails on a broken model has not been resisted. Nothing is added where the model cannot answer.
    """
    if not fitted.can_answer:
        return
    placed = [p for p in region["points"] if p["defence_id"] in fitted.search.tried]
    for point in region["points"]:
        point["inside"], point["by_model"] = None, WORDS[UNDECIDED]
    if placed:
        _judge(placed, region, fitted)
    counts = Counter(point["by_model"] for point in region["points"])
    region["counts"]["by_model"] = {word: counts[word] for word in WORDS.values()}


def _judge(placed: list[PointEntry], region: RegionFile, fitted: FittedRegion) -> None:
    """placed: the points that have a place in the model, at least one."""
    model = fitted.search.model()
    rows = np.array([fitted.search.tried[point["defence_id"]] for point in placed])
    inside = probability(model, rows)
    verdicts = labels(inside, fitted.spec.region.confidence, fitted.cutoff)
    seeds = new_seeds(model, rows)
    for point, chance, verdict, seed in zip(placed, inside, verdicts, seeds, strict=True):
        spoilt = verdict == IN and point["broken"]
        point["inside"] = float(chance)
        point["by_model"] = WORDS[UNDECIDED if spoilt else int(verdict)]
        point["expected"] = _expected(region, seed)


def _expected(region: RegionFile, seed: NewSeed) -> ExpectedFigures:
    return {
        "clean_accuracy": seed.clean,
        "attack_success": seed.attacks[seed.worst],
        "worst_attack": region["panel"][seed.worst]["label"],
    }


# --- the recommended setting -------------------------------------------------------------------


def setting_of_model(fitted: FittedRegion, region: RegionFile) -> SettingEntry | None:
    """The point that the model recommends, with what it expects of one new seed under every attack;
    None where nothing is IN, and where the model cannot answer. Its `text` is empty.

    An attack passes (its success meets the threshold) where the model says so with the spec's
    confidence, for as many seeds as the spec's `target` asks for. The margin is that of the
    expected figures; the cost is that against the most accurate point as the model expects it.
    """
    index = recommended_index(fitted) if fitted.can_answer else None
    found = None if index is None else recommended(fitted)
    if index is None or found is None:
        return None
    spec, seed, best = fitted.spec, _seed(fitted, index), _seed(fitted, most_accurate_index(fitted))
    point = spec.trial(build_defence(found["defence"], spec.files), None, spec.seeds[0])
    least, _ = accuracy_thresholds(fitted)
    success = seed.attacks[seed.worst]
    margin = min(seed.clean["expected"] - least, spec.region.attack_success - success["expected"])
    accuracy, highest = seed.clean["expected"], best.clean["expected"]
    return {
        "defence_id": point.defence_id,
        "label": found["label"],
        "factors": found["factors"],
        "defence": found["defence"],
        "basis": "model",
        "margin": round(margin, DIGITS),
        "inside": found["probability"],
        "clean_accuracy": _limits(seed.clean, least, above=False),
        "attack_success": _limits(success, spec.region.attack_success),
        "worst_attack": region["panel"][seed.worst]["label"],
        "best_accuracy": highest,
        "cost": round(highest - accuracy, DIGITS),
        "attacks": _attacks(fitted, region, index, seed, point.defence_id),
        "text": [],
    }


def _seed(fitted: FittedRegion, index: int) -> NewSeed:
    """By itself, so that its figures are those of `model` in region.json to the last digit."""
    (seed,) = new_seeds(fitted.search.model(), fitted.points[index : index + 1])
    return seed


def _attacks(
    fitted: FittedRegion, region: RegionFile, index: int, seed: NewSeed, defence_id: str
) -> list[AttackAtSetting]:
    """Every attack of the panel at the point of this number."""
    takes = {c["attack_id"]: c["state"] for c in region.get("controls", [])}
    tried = next((p for p in region["points"] if p["defence_id"] == defence_id), None)
    clean = {a["attack_id"]: a["baseline_success"] for a in (tried["attacks"] if tried else [])}
    chances = fitted.passing[1][index].tolist()
    return [
        {
            "attack_id": attack["attack_id"],
            "label": attack["label"],
            "attack_success": _limits(rate, fitted.spec.region.attack_success),
            "baseline_success": clean.get(attack["attack_id"]),
            "passes": chance >= fitted.spec.region.confidence,
            "takes": takes.get(attack["attack_id"], "unknown"),
        }
        for attack, rate, chance in zip(region["panel"], seed.attacks, chances, strict=True)
    ]


def _limits(rate: RateEntry, threshold: float, above: bool = True) -> LimitsEntry:
    """above: whether rates above the threshold miss it."""
    ends = rate["expected"], rate["lower"], rate["upper"]
    chance = chance_above(*ends, threshold, CONFIDENCE)
    return {
        "value": rate["expected"],
        "lower": rate["lower"],
        "upper": rate["upper"],
        "confidence": CONFIDENCE,
        "by": "model",
        "seeds": None,
        "chance_to_miss": chance if above else 1 - chance,
    }
