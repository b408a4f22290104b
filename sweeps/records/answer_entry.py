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
    """What is asked. text: a sentence. attacks: of the panel. seeds: that every attack needs at a
    point; of a region search, those that may be drawn. target: over which seeds a point must pass:
    the `mean`, of a region search the `median` or the `share` (90 %) of them."""

    text: str
    attacks: int
    seeds: int
    target: str


class StateEntry(TypedDict):
    """How far the sweep was when the file was written. text: a line. planned: trials, at most where
    `at_most`; None where nobody said. ended: those with a result, stopped ones included; failed:
    those without one. why: why a search has ended before all planned trials, None otherwise.
    points_planned: defence points that the search tries in all, None where it chooses as it goes;
    files that were brought up lack it."""

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

    Certain: by bounds of the point's own seeds (`by_bounds`). Likely: by a model of all points
    together (`by_model`) where the bounds leave the point undecided. incomplete: points that lack a
    trial and are neither certain nor likely. in_by_means: of all, those that are IN by means,
    whatever else they are; that alone is no claim about new seeds.
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
    """Of a region search, the shares of the whole defence space by its model: they add up to 1.
    volume: the share expected to be inside, with a 90 % interval."""

    likely_in: float
    undecided: float
    likely_out: float
    volume: float
    volume_lower: float
    volume_upper: float


class VerdictsEntry(TypedDict):
    """All verdicts. confidence: of each one, in (0, 1). space: None where no model has a space."""

    confidence: float
    points: VerdictCounts
    space: SpaceShares | None


class HeadlineEntry(TypedDict):
    """The strongest claim that holds, as a sentence; how the region stands with fresh trainings is
    said before it (`verification`)."""

    claim: Claim
    text: str


class LimitsEntry(TypedDict):
    """A rate. value: the mean over the point's seeds, or what the model of a region search expects
    (`by`). lower, upper: limits for one new seed, with `confidence`; None where fewer than two
    seeds say nothing of others. seeds: how many the value is of, None of a model. chance_to_miss:
    the probability that one new seed misses the threshold, by what the limits are of; None where it
    is not known, and where the threshold is `baseline + x`."""

    value: float
    lower: float | None
    upper: float | None
    confidence: float
    by: Literal["seeds", "model"]
    seeds: int | None
    chance_to_miss: NotRequired[float | None]


class AttackAtSetting(TypedDict):
    """One attack at the recommended setting. passes: whether its success meets the threshold.
    takes: whether the attack takes anywhere in the sweep: `takes`, `nowhere` or `unknown`; only one
    that takes is withstood. baseline_success: as in `attacks` of a point."""

    attack_id: str
    label: str
    attack_success: LimitsEntry
    baseline_success: float | None
    passes: bool
    takes: str


class FreshDraws(TypedDict):
    """Draws of one setting by a verification, and those of them that passed."""

    draws: int
    passed: int


class SettingEntry(TypedDict):
    """The recommended setting.

    basis: the verdict by which it is IN: `bounds`, `model` or `means`. margin: the smaller distance
    to a threshold. inside: P(inside) by a model, None without one. defence: as a trial has it, from
    which `factors` and `label` follow. clean_accuracy: the lowest over the attacks. worst_attack:
    the label of the attack that comes nearest to its threshold, or furthest past it. best_accuracy:
    of the most accurate point; cost: what is given up of it; both None where none is known.
    attacks: in the order of the panel. fresh: draws of this very setting in the latest
    verification, where that still holds; None without any. text: all this as lines for people.
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
    """The region as intervals of factors. basis: the verdict that is described, None where nothing
    is. of: what precision and coverage count: `points` that were tried, or the `space`. box, rule:
    None where none is precise enough. recommended_outside: why the recommended setting lies outside
    the box or the rule, None where it lies in both. text: lines for people."""

    basis: Literal["bounds", "model", "means"] | None
    of: Literal["points", "space"]
    box: DescriptionEntry | None
    rule: DescriptionEntry | None
    recommended_outside: str | None
    text: list[str]


class LimitingEntry(TypedDict):
    """Clean accuracy or an attack, and the share of what is outside (points, or the space) at which
    it misses its threshold by most, or is the least likely to pass."""

    label: str
    share: float


class FrontPoint(TypedDict):
    """What is left with the panel's attacks up to this poison rate. share: of the points judged
    those IN by means; of a region search that of the space expected inside, with a 90 % interval
    (lower, upper), which points do not have."""

    poison_rate: float
    share: float
    lower: float | None
    upper: float | None


class FailingEntry(TypedDict):
    """A condition on factors at which draws of a verification fail more often than elsewhere, such
    as `weight_decay >= 0.01`. failed, draws: inside, where it holds; elsewhere: where it does
    not."""

    condition: str
    failed: int
    draws: int
    elsewhere_failed: int
    elsewhere_draws: int


class VerificationEntry(TypedDict):
    """How the region stands with fresh trainings (`sweeps verify`).

    state: `verified`; `failed`, where draws did not pass; `too few`, where all passed but are too
    few to prove the claim; `unfinished`, where one has begun; `stale`, where the region has changed
    since (stale_because); `used up`, where its trainings were fed back into the search; `not yet`.
    text: a clause that pages lead with: `failed (2 of 5 draws pass)`. verification_id: of the
    latest that was answered, None without one; figures are its own. passed, draws: inside. claim:
    the share of draws that must pass; lower_bound: of the share, 95 %; basis: what was drawn from.
    verdict: `passed`, `not proven` or `empty`. earlier: how many other verifications there are.
    failed_where: conditions on factors, the most telling first.
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
