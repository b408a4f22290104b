"""Recorded grids as tables: one CSV row a training, columns named in a small mapping."""

from __future__ import annotations

import csv
import re
from dataclasses import dataclass

import numpy as np
from finite import Cells, Table, unit

from sweeps.levelset.columns import Columns
from sweeps.levelset.surrogate import Panel


@dataclass(frozen=True)
class Names:
    """Which columns of a CSV file mean what. Factors that never vary are left out."""

    factors: tuple[str, ...] = ("gamma", "c")
    seed: str = "seed"
    clean: str = "clfp_acc"
    success: str = "clfp_acc_on_backdoor"


@dataclass(frozen=True)
class Recorded:
    """One file: its table, with the seeds as attacks, and mean accuracies of every cell, (cells,)."""

    learner: str
    pair: str
    size: str
    table: Table
    clean: np.ndarray
    success: np.ndarray

    @property
    def rows(self):
        return self.table.correct.size


def read(path, names=Names()):
    """The file's table. Every cell must have every seed: ValueError otherwise.

    A recorded seed draws the trigger's pattern and the poisoned images, in every cell the same: so
    each seed is an attack of the panel, trained once in each cell.
    """
    with open(path, newline="") as file:
        rows = list(csv.DictReader(file))
    values = np.array([[float(row[f]) for f in names.factors] for row in rows])
    varying = [j for j in range(values.shape[1]) if len(np.unique(values[:, j])) > 1]
    points = np.column_stack([unit(values[:, j]) for j in varying])
    cells, which = np.unique(points, axis=0, return_inverse=True)
    seeds, turn = np.unique([row[names.seed] for row in rows], return_inverse=True)
    rates = np.full((2, len(cells), len(seeds), 1), np.nan)
    for row, cell, seed in zip(rows, which.ravel(), turn, strict=True):
        rates[:, cell, seed, 0] = float(row[names.clean]), float(row[names.success])
    if len(rows) != len(cells) * len(seeds) or np.isnan(rates).any():
        raise ValueError(f"{path}: {len(rows)} rows are not {len(cells)} cells x {len(seeds)} seeds")
    images = images_of(rates)
    counts, total = np.round(rates * images), np.full(rates.shape[1:], float(images))
    panel = Panel(Columns((len(seeds),)), np.arange(float(len(seeds)))[:, None])
    table = Table(Cells(cells), panel, counts[0], total, counts[1], total)
    means = rates.mean(axis=(2, 3))
    return Recorded(*named(path), table, means[0], means[1])


def images_of(rates, most=10_000):
    """The size of the test set: the smallest of which all accuracies are whole multiples."""
    for images in range(10, most + 1, 10):
        if np.abs(rates * images - np.round(rates * images)).max() < 1e-6:
            return images
    return most


def named(path):
    """(learner, pair, trigger) out of a file name."""
    found = re.match(r"(.+)_pair(.+?)_ttype(.+?)_tsize(.+)", path.stem)
    return (found[1], found[2], f"{found[3]} {found[4]}") if found else (path.stem, "-", "-")
