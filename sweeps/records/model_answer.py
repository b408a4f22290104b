"""What the model of a region search says of the whole defence space: `model` in region.json.

"Inside" is about the seeds that the spec's `target` asks for: the median one, or 90 % of them. A
point is IN where P(inside) is at least `cutoff`, OUT where it is at most 1 - confidence, else
UNDECIDED. Volumes, shares and rates are fractions.
"""

from __future__ import annotations

from typing import Any, NotRequired, TypedDict

#: A setting's value; lists and mappings are written as JSON text.
Factor = str | float | int | bool | None
#: Settings of a defence point by dotted name, such as `defence.architecture.width`.
Factors = dict[str, Factor]
#: A defence point as the configuration of a trial has it, nested.
DefenceEntry = dict[str, Any]


class Shares(TypedDict):
    """Fractions of the space by label."""

    IN: float
    OUT: float
    UNDECIDED: float


class VolumeEntry(TypedDict):
    """A fraction of the space, with a 90 % interval."""

    fraction: float
    lower: float
    upper: float


class CategoryEntry(Shares):
    """The shares and the volume inside of one combination of kinds, such as one architecture."""

    label: str
    volume: VolumeEntry


class FrontEntry(TypedDict):
    """The volume that is left with the panel's attacks up to this poison rate."""

    poison_rate: float
    volume: VolumeEntry


class LimitEntry(TypedDict):
    """Clean accuracy or an attack, and the share of the points OUT at which it is the least likely
    to pass."""

    label: str
    share: float


class IntervalEntry(TypedDict):
    """Bounds of a factor, or of a product or ratio of two (`a x b`, `a / b`); None is no bound."""

    factor: str
    low: float | None
    high: float | None


class DescriptionEntry(TypedDict):
    """Intervals that hold inside the region.

    category: the values of factors that have no order. precision: the share of the described part
    that is inside; coverage: the share of the region that it describes; both on points that the
    intervals were not found on.
    """

    category: Factors
    intervals: list[IntervalEntry]
    precision: float
    coverage: float


class RateEntry(TypedDict):
    """A rate as the model expects it of one new seed, with 95 % limits."""

    expected: float
    lower: float
    upper: float


class ResistsEntry(TypedDict):
    """An attack but for its poison rate, and the largest rate of the panel up to which it fails
    with the spec's confidence; None where it fails at none."""

    attack: str
    poison_rate: float | None


class ModelPointEntry(TypedDict):
    """A point that the model names, seldom one that was tried. probability: P(inside).
    worst_attack: its label. defence: as a trial has it."""

    label: str
    factors: Factors
    defence: DefenceEntry
    probability: float
    clean_accuracy: RateEntry
    attack_success: RateEntry
    worst_attack: str
    resists: list[ResistsEntry]


class MapAxis(TypedDict):
    """A numeric factor along an axis. log: whether its scale is logarithmic; values: ascending, the
    middles of cells of equal width on that scale."""

    factor: str
    log: bool
    values: list[float]


class MapEntry(TypedDict):
    """P(inside) over the two numeric factors that move it most, in one category.

    inside: its mean over the category. up: None where there is one such factor. averaged: the other
    numeric factors; their values are those of a few points of the category. probability: a list a
    value of `up`, one list where that is None.
    """

    category: Factors
    inside: float
    across: MapAxis
    up: MapAxis | None
    averaged: list[str]
    probability: list[list[float]]


class NextTrial(TypedDict):
    """A trial that the search would train next; attack: its label, None for the clean baseline."""

    defence: DefenceEntry
    attack: str | None
    seed: int


class ModelAnswer(TypedDict):
    """The whole answer.

    trials: how many the model knows. clean_accuracy: asked for; best_accuracy: the best one, where
    the threshold depends on it; left_out: how many broken models it leaves out, where there are
    any. expected_f1: of the set where P(inside) >= 1/2, against the truth
    as the model sees it. cutoff: None where so many points may be wrong together that none is IN.
    limits: the most frequent first. box, rule: None where none is precise enough. recommended: IN
    with the largest margin in standard deviations; suspect: the most likely to be inside, where
    nothing is IN. stopped_by: why the search has ended, None if it has not. next: what it would try
    then, empty once it has ended. text: all this as lines for people.
    """

    trials: int
    target: str
    clean_accuracy: float
    best_accuracy: float | None
    left_out: NotRequired[int]
    expected_f1: float
    cutoff: float | None
    space: Shares
    volume: VolumeEntry
    categories: list[CategoryEntry]
    front: list[FrontEntry]
    limits: list[LimitEntry]
    box: DescriptionEntry | None
    rule: DescriptionEntry | None
    recommended: ModelPointEntry | None
    suspect: ModelPointEntry | None
    most_accurate: ModelPointEntry
    stopped_by: str | None
    maps: NotRequired[list[MapEntry]]
    next: list[NextTrial]
    text: NotRequired[list[str]]
