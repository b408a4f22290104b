"""The recommended setting, with what it costs and withstands: for `templates/setting.html`."""

from __future__ import annotations

from dataclasses import dataclass, field

from dashboards.results import Results
from sweeps.records.answer_entry import AttackAtSetting, Claim, SettingEntry
from sweeps.records.control_entry import NOWHERE, TAKES
from sweeps.records.control_text import on_accuracy_alone
from sweeps.records.model_notes import other_points
from sweeps.records.model_used import chance_words
from sweeps.records.region_file import PointEntry, ThresholdsEntry


@dataclass(frozen=True)
class Withstood:
    """Labels of attacks: those that take somewhere and fail here; those that meet the threshold,
    which proves nothing, since they take nowhere, or nobody knows whether they do; those that miss
    it."""

    resisted: list[str] = field(default_factory=list)
    take_nowhere: list[str] = field(default_factory=list)
    unknown: list[str] = field(default_factory=list)
    succeed: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Recommended:
    """The setting as region.json has it, None where none is recommended.

    inside: P(inside) in words, empty without a model. claim: of the headline, which says why there
    is none. seeds: by attack, each seed's success, where the setting was tried. alone: a line where
    no attack of the panel takes anywhere. nearest: where none is recommended, the tried point with
    the largest margin. others: of a region search, the most accurate point and, where none is IN,
    the likeliest one, as lines.
    """

    setting: SettingEntry | None
    thresholds: ThresholdsEntry
    confidence: float
    claim: Claim
    inside: str
    withstood: Withstood
    seeds: dict[str, dict[str, float]]
    alone: list[str]
    nearest: PointEntry | None
    others: list[str]


def recommended(results: Results) -> Recommended:
    """The section; it is there without a recommended setting too, and then says why."""
    region, setting = results.region, results.setting
    return Recommended(
        setting=setting,
        thresholds=region["thresholds"],
        confidence=region["verdicts"]["confidence"],
        claim=region["headline"]["claim"],
        inside="" if setting is None else chance_words(setting["inside"]),
        withstood=Withstood() if setting is None else _withstood(setting["attacks"]),
        seeds={} if setting is None else _seeds(results, setting["defence_id"]),
        alone=on_accuracy_alone(region),
        nearest=_nearest(results) if setting is None else None,
        others=other_points(region),
    )


def _withstood(attacks: list[AttackAtSetting]) -> Withstood:
    found = Withstood()
    for attack in attacks:
        if not attack["passes"]:
            found.succeed.append(attack["label"])
        elif attack["takes"] == TAKES:
            found.resisted.append(attack["label"])
        elif attack["takes"] == NOWHERE:
            found.take_nowhere.append(attack["label"])
        else:
            found.unknown.append(attack["label"])
    return found


def _seeds(results: Results, defence_id: str) -> dict[str, dict[str, float]]:
    point = results.by_id.get(defence_id)
    attacks = [] if point is None else point["attacks"]
    return {attack["attack_id"]: attack["success_by_seed"] for attack in attacks}


def _nearest(results: Results) -> PointEntry | None:
    judged = [(m, point) for point in results.points if (m := point["margin"]) is not None]
    return max(judged, key=lambda pair: pair[0])[1] if judged else None
