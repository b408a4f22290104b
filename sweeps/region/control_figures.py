"""One attack at one defence point, beside what its success is compared with: counts by seed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from sweeps.records.region_file import PanelEntry
from sweeps.records.trial_row import TrialRow
from sweeps.region.points import Point
from sweeps.statistics.paired import Pair
from sweeps.statistics.seed_bounds import Counts


@dataclass
class ControlFigures:
    """Counts by seed, without those of broken models, which prove nothing.

    success, clean: of the attack's models and of the clean baselines, on the same triggered images.
    errors: of the attack's models, on the same images without the trigger; only where they are
    known. trained, baselines: how many finished models there are of both, broken ones included;
    broken, broken_baselines: how many of them collapsed or diverged.
    """

    point: Point
    label: str
    success: dict[int, Counts] = field(default_factory=dict)
    clean: dict[int, Counts] = field(default_factory=dict)
    errors: dict[int, Counts] = field(default_factory=dict)
    trained: int = 0
    baselines: int = 0
    broken: int = 0
    broken_baselines: int = 0

    @property
    def pairs(self) -> dict[int, Pair]:
        """Success of attack and clean baseline, of each seed that has both."""
        return {s: (own, self.clean[s]) for s, own in self.success.items() if s in self.clean}

    @property
    def beyond_errors(self) -> dict[int, Pair]:
        """Success and errors of the attack's models, of each seed that has both."""
        return {s: (own, self.errors[s]) for s, own in self.success.items() if s in self.errors}


def control_figures(attack: PanelEntry, point: Point, label: str) -> ControlFigures:
    """Those of an attack of the panel at a point."""
    found = ControlFigures(point, label)
    for row in point.rows:
        if row.attack_id == attack["attack_id"]:
            _take_attack(found, row)
        elif row.is_clean and (counts := _measured(row, attack["measure_id"])) is not None:
            found.baselines += 1
            found.broken_baselines += row.broken
            if not row.broken:
                found.clean[row.seed] = counts
    return found


def _take_attack(found: ControlFigures, row: TrialRow) -> None:
    found.trained += 1
    found.broken += row.broken
    first = row.measurements[0] if row.measurements else None
    if row.broken or first is None or not first.total:
        return
    found.success[row.seed] = first.success, first.total
    if (counts := _errors(row)) is not None:
        found.errors[row.seed] = counts


def _measured(row: TrialRow, measure_id: str) -> Counts | None:
    """Success and images of a clean model under one measure."""
    for measured in row.measurements:
        if measured.measure_id == measure_id and measured.total:
            return measured.success, measured.total
    return None


def _errors(row: TrialRow) -> Counts | None:
    """Wrong answers and images, of the clean test images that count for attack success once they
    are triggered: those of its source classes, or of all classes but the target. None where there
    are none."""
    attack = row.config.get("attack") or {}
    classes = _counting(attack.get("label_mode"), attack, len(row.class_total))
    images = sum(row.class_total[c] for c in classes)
    right = sum(row.class_correct[c] for c in classes)
    return (images - right, images) if images else None


def _counting(mode: str | None, attack: dict[str, object], classes: int) -> Sequence[int]:
    if mode == "all_to_all":
        return range(classes)
    source = attack.get("source")
    if isinstance(source, (list, tuple)):
        return [c for c in source if c < classes]
    return [c for c in range(classes) if c != attack.get("target")]
