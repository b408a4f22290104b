"""Which of many statements hold together, from joint draws of what may be true. Pure."""

from __future__ import annotations

import numpy as np

from sweeps.statistics.arrays import Bools


def hold_together(true: Bools, confidence: float) -> Bools:
    """The largest set of statements, the likeliest first, that are all true with this confidence
    (as for excursion sets, Bolin and Lindgren 2015, JRSS B 77, 85), (n,).

    true: whether each of n statements is true in each of s draws, (n, s). Statements that are
    equally likely are all in the set, or none of them is.
    """
    chance = true.mean(axis=1)
    order = np.argsort(-chance, kind="stable")
    order = order[chance[order] >= confidence]
    chosen = np.zeros(len(true), dtype=np.bool_)
    if not len(order):
        return chosen
    together = np.logical_and.accumulate(true[order], axis=0).mean(axis=1) >= confidence
    together[:-1] &= np.diff(chance[order]) < 0
    last = np.flatnonzero(together)
    if len(last):
        chosen[order[: last[-1] + 1]] = True
    return chosen
