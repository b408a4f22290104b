"""plan.json of a verification, and answer.json: what it found, and `sweeps verify --json` prints.

Shares, accuracies and bounds are fractions. A draw is a defence point with fresh seeds.
"""

from __future__ import annotations

from typing import Any, Literal, NotRequired, TypedDict

from sweeps.records.answer_entry import FailingEntry
from sweeps.records.model_answer import DefenceEntry

VERIFICATION_VERSION = 1
#: Of plan.json.
PLAN_VERSION = 1
Verdict = Literal["passed", "not proven", "empty"]


class SweepName(TypedDict):
    """The sweep that was verified."""

    sweep_id: str
    name: str


class RegionEntry(TypedDict):
    """The region as it was frozen. kind: `points` or `model`; basis: what is inside: of points
    `means`, `bounds` or `model` (of all points together); of a model, `verdict` or `probability`.
    hash: of all that was frozen; frozen: when, ISO 8601 in UTC."""

    kind: str
    basis: str
    hash: str
    frozen: str


class FrozenThresholds(TypedDict):
    """Fractions by which every draw is judged; rule: the clean accuracy as the spec writes it;
    None where it is not known, and then there are no draws. attack_rule: as in region.json."""

    clean_accuracy: float | None
    rule: str
    attack_success: float
    attack_rule: NotRequired[str]


class FrozenRegion(TypedDict):
    """All that makes a region this one, in plan.json. clean_accuracy: asked for, a fraction; None
    where it depends on a best accuracy that is not known, and then nothing is inside.

    Of points that were tried, points: ids by `inside`, `border`, `outside`. Of a model, confidence:
    of IN; seeds: the share of them that must pass; trials: ids that it was fitted to, which with
    the spec make it what it is; verdict_seeds: how many judge a draw, by basis `verdict`.
    """

    kind: str
    basis: str
    clean_accuracy: float | None
    points: NotRequired[dict[str, list[str]]]
    verdict_seeds: NotRequired[int]
    confidence: NotRequired[float]
    seeds: NotRequired[float]
    trials: NotRequired[list[str]]


class FrozenValues(TypedDict):
    """The region and what it claims, in plan.json. panel: identities of attacks."""

    sweep_id: str
    region: FrozenRegion
    thresholds: FrozenThresholds
    panel: list[dict[str, Any]]


class SettingsEntry(TypedDict):
    """What was asked; see `sweeps.verify.plan.VerificationSettings`. claim: the share of draws
    that must pass, where it is not the default of the target."""

    draws: int
    seeds: int
    target: str
    claim: NotRequired[float]


class PlannedDraw(TypedDict):
    """A draw before it is trained. probability: of being inside; passing: of passing as it is
    judged, which older plans lack; None where the region has no probabilities."""

    stratum: str
    defence: DefenceEntry
    probability: float | None
    seeds: list[int]
    passing: NotRequired[float | None]


class PlanContent(TypedDict):
    """plan.json without its head. transfer: identities of attacks outside the panel; files: where
    the users' files that they name lie. created: when, ISO 8601 in UTC."""

    frozen: FrozenValues
    settings: SettingsEntry
    transfer: list[dict[str, Any]]
    files: NotRequired[dict[str, str]]
    draws: list[PlannedDraw]
    created: str


class PlanFile(PlanContent):
    """plan.json. hash: of its content."""

    schema_version: int
    hash: str


class DrawCount(TypedDict):
    """Draws of a part, and those that passed. lower_bound: of the share, exact binomial, one-sided.
    Both are None where nothing was drawn."""

    draws: int
    passed: int
    share: float | None
    lower_bound: float | None


class ReliabilityBin(TypedDict):
    """Draws whose predicted probability of passing is from `low` to `high`. predicted: its mean;
    observed: the share that passed; None in an empty bin."""

    low: float
    high: float
    draws: int
    passed: int
    predicted: float | None
    observed: float | None


class TransferEntry(DrawCount):
    """Draws inside under one attack outside the panel, which is no part of the claim. attack: its
    identity."""

    label: str
    attack: dict[str, Any]


class TrainingCounts(TypedDict):
    """Trainings of the verification."""

    planned: int
    finished: int
    failed: int


class DrawEntry(TypedDict):
    """One draw. probability: of being inside; passing: of passing as it is judged; None where the
    region has no probabilities. clean_accuracy, attack_success: medians over the seeds, the lowest
    and the highest over the panel. worst_attack: a label. broken: trainings that gave no working
    model. excess: where the threshold is `baseline + x`, the highest median over the panel of
    success minus the clean baseline's of the same seed, and `worst_attack` is then its attack."""

    stratum: str
    label: str
    defence: DefenceEntry
    probability: float | None
    passing: float | None
    seeds: list[int]
    clean_accuracy: float
    attack_success: float
    worst_attack: str
    passes: bool
    broken: int
    excess: NotRequired[float]


class VerificationFile(TypedDict):
    """The whole file.

    verification_id: twelve hex digits that follow from the region and from what was asked. target:
    `median` or `share`; claim: the share of draws inside that must pass. confidence: of every
    bound. verdict: `empty` where nothing is inside. reliability: None where the region has no
    probabilities. broken: models that diverged or collapsed, and trainings that failed. earlier:
    how many other verifications of this sweep there are. failed_where: conditions on factors at
    which draws inside fail more often than elsewhere; files of before lack it.
    """

    schema_version: int
    verification_id: str
    sweep: SweepName
    region: RegionEntry
    target: str
    claim: float
    confidence: float
    thresholds: FrozenThresholds
    verdict: Verdict
    inside: DrawCount
    border: DrawCount
    outside: DrawCount
    reliability: list[ReliabilityBin] | None
    transfer: list[TransferEntry]
    trials: TrainingCounts
    broken: int
    earlier: int
    draws: list[DrawEntry]
    failed_where: NotRequired[list[FailingEntry]]
