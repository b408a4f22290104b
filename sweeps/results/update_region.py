"""The region of a results folder, judged again by what its ledger holds now."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable

from sweeps.answer.write import write_point_table, write_region
from sweeps.ledger import Ledger
from sweeps.records.criteria import REGION_SEARCH
from sweeps.records.region_file import REGION_VERSION, RegionFile
from sweeps.results.asked import present_text
from sweeps.results.stored import ChangedByHandError, stored_criteria
from sweeps.storage.paths import SweepPaths, read_sweep

UNWRITTEN = "note: {} was not written ({}); the answer is up to date all the same"
NEWER = "note: {} is of a newer release (version {}); it is written again, as version {}"
CHANGED = "note: {} was changed by hand; the region answers what spec.yaml asks"


def update_region(
    paths: SweepPaths,
    ledger: Ledger | None = None,
    say: Callable[[str], None] = lambda text: None,
) -> RegionFile:
    """Writes region.json, by the criteria in sweep.json where they are enough, else by the spec.

    The spec is needed for the model of a region search, in folders of releases that stored less,
    and where sweep.json was changed by hand: then it holds. ledger: the folder's, where it is open
    already. say: is told of such a change, and where region.json cannot be written: the answer is
    the same.

    Raises:
        UserError: spec.yaml was changed by hand.
    """

    def unwritten(error: OSError) -> None:
        say(UNWRITTEN.format(paths.region, error.strerror or error))

    if (version := _newer(paths)) is not None:
        say(NEWER.format(paths.region, version, REGION_VERSION))
    sweep = read_sweep(paths)
    present_text(paths, sweep)
    try:
        criteria = stored_criteria(sweep)
    except ChangedByHandError:
        criteria = None
        say(CHANGED.format(paths.sweep.name))
    if criteria is not None and criteria.search != REGION_SEARCH:
        return write_point_table(paths, criteria, ledger, unwritten)

    from sweeps.results.create import read_spec  # loads torch

    return write_region(paths, read_spec(paths), ledger, unwritten)


def _newer(paths: SweepPaths) -> int | None:
    """The version of region.json, where a newer release has written it."""
    with contextlib.suppress(OSError, ValueError):
        found = json.loads(paths.region.read_bytes())
        version = found.get("schema_version") if isinstance(found, dict) else None
        if isinstance(version, int) and version > REGION_VERSION:
            return version
    return None
