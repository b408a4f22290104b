"""Whether the values of a region.json that was read are what they must be."""

from __future__ import annotations

import itertools
from collections.abc import Collection, Iterator, Mapping
from typing import Any, cast

from sweeps.records.region_file import (
    REGION_VERSION,
    REQUIRED,
    REQUIRED_SINCE_2,
    RegionFile,
)
from sweeps.records.region_schema import region_schema
from sweeps.records.region_upgrade import FIRST_VERSION, brought_up
from sweeps.records.schema_check import Fault, faults

#: How many faults of a file are told of: a damaged one has either few or thousands.
TOLD = 5
#: Keys that files of version 1 may lack, though their types require them: they came later.
CAME_LATER = {"CleanAccuracyEntry": ("best_source",), "PointEntry": ("stopped", "broken")}
#: A copy of what sweep.json says; its readers pass over what is none of ours.
COPIED = "data"


def is_region(content: Mapping[str, Any]) -> bool:
    """Whether it is of a version that is known, and has what every region.json has."""
    version = content.get("schema_version")
    known = not isinstance(version, bool) and version in range(FIRST_VERSION, REGION_VERSION + 1)
    return known and all(isinstance(content.get(key), kind) for key, kind in REQUIRED.items())


def opened(content: Mapping[str, Any]) -> tuple[RegionFile | None, list[Fault]]:
    """A file of version 1 or 2 as one of version 2, or the first `TOLD` faults of it."""
    found = list(itertools.islice(region_faults(content), TOLD))
    if found:
        return None, found
    if content["schema_version"] == FIRST_VERSION:
        return brought_up(content), []
    return cast(RegionFile, content), []


def region_faults(content: Mapping[str, Any]) -> Iterator[Fault]:
    """Values that are missing or of a wrong type, and names of what is not there."""
    whole = _first_schema() if content["schema_version"] == FIRST_VERSION else region_schema()
    own = {key: value for key, value in content.items() if key != COPIED}
    sound = True
    for fault in faults(own, whole):
        sound = False
        yield fault
    if sound:
        yield from _names(content)


def _first_schema() -> dict[str, Any]:
    """Of version 1, whose model of a region search may lack anything."""
    whole = region_schema()
    entries = {**whole["$defs"], "RegionFile": whole}
    for changes in (REQUIRED_SINCE_2, CAME_LATER):
        for name, keys in changes.items():
            own = entries[name]
            own["required"] = [key for key in own["required"] if key not in keys]
    entries["ModelAnswer"]["required"] = []
    whole["properties"]["schema_version"] = {"const": FIRST_VERSION}
    return whole


#: By basis the verdicts that are counted.
COUNTED = {
    "by_means": ("IN", "OUT", "INCOMPLETE"),
    "by_bounds": ("IN", "OUT", "UNDECIDED"),
    "by_model": ("IN", "OUT", "UNDECIDED"),
}


def _names(region: Mapping[str, Any]) -> Iterator[Fault]:
    """Attacks and points that are named and not there, and verdicts that are not counted."""
    panel = {attack["attack_id"] for attack in region["panel"]}
    for number, control in enumerate(region.get("controls", [])):
        yield from _among(panel, control, "attack_id", f"controls[{number}]", "`panel`")
    for number, point in enumerate(region["points"]):
        yield from _attacks(panel, point, f"points[{number}]")
    complete = {point["defence_id"] for point in region["points"] if point["attacks"]}
    chosen = (
        region["recommended"] if "model" not in region else None
    )  # which recommends untried ones
    if chosen is not None:
        yield from _among(complete, chosen, "defence_id", "recommended", "the complete `points`")
    for basis, words in COUNTED.items():
        for word in words:
            if word not in region["counts"].get(basis, words):
                yield Fault(f"counts.{basis}.{word}", "must be there", None)


def _attacks(panel: Collection[str], point: Mapping[str, Any], at: str) -> Iterator[Fault]:
    """Of a complete point; another one has none."""
    for number, attack in enumerate(point["attacks"]):
        yield from _among(panel, attack, "attack_id", f"{at}.attacks[{number}]", "`panel`")
    own = {attack["attack_id"] for attack in point["attacks"]}
    for key in ("worst_attack", "excess_attack"):
        if own and key in point:
            yield from _among(own, point, key, at, "its `attacks`")


def _among(
    known: Collection[str], entry: Mapping[str, Any], key: str, at: str, where: str
) -> Iterator[Fault]:
    if entry[key] not in known:
        yield Fault(f"{at}.{key}", f"must be the id of one of {where}", entry[key])
