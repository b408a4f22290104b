"""Two tables of accuracies, cell by cell. Pure.

A table is cell (gamma, C) → figure, the mean over the seeds. gamma is None for linear learners.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from itertools import pairwise

import numpy as np

CLEAN_MOST, BACKDOOR_MOST, STEPS_MOST, HALF = 0.02, 0.035, 1.0, 0.5


@dataclass(frozen=True)
class Crossing:
    """Where backdoor accuracy first reaches a half along C at one gamma, as ln C; None where it never does.

    steps: how far apart, in steps of the grid; 0 where neither crosses, infinite where one
    does.
    """

    gamma: float | None
    theirs: float | None
    ours: float | None
    steps: float

    @property
    def agrees(self):
        return bool(self.steps <= STEPS_MOST)


@dataclass(frozen=True)
class Comparison:
    """One file against ours. clean, backdoor: mean over the cells of the absolute difference."""

    cells: int
    clean: float
    backdoor: float
    crossings: tuple[Crossing, ...]

    @property
    def misses(self):
        """The names of the bounds that do not hold."""
        held = {
            "clean accuracy": self.clean <= CLEAN_MOST,
            "backdoor accuracy": self.backdoor <= BACKDOOR_MOST,
            "crossing": all(crossing.agrees for crossing in self.crossings),
        }
        return [name for name, holds in held.items() if not holds]

    @property
    def most_steps(self):
        return max((crossing.steps for crossing in self.crossings), default=0.0)

    def plain(self):
        """Plain values for JSON, strengths as C; no number stands for an infinite distance."""
        crossings = [
            {**asdict(c), "agrees": c.agrees, "steps": c.steps if math.isfinite(c.steps) else None}
            | {key: None if value is None else math.exp(value)
               for key, value in (("theirs", c.theirs), ("ours", c.ours))}
            for c in self.crossings
        ]  # fmt: skip
        return {"cells": self.cells, "clean": self.clean, "backdoor": self.backdoor,
                "crossings": crossings, "misses": self.misses}  # fmt: skip


def cell_means(cells, values):
    """Cell → mean of its values."""
    gathered = {}
    for cell, value in zip(cells, values, strict=True):
        gathered.setdefault(cell, []).append(value)
    return {cell: float(np.mean(found)) for cell, found in gathered.items()}


def compare(their_clean, their_backdoor, our_clean, our_backdoor):
    """The comparison of four tables over the same cells."""
    cells = list(their_clean)
    if any(set(table) != set(cells) for table in (their_backdoor, our_clean, our_backdoor)):
        raise ValueError("the tables have different cells")

    def apart(theirs, ours):
        return float(np.mean([abs(theirs[cell] - ours[cell]) for cell in cells]))

    gammas = sorted({gamma for gamma, _ in cells}, key=lambda gamma: gamma or 0)
    crossings = tuple(_crossing(gamma, their_backdoor, our_backdoor) for gamma in gammas)
    return Comparison(len(cells), apart(their_clean, our_clean), apart(their_backdoor, our_backdoor), crossings)  # fmt: skip


def _crossing(gamma, theirs, ours):
    strengths = sorted(c for g, c in theirs if g == gamma)
    logs = np.log(strengths)
    found = [first_crossing(logs, [table[gamma, c] for c in strengths]) for table in (theirs, ours)]
    if None in found:
        return Crossing(gamma, *found, 0.0 if found == [None, None] else math.inf)
    width = (logs[-1] - logs[0]) / (len(logs) - 1) if len(logs) > 1 else 1.0
    return Crossing(gamma, *found, float(abs(found[0] - found[1]) / width))


def first_crossing(x, y, level=HALF):
    """The first x, interpolated, where y reaches `level` from below; x[0] where it begins there,
    None where it never gets there. x is ascending."""
    if y[0] >= level:
        return float(x[0])
    for (x0, y0), (x1, y1) in pairwise(zip(x, y, strict=True)):
        if y0 < level <= y1:
            return float(x0 + (level - y0) / (y1 - y0) * (x1 - x0))
    return None
