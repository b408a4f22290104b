"""The JSON Schema of region.json, which lies beside this file; made from the types of its keys."""

from __future__ import annotations

import functools
import json
from pathlib import Path
from typing import Any

FILE = Path(__file__).with_name("region.schema.json")
#: Writes the file again after a change of the types.
WRITE = 'python -c "from sweeps.records.region_schema import write_schema; write_schema()"'


def region_schema() -> dict[str, Any]:
    """The JSON Schema (draft 2020-12) of region.json, version 2.

    The description of each key says what it means, with units and ranges; that of an object says
    all of it. Keys that it does not know pass: a later release may write more. What `read_region`
    returns fits it; a file that an earlier release wrote does so once that has brought it up.

    Example:
        >>> from sweeps import region_schema
        >>> region_schema()["$defs"]["HeadlineEntry"]["properties"]["claim"]["enum"]
        ['certain', 'likely', 'means', 'none', 'unknown']
    """
    found: dict[str, Any] = json.loads(_text())
    return found


@functools.cache
def _text() -> str:
    return FILE.read_text(encoding="utf-8")


def made(strict: bool = False) -> dict[str, Any]:
    """The same from the types of today. strict: it refuses keys that these do not have."""
    from sweeps.records.region_file import REGION_VERSION, REQUIRED_SINCE_2, RegionFile
    from sweeps.records.schema import schema_of

    found = schema_of(RegionFile, REQUIRED_SINCE_2, strict)
    version = found["properties"]["schema_version"]
    del version["type"]
    version["const"] = REGION_VERSION
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": f"urn:backdoor-sweeps:region.json:{REGION_VERSION}",
        "title": f"region.json of backdoor-sweeps, version {REGION_VERSION}",
        **found,
    }


def write_schema() -> None:
    """Writes the file that `region_schema` reads."""
    FILE.write_text(json.dumps(made(), indent=1) + "\n", encoding="utf-8")
