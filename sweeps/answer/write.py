"""Writing region.json: every point judged, and the answer, the same for every search."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from sweeps.answer.setting import setting_of
from sweeps.answer.state import state_of
from sweeps.ledger import Ledger
from sweeps.records.answer_lines import answer_lines
from sweeps.records.criteria import REGION_SEARCH, Criteria
from sweeps.records.headline import headline_of
from sweeps.records.question_text import MEAN, question_of
from sweeps.records.region_file import RegionFile
from sweeps.records.setting_text import setting_lines
from sweeps.records.sweep_file import SweepFile
from sweeps.records.verdicts import verdict_of, verdicts_of
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
    region["class_names"] = sweep["class_names"]
    if "data" in sweep:
        region["data"] = sweep["data"]
    if spec is not None and criteria.search == REGION_SEARCH:
        _add_model(region, spec, ledger)
    _add_answer(region, criteria, ledger, paths, sweep, finished)
    try:
        write_json(paths.region, region)
    except OSError as error:
        if unwritten is None:
            raise
        unwritten(error)
    return region


def _add_model(region: RegionFile, spec: SweepSpec, ledger: Ledger) -> None:
    """What the model of a region search says; it takes seconds, and scipy."""
    from sweeps.region.fitted_region import FittedRegion
    from sweeps.region.model_region import model_answer

    fitted = FittedRegion.of(spec, ledger)
    answer = model_answer(fitted)
    region["model"] = answer


def _add_answer(
    region: RegionFile,
    criteria: Criteria,
    ledger: Ledger,
    paths: SweepPaths,
    sweep: SweepFile,
    finished: bool | None,
) -> None:
    """Everything that version 2 adds; what is said rests on what stands before it."""
    by_points = criteria.search != REGION_SEARCH
    target = MEAN if by_points else criteria.thresholds.target
    region["question"] = question_of(region, len(criteria.seeds), target)
    region["state"] = state_of(paths, sweep, region, ledger, finished)
    for point in region["points"]:
        point["verdict"] = verdict_of(point)
    region["verdicts"] = verdicts_of(region)
    region["headline"] = headline_of(region)
    if by_points:
        region["setting"] = setting_of(region, ledger.trials())
    region.setdefault("setting", None)
    region["where"] = {
        "basis": None,
        "of": "points" if by_points else "space",
        "box": None,
        "rule": None,
        "recommended_outside": None,
        "text": [],
    }
    region["limiting"], region["front"], region["next"], region["lacks"] = [], [], [], []
    region["verification"] = {
        "state": "not yet",
        "text": "not yet",
        "verification_id": None,
        "verdict": None,
        "passed": 0,
        "draws": 0,
        "claim": None,
        "lower_bound": None,
        "basis": None,
        "earlier": 0,
        "stale_because": None,
        "failed_where": [],
    }
    if (setting := region["setting"]) is not None:
        setting["text"] = setting_lines(region, setting)
    region["text"] = answer_lines(region)
