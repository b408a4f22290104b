"""The question of a sweep in words, and what meets it."""

from __future__ import annotations

from sweeps.records.answer_entry import QuestionEntry
from sweeps.records.region_file import RegionFile
from sweeps.records.success_words import attack_words
from sweeps.records.thresholds import MEDIAN, SHARE

#: Over all seeds of a point, as every search but a region search asks.
MEAN = "mean"
OVER = {MEAN: "in the mean over seeds", MEDIAN: "for the median seed", SHARE: "for 90 % of seeds"}


def question_of(region: RegionFile, seeds: int, target: str) -> QuestionEntry:
    """seeds: that every attack needs at a point, of a region search those that may be drawn.
    target: `mean`, `median` or `share`."""
    attacks = len(region["panel"])
    text = f"Which training settings reach {asked(region)}, {OVER[target]}?"
    return {"text": text, "attacks": attacks, "seeds": seeds, "target": target}


def asked(region: RegionFile) -> str:
    """`clean accuracy >= 0.917 (best - 0.05), attack success <= 0.1 for all 6 attacks`."""
    return f"{clean_asked(region)}, {attack_asked(region)}"


def clean_asked(region: RegionFile) -> str:
    """The rule; with its value where it refers to the best accuracy and that is known."""
    clean = region["thresholds"]["clean_accuracy"]
    value, rule = clean["value"], clean["rule"]
    if (model := region.get("model")) is not None:
        value = model["clean_accuracy"]
    return accuracy_asked(value, rule)


def accuracy_asked(value: float | None, rule: str) -> str:
    """`clean accuracy >= 0.917 (best - 0.05)`, `clean accuracy >= 0.9`. value: that follows from
    the rule, None where it is not known."""
    if value is None or not rule.startswith("best"):
        return f"clean accuracy >= {rule}"
    return f"clean accuracy >= {value:.3f} ({rule})"


def attack_asked(region: RegionFile) -> str:
    """`attack success <= 0.1 for all 6 attacks`."""
    return f"{attack_words(region['thresholds'])} {for_all_attacks(len(region['panel']))}"


def for_all_attacks(count: int) -> str:
    """`for the attack`, `for all 6 attacks`."""
    return "for the attack" if count == 1 else f"for all {count:,} attacks"
