"""A dense map of real trainings as a problem: truth from some of its seeds, replay from the others.

The map is an ordinary sweep (`digits_map.yaml`), computed once and resumed where it was stopped.
Truth at a point is the median over the truth's seeds: of attack success for every attack, and of
clean accuracy over seeds and attacks together. Nothing is interpolated: searches, designs and grids
choose among the map's own points, and IoU counts those points.
"""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path

import numpy as np
from region.baselines import iou
from region.finite import Cells, Replay, Table, unit

from sweeps.ledger import load_results
from sweeps.levelset.columns import Columns
from sweeps.levelset.model import Panel
from sweeps.records.thresholds import Thresholds

SPEC = Path(__file__).parent / "digits_map.yaml"
#: The map's results folder; a finished one may be given instead.
FOLDER = Path(os.environ.get("DIGITS_MAP", "build/digits-map"))
FACTORS = ("defence.weight_decay", "defence.learning_rate")
#: From where to where the thresholds of clean accuracy and of attack success are drawn.
THRESHOLD_RANGE = np.array([[0.88, 0.15], [0.92, 0.25]])
#: How many seeds are replayed at least, and the IoU with the truth from which they are enough.
LEAST, CEILING = 3, 0.90


def compute(folder=FOLDER):
    """Runs the sweep, or what is left of it."""
    begun = (folder / "sweep.json").is_file()
    words = ["resume", str(folder)] if begun else ["run", str(SPEC), "--out", str(folder)]
    subprocess.run(
        [sys.executable, "-m", "sweeps.cli", *words, "--runner", "tune"],
        check=True,
        stdout=subprocess.DEVNULL,
    )


@cache
def table(folder=FOLDER):
    """All of the map: (cells, attacks, seeds) counts."""
    rows = load_results(folder).to_pandas()
    points = np.column_stack([unit(rows[name]) for name in FACTORS])
    cells, cell = np.unique(points.round(9), axis=0, return_inverse=True)
    attack, seed = rows["attack_id"].astype("category").cat.codes, rows["seed"].to_numpy()
    shape = (len(cells), attack.max() + 1, seed.max() + 1)
    counts = np.full((4, *shape), np.nan)
    names = ("clean_correct", "clean_total", "success", "total")
    counts[:, cell.ravel(), attack, seed] = rows[list(names)].to_numpy(dtype=float).T
    if np.isnan(counts).any():
        raise ValueError(f"{folder} lacks {int(np.isnan(counts[0]).sum())} trainings of the map")
    codes = np.arange(float(shape[1]))[:, None]
    return Table(Cells(cells), Panel(Columns((shape[1],)), codes), *counts)


def inside(part, thresholds):
    """Which cells are in the region by the medians of the table's seeds, (cells,) bool."""
    clean = np.median(part.correct / part.images, axis=(1, 2))
    success = np.median(part.success / part.triggered, axis=2).max(axis=1)
    return (clean >= thresholds.clean_accuracy) & (success <= thresholds.attack_success)


def parts(seed, thresholds, folder=FOLDER):
    """The map by most of its seeds, for the truth, and by the others, for replay.

    `LEAST` seeds are replayed, or as many more as it takes until the two agree by `CEILING`. Which
    ones is drawn for each run: the same few would make all runs err alike, since a seed
    that does well does so all over the map. Less the mean of all 32 seeds, its logits at points of the border correlate by 0.4
    to 0.9 with those at the next points, and by 0.3 to 0.5 with those six steps of decay away.
    """
    whole = table(folder)
    order = np.random.default_rng([78, seed]).permutation(whole.seeds)
    for count in range(LEAST, whole.seeds // 2 + 1):
        found = [whole.only(sorted(order[count:])), whole.only(sorted(order[:count]))]
        if iou(*(inside(part, thresholds) for part in found)) >= CEILING:
            break
    return found


def thresholds_of(seed):
    """The thresholds of a run. With the same ones in all runs, the border is a few straight pieces,
    each of which lies by chance on the map's points or between them: an even grid hits or misses
    all of a piece at once, and one uncertain piece is a whole bin of probabilities. At 0.9 and 0.2, a
    column with a clean accuracy of 0.900 makes two truths by 16 seeds each agree by 0.74 to 0.97.
    """
    clean, success = map(float, np.random.default_rng([77, seed]).uniform(*THRESHOLD_RANGE))
    return Thresholds(attack_success=success, clean_accuracy=clean)


@dataclass
class Map:
    """The map in the form of the analytic problems. Trainings of one instance never share a
    recorded seed at a point until all are used.

    seed: of the thresholds, and of which seeds are replayed. live: for runs that train seeds of their own:
    nothing is replayed, and the truth is by all seeds.
    """

    seed: int
    folder: Path = FOLDER
    live: bool = False
    replay: Replay | None = None

    def __post_init__(self):
        self.table = truth = whole = table(self.folder)
        self.thresholds = thresholds_of(self.seed)
        if not self.live:
            truth, self.table = parts(self.seed, self.thresholds, self.folder)
        self.truth = inside(truth, self.thresholds)
        self.ceiling = float(iou(self.truth, inside(self.table, self.thresholds)))
        self.box, self.panel, self.even = whole.cells, whole.panel, whole.cells.points
        self.repeats = self.table.seeds
        self.name = f"digits map: {len(self.even)} points, {whole.seeds} seeds"

    @property
    def least_accuracy(self):
        """The clean accuracy asked for."""
        return self.thresholds.clean_accuracy

    @cached_property
    def scales(self):
        """For each column the factor's name, and the lowest and the highest of the map's values."""
        rows = load_results(self.folder).to_pandas()
        return [(name, rows[name].min(), rows[name].max()) for name in FACTORS]

    @cached_property
    def values(self):
        """What each column's values are."""
        return [np.unique(column) for column in self.even.T]

    def snap(self, points):
        """The nearest points of the map, for (..., d) points of the unit square."""
        nearest = [
            v[np.abs(points[..., j, None] - v).argmin(-1)] for j, v in enumerate(self.values)
        ]
        return np.stack(nearest, axis=-1)

    def axes(self, steps):
        """Evenly spread values of the map for a full grid."""
        return [v[np.round(np.linspace(0, len(v) - 1, steps)).astype(int)] for v in self.values]

    def train(self, points, attacks, rng):
        """Outcomes of (n,) trainings at points of the map."""
        keys = zip(self.table.cells.rows(self.snap(points)), attacks, strict=True)
        self.replay = self.replay or Replay(self.table, rng)
        return [self.replay.train(int(row), int(attack)) for row, attack in keys]
