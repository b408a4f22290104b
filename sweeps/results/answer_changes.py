"""What an extension changed in the answer: region.json before and after, in a few lines."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping

from backdoor.errors import UserError
from sweeps.records.headline import percent
from sweeps.records.region_file import PointEntry, RegionFile
from sweeps.region.standing import in_words
from sweeps.storage.paths import SweepPaths, read_region

#: Points that are named.
NAMED = 2
SURE_IN, SURE_OUT = ("certainly in", "likely in"), ("certainly out", "likely out")


def region_before(paths: SweepPaths) -> RegionFile | None:
    """region.json as it is; None where it is missing, damaged or of another release."""
    with contextlib.suppress(UserError, OSError):
        return read_region(paths.root)
    return None


def answer_changes(before: RegionFile | None, after: RegionFile) -> list[str]:
    """One to four lines: points that came in or left, or the share of the space; the recommended
    setting, the headline and the verification, where they changed. None without a file before."""
    if before is None:
        return []
    changed = [*_inside(before, after), *_recommended(before, after), *_headline(before, after)]
    changed += _verification(before, after)
    return changed or ["The answer is the same as before the extension."]


def _inside(before: RegionFile, after: RegionFile) -> list[str]:
    shares = [_share(region) for region in (before, after)]
    if shares[0] is not None and shares[1] is not None:
        one, other = (percent(share) for share in shares if share is not None)
        return [f"Likely IN of the defence space: {one} -> {other}"] if one != other else []
    once, now = _points(before), _points(after)
    came = [label for name, label in now.items() if name not in once]
    left = [label for name, label in once.items() if name not in now]
    parts = [_named("came in", came), _named("left", left)]
    if not came and not left:
        return []
    told = "; ".join(part for part in parts if part)
    return [f"Points IN by bounds, a model or means: {len(once)} -> {len(now)} ({told})"]


def _share(region: RegionFile) -> float | None:
    if (verdicts := region.get("verdicts")) is not None:
        return None if verdicts["space"] is None else verdicts["space"]["likely_in"]
    model = region.get("model")
    return None if model is None else model["space"]["IN"]


def _points(region: RegionFile) -> Mapping[str, str]:
    """Ids of the points that are inside, with their labels."""
    return {point["defence_id"]: point["label"] for point in region["points"] if _is_in(point)}


def _is_in(point: PointEntry) -> bool:
    """By the surest verdict; by means, where nothing surer says anything."""
    verdict = point.get("verdict")
    if verdict in SURE_IN or "IN" in (point["by_bounds"], point.get("by_model")):
        return True
    return point["by_means"] == "IN" and verdict not in SURE_OUT


def _named(what: str, labels: list[str]) -> str:
    if not labels:
        return ""
    more = len(labels) - NAMED
    named = "; ".join(labels[:NAMED]) + (f"; and {more} more" if more > 0 else "")
    return f"{len(labels)} {what}: {named}"


def _recommended(before: RegionFile, after: RegionFile) -> list[str]:
    one, other = _setting(before), _setting(after)
    return [] if one == other else [f"Recommended: {one} -> {other}"]


def _setting(region: RegionFile) -> str:
    """The recommended setting with its basis; files of before have only the point."""
    if (setting := region.get("setting")) is not None:
        return f"{setting['label']} ({in_words(setting['basis'])})"
    if (model := region.get("model")) is not None:
        found = model["recommended"]
        return "none" if found is None else f"{found['label']} ({in_words('model')})"
    if (chosen := region["recommended"]) is None:
        return "none"
    label = next(p["label"] for p in region["points"] if p["defence_id"] == chosen["defence_id"])
    return f"{label} ({in_words(chosen['basis'])})"


def _headline(before: RegionFile, after: RegionFile) -> list[str]:
    one, other = before.get("headline"), after.get("headline")
    if one is None or other is None or one["text"] == other["text"]:
        return []
    return [f"Answer: {one['text']} -> {other['text']}"]


def _verification(before: RegionFile, after: RegionFile) -> list[str]:
    one, other = before.get("verification"), after.get("verification")
    if one is None or other is None or one["text"] == other["text"]:
        return []
    return [f"Verification: {one['text']} -> {other['text']}"]
