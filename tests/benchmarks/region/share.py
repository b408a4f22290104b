"""The 90 % target on real trainings: what fresh seeds say of points near the border of IN.

A search for `region.target: share` on digits is answered by the engine. Of the points that it calls
IN, those that it is least sure of are then trained with fresh seeds under the whole panel: a seed
passes where clean accuracy holds and the attack fails in all of its models.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np

from backdoor.config import build_defence
from sweeps.ledger import Ledger, trial_rows
from sweeps.levelset.excursion_set import cutoff
from sweeps.levelset.membership import IN, labels, probability
from sweeps.packs.pack import PackSettings, make_packs
from sweeps.runners import train_pack
from sweeps.runners.serial import SerialRunner
from sweeps.scheduling.loop import run_search
from sweeps.search.level_set import RegionSearch
from sweeps.spec import load_spec

POINTS, SEEDS = 40, 30
#: Of a share of 0.9, so few passes of 30 happen once in 40 points: at most one may have no more.
FEW, ALLOWED = 23, 1
#: Evenly drawn points among which the border is looked for, and the first of the fresh seeds.
EVEN, FRESH = 8192, 1_000_000


def searched(seed=0, changes=()):
    """A finished search with real trainings, one after the other."""
    spec = load_spec("digits-region", ["region.target=share", f"search.seed={seed}", *changes])
    search = RegionSearch(spec)
    with tempfile.TemporaryDirectory() as folder:
        outcome = run_search(spec, Ledger(Path(folder)), search, SerialRunner())
    assert not outcome.failed
    return spec, search


def border(search, confidence, count=POINTS):
    """Of evenly drawn points called IN, those least sure: points (n, d) and P(inside), (n,)."""
    points = search.optimizer.domain.sample(EVEN, 77)
    chance = probability(search.optimizer.current(), points)
    least = cutoff(search.optimizer.current(), points, chance, confidence)
    inside = np.flatnonzero(labels(chance, confidence, least) == IN)
    chosen = inside[np.argsort(chance[inside])[:count]]
    return points[chosen], chance[chosen]


def trials_of(spec, search, points, seeds=SEEDS):
    """Every point under every attack with so many fresh seeds: (points, seeds, attacks)."""
    return [
        [
            [spec.trial(defence, attack, seed) for attack in spec.panel]
            for seed in range(FRESH + seeds * row, FRESH + seeds * (row + 1))
        ]
        for row, defence in enumerate(
            build_defence(search.optimizer.domain.decode(p)) for p in points
        )
    ]


def rates(pool, spec, trials):
    """Clean accuracy and attack success of all trainings, (2, points, seeds, attacks)."""
    packs = make_packs(
        (t for point in trials for seed in point for t in seed), PackSettings(spec.measures)
    )
    found = {}
    for rows in pool.imap_unordered(train_pack, packs):
        for row in trial_rows(rows):
            found[row.trial_id] = row.clean_accuracy, row.attack_success
    return np.moveaxis(
        np.array([[[found[t.trial_id] for t in seed] for seed in point] for point in trials]),
        -1,
        0,
    )


def passes(measured, thresholds):
    """How many seeds of each point pass, (points,)."""
    clean, success = measured
    return (
        ((clean >= thresholds.clean_accuracy) & (success <= thresholds.attack_success))
        .all(axis=2)
        .sum(axis=1)
    )
