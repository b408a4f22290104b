"""Writing region.json: every point judged, and the answer, the same for every search."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from sweeps.answer.add import add_answer
from sweeps.answer.lacks import folder_lacks
from sweeps.answer.state import state_of
from sweeps.answer.verification import draws_of, verification_entry
from sweeps.ledger import Ledger
from sweeps.records.answer_entry import SettingEntry
from sweeps.records.criteria import REGION_SEARCH, Criteria
from sweeps.records.region_file import RegionFile
from sweeps.region.point_table import region_of
from sweeps.storage.files import write_json
from sweeps.storage.paths import SweepPaths, read_sweep

if TYPE_CHECKING:
    from sweeps.spec import SweepSpec


#: Is told why region.json could not be written; without one, that is an error.
Unwritten = Callable[[OSError], None]


def write_region(
    paths: SweepPaths,
    spec: SweepSpec,
    ledger: Ledger | None = None,
    unwritten: Unwritten | None = None,
    finished: bool | None = None,
) -> RegionFile:
    """Judges what the ledger holds, and writes region.json. ledger: the folder's, where it is open
    already. finished: whether the run that asks has trained everything; None of other commands."""
    from sweeps.region.panel import criteria_of  # loads torch

    return _write(paths, criteria_of(spec), spec, ledger, unwritten, finished)


def write_point_table(
    paths: SweepPaths,
    criteria: Criteria,
    ledger: Ledger | None = None,
    unwritten: Unwritten | None = None,
) -> RegionFile:
    """The same without the spec, for every search but a region search: its model needs the spec."""
    if criteria.search == REGION_SEARCH:
        raise ValueError("The region of a region search is written with its spec: `write_region`.")
    return _write(paths, criteria, None, ledger, unwritten, None)


def _write(
    paths: SweepPaths,
    criteria: Criteria,
    spec: SweepSpec | None,
    ledger: Ledger | None,
    unwritten: Unwritten | None,
    finished: bool | None,
) -> RegionFile:
    ledger = Ledger(paths.ledger) if ledger is None else ledger
    sweep = read_sweep(paths)
    by_points = criteria.search != REGION_SEARCH
    region = region_of(criteria, ledger, sweep["planned"], with_stability=by_points)
    setting = None
    if spec is not None and criteria.search == REGION_SEARCH:
        setting = _add_model(region, spec, ledger)
    region["class_names"] = sweep["class_names"]
    if "data" in sweep:
        region["data"] = sweep["data"]
    state = state_of(paths, sweep, region, ledger, finished)
    region["lacks"] = folder_lacks(sweep)
    verification = verification_entry(paths, region, ledger.ended)
    draws = draws_of(paths, verification)
    add_answer(region, criteria, ledger.trials(), state, verification, setting, draws)
    try:
        write_json(paths.region, region)
    except OSError as error:
        if unwritten is None:
            raise
        unwritten(error)
    return region


def _add_model(region: RegionFile, spec: SweepSpec, ledger: Ledger) -> SettingEntry | None:
    """What the model of a region search says, also of the points that were tried; it takes seconds,
    and scipy. Returns the setting that it recommends."""
    from sweeps.region.fitted_region import FittedRegion
    from sweeps.region.model_region import model_answer
    from sweeps.region.searched_points import add_searched_points, setting_of_model

    fitted = FittedRegion.of(spec, ledger)
    region["model"] = model_answer(fitted)
    region["recommended"] = None  # points of such a search are not complete but by chance
    if region["model"] is None:
        return None
    add_searched_points(region, fitted)
    setting = setting_of_model(fitted, region)
    if setting is not None:
        keys = setting["defence_id"], setting["basis"], setting["margin"]
        region["recommended"] = {"defence_id": keys[0], "basis": keys[1], "margin": keys[2]}
    return setting
