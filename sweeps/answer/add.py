"""The answer of a judged region: everything that version 2 of region.json adds."""

from __future__ import annotations

from collections.abc import Sequence

from sweeps.answer.limits import front_lines, front_of, limit_lines, limiting_of
from sweeps.answer.setting import setting_of
from sweeps.answer.where import where_of
from sweeps.records.answer_entry import FreshDraws, SettingEntry, StateEntry, VerificationEntry
from sweeps.records.answer_lines import answer_lines
from sweeps.records.criteria import REGION_SEARCH, Criteria
from sweeps.records.headline import headline_of
from sweeps.records.model_answer import DefenceEntry
from sweeps.records.question_text import MEAN, question_of
from sweeps.records.region_file import RegionFile
from sweeps.records.setting_text import setting_lines
from sweeps.records.trial_row import TrialRow
from sweeps.records.verdicts import verdict_of, verdicts_of
from sweeps.records.verification_file import DrawEntry


def add_answer(
    region: RegionFile,
    criteria: Criteria,
    rows: Sequence[TrialRow],
    state: StateEntry,
    verification: VerificationEntry,
    setting: SettingEntry | None = None,
    draws: Sequence[DrawEntry] = (),
) -> None:
    """What is said rests on what stands before it. rows: finished trials, at least those of the
    recommended point. verification: how the region stands with fresh trainings. setting: that a
    model recommends, of a region search. draws: of that verification, where it still holds."""
    by_points = criteria.search != REGION_SEARCH
    target = MEAN if by_points else criteria.thresholds.target
    region["question"] = question_of(region, len(criteria.seeds), target)
    region["state"] = state
    for point in region["points"]:
        point["verdict"] = verdict_of(point)
    region["verdicts"] = verdicts_of(region)
    region["headline"] = headline_of(region)
    region["setting"] = setting_of(region, rows) if by_points else setting
    region["where"] = where_of(region)
    region["limiting"], region["front"] = limiting_of(region), front_of(region)
    region["next"] = (region.get("model") or {"next": []})["next"]
    region.setdefault("lacks", [])
    region["verification"] = verification
    if (found := region["setting"]) is not None:
        found["fresh"] = _fresh(found["defence"], draws)
        found["text"] = setting_lines(region, found)
    described = [*region["where"]["text"], *limit_lines(region), *front_lines(region)]
    lacks = ["", *region["lacks"]] if region["lacks"] else []
    region["text"] = [*answer_lines(region, described), *lacks]
    if (model := region.get("model")) is not None:
        model["text"] = list(region["text"])  # a key of version 1, which its readers still look for


def _fresh(defence: DefenceEntry, draws: Sequence[DrawEntry]) -> FreshDraws | None:
    """Those of this defence point."""
    own = [draw["passes"] for draw in draws if draw["defence"] == defence]
    return {"draws": len(own), "passed": sum(own)} if own else None
