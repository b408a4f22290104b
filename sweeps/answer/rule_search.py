"""A short rule: intervals of products and ratios of factors that hold more points than a box does.

Every product or ratio is tried with each factor beside it; the best of these pairs then with a
third condition.
"""

from __future__ import annotations

from collections.abc import Sequence

from sweeps.answer.box_axes import Axis
from sweeps.answer.box_search import Box, largest, nearest, score_of
from sweeps.statistics.arrays import Bools

#: Pairs to which a third condition is sought; products and ratios that are tried at all; boxes that
#: are counted to compare pairs.
PAIRS, MOST_DERIVED, COMPARED = 3, 60, 3000


def better_rule(
    axes: Sequence[Axis], derived: Sequence[Axis], inside: Bools, box: Box | None
) -> tuple[list[Axis], Box] | None:
    """The rule that holds most points which are IN, and its axes, the product or ratio first; None
    where it holds no more of them than the box does, and not as many with fewer bounds."""
    beside: list[list[Axis]] = [[axis] for axis in axes] or [[]]
    pairs = [[one, *others] for one in derived[:MOST_DERIVED] for others in beside]
    pairs = _best(pairs, inside)
    thirds = [
        [*own, third] for own in pairs for third in axes if all(third is not axis for axis in own)
    ]
    found = [
        (own, rule)
        for own in [*pairs, *_best(thirds, inside)]
        if (rule := largest(own, inside)) is not None and rule.spans[0].cost
    ]
    best = max(found, key=lambda pair: _order(pair[1]), default=None)
    if best is None or (box is not None and _order(best[1])[:2] <= _order(box)[:2]):
        return None
    return best


def _best(tried: Sequence[list[Axis]], inside: Bools) -> list[list[Axis]]:
    """Those whose best box is best."""
    found = [(own, nearest(own, inside, COMPARED)) for own in tried]
    scored = [(score_of(box, inside), own) for own, box in found if box is not None]
    return [own for _, own in sorted(scored, key=lambda pair: -pair[0])[:PAIRS]]


def _order(box: Box) -> tuple[int, int, int]:
    """The greater, the better."""
    return box.held, -box.cost, -box.size
