"""What must be known of the model of a region search to read its figures, in words."""

from __future__ import annotations

from backdoor.wording import counted
from sweeps.records.headline import percent
from sweeps.records.model_answer import ModelAnswer, ModelPointEntry, RateEntry
from sweeps.records.model_used import chance_words
from sweeps.records.region_file import RegionFile
from sweeps.records.thresholds import MEDIAN, SHARE


def model_notes(region: RegionFile) -> list[str]:
    """For which seeds it speaks, by how many trials, its categories, why certain points are not IN.
    None of another search, or without a model."""
    if (model := region.get("model")) is None:
        return []
    seeds = {MEDIAN: "the median seed", SHARE: "90 % of the seeds"}[model["target"]]
    return [
        f"By a model of {counted(model['trials'], 'trial')} at "
        f"{counted(len(region['points']), 'point')}, for {seeds}. A trial is one attack with one "
        "seed: what it says of other attacks and seeds there is inferred.",
        *_left_out(model),
        *_cutoff(model["cutoff"], region["thresholds"]["confidence"]),
        *_categories(model),
    ]


def _left_out(model: ModelAnswer) -> list[str]:
    """How many broken models have no say in the best accuracy."""
    count = model.get("left_out", 0)
    models = counted(count, "model that", "models that")
    return [f"The best accuracy leaves out {models} collapsed or diverged."] if count else []


def _cutoff(cutoff: float | None, confidence: float) -> list[str]:
    """A sentence where a point that is certain by itself is not yet IN."""
    if cutoff == confidence:
        return [
            f"Points with P(inside) >= {confidence:g} are likely IN, each by itself; with "
            f"{percent(confidence)} at most {percent(1 - confidence)} of them are outside."
        ]
    some = "No point is IN" if cutoff is None else f"Points with P(inside) >= {cutoff:.3f} are IN"
    return [
        f"{some}: model errors are correlated, so among all points with P(inside) >= "
        f"{confidence:g} more than {percent(1 - confidence)} could be outside together."
    ]


def _categories(model: ModelAnswer) -> list[str]:
    if len(model["categories"]) < 2:
        return []
    return [
        f"  {entry['label']}: {percent(entry['volume']['fraction'])} inside, "
        f"{percent(entry['UNDECIDED'])} undecided"
        for entry in model["categories"]
    ]


def other_points(region: RegionFile) -> list[str]:
    """The point most likely inside where none is IN, and the most accurate one."""
    if (model := region.get("model")) is None:
        return []
    titled = {
        "Most likely inside, but not IN": model["suspect"],
        "Most accurate": model["most_accurate"],
    }
    found = [(title, point) for title, point in titled.items() if point is not None]
    return [line for title, point in found for line in _point(title, point)]


def _point(title: str, point: ModelPointEntry) -> list[str]:
    resists = [
        f"{entry['attack']} up to {percent(entry['poison_rate'])}"
        for entry in point["resists"]
        if entry["poison_rate"]
    ]
    others = [entry["attack"] for entry in point["resists"] if not entry["poison_rate"]]
    return [
        f"{title}: {point['label']} (P(inside) {chance_words(point['probability'])})",
        f"  clean accuracy {_interval(point['clean_accuracy'])} for one new seed, by the model",
        f"  worst attack: {point['worst_attack']}, success {_interval(point['attack_success'])}",
        *([f"  withstands {'; '.join(resists)}"] if resists else []),
        *([f"  not certain to withstand, at any rate: {'; '.join(others)}"] if others else []),
    ]


def _interval(value: RateEntry) -> str:
    return f"{value['expected']:.3f} ({value['lower']:.3f} to {value['upper']:.3f})"
