"""Ask and tell in encoded space: which defence points, under which attacks, to try next."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from sweeps.levelset.acquire import choose, targets
from sweeps.levelset.columns import Domain, Floats, Ints
from sweeps.levelset.membership import Summary, probability, summary
from sweeps.levelset.surrogate import Goal, Model, Panel, Surrogate, Trials


@dataclass(frozen=True)
class Settings:
    """budget: trials in all. confidence: of IN and OUT. random: share of trials that are drawn
    blindly. f1, undecided: where the search stops, twice in a row."""

    budget: int = 300
    confidence: float = 0.95
    random: float = 0.1
    f1: float = 0.95
    undecided: float = 0.005
    seed: int = 0


@dataclass(frozen=True)
class Outcome:
    """Counts of one finished training."""

    correct: float
    images: float
    success: float
    triggered: float


@dataclass
class LevelSetSearch:
    """Proposes trials by number; each is told an outcome, or None where the training failed."""

    domain: Domain
    panel: Panel
    goal: Goal
    settings: Settings = field(default_factory=Settings)

    def __post_init__(self) -> None:
        self.points: list[Floats] = []
        self.attacks: list[int] = []
        self.outcomes: dict[int, Outcome | None] = {}
        self.draw = np.random.default_rng(self.settings.seed)
        self.reference = self.domain.draw(2048, self.settings.seed)
        self.surrogate = Surrogate(self.domain.columns, self.panel, self.goal, self.reference)
        self.model: Model | None = None
        self._known = -1
        self.begin = max(12, 3 * (len(self.domain.columns.numbers) + self.domain.groups * len(self.panel)))  # fmt: skip

    # --- telling ----------------------------------------------------------------------------

    def add(self, point: Floats, attack: int) -> int:
        """Notes a trial, and returns its number."""
        self.points.append(point)
        self.attacks.append(attack)
        return len(self.points) - 1

    def tell(self, number: int, outcome: Outcome | None) -> None:
        self.outcomes[number] = outcome

    def trials(self) -> Trials:
        """The trials that have an outcome."""
        found = [(i, o) for i, o in sorted(self.outcomes.items()) if o is not None]
        counts = np.array(
            [(o.correct, o.images, o.success, o.triggered) for _, o in found], dtype=np.float64
        ).reshape(-1, 4)
        chosen = [i for i, _ in found]
        points = np.array([self.points[i] for i in chosen], dtype=np.float64)
        attacks = np.array([self.attacks[i] for i in chosen], dtype=np.int64)
        width = len(self.domain.columns.levels)
        return Trials(points.reshape(-1, width), attacks, *counts.T)

    # --- asking -----------------------------------------------------------------------------

    def ask(self, count: int) -> list[int]:
        """The numbers of up to `count` new trials."""
        count = min(count, self.settings.budget - len(self.points))
        blind = min(count, max(0, self.begin - len(self.points)))
        asked = self._spread(blind) if blind > 0 else []
        if count > blind:
            asked += self._informed(count - blind)
        return asked

    def _spread(self, count: int) -> list[int]:
        """The next of an even design, the attacks in turn."""
        design = self.domain.draw(self.begin, self.settings.seed + 1)
        first = len(self.points)
        return [self.add(design[i], i % len(self.panel)) for i in range(first, first + count)]

    def _informed(self, count: int) -> list[int]:
        blind = int(self.draw.binomial(count, self.settings.random))
        asked = [self._blindly() for _ in range(blind)]
        model = self.current()
        open_ = [i for i in range(len(self.points)) if i not in self.outcomes]
        model = model.pending(
            np.array([self.points[i] for i in open_]).reshape(len(open_), -1),
            np.array([self.attacks[i] for i in open_], dtype=np.int64),
        ) if open_ else model
        points, attacks = self._candidates(model)
        found = choose(model, self._targets(model), points, attacks, count - blind)
        return asked + [self.add(points[i], int(attacks[i])) for i in found]

    def _blindly(self) -> int:
        point = self.domain.draw(1, int(self.draw.integers(2**31)))[0]
        return self.add(point, int(self.draw.integers(len(self.panel))))

    def _pool(self, model: Model, size: int = 2048) -> tuple[Floats, Floats]:
        points = self.domain.draw(size, int(self.draw.integers(2**31)))
        return points, probability(model, points)

    def _targets(self, model: Model):
        points, inside = self._pool(model)
        chance = np.sqrt(inside * (1 - inside)) + 0.01
        chance /= chance.sum()
        chosen = np.unique(self.draw.choice(len(points), 700, p=chance))
        return targets(model, points[chosen], 1 / (len(points) * chance[chosen]))

    def _candidates(self, model: Model, most: int = 300) -> tuple[Floats, Ints]:
        points, inside = self._pool(model)
        chance = np.sqrt(inside * (1 - inside)) + 0.02
        chosen = np.unique(self.draw.choice(len(points), most, p=chance / chance.sum()))
        width = len(self.panel)
        return np.repeat(points[chosen], width, axis=0), np.tile(np.arange(width), len(chosen))

    # --- answering --------------------------------------------------------------------------

    def current(self) -> Model:
        """The model of all that is known."""
        known = len(self.outcomes)
        if self.model is None or known != self._known:
            self.model, self._known = self.surrogate.fit(self.trials(), self.draw), known
        return self.model

    def summary(self) -> Summary:
        return summary(probability(self.current(), self.reference), self.settings.confidence)
