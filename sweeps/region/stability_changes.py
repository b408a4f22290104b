"""Small changes of what a region is judged by: moved thresholds, a seed or an attack left out."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from sweeps.records.criteria import Criteria
from sweeps.records.stability_entry import ChangeKind
from sweeps.records.thresholds import Thresholds
from sweeps.records.trial_row import TrialRow
from sweeps.statistics.margins import DIGITS

#: By how much thresholds are moved.
STEP = 0.01


@dataclass(frozen=True)
class Change:
    """Criteria that differ in one respect from those of the sweep. kind, label, seed, attack_id: as
    in `StabilityChange`."""

    kind: ChangeKind
    label: str
    criteria: Criteria
    seed: int | None = None
    attack_id: str | None = None

    def rows(self, rows: Sequence[TrialRow]) -> Sequence[TrialRow]:
        """Those that are left: a broken model of what is left out does not count either."""
        if self.seed is None and self.attack_id is None:
            return rows
        return [row for row in rows if row.seed != self.seed and row.attack_id != self.attack_id]


def all_changes(criteria: Criteria) -> list[Change]:
    """Every change, in the order of region.json. The only seed or attack is not left out."""
    return [*_moved(criteria), *_without_seeds(criteria), *_without_attacks(criteria)]


def _moved(criteria: Criteria) -> Iterator[Change]:
    """Each threshold alone, and both together. A threshold at its end is moved no further."""
    kinds: tuple[tuple[ChangeKind, float], ...] = (("stricter", STEP), ("looser", -STEP))
    for kind, by in kinds:
        before = criteria.thresholds
        clean, attack = _clean_moved(before, by), _attack_moved(before, by)
        both = replace(clean, attack_success=attack.attack_success)
        of_clean = f"clean accuracy >= {clean.rule}"
        of_attack = f"attack success <= {attack.attack_success:g}"
        moved = [(clean, of_clean)] * (clean != before) + [(attack, of_attack)] * (attack != before)
        if len(moved) == 2:
            moved.append((both, f"{of_clean} and {of_attack}"))
        for thresholds, label in moved:
            yield Change(kind, label, replace(criteria, thresholds=thresholds))


def _clean_moved(before: Thresholds, by: float) -> Thresholds:
    if before.below_best is None:
        least = before.clean_accuracy or 0.0
        return replace(before, clean_accuracy=_fraction(least + by))
    return replace(before, below_best=_fraction(before.below_best - by))


def _attack_moved(before: Thresholds, by: float) -> Thresholds:
    return replace(before, attack_success=_fraction(before.attack_success - by))


def _fraction(value: float) -> float:
    return min(1.0, max(0.0, round(value, DIGITS)))


def _without_seeds(criteria: Criteria) -> Iterator[Change]:
    for seed in criteria.seeds if len(criteria.seeds) > 1 else ():
        left = tuple(other for other in criteria.seeds if other != seed)
        yield Change("seed", f"without seed {seed}", replace(criteria, seeds=left), seed=seed)


def _without_attacks(criteria: Criteria) -> Iterator[Change]:
    for number, attack in enumerate(criteria.panel, 1) if len(criteria.panel) > 1 else ():
        left = tuple(other for other in criteria.panel if other is not attack)
        label = f"without attack {number} ({attack['label']})"
        name = attack["attack_id"]
        yield Change("attack", label, replace(criteria, panel=left), attack_id=name)
