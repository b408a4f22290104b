"""A short rule: intervals of products and ratios of factors that hold more points than a box does.

Every product or ratio is tried by itself, the best of them with each factor beside it, and the best
of these pairs with a third condition.
"""

from __future__ import annotations

from collections.abc import Sequence

from sweeps.answer.box_axes import Axis
from sweeps.answer.box_search import Box, largest, nearest, score_of
from sweeps.statistics.arrays import Bools

#: Products and ratios that are tried at all, and beside other factors; pairs to which a third
#: condition is sought; boxes that are counted to compare these.
MOST_DERIVED, ALONE, PAIRS, COMPARED = 60, 4, 2, 2500


def better_rule(
    axes: Sequence[Axis], derived: Sequence[Axis], inside: Bools, box: Box | None
) -> tuple[list[Axis], Box] | None:
    """The rule that holds most points which are IN, and its axes, the product or ratio first; None
    where it holds no more of them than the box does, and not as many with fewer bounds."""
    tried = _best([[one] for one in derived[:MOST_DERIVED]], inside, ALONE)
    for kept in (PAIRS, 1):
        more = [
            [*own, other]
            for own in tried
            for other in axes
            if len(own) < 3 and all(other is not axis for axis in own)
        ]
        tried = _best([*tried, *more], inside, kept)
    found = [
        (own, rule)
        for own in tried
        if (rule := largest(own, inside)) is not None and rule.spans[0].cost
    ]
    best = max(found, key=lambda pair: _order(pair[1]), default=None)
    if best is None or (box is not None and _order(best[1])[:2] <= _order(box)[:2]):
        return None
    return best


def _best(tried: Sequence[list[Axis]], inside: Bools, kept: int) -> list[list[Axis]]:
    """The so many whose best box is best."""
    found = [(own, nearest(own, inside, COMPARED)) for own in tried]
    scored = [(score_of(box, inside), own) for own, box in found if box is not None]
    return [own for _, own in sorted(scored, key=lambda pair: -pair[0])[:kept]]


def _order(box: Box) -> tuple[int, int, int]:
    """The greater, the better."""
    return box.held, -box.cost, -box.size
