"""Ask and tell in encoded space: which defence points, under which attacks, to try next.

A search begins with an initial (space-filling) design. Then most trials are those that the model
learns most from, a few are random, and a few repeat a point with another seed.

Notation: n points of d columns; attacks are numbers on the panel; P(inside) in [0, 1].
"""

from __future__ import annotations

import itertools
from collections import Counter
from dataclasses import dataclass, field, replace

import numpy as np

from sweeps.levelset.acquisition import Cost, ReferenceSet, choose, reference_set
from sweeps.levelset.columns import Domain, Floats, Ints
from sweeps.levelset.excursion_set import cutoff
from sweeps.levelset.membership import probability, summary
from sweeps.levelset.model import Model, Panel, Trials
from sweeps.levelset.surrogate import Surrogate
from sweeps.records.thresholds import Thresholds


@dataclass(frozen=True)
class LevelSetSettings:
    """budget: trials in all. repeats: how often one point may be tried under one attack.
    confidence: of IN and OUT. random: share of trials that explore at random, which guards against
    a wrong model. again: share of trials that repeat one with another seed.

    The search stops where `PATIENCE` checks in a row expect an F1 of `f1`, or leave less than
    `undecided` of the space undecided.
    """

    budget: int = 300
    repeats: int = 1_000_000
    confidence: float = 0.95
    random: float = 0.05
    again: float = 0.05
    f1: float = 0.96
    undecided: float = 0.005
    seed: int = 0


#: So many checks in a row must agree that the search may stop.
PATIENCE = 2
#: The search does not stop before so many outcomes, and so many for each number column.
ENOUGH, ENOUGH_PER_COLUMN = 100, 15


@dataclass(frozen=True)
class Outcome:
    """Counts of one training. One that was stopped because its verdict was certain tells on which
    side of a threshold it would have ended; images are 0 of a metric that it tells nothing of.
    broken: whether its model collapsed or diverged, which no best accuracy is taken from."""

    correct: float
    images: float
    success: float
    triggered: float
    broken: bool = False

    @property
    def whole(self) -> bool:
        """Whether both metrics are known."""
        return self.images > 0 and self.triggered > 0


@dataclass
class LevelSetSearch:
    """Proposes trials by number; each is told an outcome, or None where the training failed."""

    domain: Domain
    panel: Panel
    thresholds: Thresholds
    settings: LevelSetSettings = field(default_factory=LevelSetSettings)

    def __post_init__(self) -> None:
        self.points: list[Floats] = []
        self.attacks: list[int] = []
        self.outcomes: dict[int, Outcome | None] = {}
        self.rng = np.random.default_rng(self.settings.seed)
        self.reference = self.domain.sample(2048, self.settings.seed)
        self.surrogate = Surrogate(self.domain.columns, self.panel, self.thresholds, self.reference)
        self.model: Model | None = None
        self._known = self._checked = -1
        self._tried: dict[tuple[bytes, int], int] = {}
        self._repeats = 0
        self._certain = 0
        self.exhausted = False
        cells = self.domain.groups * len(self.panel)
        least = max(12, 3 * (len(self.domain.columns.numbers) + cells))
        #: Trials of the initial design; a small budget is not spent on it alone.
        self.initial = self._least = min(least, max(4, self.settings.budget // 2))

    def enlarge_initial_design(self, count: int) -> None:
        """Makes the initial design of at least `count` trials, if so many run at once; at most half
        of the budget is spent on it."""
        self.initial = max(self.initial, min(count, self.settings.budget // 2))

    # --- telling ----------------------------------------------------------------------------

    def add(self, point: Floats, attack: int) -> int:
        """Notes a trial, and returns its number."""
        self.points.append(point)
        self.attacks.append(attack)
        key = (point.tobytes(), attack)
        self._repeats += key in self._tried
        self._tried[key] = self._tried.get(key, 0) + 1
        return len(self.points) - 1

    def tell(self, number: int, outcome: Outcome | None) -> None:
        self.outcomes[number] = outcome

    def trials(self) -> Trials:
        """The trials that have an outcome, whole or not."""
        found = [(i, o) for i, o in sorted(self.outcomes.items()) if o is not None]
        counts = np.array(
            [(o.correct, o.images, o.success, o.triggered) for _, o in found], dtype=np.float64
        ).reshape(-1, 4)
        chosen = [i for i, _ in found]
        points = np.array([self.points[i] for i in chosen], dtype=np.float64)
        attacks = np.array([self.attacks[i] for i in chosen], dtype=np.int64)
        width = len(self.domain.columns)  # 0 where the space is one point
        broken = np.array([o.broken for _, o in found], dtype=np.bool_)
        found_trials = Trials(points.reshape(len(chosen), width), attacks, *counts.T)
        return replace(found_trials, broken=broken) if broken.any() else found_trials

    # --- asking -----------------------------------------------------------------------------

    @property
    def finished(self) -> bool:
        """Whether nothing more will be asked: out of budget or of points, or certain enough."""
        spent = len(self.points) >= self.settings.budget
        return spent or self.exhausted or self._certain >= PATIENCE

    def ask(self, count: int, cost: Cost | None = None) -> list[int]:
        """The numbers of up to `count` new trials. cost: of trials (points, attacks), above 0."""
        self._check_certainty()
        if self.finished:
            return []
        count = min(count, self.settings.budget - len(self.points))
        asked = self._initial_design(min(count, self.initial - len(self.points)))
        for turn in self.rng.random(count - len(asked)):
            if turn < self.settings.random:
                asked += self._explore_randomly()
            elif self._repeats < self.settings.again * len(self.points):
                asked += self._again()
        if len(asked) < count and self.trials_known:
            asked += self._informed(count - len(asked), cost)
        elif not asked and len(self.outcomes) == len(self.points):
            asked = self._uninformed(count)  # nothing is running: waiting would never end
        return asked

    @property
    def trials_known(self) -> int:
        """How many trials have a whole outcome."""
        return sum(outcome is not None and outcome.whole for outcome in self.outcomes.values())

    @property
    def enough(self) -> int:
        """How many outcomes it takes before the search may stop for certainty."""
        return max(ENOUGH, ENOUGH_PER_COLUMN * len(self.domain.columns.numbers), 2 * self._least)

    def _check_certainty(self) -> None:
        """Notes, once whenever outcomes are added, whether the region is certain enough."""
        if self.trials_known < self.enough or self._checked == len(self.outcomes):
            return
        self._checked = len(self.outcomes)
        inside = probability(self.current(), self.reference)
        found = summary(inside, self.settings.confidence)
        certain = found.expected_f1 >= self.settings.f1 or self._decided(inside)
        self._certain = self._certain + 1 if certain else 0

    def _decided(self, inside: Floats) -> bool:
        """Whether little is undecided, also once points that may be wrong together count as
        undecided. inside: P(inside) at the reference points, (n,)."""
        confidence, most = self.settings.confidence, self.settings.undecided
        if summary(inside, confidence).undecided > most:
            return False
        least = cutoff(self.current(), self.reference, inside, confidence)
        return summary(inside, confidence, least).undecided <= most

    def _initial_design(self, count: int) -> list[int]:
        """The next trials of the initial design, the attacks in turn."""
        if count <= 0:
            return []
        design = self.domain.sample(self.initial, self.settings.seed + 1)
        tried, turns = Counter(self._tried), list[tuple[Floats, int]]()
        for i, point in enumerate(design):
            attack = i % len(self.panel)
            # Without those that are known already, which may be any of them when resumed.
            if tried[point.tobytes(), attack]:
                tried[point.tobytes(), attack] -= 1
            else:
                turns.append((point, attack))
        return [self.add(*turn) for turn in turns[:count] if self._free(*turn)]

    def _free(self, point: Floats, attack: int) -> bool:
        return self._tried.get((point.tobytes(), attack), 0) < self.settings.repeats

    def _explore_randomly(self) -> list[int]:
        point = self.domain.sample(1, int(self.rng.integers(2**31)))[0]
        attack = int(self.rng.integers(len(self.panel)))
        return [self.add(point, attack)] if self._free(point, attack) else []

    def _again(self) -> list[int]:
        """One more seed for a finished trial near the border: only equal points tell the noise of
        seeds from short length scales."""
        known = [i for i, outcome in self.outcomes.items() if outcome is not None and outcome.whole]
        free = [i for i in known if self._free(self.points[i], self.attacks[i])]
        if not free or self.trials_known < self.initial:
            return []
        inside = probability(self.current(), np.array([self.points[i] for i in free]))
        tried = [self._tried[self.points[i].tobytes(), self.attacks[i]] for i in free]
        weight = (inside * (1 - inside) + 0.02) / np.array(tried)
        chosen = free[int(self.rng.choice(len(free), p=weight / weight.sum()))]
        return [self.add(self.points[chosen], self.attacks[chosen])]

    def _uninformed(self, count: int) -> list[int]:
        """Where all that was tried has failed: trials at reference points, while some are free."""
        pairs = itertools.product(distinct_rows(self.reference), range(len(self.panel)))
        chosen = list(itertools.islice((pair for pair in pairs if self._free(*pair)), count))
        self.exhausted = not chosen
        return [self.add(*pair) for pair in chosen]

    @property
    def used_up(self) -> bool:
        """Whether every reference point has been tried under every attack as often as it may."""
        pairs = itertools.product(distinct_rows(self.reference), range(len(self.panel)))
        return not any(self._free(*pair) for pair in pairs)

    def _informed(self, count: int, cost: Cost | None) -> list[int]:
        model = self.current().likeliest
        waiting = [i for i in range(len(self.points)) if self.outcomes.get(i) is None]
        if waiting:
            # A failed trial counts as running: its surroundings do not look untried for ever.
            points = np.array([self.points[i] for i in waiting])
            model = model.pending(points, np.array([self.attacks[i] for i in waiting]))
        points, attacks = self._candidates(model)
        available = np.array([self._free(p, int(a)) for p, a in zip(points, attacks, strict=True)])
        self.exhausted = not available.any()
        price = None if cost is None else cost(points, attacks)
        found = choose(model, self._reference_set(model), points, attacks, count, price, available)
        return [self.add(points[i], int(attacks[i])) for i in found]

    def _pool(self, model: Model, size: int = 2048) -> tuple[Floats, Floats, Floats]:
        """Evenly spread positions, the points near them, and P(inside) there, precise enough to
        choose among them."""
        positions = self.domain.positions(size, int(self.rng.integers(2**31)))
        points = self.domain.near(positions)
        return positions, points, probability(model, points, fine=16)

    def _reference_set(self, model: Model) -> tuple[ReferenceSet, ReferenceSet]:
        _, points, inside = self._pool(model)
        chance = np.sqrt(inside * (1 - inside)) + 0.01
        chance /= chance.sum()
        chosen = np.unique(self.rng.choice(len(points), 700, p=chance))
        return reference_set(model, points[chosen], 1 / (len(points) * chance[chosen]))

    def _candidates(self, model: Model, most: int = 300) -> tuple[Floats, Ints]:
        positions, _, inside = self._pool(model)
        chance = np.sqrt(inside * (1 - inside)) + 0.02
        chosen = np.unique(self.rng.choice(len(positions), most, p=chance / chance.sum()))
        distinct = np.unique(self.domain.at(positions[chosen]), axis=0)
        width = len(self.panel)
        return np.repeat(distinct, width, axis=0), np.tile(np.arange(width), len(distinct))

    # --- answering --------------------------------------------------------------------------

    def current(self) -> Model:
        """The model of all that is known."""
        known = len(self.outcomes)
        if self.model is None or known != self._known:
            self.model, self._known = self.surrogate.fit(self.trials(), self.rng), known
        return self.model


def distinct_rows(points: Floats) -> Floats:
    """The points (n, d), each once, in the order in which they first come."""
    _, first = np.unique(points, axis=0, return_index=True)
    return points[np.sort(first)]
