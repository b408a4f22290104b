"""The hard cases' rows: never confidently wrong, and not undecided beyond a cap."""

from __future__ import annotations

import numpy as np
from region.hard import cases
from region.looks import EVEN, run


def _hard(job):
    name, seed = job
    problem, _ = cases()[name]
    looks, _, search = run(problem, seed, 300, 10)
    return looks[looks[:, -1] == 1], len(search.points)


def hard(pool, seeds, say):
    """Never confidently wrong from the first report on, and not undecided beyond the cap at the end."""
    report, criteria = {}, {}
    say(
        f"\nhard cases, at most 300 trials, {seeds} seeds: medians at the end, worst over all reports"
    )
    say(
        f"{'':18}{'region':>8}{'trials':>8}{'IoU':>6}{'IN covers':>11}{'undecided':>11}{'cap':>7}{'wrongly IN':>12}{'wrongly OUT':>13}"
    )
    for name, (problem, cap) in cases().items():
        runs = pool.map(_hard, [(name, s) for s in range(seeds)], chunksize=1)
        ends = np.array([looks[-1] for looks, _ in runs])
        wrong = [float(looks[:, 5].max()) for looks, _ in runs]
        missed = [float(looks[:, 6].max()) for looks, _ in runs]
        size = float(problem.truth[:EVEN].mean())
        # Wrong: more than a twentieth of the region's volume, or of the space where that is less.
        allowed = 0.05 * max(size, 0.02)
        right = float(np.mean([w <= allowed for w in wrong]))
        left = float(np.median(ends[:, 4]))
        say(f"{name:18}{size:8.3f}{np.median([n for _, n in runs]):8.0f}{np.median(ends[:, 1]):6.2f}{np.median(ends[:, 3]):11.2f}"
            f"{left:11.3f}{cap:7.2f}{max(wrong):12.4f}{max(missed):13.4f}")  # fmt: skip
        report[name] = {"region": size, "iou": ends[:, 1].tolist(), "undecided": ends[:, 4].tolist(),
                        "cap": cap, "wrongly_in": wrong, "wrongly_out": missed, "trials": [n for _, n in runs]}  # fmt: skip
        criteria[f"{name}: share of runs never confidently wrong"] = (right, right >= 0.95)
        criteria[f"{name}: undecided at most the cap"] = (left, left <= cap)
    return report, criteria
