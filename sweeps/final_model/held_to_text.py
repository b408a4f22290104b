"""A figure of a final model beside its threshold, as a line for people."""

from __future__ import annotations

from sweeps.records.final_model_file import HeldToEntry
from sweeps.statistics.margins import DIGITS

#: By what is known what one seed may do.
SEED, IMAGES = "what one seed may do", "what its test images alone leave open"
POISONED = "what one poisoned seed may do, by the search's model"
#: Figures by name, short.
SHORT = {"clean_accuracy": "accuracy"}
#: Decimal places: as few as show two figures apart.
FEWEST, MOST = 3, 6


def line(
    entry: HeldToEntry,
    outside: bool,
    broken: str | None,
    why: str | None = None,
    poisoned: bool = False,
) -> str:
    """`accuracy 0.910, below the 0.917 (best - 0.05) asked for: within what one seed may do (0.901
    to 0.953)`. outside: whether the value lies outside these limits on the bad side. broken: how,
    if it is. why: why it is not judged. poisoned: whether the limits are those of poisoned models
    and this one is clean."""
    name = SHORT.get(entry["figure"], entry["figure"].replace("_", " "))
    value, threshold = entry["value"], entry["threshold"]
    if why is not None or value is None or threshold is None:
        figure = "" if value is None else f" {value:.3f}"
        return f"{name}{figure}, not compared with the {entry['rule']} asked for: {why}"
    shown, limit = apart(value, threshold)
    beside = f"{name} {shown}, {_relation(entry)} the {_asked(entry, limit)} asked for"
    if broken is not None:
        return f"{beside}, but this model has {broken} and meets nothing"
    return f"{beside}{_chance(entry, outside, poisoned)}"


def apart(value: float, threshold: float) -> tuple[str, str]:
    """Both with as few decimal places as show them apart, three to six."""
    if round(value - threshold, DIGITS) == 0:
        return f"{value:.3f}", f"{threshold:.3f}"
    for places in range(FEWEST, MOST + 1):
        one, other = f"{value:.{places}f}", f"{threshold:.{places}f}"
        if one != other:
            break
    return one, other


def _relation(entry: HeldToEntry) -> str:
    value, threshold = entry["value"], entry["threshold"]
    assert value is not None and threshold is not None
    if round(value - threshold, DIGITS) == 0:
        return "at"
    return "above" if value > threshold else "below"


def _asked(entry: HeldToEntry, limit: str) -> str:
    """The threshold, and the rule where that is no number."""
    rule, rate = entry["rule"], entry["baseline_success"]
    if rule.startswith("best"):
        return f"{limit} ({rule})"
    if not rule.startswith("baseline"):
        return limit
    clean = (
        "the clean baseline is not known and counts as 0"
        if rate is None
        else f"clean models {rate:.3f}"
    )
    return f"{limit} ({rule}; {clean})"


def _chance(entry: HeldToEntry, outside: bool, poisoned: bool) -> str:
    limits = f"({entry['low']:.3f} to {entry['high']:.3f})"
    what = IMAGES if entry["by"] == "images" else POISONED if poisoned else SEED
    if entry["met"]:
        if entry["by"] == "images":
            return ""
        if outside:
            return f", though worse than {what} {limits}"
        return f"; better than {what} {limits}" if _better(entry) else f"; {what}: {limits[1:-1]}"
    if not entry["beyond_chance"]:
        return f": within {what} {limits}"
    if outside or entry["by"] == "images":
        return f": beyond {what} {limits}"
    return f", as is all of {what} here {limits}"


def _better(entry: HeldToEntry) -> bool:
    """Whether the value lies outside the limits on the good side."""
    value, low, high = entry["value"], entry["low"], entry["high"]
    assert value is not None and low is not None and high is not None
    return value > high if entry["figure"] == "clean_accuracy" else value < low
