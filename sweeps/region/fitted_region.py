"""A region search with its model, fitted once: what `region`, `train` and `verify` ask."""

from __future__ import annotations

from functools import cached_property

from backdoor.config import build_defence
from sweeps.ledger import Ledger
from sweeps.levelset.columns import Floats, Ints
from sweeps.levelset.excursion_set import cutoff
from sweeps.levelset.membership import IN, labels, probability
from sweeps.levelset.volume import passing
from sweeps.records.model_answer import DefenceEntry, Factors
from sweeps.region.labels import flat_defence
from sweeps.search.level_set import RegionSearch
from sweeps.spec import SweepSpec

#: Points that the answer is computed at, drawn evenly over the space.
POINTS = 4096
#: Points from which one sees which factors differ between points at all.
EXAMPLES = 64


class FittedRegion:
    """The model of a region search, and what it says at evenly drawn points of the space.

    Pass it on instead of the spec and the ledger, so that the model is fitted once. It is fitted
    when it is first needed.
    """

    def __init__(self, spec: SweepSpec, search: RegionSearch) -> None:
        self.spec, self.search, self.domain = spec, search, search.domain

    @classmethod
    def of(cls, spec: SweepSpec, ledger: Ledger) -> FittedRegion:
        """From the trials that the ledger holds."""
        search = RegionSearch(spec)
        search.tell(ledger.table())
        return cls(spec, search)

    @cached_property
    def can_answer(self) -> bool:
        """Whether the model says anything: not where too few trials have finished, and where
        `best - x` has no value since all models are broken."""
        trials = self.search.trials()
        broken = 0 if trials.broken is None else int(trials.broken.sum())
        relative = self.spec.region.below_best is not None
        return self.search.can_answer and not (relative and 0 < broken == len(trials))

    @cached_property
    def points(self) -> Floats:
        """Points of the encoded space, (POINTS, columns)."""
        return self.domain.sample(POINTS, seed=1)

    @cached_property
    def inside(self) -> Floats:
        """P(inside) at each point, (POINTS,)."""
        return probability(self.search.model(), self.points)

    @cached_property
    def cutoff(self) -> float:
        """The least P(inside) that is IN; infinite where nothing can be."""
        return cutoff(self.search.model(), self.points, self.inside, self.spec.region.confidence)

    @cached_property
    def labels(self) -> Ints:
        """IN, OUT or UNDECIDED (`sweeps.levelset.membership`) of each point, (POINTS,)."""
        return labels(self.inside, self.spec.region.confidence, self.cutoff)

    @cached_property
    def passing(self) -> tuple[Floats, Floats]:
        """P(clean accuracy holds) at each point, (POINTS,), and P(each attack fails), (POINTS, w)
        for w attacks of the panel."""
        return passing(self.search.model(), self.points)

    @property
    def any_inside(self) -> bool:
        """Whether any point is IN."""
        return bool((self.labels == IN).any())

    # --- points as people write them ------------------------------------------------------------

    def defence(self, index: int) -> DefenceEntry:
        """The defence point of this number, by its active settings."""
        return build_defence(self.domain.decode(self.points[index])).active()

    def factors(self, index: int) -> Factors:
        """The same by dotted names."""
        return flat_defence(self.defence(index))

    @cached_property
    def examples(self) -> list[Factors]:
        """The factors of some points."""
        return [self.factors(index) for index in range(EXAMPLES)]

    def category(self, index: int) -> Factors:
        """The factors of a point that have no order and differ between points.

        A factor that has both single values and a scale counts by its value, or as the whole scale.
        """
        numbers = {_last(name) for name, _ in self.domain.number_axes.values()}
        beside = {_last(n): at for n, at in self.domain.on_scale(self.points[index]).items()}
        found: Factors = {}
        for name, value in self.factors(index).items():
            if (last := _last(name)) in beside:
                scale, on_it = beside[last]
                found[name] = f"{scale.low:g} to {scale.high:g}" if on_it else value
            elif last not in numbers and any(o.get(name, value) != value for o in self.examples):
                found[name] = value
        return found


def _last(name: str) -> str:
    """The last part of a factor's dotted name, or of a column's."""
    return name.rpartition("=")[2].rpartition(".")[2]
