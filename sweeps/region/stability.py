"""How much of IN survives small changes of what a region is judged by.

Thresholds are moved by 0.01, each seed is left out, each attack of the panel is left out; after
every change all points are judged again, with the best accuracy computed again. Leaving out an
attack can only let points in, except where the best accuracy rises by it: what it shows is on which
attack the region depends.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from collections.abc import Set as AbstractSet

from sweeps.records.criteria import Criteria
from sweeps.records.stability_entry import StabilityChange, StabilityEntry, VerdictChange
from sweeps.records.stability_text import stability_text
from sweeps.records.trial_row import TrialRow
from sweeps.region.points import Point, gathered
from sweeps.region.stability_arrays import Bools, PointArrays
from sweeps.region.stability_bounds import BoundsAgain
from sweeps.region.stability_changes import STEP, Change, all_changes
from sweeps.region.stability_judging import Judged, judged

#: Finished and stopped rows and criteria → `defence_id` to verdict. The rows are those that the
#: criteria leave: none of a seed or an attack that is left out.
Judge = Callable[[Sequence[TrialRow], Criteria], Mapping[str, str]]
#: Basis of a verdict → `defence_id`s of the points that are IN.
_Inside = dict[str, AbstractSet[str]]

MEANS, BOUNDS, IN = "means", "bounds", "IN"


def stability(
    rows: Sequence[TrialRow],
    criteria: Criteria,
    points: Sequence[Point] | None = None,
    judges: Mapping[str, Judge] | None = None,
    by_model: str | None = None,
) -> StabilityEntry | None:
    """`stability` of region.json; None while no point can be judged.

    rows: finished and stopped ones. points: gathered from these rows by these criteria, where that
    is done already. judges: more verdicts than those by means and by bounds, by their names; each
    is called once for every change, so that it must be quick. by_model: the point that is
    recommended by the model of all points, which is not fitted again after changes.
    """
    if points is None:
        seeds, confidence = criteria.seeds, criteria.thresholds.confidence
        points = gathered(rows, criteria.measures, seeds, confidence)
    if not any(point.complete for point in points):
        return None
    arrays = PointArrays(rows, points, criteria)
    return _Comparison(rows, criteria, arrays, judges or {}, by_model).entry()


class _Comparison:
    """The points as they were judged, and after every change."""

    def __init__(
        self,
        rows: Sequence[TrialRow],
        criteria: Criteria,
        arrays: PointArrays,
        judges: Mapping[str, Judge],
        by_model: str | None,
    ) -> None:
        self._rows, self._criteria, self._arrays = rows, criteria, arrays
        self._judges, self._ids = judges, [point.defence_id for point in arrays.points]
        self._bounds = BoundsAgain(arrays, criteria.thresholds.confidence)
        before = judged(arrays, self._bounds, criteria)
        self._inside = self._all_inside(before, rows, criteria)
        self._by_model = by_model
        self._recommended = by_model or self._recommended_of(before)

    def entry(self) -> StabilityEntry:
        """All changes, and the worst of each kind in words."""
        changes = [self._changed(change) for change in all_changes(self._criteria)]
        if self._bounds.too_many:  # of some seeds, the least would stand for all
            for change in changes:
                if change["kind"] == "seed":
                    change["verdicts"].pop(BOUNDS, None)
                    change["recommended"] = None
        found: StabilityEntry = {
            "step": STEP,
            "inside": {basis: len(names) for basis, names in self._inside.items()},
            "recommended": self._recommended,
            "changes": changes,
            "skipped": _skipped(self._criteria, self._bounds),
            "text": [],
        }
        found["text"] = stability_text(found, self._by_model is not None)
        return found

    def _changed(self, change: Change) -> StabilityChange:
        thresholds = change.criteria.thresholds
        found = judged(self._arrays, self._bounds, change.criteria)
        rows = change.rows(self._rows) if self._judges else ()
        after = self._all_inside(found, rows, change.criteria)
        return {
            "kind": change.kind,
            "label": change.label,
            "clean_accuracy": thresholds.rule,
            "attack_success": thresholds.attack_success,
            "seed": change.seed,
            "attack_id": change.attack_id,
            "verdicts": {b: self._verdicts(self._inside[b], names) for b, names in after.items()},
            "recommended": None if self._by_model else self._recommended_of(found),
        }

    def _verdicts(self, before: AbstractSet[str], after: AbstractSet[str]) -> VerdictChange:
        chosen = self._recommended
        return {
            "stay": len(before & after),
            "left": len(before - after),
            "come_in": len(after - before),
            "recommended_in": None if chosen is None else chosen in after,
        }

    def _all_inside(self, found: Judged, rows: Sequence[TrialRow], criteria: Criteria) -> _Inside:
        """The points that are IN, by every basis that can be judged: one seed has no bounds."""
        inside: _Inside = {MEANS: self._names(found.by_means)}
        if found.by_bounds is not None and len(criteria.seeds) > 1:
            inside[BOUNDS] = self._names(found.by_bounds)
        for basis, judge in self._judges.items():
            verdicts = judge(rows, criteria)
            inside[basis] = {name for name, verdict in verdicts.items() if verdict == IN}
        return inside

    def _names(self, chosen: Bools) -> AbstractSet[str]:
        return {self._ids[number] for number in chosen.nonzero()[0].tolist()}

    def _recommended_of(self, found: Judged) -> str | None:
        number = found.recommended
        return None if number is None else self._ids[number]


def _skipped(criteria: Criteria, bounds: BoundsAgain) -> list[str]:
    seeds, found = len(criteria.seeds), list[str]()
    if seeds == 1:
        found.append("The only seed cannot be left out, and there are no bounds with one seed.")
    if seeds == 2:
        found.append("By bounds no seed is left out: one seed that is left has no bounds.")
    if bounds.too_many:
        found.append(
            f"By bounds no seed is left out: that would take more than {bounds.most:,} new bounds."
        )
    if len(criteria.panel) == 1:
        found.append("The only attack cannot be left out.")
    return found
