"""One search on a problem of known truth, looked at after every batch."""

from __future__ import annotations

import itertools

import numpy as np
from region.baselines import iou

from sweeps.levelset.excursion_set import cutoff
from sweeps.levelset.membership import IN, OUT, UNDECIDED, labels, probability
from sweeps.levelset.search import LevelSetSearch, LevelSetSettings

EVEN, CONFIDENCE = 4096, 0.95


def run(problem, seed, budget, batch, **settings):
    """One search: [(trials, those of `figures`, whether certainty is believed)] and P(inside) at
    each look, and the search."""
    chosen = LevelSetSettings(budget=budget, repeats=problem.repeats, seed=seed, **settings)
    search = LevelSetSearch(problem.box, problem.panel, problem.thresholds, chosen)
    rng = np.random.default_rng(1000 + seed)
    even, truth = problem.even[:EVEN], problem.truth[:EVEN]
    looks, chances = [], []
    while asked := search.ask(batch):
        points = np.array([search.points[i] for i in asked])
        outcomes = problem.train(points, np.array([search.attacks[i] for i in asked]), rng)
        for number, outcome in zip(asked, outcomes, strict=True):
            search.tell(number, outcome)
        if len(search.points) >= min(search.initial, budget):
            inside = probability(model := search.current(), even)
            least = cutoff(model, even, inside, CONFIDENCE)
            found = figures(inside, truth, least)
            looks.append((len(search.points), *found, search.trials_known >= search.enough))
            chances.append(inside.astype(np.float32))
    return np.array(looks, dtype=float), np.array(chances), search


def figures(inside, truth, least):
    """IoU, IN's precision (nan where nothing is IN), its coverage, UNDECIDED, and IN and OUT that are
    wrong, the last three as fractions of the space. least: of P(inside), to be IN."""
    found = labels(inside, CONFIDENCE, least)
    safe = found == IN
    precision = (safe & truth).sum() / safe.sum() if safe.any() else np.nan
    coverage = (safe & truth).sum() / truth.sum() if truth.any() else np.nan
    return (iou(inside >= 0.5, truth), precision, coverage, (found == UNDECIDED).mean(),
            (safe & ~truth).mean(), ((found == OUT) & truth).mean())  # fmt: skip


def reach(looks, level):
    """The first count at which two looks in a row have the level; inf where none does."""
    for (count, now), (_, after) in itertools.pairwise(looks):
        if now >= level and after >= level:
            return count
    return np.inf
