"""Searches over a finite table of recorded trainings: every trial is answered by looking it up."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from sweeps.levelset.columns import Columns, sobol
from sweeps.levelset.model import Panel
from sweeps.levelset.search import LevelSetSearch, LevelSetSettings, Outcome

#: Recorded values that span more than this factor are spaced by their logarithms, as in a spec.
WIDE = 8.0


@dataclass(frozen=True)
class Cells:
    """The points of a table as a space of their own: no other point is ever drawn.

    points: (n, d) distinct, number columns only, each from 0 to 1.
    """

    points: np.ndarray
    groups: int = 1

    @property
    def columns(self):
        return Columns((0,) * self.points.shape[1])

    def group(self, points):
        return np.zeros(len(points), dtype=np.int64)

    def sample(self, count, seed):
        """Evenly spread points, none twice: all of them where `count` is larger than the table."""
        if count >= len(self.points):
            return self.points.copy()
        free, found = np.ones(len(self.points), dtype=bool), []
        for place in sobol(self.points.shape[1], count, seed):
            distance = np.where(free, ((self.ranks - place) ** 2).sum(axis=1), np.inf)
            found.append(int(np.argmin(distance)))
            free[found[-1]] = False
        return self.points[found]

    def positions(self, count, seed):
        return self.sample(count, seed)

    def at(self, positions):
        return positions

    def near(self, positions):
        return positions

    @cached_property
    def ranks(self):
        """Middles of the cells, (n, d), where each column's values share 0 to 1 evenly."""
        found = np.empty_like(self.points)
        for column, values in enumerate(self.points.T):
            levels, which = np.unique(values, return_inverse=True)
            found[:, column] = (which + 0.5) / len(levels)
        return found

    @cached_property
    def number(self):
        """Point (as bytes) → its row."""
        return {point.tobytes(): row for row, point in enumerate(self.points)}

    def rows(self, points):
        return np.array([self.number[point.tobytes()] for point in points], dtype=np.int64)


@dataclass(frozen=True)
class Table:
    """Counts of recorded trainings, each (cells, attacks, seeds)."""

    cells: Cells
    panel: Panel
    correct: np.ndarray
    images: np.ndarray
    success: np.ndarray
    triggered: np.ndarray

    @property
    def seeds(self):
        return self.correct.shape[2]

    def outcome(self, row, attack, seed):
        at = (row, attack, seed)
        return Outcome(
            *(float(c[at]) for c in (self.correct, self.images, self.success, self.triggered))
        )

    def only(self, seeds):
        """The same with some of the seeds, given by their positions."""
        return Table(
            self.cells,
            self.panel,
            *(c[:, :, seeds] for c in (self.correct, self.images, self.success, self.triggered)),
        )


class Replay:
    """Trains by look-up. A trial takes a seed that its cell has not had, in a drawn order; once
    all are used they come again, in another order."""

    def __init__(self, table, rng):
        self.table, self.rng, self.order = table, rng, {}

    def train(self, row, attack):
        left = self.order.setdefault((row, attack), [])
        if not left:
            left.extend(self.rng.permutation(self.table.seeds))
        return self.table.outcome(row, attack, left.pop())


def replayed(table, thresholds, seed, budget, batch, **settings):
    """A search over the table, after every batch: yields it until it has finished."""
    chosen = LevelSetSettings(budget=budget, repeats=table.seeds, seed=seed, **settings)
    search = LevelSetSearch(table.cells, table.panel, thresholds, chosen)
    replay = Replay(table, np.random.default_rng(seed))
    while asked := search.ask(batch):
        for number in asked:
            row = table.cells.number[search.points[number].tobytes()]
            search.tell(number, replay.train(row, search.attacks[number]))
        yield search


def unit(values):
    """Recorded values as 0 to 1, by their logarithms where they span a wide range above 0."""
    values = np.asarray(values, dtype=np.float64)
    if values.min() > 0 and values.max() > WIDE * values.min():
        values = np.log(values)
    low, high = values.min(), values.max()
    return (values - low) / (high - low)
