"""What sweep.json stores of the spec, so that a region is judged without building the spec.

Building it loads torch, and the modules of users' own kinds. The digest of the spec leaves out its
probes, which judge nothing and may change (`sweeps.results.add_probes`).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, TypedDict, cast

from backdoor.errors import Mistake
from backdoor.settings.digest import digest
from sweeps.records.criteria import Criteria
from sweeps.records.region_file import PanelEntry
from sweeps.records.sweep_file import SpecThresholds, SweepFile
from sweeps.records.thresholds import Thresholds
from sweeps.space.yaml_loader import load_yaml


class ChangedByHandError(Exception):
    """What sweep.json stores of the spec is not as it was written."""


class StoredCriteria(TypedDict):
    """The criteria as sweep.json has them, with the digest of the spec that they are from."""

    panel: list[PanelEntry]
    thresholds: SpecThresholds
    seeds: list[int]
    search: str
    prediction_confidence: float | None
    spec_digest: str
    criteria_digest: str


KEYS = StoredCriteria.__annotations__.keys()


def stored(criteria: Criteria, spec: str) -> StoredCriteria:
    """What sweep.json gets. spec: as YAML."""
    asked = criteria.thresholds
    values: dict[str, Any] = {
        "panel": list(criteria.panel),
        "thresholds": {
            "rule": asked.rule,
            "clean_accuracy": asked.clean_accuracy,
            "below_best": asked.below_best,
            "attack_success": asked.attack_success,
            "confidence": asked.confidence,
            "target": asked.target,
            **({"attack_rule": asked.attack_rule} if asked.above_baseline else {}),
        },
        "seeds": list(criteria.seeds),
        "search": criteria.search,
        "prediction_confidence": criteria.prediction_confidence,
        "spec_digest": spec_digest(spec),
    }
    return cast(StoredCriteria, values | {"criteria_digest": _digest(values)})


def _digest(values: Mapping[str, Any]) -> str:
    """Of all that is stored of the spec, so that a change of it by hand is noticed."""
    kept = {name: values[name] for name in KEYS if name != "criteria_digest"}
    return digest("criteria", json.dumps(kept, sort_keys=True))


def stored_criteria(sweep: SweepFile) -> Criteria | None:
    """The criteria that sweep.json stores; None in folders of releases that stored less.

    Raises:
        ChangedByHandError: they are not as they were written.
    """
    if not sweep.keys() >= KEYS:
        return None
    if sweep["criteria_digest"] != _digest(cast(Mapping[str, Any], sweep)):
        raise ChangedByHandError
    asked = sweep["thresholds"]
    return Criteria(
        name=sweep["name"],
        panel=tuple(sweep["panel"]),
        seeds=tuple(sweep["seeds"]),
        thresholds=Thresholds(
            clean_accuracy=asked["clean_accuracy"],
            below_best=asked["below_best"],
            attack_success=asked["attack_success"],
            confidence=asked["confidence"],
            target=asked["target"],
            above_baseline="attack_rule" in asked,
        ),
        search=sweep["search"],
        prediction_confidence=sweep["prediction_confidence"],
    )


def spec_digest(text: str, place: str = "spec") -> str:
    """The digest of a spec, given as YAML, but for its probes and for how the file is laid out.

    The order of keys counts, since it decides the order of the panel, and so does a repeated key,
    since no spec may have one.
    """
    repeated: list[Mistake] = []
    document = load_yaml(text, repeated.append, place)
    if isinstance(document, dict):
        document.pop("probes", None)
    return digest("spec", repr([document, *repeated]))
