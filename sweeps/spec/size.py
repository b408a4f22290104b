"""How large a sweep may be. What is far too large is refused without counting it one by one."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

from backdoor.errors import Mistake, UserError
from sweeps.space.points import grid_points, inactive_leaves
from sweeps.space.space import Space
from sweeps.spec.sections import SearchSettings

#: Defence points, and trials, that a sweep may plan; the ledger and all answers read every one.
MOST_POINTS, MOST_TRIALS = 100_000, 1_000_000
#: Attacks of a panel. Each is trained against every defence point.
MOST_ATTACKS = 10_000
#: Combinations are looked through, to leave out repeated ones, up to this multiple of the limit.
LOOKED_THROUGH = 2


def check_size(
    search: SearchSettings, defence: Space, attacks: int, seeds: int
) -> Iterator[Mistake]:
    """The mistake of a sweep that plans too much. attacks: with the clean baseline."""
    each = attacks * seeds
    if search.kind == "region" or not each or not defence.branches:
        return  # a budget limits it
    if each > MOST_TRIALS:
        rule = f"must leave at most {MOST_TRIALS:,} trials for one defence point"
        value = f"{attacks:,} attacks x {seeds:,} seeds"
        yield Mistake("seeds", rule, value, "Use fewer attacks or fewer seeds.")
        return
    most = min(MOST_POINTS, MOST_TRIALS // each)
    asked = _grid(defence, most) if search.kind == "grid" else search.points or 0
    if asked <= most:
        return
    place, remedy = "search.points", f"Ask for at most {most:,}: --set search.points={most}."
    if search.kind == "grid":
        place = "search"
        remedy = "Use fewer `steps` or values, or draw some of the points: "
        remedy += f"--set 'search={{kind: sobol, points: {min(1024, most)}}}'."
    rule = f"must plan at most {MOST_POINTS:,} defence points and {MOST_TRIALS:,} trials"
    planned = f"{asked:,} points x {attacks:,} attacks x {seeds:,} seeds = {asked * each:,} trials"
    yield Mistake(place, rule, planned, remedy)


def _grid(defence: Space, most: int) -> int:
    """How many points a grid has; where that are far more than `most`, at least nearly so many."""
    if defence.unbounded():
        return 0  # a mistake of its own
    try:
        size = defence.grid_size(inactive_leaves(defence))
        if not most < size <= LOOKED_THROUGH * most:
            return size
        found = sum(1 for _ in itertools.islice(grid_points(defence), most + 1))
        return found if found <= most else size
    except UserError:
        return 0  # said by the checks of the points


def check_panel(space: Space) -> Iterator[Mistake]:
    """The mistake of a panel with too many attacks."""
    count = space.grid_size()
    if count > MOST_ATTACKS:
        rule = f"must list at most {MOST_ATTACKS:,} attacks"
        remedy = "Use fewer values or `steps`: each defence point is trained against every attack."
        yield Mistake("attack", rule, f"{count:,}", remedy)
