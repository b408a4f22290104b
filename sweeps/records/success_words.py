"""The threshold of attack success in words, and what attacks have above the clean baseline."""

from __future__ import annotations

from sweeps.records.region_file import AttackEntry, RegionFile, ThresholdsEntry
from sweeps.records.verification_file import DrawEntry, FrozenThresholds

#: The column of the table, which stands behind that of success.
COLUMN, AT = "above", 4


def attack_words(thresholds: ThresholdsEntry | FrozenThresholds) -> str:
    """`attack success <= 0.2`, or `attack success <= baseline + 0.1, paired by seed,`."""
    if (rule := thresholds.get("attack_rule")) is not None:
        return f"attack success <= {rule}, paired by seed,"
    return f"attack success <= {thresholds['attack_success']:g}"


def and_baseline(thresholds: ThresholdsEntry) -> str:
    """What else a point needs to be complete."""
    return " and the clean baseline" if "attack_rule" in thresholds else ""


def excess_words(attack: AttackEntry | DrawEntry) -> str:
    """How far success lies above the clean baseline, where that is compared."""
    return f", {attack['excess']:.3f} above its clean baseline" if "excess" in attack else ""


def add_excess_column(region: RegionFile, head: list[str], rows: list[list[str]]) -> None:
    """Adds the column to the head and the rows of the table, where the threshold is about it."""
    if "attack_rule" not in region["thresholds"]:
        return
    head.insert(AT, COLUMN)
    for cells, point in zip(rows, region["points"], strict=True):
        cells.insert(AT, f"{point['excess']:.3f}" if "excess" in point else "")
