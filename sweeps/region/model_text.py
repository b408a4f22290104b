"""What the model of a region search says, in words for a terminal."""

from __future__ import annotations

from sweeps.records.model_answer import (
    DescriptionEntry,
    Factor,
    IntervalEntry,
    ModelAnswer,
)


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


def percent(fraction: float) -> str:
    """`12.5 %`."""
    return f"{100 * fraction:.3g} %"
