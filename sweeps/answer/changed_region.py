"""What of a region has changed since a verification froze it."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from backdoor.settings.digest import digest
from backdoor.wording import counted, noun_for
from sweeps.records.region_file import Basis, RegionFile, ThresholdsEntry
from sweeps.records.verification_file import FrozenRegion, FrozenThresholds, FrozenValues
from sweeps.region.standing import verdict_by

#: What `by` a point is inside, by the basis of a verification.
BASES: dict[str, Basis] = {"means": "means", "bounds": "bounds", "model": "model"}
INSIDE = "inside"
#: Accuracies that are nearer to each other are equal: the sums they are of may be in another order.
EQUAL = 1e-9


def changes(frozen: FrozenValues, region: RegionFile, ended: Collection[str]) -> list[str]:
    """Every change as a clause, those of what is asked first; none where the region is the same.

    ended: ids of the trials that the sweep's ledger has a result of.
    """
    asked = _thresholds(frozen["thresholds"], region["thresholds"])
    found = [*asked]
    panel = {digest("attack", attack) for attack in frozen["panel"]}
    now = {attack["attack_id"] for attack in region["panel"]}
    if panel != now:
        found.append(f"the panel changed ({_counts(len(now - panel), len(panel - now))})")
    own = frozen["region"]
    if own["kind"] == "points":
        # What follows from another threshold is not said again.
        return found + ([] if asked else _least(own, region)) + _points(own, region)
    return found + _confidence(own, region) + _trials(own.get("trials", []), ended)


def _thresholds(frozen: FrozenThresholds, now: ThresholdsEntry) -> list[str]:
    accuracy = now["clean_accuracy"]["rule"]
    success, asked = _success(frozen), _success(now)
    pairs = {"clean accuracy": (frozen["rule"], accuracy), "attack success": (success, asked)}
    return [
        f"the {name} asked for changed ({before}, now {after})"
        for name, (before, after) in pairs.items()
        if before != after
    ]


def _success(thresholds: Mapping[str, Any]) -> str:
    return str(thresholds.get("attack_rule", f"{thresholds['attack_success']:g}"))


def _least(frozen: FrozenRegion, region: RegionFile) -> list[str]:
    """The clean accuracy as a number, which `best - x` changes with the best point."""
    before, entry = frozen["clean_accuracy"], region["thresholds"]["clean_accuracy"]
    now = entry["value"]
    if before is None or now is None:
        return [] if before == now else ["the best accuracy became known, or unknown"]
    if entry["best"] is None or abs(before - now) <= EQUAL:
        return []
    return [f"the clean accuracy of {entry['rule']} changed ({before:.4f}, now {now:.4f})"]


def _points(frozen: FrozenRegion, region: RegionFile) -> list[str]:
    """Points that were added or lost, and those that came in or left the region."""
    parts = frozen.get("points", {})
    known, inside = {i for ids in parts.values() for i in ids}, set(parts.get(INSIDE, []))
    judged = [p for p in region["points"] if p["by_means"] != "INCOMPLETE"]
    basis = BASES.get(frozen["basis"], "means")
    now = {point["defence_id"] for point in judged}
    inside_now = {p["defence_id"] for p in judged if verdict_by(p, basis) == "IN"}
    counts = {
        "added": len(now - known),
        "no longer there": len(known - now),
    }
    found = [
        f"{counted(n, 'point')} {noun_for(n, 'was', 'were')} {what}"
        for what, n in counts.items()
        if n
    ]
    moved = {
        f"came in by {basis}": len((inside_now - inside) & known),
        f"left by {basis}": len((inside - inside_now) & now),
    }
    return found + [f"{counted(n, 'point')} {what}" for what, n in moved.items() if n]


def _confidence(frozen: FrozenRegion, region: RegionFile) -> list[str]:
    before, now = frozen.get("confidence"), region["thresholds"]["confidence"]
    if before is None or before == now:
        return []
    return [f"the confidence asked for changed ({before:g}, now {now:g})"]


def _trials(known: Collection[str], ended: Collection[str]) -> list[str]:
    before, now = set(known), set(ended)
    counts = {"added": len(now - before), "no longer there": len(before - now)}
    return [
        f"{counted(n, 'trial')} {noun_for(n, 'was', 'were')} {what}"
        for what, n in counts.items()
        if n
    ]


def _counts(more: int, fewer: int) -> str:
    return ", ".join(f"{n} {what}" for n, what in ((more, "more"), (fewer, "fewer")) if n)
