"""Whether a spec asks more of the same: what an extension of a sweep may change, and what not.

What is recorded must stay right, and the search must come to the same trials again: so an extension
only adds, and thresholds, resources and probes may change, which no training depends on.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from backdoor.config import build_defence
from backdoor.errors import Missing, Mistake
from sweeps.records.trial_row import TrialRow
from sweeps.region.labels import attack_label
from sweeps.results.differences import NOTHING, differences
from sweeps.results.tracking import same_tracking
from sweeps.search.recorded import canonical
from sweeps.space.space import Space
from sweeps.spec import SweepSpec

#: Searches whose points are drawn in a fixed order from the whole space.
DRAWN = ("random", "sobol")


@dataclass(frozen=True)
class Extension:
    """added: what is new, in words. refused: what no extension can change."""

    added: tuple[str, ...]
    refused: tuple[Mistake, ...]


def extension_of(
    before: SweepSpec, after: SweepSpec, recorded: Callable[[], Iterable[TrialRow]]
) -> Extension:
    """Compares what a sweep asks with what it is to ask. recorded: reads the rows of its ledger."""
    comparison = _Comparison(before, after)
    comparison.compare(recorded)
    return Extension(tuple(comparison.added), tuple(comparison.refused))


class _Comparison:
    """Two specs, section by section."""

    def __init__(self, before: SweepSpec, after: SweepSpec) -> None:
        self.before, self.after = before, after
        self.added: list[str] = []
        self.refused: list[Mistake] = []

    def compare(self, recorded: Callable[[], Iterable[TrialRow]]) -> None:
        """Fills `added` and `refused`."""
        before, after = self.before, self.after
        self._same("name", before.name, after.name, "MLflow's experiment is called so.")
        data = before.data.identity() == after.data.identity()
        self._unchanged("data", data, "Results of different data do not mix.")
        training = before.training.identity() == after.training.identity()
        self._unchanged("training", training, "It is the same for all trials of a sweep.")
        self._seeds()
        self._attack()
        self._search()
        self._defence(recorded)
        stopping = before.stopping == after.stopping
        self._unchanged("stopping", stopping, "Trials were stopped by it.")
        self._same("curve_every", before.curve_every, after.curve_every, "Curves must be alike.")
        tracking = same_tracking(before.document, after.document)
        self._unchanged("tracking", tracking, "The runs are there; see `sweeps mirror --uri`.")
        self._free("region", before.region, after.region)
        self._free("resources", before.resources, after.resources)
        self._free("probes", before.probes, after.probes)

    def _refuse(self, place: str, rule: str, value: Any, remedy: str) -> None:
        self.refused.append(Mistake(place, rule, value, remedy))

    def _same(self, place: str, before: Any, after: Any, why: str) -> None:
        if before != after:
            self._refuse(place, f"must stay {before!r}", after, why)

    def _items(self, section: str) -> list[tuple[str, Any, Any]]:
        """What differs in a section as it is written."""
        given = [spec.document.get(section) for spec in (self.before, self.after)]
        # A section without a value is one that is not there.
        empty: Any = {} if any(isinstance(each, Mapping) for each in given) else NOTHING
        both = ({section: empty if each is None else each} for each in given)
        return [(d.place, d.before, d.after) for d in differences(*both)]

    def _unchanged(self, section: str, same: bool, why: str) -> None:
        """Refuses every difference of a section unless it means the same."""
        if same:
            return
        for place, before, after in self._items(section) or [(section, NOTHING, "another")]:
            known = NOTHING if before == NOTHING else repr(before)
            self._refuse(place, f"must stay as it is in an extension: {known}", after, why)

    def _free(self, section: str, before: Any, after: Any) -> None:
        if before != after:
            self.added += [f"{p}: {_shown(b)} -> {_shown(a)}" for p, b, a in self._items(section)]

    def _seeds(self) -> None:
        before, after = self.before.seeds, self.after.seeds
        if lost := [seed for seed in before if seed not in after]:
            rule = f"must keep {_listed(before)}: an extension can only add"
            self._refuse("seeds", rule, list(after), f"This would drop {_listed(lost)}.")
        if new := [seed for seed in after if seed not in before]:
            count = f"{len(before)} -> {len(after)}"
            self.added.append(f"seeds: {count} (new: {_listed(new)})")
        elif not lost and before != after:
            self.added.append("seeds: in another order")

    def _attack(self) -> None:
        before, after = self.before.panel, self.after.panel
        for attack in before:
            if attack not in after:
                rule = f"must keep {attack_label(attack)}: an extension can only add"
                self._refuse("attack", rule, Missing.VALUE, "This panel would drop it.")
        if self.before.baseline and not self.after.baseline:
            rule = "must keep 0, the clean baseline: an extension can only add"
            self._refuse("attack.poison_rate", rule, Missing.VALUE, "These rates would drop it.")
        if self.after.baseline and not self.before.baseline:
            self.added.append("attack: the clean baseline (new)")
        self.added += [f"attack: {attack_label(a)} (new)" for a in after if a not in before]

    def _search(self) -> None:
        before, after = self.before.search, self.after.search
        for name in ("kind", "seed", "sampler", "options"):
            old, new = getattr(before, name), getattr(after, name)
            if old != new:
                rule = f"must stay {old!r} in an extension"
                self._refuse(f"search.{name}", rule, new, "The search goes on where it was.")
        for place, old, new in _counts(self.before, self.after):
            if new < old:
                rule = f"must be at least {old:g} in an extension"
                self._refuse(place, rule, new, "An extension only adds.")
            elif new > old:
                self.added.append(f"{place}: {old:g} -> {new:g}")
        if before.pending != after.pending:
            self.added.append(f"search.pending: {before.pending} -> {after.pending}")

    def _defence(self, recorded: Callable[[], Iterable[TrialRow]]) -> None:
        before, after = self.before.defence, self.after.defence
        kind = self.before.search.kind
        if self._items("defence") == []:
            return
        if kind != self.after.search.kind:
            self._unchanged("defence", False, "The search that chose its points stays too.")
            return
        if kind in DRAWN:
            why = f"A {kind} search draws its points from the whole space. More points are fine."
            self._unchanged("defence", _shape(before) == _shape(after), why)
            return
        if kind == "grid":
            known, new = _points(before), _points(after)
            lost, more = len(known - new), len(new - known)
            of = f"{lost} of its {len(known)} points"
        else:
            rows = {row.defence_id: row.config["defence"] for row in recorded()}
            lost = sum(after.locate(point, canonical) is None for point in rows.values())
            more, of = 0, f"{lost} of the {len(rows)} recorded points"
        if lost:
            self._unchanged("defence", False, f"Otherwise the sweep would lose {of}.")
        elif more:
            self.added.append(f"defence: {more} more point{'s' if more > 1 else ''}")
        elif kind != "grid":
            self.added += [f"{p}: {_shown(b)} -> {_shown(a)}" for p, b, a in self._items("defence")]


def _counts(before: SweepSpec, after: SweepSpec) -> Iterator[tuple[str, float, float]]:
    """How many points, trials and hours are asked for; where there is no limit, inf."""
    if before.search.kind != after.search.kind:
        return
    if before.search.points is not None and after.search.points is not None:
        yield "search.points", before.search.points, after.search.points
    old, new = before.search.budget, after.search.budget
    if old is not None and new is not None:
        yield "search.budget.trials", old.trials, new.trials
        hours = [b.gpu_hours if b.gpu_hours is not None else float("inf") for b in (old, new)]
        yield "search.budget.gpu_hours", hours[0], hours[1]


def _points(space: Space) -> set[str]:
    """The points of a grid, by what has an effect there."""
    return {str(build_defence(values).active()) for values in space.grid()}


def _shape(space: Space) -> list[Any]:
    """A space without the places where the spec says it."""
    return [
        (branch.kinds, [(name, leaf.options) for name, leaf in branch.leaves])
        for branch in space.branches
    ]


def _shown(value: Any) -> str:
    return NOTHING if value == NOTHING else str(value)


def _listed(values: Iterable[int], most: int = 10) -> str:
    """`3, 4, 5`, the first of many."""
    shown = [str(value) for value in itertools.islice(values, most + 1)]
    return ", ".join(shown[:most]) + (", ..." if len(shown) > most else "")
