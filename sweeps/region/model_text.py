"""What the model of a region search says, in words for a terminal."""

from __future__ import annotations

from backdoor.wording import counted
from sweeps.records.control_text import on_accuracy_alone
from sweeps.records.model_answer import (
    DescriptionEntry,
    Factor,
    IntervalEntry,
    ModelAnswer,
    ModelPointEntry,
    RateEntry,
)
from sweeps.records.region_file import RegionFile


def model_text(region: RegionFile) -> list[str]:
    """Lines: the answer, the recommended point, the region in words, what limits it."""
    model, thresholds = region["model"], region["thresholds"]
    if model is None:
        broken = sum(point["broken"] for point in region["points"])
        if 0 < broken == region["trials"]["finished"]:
            return ["Every model collapsed or diverged: nothing can be said about the region."]
        return ["Too few trials have finished to say anything about the region."]
    rule = f"clean accuracy >= {model['clean_accuracy']:.3f}"
    rule += f" ({thresholds['clean_accuracy']['rule']})" if model["best_accuracy"] else ""
    attacks = f"attack success <= {thresholds['attack_success']:g} "
    attacks += for_all_attacks(len(region["panel"]))
    return [
        *_head(model, f"{rule}, {attacks}", thresholds["confidence"]),
        *_left_out(model),
        *_categories(model),
        "",
        *_points(model, on_accuracy_alone(region)),
        "",
        *described("largest box", model["box"]),
        *described("short rule", model["rule"]),
        *limits_lines(model),
        *front_lines(model),
    ]


def _head(model: ModelAnswer, rule: str, confidence: float) -> list[str]:
    space, volume = model["space"], model["volume"]
    if not space["IN"] and space["UNDECIDED"] < 0.01:
        head = f"No region found: no point is likely to meet {rule}."
    elif not space["IN"]:
        head = f"No point is certain yet to meet {rule}."
    else:
        head = f"{percent(volume['fraction'])} of the defence space meet: {rule}"
        head += f" (90 % interval {percent(volume['lower'])} to {percent(volume['upper'])})."
    seeds = {"median": "the median seed", "share": "90 % of the seeds"}[model["target"]]
    certain = f"At {100 * confidence:g} % certainty, for {seeds}:"
    shares = {"IN": space["IN"], "OUT": space["OUT"], "UNDECIDED": space["UNDECIDED"]}
    parts = ", ".join(f"{percent(share)} {name}" for name, share in shares.items())
    why = f"; ended: {model['stopped_by']}" if model["stopped_by"] else ""
    lines = [head, f"{certain} {parts}, from {counted(model['trials'], 'trial')}{why}."]
    return [*lines, *_cutoff(model["cutoff"], confidence)]


def _left_out(model: ModelAnswer) -> list[str]:
    """How many broken models have no say in the best accuracy."""
    count = model.get("left_out", 0)
    models = counted(count, "model that", "models that")
    return [f"The best accuracy leaves out {models} collapsed or diverged."] if count else []


def _cutoff(cutoff: float | None, confidence: float) -> list[str]:
    """A sentence where a point that is certain by itself is not yet IN."""
    if cutoff == confidence:
        return []
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


def _points(model: ModelAnswer, alone: list[str]) -> list[str]:
    """alone: what stands below the recommended point."""
    titled = {
        "Recommended": model["recommended"],
        "Most likely inside, but not certain": model["suspect"],
        "Most accurate": model["most_accurate"],
    }
    lines = [] if model["recommended"] else ["Recommended: none."]
    for title, point in titled.items():
        lines += [] if point is None else _point(title, point)
        if point is not None and point is model["recommended"]:
            lines += [f"  {line}" for line in alone]
    return lines


def _point(title: str, point: ModelPointEntry) -> list[str]:
    resists = [
        f"{entry['attack']} up to {percent(entry['poison_rate'])}"
        if entry["poison_rate"]
        else f"{entry['attack']} at no rate of the panel"
        for entry in point["resists"]
    ]
    return [
        f"{title}: {point['label']} (P(inside) {point['probability']:.2f})",
        f"  clean accuracy {_interval(point['clean_accuracy'])} for one new seed",
        f"  worst attack: {point['worst_attack']}, success {_interval(point['attack_success'])}",
        f"  withstands {'; '.join(resists)}",
    ]


def described(title: str, found: DescriptionEntry | None) -> list[str]:
    """`largest box: weight_decay >= 0.01 (98 % of it inside, 40 % of the region)`."""
    if found is None:
        return [f"{title}: none that is 95 % precise"]
    category = ", ".join(named_value(*pair) for pair in found["category"].items())
    parts = [bounds_words(interval) for interval in found["intervals"]]
    where = " and ".join([*([category] if category else []), *parts]) or "everywhere"
    return [
        f"{title}: {where} ({percent(found['precision'])} of it inside, "
        f"{percent(found['coverage'])} of the region)"
    ]


def named_value(factor: str, value: Factor) -> str:
    """`weight_decay 0.1`; a kind by itself, which says what it is."""
    slot = factor in ("defence.architecture", "defence.regularizer")
    shown = f"{value:g}" if isinstance(value, float) else str(value)
    return shown if slot else f"{factor.rpartition('.')[2]} {shown}"


def bounds_words(interval: IntervalEntry) -> str:
    """`weight_decay >= 0.01`, `0.1 <= weight_decay x learning_rate <= 1`."""
    name, low, high = interval["factor"], interval["low"], interval["high"]
    if low is None:
        return f"{name} <= {high:.3g}"
    if high is None:
        return f"{name} >= {low:.3g}"
    return f"{low:.3g} <= {name} <= {high:.3g}"


def limits_lines(model: ModelAnswer) -> list[str]:
    """A line on what fails first where the region ends; none where nothing is OUT."""
    parts = [f"{entry['label']} {percent(entry['share'])}" for entry in model["limits"][:4]]
    return [f"most frequent reason to be outside: {', '.join(parts)}"] if parts else []


def front_lines(model: ModelAnswer) -> list[str]:
    """A line on the volume against the poison rate; none where the panel has one rate."""
    if len(model["front"]) < 2:
        return []
    parts = [
        f"{percent(entry['volume']['fraction'])} up to rate {percent(entry['poison_rate'])}"
        for entry in model["front"]
    ]
    return [f"volume against the poison rate: {', '.join(parts)}"]


def _interval(value: RateEntry) -> str:
    return f"{value['expected']:.3f} ({value['lower']:.3f} to {value['upper']:.3f})"


def percent(fraction: float) -> str:
    """`12.5 %`."""
    return f"{100 * fraction:.3g} %"


def for_all_attacks(count: int) -> str:
    """`for the attack`, `for all 6 attacks`."""
    return "for the attack" if count == 1 else f"for all {count:,} attacks"
