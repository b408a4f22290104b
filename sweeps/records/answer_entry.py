"""The answer to a sweep's question, the same for every search: keys of region.json since version 2.

A grid, Sobol points, TPE and a region search all answer with these. Accuracies, rates, shares and
limits are fractions. Where a search cannot say something, the value is None or the list is empty.
"""

from __future__ import annotations

from typing import Literal, NotRequired, TypedDict

from sweeps.records.model_answer import DefenceEntry, DescriptionEntry, Factors

#: What the strongest claim rests on that holds: bounds of the points' own seeds, a model of all
#: points together, means over seeds only; `none` where no point is inside by any of these, and
#: `unknown` where none has been judged yet.
Claim = Literal["certain", "likely", "means", "none", "unknown"]
#: The verdict of one point, the surest that holds.
PointVerdict = Literal[
    "certainly in", "likely in", "undecided", "likely out", "certainly out", "incomplete"
]
#: Whether the sweep's trials have ended.
SweepState = Literal["running", "stopped", "finished"]
#: How the region stands with fresh trainings.
Standing = Literal["verified", "failed", "too few", "unfinished", "stale", "used up", "not yet"]


class QuestionEntry(TypedDict):
    """What is asked.

    text: a sentence. attacks: how many the panel has. seeds: how many every attack needs at a
    point; of a region search, those that may be drawn. target: over which seeds a point must pass:
    the `mean`, of a region search the `median` or the `share` (90 %) of them.
    """

    text: str
    attacks: int
    seeds: int
    target: str


class StateEntry(TypedDict):
    """How far the sweep was when the file was written.

    state: whether its trials have ended. text: a line. planned: trials in all; None where nobody
    said. at_most: whether the search may end with fewer than `planned`. ended: those with a result,
    stopped ones included. failed: those without one. why: why a search has ended before all planned
    trials, None otherwise. points_planned: defence points that the search tries in all, None where
    it chooses as it goes; files that were brought up lack it.
    """

    state: SweepState
    text: str
    planned: int | None
    at_most: bool
    ended: int
    failed: int
    why: str | None
    points_planned: NotRequired[int | None]


class VerdictCounts(TypedDict):
    """How many defence points that were tried have each verdict; they add up to `total`.

    total: all that were tried. certainly_in: inside by bounds of the point's own seeds
    (`by_bounds`). likely_in: inside by a model of all points together (`by_model`), where the
    bounds leave the point undecided. undecided: complete points that neither decides. likely_out:
    outside by that model, where the bounds leave the point undecided. certainly_out: outside by
    bounds. incomplete: points that lack a trial and are neither certain nor likely. in_by_means: of
    all, those that are IN by means, whatever else they are; that alone is no claim about new seeds.
    """

    total: int
    certainly_in: int
    likely_in: int
    undecided: int
    likely_out: int
    certainly_out: int
    incomplete: int
    in_by_means: int


class SpaceShares(TypedDict):
    """Of a region search, the shares of the whole defence space by its model.

    likely_in, undecided, likely_out: the share with this verdict; these three add up to 1. volume:
    the share expected to be inside. volume_lower, volume_upper: its 90 % interval.
    """

    likely_in: float
    undecided: float
    likely_out: float
    volume: float
    volume_lower: float
    volume_upper: float


class VerdictsEntry(TypedDict):
    """All verdicts.

    confidence: of each one, in (0, 1). points: of those that were tried. space: of the whole space
    of a region search; None where no model has a space.
    """

    confidence: float
    points: VerdictCounts
    space: SpaceShares | None


class HeadlineEntry(TypedDict):
    """The strongest claim that holds; how the region stands with fresh trainings is said before it
    (`verification`).

    claim: what it rests on: `certain`, bounds of points' own seeds; `likely`, a model of all points
    together; `means`, means over seeds only; `none`, where no point is inside by any of these;
    `unknown`, where none has been judged. text: the claim as a sentence.
    """

    claim: Claim
    text: str


class LimitsEntry(TypedDict):
    """A rate at the recommended setting, a fraction.

    value: the mean over the point's seeds, or what the model of a region search expects. lower: the
    lower limit for one new seed, with `confidence`; None where fewer than two seeds say nothing of
    others. upper: the upper limit, likewise. confidence: with which one new seed lies between both
    limits, in (0, 1). by: what the figures are of, the point's `seeds` or the `model`. seeds: how
    many the value is of, None of a model. chance_to_miss: the probability that one new seed misses
    the threshold, by what the limits are of; None where it is not known, and where the threshold is
    `baseline + x`.
    """

    value: float
    lower: float | None
    upper: float | None
    confidence: float
    by: Literal["seeds", "model"]
    seeds: int | None
    chance_to_miss: NotRequired[float | None]


class AttackAtSetting(TypedDict):
    """One attack at the recommended setting.

    attack_id: as in `panel`. label: the attack in words. attack_success: how often it succeeds.
    baseline_success: how often clean models give the attacker's answer to the same images; None
    without a clean baseline. passes: whether its success meets the threshold. takes: whether the
    attack takes anywhere in the sweep: `takes`, `nowhere` or `unknown`; only one that takes is
    withstood.
    """

    attack_id: str
    label: str
    attack_success: LimitsEntry
    baseline_success: float | None
    passes: bool
    takes: str


class FreshDraws(TypedDict):
    """How one setting did in a verification.

    draws: how many draws were of it. passed: how many of these passed.
    """

    draws: int
    passed: int


class SettingEntry(TypedDict):
    """The recommended setting.

    defence_id: the hash of its settings; of a region search it need not be a point that was tried.
    label: its settings in words. factors: its settings by dotted name. defence: its settings as the
    configuration of a trial has them, from which `factors` and `label` follow. basis: the verdict
    by which it is IN: `bounds`, `model` or `means`. margin: the smaller distance to a threshold.
    inside: P(inside) by a model, None without one. clean_accuracy: the lowest over the attacks.
    attack_success: that of `worst_attack`. worst_attack: the label of the attack that comes nearest
    to its threshold, or furthest past it. best_accuracy: clean accuracy of the most accurate point;
    None where none is known. cost: what is given up of the best accuracy; None where that is.
    attacks: the setting under each attack, in the order of the panel. fresh: draws of this very
    setting in the latest verification, where that still holds; None without any. text: all this as
    lines for people.
    """

    defence_id: str
    label: str
    factors: Factors
    defence: DefenceEntry
    basis: Literal["bounds", "model", "means"]
    margin: float
    inside: float | None
    clean_accuracy: LimitsEntry
    attack_success: LimitsEntry
    worst_attack: str
    best_accuracy: float | None
    cost: float | None
    attacks: list[AttackAtSetting]
    fresh: NotRequired[FreshDraws | None]
    text: list[str]


class WhereEntry(TypedDict):
    """The region as intervals of factors.

    basis: the verdict that is described, None where nothing is. of: what precision and coverage
    count: `points` that were tried, or the `space`. box: an interval of each factor; None where
    none is precise enough. rule: intervals of factors, and of products and ratios of two; None
    where none is precise enough. recommended_outside: why the recommended setting lies outside the
    box or the rule, None where it lies in both. text: lines for people.
    """

    basis: Literal["bounds", "model", "means"] | None
    of: Literal["points", "space"]
    box: DescriptionEntry | None
    rule: DescriptionEntry | None
    recommended_outside: str | None
    text: list[str]


class LimitingEntry(TypedDict):
    """What keeps points outside.

    label: clean accuracy, or an attack. share: of what is outside (points, or the space), that at
    which it misses its threshold by most, or is the least likely to pass.
    """

    label: str
    share: float


class FrontPoint(TypedDict):
    """What is left with the panel's attacks up to one poison rate.

    poison_rate: the highest of the attacks that count, a fraction. share: of the points judged
    those IN by means; of a region search that of the space expected inside. lower, upper: of the
    latter, its 90 % interval; None of points.
    """

    poison_rate: float
    share: float
    lower: float | None
    upper: float | None


class FailingEntry(TypedDict):
    """Where draws of a verification fail more often than elsewhere.

    condition: on factors, such as `weight_decay >= 0.01`. failed: draws that failed where it holds.
    draws: all draws inside where it holds. elsewhere_failed: draws that failed where it does not
    hold. elsewhere_draws: all draws inside where it does not hold.
    """

    condition: str
    failed: int
    draws: int
    elsewhere_failed: int
    elsewhere_draws: int


class VerificationEntry(TypedDict):
    """How the region stands with fresh trainings (`sweeps verify`).

    state: `verified`; `failed`, where draws did not pass; `too few`, where all passed but are too
    few to prove the claim; `unfinished`, where one has begun; `stale`, where the region has changed
    since; `used up`, where its trainings were fed back into the search; `not yet`. text: a clause
    that pages lead with: `failed (2 of 5 draws pass)`. verification_id: of the latest that was
    answered, None without one; figures are its own. verdict: `passed`, `not proven` or `empty`.
    passed: how many draws inside the region passed. draws: how many were inside the region; those
    near its border and outside it do not count. claim: the share of new draws that must pass.
    lower_bound: of the share that passes, one-sided, with 95 % confidence. basis: the verdict by
    which the points are IN that were drawn from. earlier: how many other verifications there are.
    stale_because: what has changed, None where nothing has. failed_where: conditions on factors,
    the most telling first.
    """

    state: Standing
    text: str
    verification_id: str | None
    verdict: str | None
    passed: int
    draws: int
    claim: float | None
    lower_bound: float | None
    basis: str | None
    earlier: int
    stale_because: str | None
    failed_where: list[FailingEntry]
