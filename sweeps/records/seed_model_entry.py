"""`seed_model` of region.json: what a model of all points together says, and whether it fits.

Points are judged together where their factors have an order: equal seeds shift them alike, and
neighbours tell how far (`sweeps.statistics.shared_seeds`).
"""

from __future__ import annotations

from typing import TypedDict


class ModesEntry(TypedDict):
    """The test whether seeds have two modes (`sweeps.statistics.bimodality`).

    distance: the statistic. critical: above it the test fires. fired: whether it did. differences:
    how many independent differences of two seeds there are, as far as is known.
    """

    distance: float
    critical: float
    fired: bool
    differences: float


class SharedEntry(TypedDict):
    """How seeds shift one metric.

    deviation: of a seed's logit near the threshold. correlation: the mean one between the errors
    there. freedom: degrees of freedom of their size.
    """

    deviation: float
    correlation: float
    freedom: float


class SeedModelEntry(TypedDict):
    """Whether points are judged by a model of all of them together, and what it found.

    used: whether the model judges points. why: the reason why not, in a sentence, else None.
    points: how many it judges. left_out: complete points that it does not judge, since a model of
    them is broken, a clean baseline is missing that the threshold needs, or they are too many. odd:
    of those judged, points of which seeds differ much more than at their neighbours: UNDECIDED.
    clean: how seeds shift clean accuracy; None where the model is not used. success: how seeds
    shift attack success; None where the model is not used.

    modes_clean: whether seeds have two modes in clean accuracy. modes_success: whether they have in
    attack success. taking_share: an attack that took with none of the seeds may still take with up
    to this share of all seeds, at the confidence of the bounds. fewest_seeds: of a sweep whose
    seeds have two modes, fewer prove nothing.
    """

    used: bool
    why: str | None
    points: int
    left_out: int
    odd: int
    clean: SharedEntry | None
    success: SharedEntry | None
    modes_clean: ModesEntry
    modes_success: ModesEntry
    taking_share: float
    fewest_seeds: int
