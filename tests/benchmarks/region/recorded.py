"""Recorded grids as tables: one CSV row a training, columns named in a small mapping."""

from __future__ import annotations

import csv
import re
from dataclasses import dataclass

import numpy as np
from region.finite import Cells, Table, unit

from sweeps.levelset.columns import Columns
from sweeps.levelset.model import Panel


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
    left_out: int

    @property
    def rows(self):
        return self.table.correct.size


def read(path, names=Names()):
    """The file's table; cells that lack a seed are left out, since their means are unknown.

    A recorded seed draws the trigger's pattern and the poisoned images, in every cell the same: so
    each seed is an attack of the panel, trained once in each cell. ValueError where a column is
    missing or fewer than two cells are whole.
    """
    with open(path, newline="") as file:
        rows = list(csv.DictReader(file))
    required = {*names.factors, names.seed, names.clean, names.success}
    if lacking := required - set(rows[0] if rows else ()):
        raise ValueError(f"{path.name} lacks the columns {', '.join(sorted(lacking))}")
    cells, which = np.unique(_points(rows, names), axis=0, return_inverse=True)
    seeds, turn = np.unique([row[names.seed] for row in rows], return_inverse=True)
    rates = np.full((2, len(cells), len(seeds), 1), np.nan)
    for row, cell, seed in zip(rows, which.ravel(), turn, strict=True):
        rates[:, cell, seed, 0] = float(row[names.clean]), float(row[names.success])
    whole = ~np.isnan(rates).any(axis=(0, 2, 3))
    if whole.sum() < 2:
        raise ValueError(f"{path.name} has {whole.sum()} cells with all of its {len(seeds)} seeds")
    rates, images = rates[:, whole], images_of(rates[:, whole])
    counts, total = np.round(rates * images), np.full(rates.shape[1:], float(images))
    panel = Panel(Columns((len(seeds),)), np.arange(float(len(seeds)))[:, None])
    table = Table(Cells(cells[whole]), panel, counts[0], total, counts[1], total)
    means = rates.mean(axis=(2, 3))
    return Recorded(*named(path), table, means[0], means[1], int((~whole).sum()))


def _points(rows, names):
    """Of each row the factors that vary, from 0 to 1; equal numbers stay equal."""
    values = np.array([[float(row[f]) for f in names.factors] for row in rows])
    varying = [j for j in range(values.shape[1]) if len(np.unique(values[:, j])) > 1]
    return np.round(np.array([unit(values[:, j]) for j in varying]).reshape(len(varying), -1).T, 9)


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
