"""How long one ask takes, and how much memory."""

from __future__ import annotations

import resource
import time
from multiprocessing import get_context

import numpy as np
from region.problems import mixed, with_best

from sweeps.levelset.search import LevelSetSearch, LevelSetSettings


def speed(_pool, _seeds, say):
    """CPU seconds (one thread) of one ask for eight trials, and the memory of the process, which is
    one of its own: the other parts' results do not count."""
    with get_context("spawn").Pool(1) as own:
        lines, report, criteria = own.apply(measured)
    for line in lines:
        say(line)
    return report, criteria


def measured():
    """The lines to print, the report and the criteria."""
    lines, report, criteria = [], {}, {}
    for trials, most in ((300, 1.0), (2000, 5.0)):
        problem = with_best(mixed())
        search = LevelSetSearch(
            problem.box,
            problem.panel,
            problem.thresholds,
            LevelSetSettings(budget=10**6, f1=2.0, undecided=-1.0),
        )
        points = problem.box.sample(trials, 3)
        attacks = np.arange(trials) % 3
        for point, attack, outcome in zip(
            points, attacks, problem.train(points, attacks, np.random.default_rng(0)), strict=True
        ):
            search.tell(search.add(point, int(attack)), outcome)
        search.ask(8)
        spent = []
        for _ in range(3):
            search.tell(
                len(search.points) - 1,
                problem.train(
                    search.points[-1][None],
                    np.array([search.attacks[-1]]),
                    np.random.default_rng(1),
                )[0],
            )
            search.surrogate.fitted = 0  # with new hyperparameters, which only some asks need
            start = time.process_time()
            search.ask(8)
            spent.append(time.process_time() - start)
        lines.append(f"one ask at {trials} trials: {np.median(spent):.2f} s")
        report[str(trials)] = spent
        criteria[f"ask at {trials} trials takes at most {most:g} s"] = (
            float(np.median(spent)),
            np.median(spent) <= most,
        )
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    lines.append(f"memory: {memory:.2f} GB")
    criteria["memory at most 1 GB"] = (memory, memory <= 1.0)
    return lines, report | {"memory_gb": memory}, criteria
