"""region.json of earlier releases, brought up to version 2.

What version 1 has, in other words and places, is put where version 2 has it; what it has not is
empty or None, and `lacks` says so. Nothing is computed again: `sweeps region` does that.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, cast

from sweeps.records.answer_entry import (
    LimitingEntry,
    QuestionEntry,
    SettingEntry,
    StateEntry,
)
from sweeps.records.answer_lines import answer_lines
from sweeps.records.control_text import on_accuracy_alone
from sweeps.records.headline import headline_of
from sweeps.records.model_front import front_of_model
from sweeps.records.not_verified import not_verified
from sweeps.records.question_text import MEAN, question_of
from sweeps.records.region_file import REGION_VERSION, RegionFile
from sweeps.records.region_lacks import lacks_of
from sweeps.records.region_schema import region_schema
from sweeps.records.setting_text import setting_lines
from sweeps.records.setting_upgrade import setting_of_before
from sweeps.records.state_text import state_entry
from sweeps.records.thresholds import MEDIAN
from sweeps.records.verdicts import verdict_of, verdicts_of
from sweeps.records.where_upgrade import where_of_before

#: The version that is brought up.
FIRST_VERSION = 1
#: Of the clause on fresh trainings.
NOT_SAID = "not known: this file is of an earlier release, and `sweeps region` writes it again"


def brought_up(old: Mapping[str, Any]) -> RegionFile:
    """A file of version 1 as one of version 2; what is given stays as it is.

    Points that were tried are recommended by the file's own verdict. The limits of one new seed,
    which need the trials, are None, but for a region search, whose model has them.
    """
    region = cast(RegionFile, json.loads(json.dumps({**old})))
    region["schema_version"] = REGION_VERSION
    region["thresholds"]["clean_accuracy"].setdefault("best_source", None)
    for point in region["points"]:
        point.setdefault("stopped", 0)
        point.setdefault("broken", 0)
    region["lacks"] = lacks_of(old)
    whole = _without_parts(region)
    region["question"], region["state"] = _question(whole), _state(whole)
    for point in region["points"]:
        point["verdict"] = verdict_of(point)
    region["verdicts"], region["headline"] = verdicts_of(whole), headline_of(whole)
    region["setting"] = setting_of_before(whole)
    if region["setting"] is not None:
        region["setting"]["text"] = _setting_text(whole, region["setting"])
    region["where"] = where_of_before(whole, region["setting"])
    region["limiting"], region["front"] = _limiting(whole), front_of_model(whole)
    model = whole.get("model")
    region["next"] = model["next"] if model else []
    region["verification"] = not_verified(NOT_SAID)
    lines = answer_lines(cast(RegionFile, {**region, "model": model} if "model" in old else region))
    while lines[-1] == "":
        lines.pop()
    region["text"] = [*lines, "", *region["lacks"]]
    return region


def _setting_text(region: RegionFile, setting: SettingEntry) -> list[str]:
    """Of a region search nothing is said of attacks but the worst, so that they are not counted."""
    if "model" not in region:
        return setting_lines(region, setting)
    uncounted = cast(RegionFile, {**region, "controls": []})
    alone = [f"  {line}" for line in on_accuracy_alone(region)]
    return [*setting_lines(uncounted, setting), *alone]


def _without_parts(region: RegionFile) -> RegionFile:
    """The same; a model that lacks what an answer needs counts as none."""
    model: Mapping[str, Any] | None = region.get("model")
    known = region_schema()["$defs"]["ModelAnswer"]["required"]
    if model is not None and not all(key in model for key in known):
        return cast(RegionFile, {**region, "model": None})
    return region


def _question(region: RegionFile) -> QuestionEntry:
    """Seeds are those of the points; how many a region search may draw the file does not say."""
    seeds = max((point["seeds"] for point in region["points"]), default=0)
    if "model" not in region:
        return question_of(region, seeds, MEAN)
    model = region["model"]
    return question_of(region, seeds, model["target"] if model else MEDIAN)


def _state(region: RegionFile) -> StateEntry:
    """Finished where all planned trials have ended or the search has; else it had stopped, or was
    running still, when the file was written."""
    trials, model = region["trials"], region.get("model")
    why = model["stopped_by"] if model else None
    ended = trials["finished"] + (trials.get("stopped") or 0) + trials["failed"]
    whole = trials["planned"] is not None and ended >= trials["planned"]
    searched = "model" in region
    return state_entry(trials, "finished" if whole or why else "stopped", searched, why)


def _limiting(region: RegionFile) -> list[LimitingEntry]:
    model = region.get("model")
    limits = model["limits"] if model else []
    return [{"label": limit["label"], "share": limit["share"]} for limit in limits]
