"""What limits the region, and what is left of it with weaker attacks only.

Of a search that completes points both are counted on these points, by means over seeds: they say
what was seen, and nothing of new seeds.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection

from backdoor.wording import counted
from sweeps.records.answer_entry import FrontPoint, LimitingEntry
from sweeps.records.model_front import front_of_model
from sweeps.records.region_file import AttackEntry, PointEntry, RegionFile
from sweeps.region.model_text import front_lines as model_front_lines
from sweeps.region.model_text import limits_lines, percent
from sweeps.statistics.margins import DIGITS

CLEAN, BROKEN = "clean accuracy", "collapsed or diverged models"
#: Reasons that a line names.
NAMED = 4


def limiting_of(region: RegionFile) -> list[LimitingEntry]:
    """What misses its threshold by most at the points OUT by means, or is the least likely to pass
    by the model of a region search; the most frequent first. The shares add up to 1.

    A point where nothing misses its threshold is OUT since models of it are broken
    (`collapsed or diverged models`).
    """
    if "model" in region:
        model = region.get("model")
        return [{**entry} for entry in model["limits"]] if model else []
    out = [point for point in region["points"] if point["by_means"] == "OUT"]
    found = Counter(_reason(point, region) for point in out)
    labels = [CLEAN, *(attack["label"] for attack in region["panel"]), BROKEN]
    entries: list[LimitingEntry] = [
        {"label": label, "share": found[label] / len(out)} for label in labels if found[label]
    ]
    return sorted(entries, key=lambda entry: -entry["share"])


def _reason(point: PointEntry, region: RegionFile) -> str:
    """What misses its threshold by most at a point; of equal ones clean accuracy, then the first
    attack."""
    labels = {attack["attack_id"]: attack["label"] for attack in region["panel"]}
    least, most = region["thresholds"]["clean_accuracy"]["value"], _most(region)
    beyond = {}
    if least is not None and point["clean_accuracy"] is not None:
        beyond[CLEAN] = round(least - point["clean_accuracy"], DIGITS)
    for attack in point["attacks"]:
        beyond[labels[attack["attack_id"]]] = round(_compared(attack) - most, DIGITS)
    worst = max(beyond, key=lambda label: beyond[label], default=BROKEN)
    return worst if beyond and beyond[worst] > 0 else BROKEN


def front_of(region: RegionFile) -> list[FrontPoint]:
    """What is left with the panel's attacks up to each of its poison rates; of a search that
    completes points nothing where the panel has one rate, or no point is judged.

    The clean accuracy asked for is the same at every rate, `best - x` too; a point with a broken
    model is inside at none.
    """
    if "model" in region:
        return front_of_model(region)
    rates = sorted({attack["poison_rate"] for attack in region["panel"]})
    judged = [point for point in region["points"] if point["by_means"] in ("IN", "OUT")]
    if len(rates) < 2 or not judged:
        return []
    found: list[FrontPoint] = []
    for rate in rates:
        up_to = {a["attack_id"] for a in region["panel"] if a["poison_rate"] <= rate}
        inside = sum(_is_inside(point, up_to, region) for point in judged)
        share = inside / len(judged)
        found.append({"poison_rate": rate, "share": share, "lower": None, "upper": None})
    return found


def _is_inside(point: PointEntry, attacks: Collection[str], region: RegionFile) -> bool:
    """Whether the point would be IN by means with these attacks of the panel only."""
    least, most = region["thresholds"]["clean_accuracy"]["value"], _most(region)
    own = [attack for attack in point["attacks"] if attack["attack_id"] in attacks]
    if least is None or point["broken"] or not own:
        return False
    margins = (min(attack["clean_accuracy"] - least, most - _compared(attack)) for attack in own)
    return round(min(margins), DIGITS) >= 0


def _most(region: RegionFile) -> float:
    return region["thresholds"]["attack_success"]


def _compared(attack: AttackEntry) -> float:
    """What of the success is compared: what it has above the clean baseline, where that counts."""
    return attack.get("excess", attack["attack_success"])


# --- words -------------------------------------------------------------------------------------


def limit_lines(region: RegionFile) -> list[str]:
    """A line on what limits the region; none where nothing is OUT."""
    if "model" in region:
        model = region.get("model")
        return limits_lines(model) if model else []
    entries = limiting_of(region)
    out = sum(point["by_means"] == "OUT" for point in region["points"])
    if not entries:
        return []
    points = f"of {counted(out, 'point')}"
    parts = [f"{e['label']} ({round(e['share'] * out):,} {points})" for e in entries[:NAMED]]
    return [f"most frequent reason to be OUT by means: {', '.join(parts)}"]


def front_lines(region: RegionFile) -> list[str]:
    """A line on what is left up to each poison rate; none where the panel has one rate."""
    if "model" in region:
        model = region.get("model")
        return model_front_lines(model) if model else []
    judged = sum(point["by_means"] in ("IN", "OUT") for point in region["points"])
    parts = [
        f"{round(entry['share'] * judged):,} of {judged:,} up to rate "
        f"{percent(entry['poison_rate'])}"
        for entry in front_of(region)
    ]
    if not parts:
        return []
    return [f"judged points IN by means against the poison rate: {', '.join(parts)}"]
