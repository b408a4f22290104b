"""Names in a region.json that must name something: attacks, points, verdicts, targets.

Its readers look them up; a name that is not there would be an error far from its cause.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Any

from sweeps.records.schema_check import Fault
from sweeps.records.thresholds import SEED_SHARES

#: By basis the verdicts that are counted, of points.
COUNTED = {
    "by_means": ("IN", "OUT", "INCOMPLETE"),
    "by_bounds": ("IN", "OUT", "UNDECIDED"),
    "by_model": ("IN", "OUT", "UNDECIDED"),
}
Entry = Mapping[str, Any]


def wrong_names(region: Entry) -> Iterator[Fault]:
    """Of a file whose values have the right types, names of what it does not have."""
    panel = {attack["attack_id"]: attack["label"] for attack in region["panel"]}
    for number, control in enumerate(region.get("controls", [])):
        yield from _among(panel, control, "attack_id", f"controls[{number}]", "ids of `panel`")
    for number, point in enumerate(region["points"]):
        yield from _of_point(panel, point, f"points[{number}]")
    for basis, words in COUNTED.items():
        for word in words:
            if word not in region["counts"].get(basis, words):
                yield Fault(f"counts.{basis}.{word}", "must be there", None)
    if "model" in region:
        yield from _of_model(region["model"] or {}, list(panel.values()))
    elif (chosen := region["recommended"]) is not None:  # a model may recommend an untried point
        complete = {point["defence_id"] for point in region["points"] if point["attacks"]}
        yield from _among(complete, chosen, "defence_id", "recommended", "ids of complete points")
    if (setting := region.get("setting")) is not None:
        yield from _of_setting(panel, setting)


def _of_point(panel: Collection[str], point: Entry, at: str) -> Iterator[Fault]:
    for number, attack in enumerate(point["attacks"]):
        yield from _among(panel, attack, "attack_id", f"{at}.attacks[{number}]", "ids of `panel`")
    own = {attack["attack_id"] for attack in point["attacks"]}
    for key in ("worst_attack", "excess_attack"):
        if own and key in point:
            yield from _among(own, point, key, at, "ids of its `attacks`")
    for basis, words in COUNTED.items():
        if basis in point:
            yield from _among(words, point, basis, at, f"verdicts {', '.join(words)}")


def _of_model(model: Entry, labels: Collection[str]) -> Iterator[Fault]:
    if "target" in model:
        known = f"targets {' and '.join(SEED_SHARES)}"
        yield from _among(SEED_SHARES, model, "target", "model", known)
    for key in ("recommended", "suspect", "most_accurate"):
        if (point := model.get(key)) is not None:
            at = f"model.{key}"
            yield from _among(labels, point, "worst_attack", at, "labels of `panel`")


def _of_setting(panel: Mapping[str, str], setting: Entry) -> Iterator[Fault]:
    own = [attack["label"] for attack in setting["attacks"]]
    yield from _among(own, setting, "worst_attack", "setting", "labels of its `attacks`")
    for number, attack in enumerate(setting["attacks"]):
        at = f"setting.attacks[{number}]"
        yield from _among(panel, attack, "attack_id", at, "ids of `panel`")


def _among(known: Collection[str], entry: Entry, key: str, at: str, of: str) -> Iterator[Fault]:
    if entry[key] not in known:
        yield Fault(f"{at}.{key}", f"must be one of the {of}", entry[key])
