"""Whether the values of a region.json that was read are what they must be."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from typing import Any, cast

from sweeps.records.region_file import (
    REGION_VERSION,
    REQUIRED,
    REQUIRED_SINCE_2,
    RegionFile,
)
from sweeps.records.region_names import wrong_names
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
        yield from wrong_names(content)


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
