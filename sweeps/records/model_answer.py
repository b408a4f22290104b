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
    """Fractions of the space by label.

    IN, OUT, UNDECIDED: the share with this verdict.
    """

    IN: float
    OUT: float
    UNDECIDED: float


class VolumeEntry(TypedDict):
    """A fraction of the space.

    fraction: what is expected. lower, upper: its 90 % interval.
    """

    fraction: float
    lower: float
    upper: float


class CategoryEntry(Shares):
    """The shares and the volume inside of one combination of kinds, such as one architecture.

    IN, OUT, UNDECIDED: the share with this verdict. label: the kinds in words. volume: how much of
    it is inside.
    """

    label: str
    volume: VolumeEntry


class FrontEntry(TypedDict):
    """What is left with the panel's attacks up to one poison rate.

    poison_rate: the highest of the attacks that count. volume: what is inside then.
    """

    poison_rate: float
    volume: VolumeEntry


class LimitEntry(TypedDict):
    """What keeps points outside.

    label: clean accuracy, or an attack. share: of the points OUT, those at which it is the least
    likely to pass.
    """

    label: str
    share: float


class IntervalEntry(TypedDict):
    """Bounds of a factor.

    factor: its name, or the product or ratio of two (`a x b`, `a / b`). low, high: the bound; None
    where there is none.
    """

    factor: str
    low: float | None
    high: float | None


class DescriptionEntry(TypedDict):
    """Intervals that hold inside the region.

    category: the values of factors that have no order. intervals: of the other factors. precision:
    the share of the described part that is inside, on points that the intervals were not found on.
    coverage: the share of the region that is described, on such points too.
    """

    category: Factors
    intervals: list[IntervalEntry]
    precision: float
    coverage: float


class RateEntry(TypedDict):
    """A rate as the model expects it of one new seed.

    expected: the rate. lower, upper: its 95 % limit.
    """

    expected: float
    lower: float
    upper: float


class ResistsEntry(TypedDict):
    """Up to which poison rate an attack fails.

    attack: the attack but for its poison rate. poison_rate: the largest one of the panel up to
    which it fails with the spec's confidence; None where it fails at none.
    """

    attack: str
    poison_rate: float | None


class ModelPointEntry(TypedDict):
    """A point that the model names, seldom one that was tried.

    label: its settings in words. factors: its settings by dotted name. defence: its settings as a
    trial has them. probability: P(inside). clean_accuracy: under the panel. attack_success: of
    `worst_attack`. worst_attack: the label of the attack that is expected to succeed most. resists:
    up to which poison rate each attack fails.
    """

    label: str
    factors: Factors
    defence: DefenceEntry
    probability: float
    clean_accuracy: RateEntry
    attack_success: RateEntry
    worst_attack: str
    resists: list[ResistsEntry]


class MapAxis(TypedDict):
    """A numeric factor along an axis.

    factor: its dotted name. log: whether its scale is logarithmic. values: ascending, the middles
    of cells of equal width on that scale.
    """

    factor: str
    log: bool
    values: list[float]


class MapEntry(TypedDict):
    """P(inside) over the two numeric factors that move it most, in one category.

    category: the values of factors that have no order. inside: the mean of P(inside) over the
    category. across: the horizontal axis. up: the vertical axis; None where there is one such
    factor. averaged: the other numeric factors; their values are those of a few points of the
    category. probability: P(inside), a list a value of `up`, one list where that is None.
    """

    category: Factors
    inside: float
    across: MapAxis
    up: MapAxis | None
    averaged: list[str]
    probability: list[list[float]]


class NextTrial(TypedDict):
    """A trial that the search would train next.

    defence: its settings. attack: its label, None for the clean baseline. seed: of the trial.
    """

    defence: DefenceEntry
    attack: str | None
    seed: int


class ModelAnswer(TypedDict):
    """What the model of a region search says, the whole of it.

    trials: how many the model knows. target: over which seeds a point must pass, `median` or
    `share`. clean_accuracy: asked for. best_accuracy: the best one, where the threshold depends on
    it. left_out: how many broken models the best accuracy leaves out, where there are any.
    expected_f1: of the set where P(inside) >= 1/2, against the truth as the model sees it. cutoff:
    from which P(inside) on a point is IN; None where so many points may be wrong together that none
    is IN. space: the shares of the whole space by verdict. volume: how much of the space is inside.
    categories: the same of each combination of kinds. front: what is left against the poison rate.
    limits: what keeps points outside, the most frequent first. box: an interval of each factor;
    None where none is precise enough. rule: intervals of factors, and of products and ratios of
    two; None where none is precise enough. recommended: the point IN with the largest margin in
    standard deviations. suspect: the most likely to be inside, where nothing is IN. most_accurate:
    the point with the highest expected clean accuracy. stopped_by: why the search has ended, None
    if it has not. maps: pictures of P(inside), one a category. next: what the search would try
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
