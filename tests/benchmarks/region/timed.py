"""Seconds until a live search knows the region: IoU of what the ledger tells, pack by pack.

The bundled search trains what the dense map trained: the same space, attacks and split of the data,
but seeds that the map never had, and thresholds that are drawn for each run. The rows of its ledger are then refitted from scratch in the
order in which their packs ended, and held against the map's truth.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from region.baselines import as_trials, by_surrogate, iou
from region.live import SPEC, sweeps

from sweeps.ledger import Ledger
from sweeps.levelset.search import Outcome
from sweeps.storage.paths import SweepPaths

#: What makes the bundled search train as the map does, with seeds that the map never had.
AS_THE_MAP = ("data.split_seed=0", "seeds.base=1000")
LEVEL = 0.85
#: More trials than this are not looked at.
MOST = 400


@dataclass(frozen=True)
class Timed:
    """Trials and seconds, from the first pack's beginning, until the level is held at two looks in
    a row (inf where it never is), and until the search has stopped of itself."""

    trials: float
    seconds: float
    stopped_trials: int
    stopped_seconds: float


def timed(problem, folder):
    """One live run on Ray Tune. problem: the dense map, for live runs."""
    out, thresholds = Path(folder) / f"timed-{problem.seed}", problem.thresholds
    asked = (
        f"region.clean_accuracy={thresholds.clean_accuracy}",
        f"region.attack_success={thresholds.attack_success}",
    )
    changes = [f"--set={c}" for c in (*AS_THE_MAP, *asked, f"search.seed={problem.seed}")]
    sweeps("run", SPEC, "--out", str(out), "--runner", "tune", *changes)
    rows = sorted(Ledger(SweepPaths(out).ledger).trials(), key=lambda row: row.finished_at)
    ends, looks = looks_of(problem, rows)
    trials, seconds = reached(ends, looks)
    return Timed(trials, seconds, len(rows), ends[-1][1])


def looks_of(problem, rows):
    """[(trials, seconds)] at the end of each pack, and the IoUs of the first of these."""
    packs = [list(p) for _, p in itertools.groupby(rows, key=lambda row: row.pack_id)]
    began = min(p[-1].finished_at - sum(row.seconds for row in p) for p in packs)
    counts = np.cumsum([len(p) for p in packs]).tolist()
    ends = [(n, p[-1].finished_at - began) for n, p in zip(counts, packs, strict=True)]
    points, attacks, outcomes = read(problem, rows)
    looks = []
    for count in counts:
        if count > MOST or (len(looks) > 1 and min(looks[-2:]) >= LEVEL):
            break
        known = as_trials(problem, points[:count], attacks[:count], outcomes[:count])
        looks.append(iou(by_surrogate(problem, known, problem.even), problem.truth))
    return ends, looks


def reached(ends, looks):
    """(trials, seconds) of the first of two looks in a row that have the level."""
    for end, (now, after) in zip(ends, itertools.pairwise(looks), strict=False):
        if min(now, after) >= LEVEL:
            return end
    return np.inf, np.inf


def read(problem, rows):
    """Rows as points of the map's unit square, numbers of attacks, and outcomes."""
    attacks = sorted({row.attack_id for row in rows})
    points, outcomes = [], []
    for row in rows:
        defence = row.config["defence"]
        points.append(
            [place(defence[name.partition(".")[2]], *ends) for name, *ends in problem.scales]
        )
        measured = row.measurements[0]
        counts = row.clean_correct, row.clean_total, measured.success, measured.total
        outcomes.append(Outcome(*counts))
    return np.array(points), np.array([attacks.index(row.attack_id) for row in rows]), outcomes


def place(value, low, high):
    """Where between these ends, 0 to 1 by logarithms, as the map has its values."""
    return float(np.log(value / low) / np.log(high / low))
