"""The finished trials of a sweep by defence point, attack and seed, as analyses take them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from sweeps.ledger import flatten_factors
from sweeps.records.trial_row import TrialRow
from sweeps.region.labels import kind_label, point_labels, target_label

#: Rows by seed.
BySeed = dict[int, TrialRow]


@dataclass
class PointTrials:
    """A defence point: its clean models by seed, and its poisoned ones by attack and seed."""

    defence_id: str
    factors: dict[str, Any]
    label: str = ""
    clean: BySeed = field(default_factory=dict)
    poisoned: dict[str, BySeed] = field(default_factory=dict)


def points_of(rows: Iterable[TrialRow]) -> list[PointTrials]:
    """Defence points in the order of their labels; trials that have not finished are left out."""
    points: dict[str, PointTrials] = {}
    for row in rows:
        if not row.finished:
            continue
        known = points.get(row.defence_id)
        if known is None:
            flat = flatten_factors({**row.config, "data": {}, "training": {}, "attack": None})
            factors = {k: v for k, v in flat.items() if k.startswith("defence.")}
            known = points[row.defence_id] = PointTrials(row.defence_id, factors)
        if row.is_clean:
            known.clean[row.seed] = row
        else:
            known.poisoned.setdefault(row.attack_id, {})[row.seed] = row
    labels = point_labels([point.factors for point in points.values()])
    for point, label in zip(points.values(), labels, strict=True):
        point.label = label
    return sorted(points.values(), key=lambda point: (point.label, point.defence_id))


def clean_accuracy(row: TrialRow) -> float:
    """Of a finished trial, in [0, 1]."""
    return row.clean_correct / row.clean_total


def trigger_label(attack: Mapping[str, Any]) -> str:
    """`patch(size=1) to class 0`: an attack without its rate."""
    return f"{kind_label(attack['trigger'])} {target_label(attack)}"


def attack_label(attack: Mapping[str, Any]) -> str:
    """`patch(size=1) to class 0 at 3 %`."""
    return f"{trigger_label(attack)} at {100 * attack['poison_rate']:.4g} %"
