"""region.json: the defence points that a sweep tried, judged, and what a region search answers.

Keys are promises to users. Rates, accuracies, bounds and margins are fractions; `by_seed` maps have
seeds as text for keys, since JSON has no others. A point is a defence point: all training settings
but the attack and the seed.
"""

from __future__ import annotations

from typing import Literal, NotRequired, TypedDict

from sweeps.records.answer_entry import (
    FrontPoint,
    HeadlineEntry,
    LimitingEntry,
    PointVerdict,
    QuestionEntry,
    SettingEntry,
    StateEntry,
    VerdictsEntry,
    VerificationEntry,
    WhereEntry,
)
from sweeps.records.control_entry import ControlEntry
from sweeps.records.data_entry import DataEntry
from sweeps.records.model_answer import Factors, ModelAnswer, NextTrial, RateEntry
from sweeps.records.seed_model_entry import SeedModelEntry
from sweeps.records.stability_entry import StabilityEntry

REGION_VERSION = 2
Basis = Literal["means", "bounds", "model"]


class LeftOutEntry(TypedDict):
    """A point with models that collapsed or diverged, which the best accuracy leaves out.

    source: whose they are, the `panel`'s or the clean `baseline`'s, which stands for the panel
    where a trial was stopped. models: how many. seeds: of these models, in order. reference:
    whether the point has unbroken models left by which it could be the most accurate one.
    """

    defence_id: str
    source: str
    models: int
    seeds: list[int]
    reference: bool


class CleanAccuracyEntry(TypedDict):
    """The clean accuracy that is asked for.

    rule: as the spec writes it, `0.9` or `best - 0.05`. value: as a fraction; None while it depends
    on a best accuracy that is not known. best: that of the most accurate point, on test images;
    best_point: its `defence_id`; best_source: the models it is of, the `panel`'s or the clean
    `baseline`. All three are None where none is known. left_out: where broken models are left out
    of it; files of before, whose best accuracy has them, lack it.
    """

    rule: str
    value: float | None
    best: float | None
    best_point: str | None
    best_source: str | None
    left_out: NotRequired[list[LeftOutEntry]]


class ThresholdsEntry(TypedDict):
    """When a point is inside. attack_success: the most that any attack may have, a fraction.
    attack_rule: as the spec writes it, `baseline + 0.1`, where success is compared with that of the
    clean baseline; `attack_success` is then the number in it, which a reader that does not know
    this key takes for a stricter threshold. confidence: of each one-sided bound, in (0, 1)."""

    clean_accuracy: CleanAccuracyEntry
    attack_success: float
    attack_rule: NotRequired[str]
    confidence: float


class PanelEntry(TypedDict):
    """One attack of the panel. measure_id: of its trigger and target, whatever the poison rate.
    label: all of it in words. poison_rate: a fraction of the training images. target: class number,
    None where every class goes to the next. goal: `to class 0`, in words."""

    attack_id: str
    measure_id: str
    label: str
    trigger: str
    poison_rate: float
    target: int | None
    goal: NotRequired[str]


class AttackEntry(TypedDict):
    """One attack at one point. `clean_accuracy` and `attack_success` are means over seeds. images:
    the fewest triggered test images of a seed; the first files lack it. baseline_success: how often
    clean models give the attacker's answer to them; None without a clean baseline. excess,
    excess_by_seed: success minus that of the clean baseline of the same seed, and its mean, where
    the threshold is `baseline + x`."""

    attack_id: str
    clean_by_seed: dict[str, float]
    success_by_seed: dict[str, float]
    excess: NotRequired[float]
    excess_by_seed: NotRequired[dict[str, float]]
    clean_accuracy: float
    attack_success: float
    images: NotRequired[int]
    baseline_success: float | None


class ExpectedFigures(TypedDict):
    """What the model of a region search expects of one new seed at a point, with 95 % limits: not
    measured there. clean_accuracy: under the panel; attack_success: of `worst_attack` (a label)."""

    clean_accuracy: RateEntry
    attack_success: RateEntry
    worst_attack: str


class PointEntry(TypedDict):
    """A defence point, judged.

    factors: its settings by dotted name, `defence.weight_decay`. clean_accuracy,
    validation_accuracy: the lowest mean over the attacks; attack_success: the highest, that of
    `worst_attack` (an `attack_id`). All are means over seeds, and the bounds are one-sided ones of
    these means over all seeds that might be drawn (`sweeps.statistics.seed_bounds`), of the least
    favourable attack, None with one seed. seeds: how many there are; seeds_passing: those that meet
    both thresholds under every attack. stopped: trials that were stopped early. by_means: IN, OUT
    or INCOMPLETE; by_bounds, and by_model of all points together: IN, OUT or UNDECIDED; inside: by
    that model, P(inside), None where it does not say; older files lack both. margin: the smaller
    distance to a threshold, below 0 outside. baseline_accuracy: mean clean accuracy of the clean
    baseline. broken: models that collapsed or diverged. Figures are None, and `attacks` is empty,
    while the point is INCOMPLETE.
    Where no best accuracy is known although the point is complete, only its margin and what follows
    from thresholds is missing.

    Where the threshold is `baseline + x`, excess: the highest mean over the attacks of success
    minus that of the clean baseline of the same seed, and excess_attack: whose it is;
    excess_lower, excess_upper: its one-sided bounds, as of the others.

    Since version 2, verdict: the surest that holds. Of a region search, by_model and inside are by
    its own model, and expected: what that expects at the point, where too few trials say more.
    """

    defence_id: str
    label: str
    factors: Factors
    clean_accuracy: float | None
    validation_accuracy: float | None
    attack_success: float | None
    worst_attack: str | None
    clean_lower: float | None
    clean_upper: float | None
    success_lower: float | None
    success_upper: float | None
    seeds: int
    seeds_passing: int
    stopped: int
    by_means: str
    by_bounds: str
    margin: float | None
    attacks: list[AttackEntry]
    baseline_accuracy: float | None
    broken: int
    inside: NotRequired[float | None]
    by_model: NotRequired[str]
    excess: NotRequired[float]
    excess_attack: NotRequired[str]
    excess_lower: NotRequired[float | None]
    excess_upper: NotRequired[float | None]
    verdict: NotRequired[PointVerdict]
    expected: NotRequired[ExpectedFigures]


class CountsEntry(TypedDict):
    """How many points have each verdict: IN, OUT, INCOMPLETE; and IN, OUT, UNDECIDED, by bounds and
    by the model of all points together, which older files lack."""

    by_means: dict[str, int]
    by_bounds: dict[str, int]
    by_model: NotRequired[dict[str, int]]


class TrialCounts(TypedDict):
    """Trials by how they ended; planned: in all, None where nobody said. Files of the first
    releases lack `stopped`."""

    finished: int
    stopped: NotRequired[int]
    failed: int
    planned: int | None


class RecommendedEntry(TypedDict):
    """The recommended point. basis: the verdict by which it is IN; margin: as the point's."""

    defence_id: str
    basis: Basis
    margin: float


class PredictionAudit(TypedDict):
    """How often a verdict that was predicted before the end was wrong, of `stopping: certain`.

    stopped: trials that ended early; controls: those predicted that ran to their end all the same;
    wrong: of these, how many ended with another verdict. error: the share of wrong ones;
    error_upper: its one-sided 95 % bound; both None without controls. declared: the share that the
    spec allows. epochs_saved: the share of epochs of attacked trials that were not trained.
    """

    stopped: int
    controls: int
    wrong: int
    error: float | None
    error_upper: float | None
    declared: float
    epochs_saved: float


class RegionFile(TypedDict):
    """The whole file. foretold: where the spec predicts verdicts. doubts: sentences to read before
    believing the table. model: of a region search; None where too few trials have finished.
    class_names: by class number. data: what was read, where sweep.json says it. controls: whether
    each attack takes anywhere, in the order of the panel; seed_model: the model of all points
    together, which a region search does not have; older files lack both. stability: what of
    the region survives small changes; of a region search, of one without a complete point, and of
    files of before it is missing.

    Since version 2 the answer is the same for every search: question, state, headline, verdicts,
    the recommended setting, where the region is, what limits it, front (against the poison rate),
    next (trials that the search would train, of a region search), verification; lacks: sentences on
    what a file of an earlier version does not say; text: the answer as lines for people."""

    schema_version: int
    name: str
    thresholds: ThresholdsEntry
    panel: list[PanelEntry]
    counts: CountsEntry
    trials: TrialCounts
    recommended: RecommendedEntry | None
    points: list[PointEntry]
    controls: NotRequired[list[ControlEntry]]
    seed_model: NotRequired[SeedModelEntry]
    foretold: NotRequired[PredictionAudit]
    doubts: NotRequired[list[str]]
    model: NotRequired[ModelAnswer | None]
    class_names: NotRequired[list[str]]
    data: NotRequired[DataEntry]
    stability: NotRequired[StabilityEntry]
    question: NotRequired[QuestionEntry]
    state: NotRequired[StateEntry]
    headline: NotRequired[HeadlineEntry]
    verdicts: NotRequired[VerdictsEntry]
    setting: NotRequired[SettingEntry | None]
    where: NotRequired[WhereEntry]
    limiting: NotRequired[list[LimitingEntry]]
    front: NotRequired[list[FrontPoint]]
    next: NotRequired[list[NextTrial]]
    verification: NotRequired[VerificationEntry]
    lacks: NotRequired[list[str]]
    text: NotRequired[list[str]]


#: Keys that every file since version 2 has, by the name of the entry. Their types have them as not
#: required, since `read_region` adds them to older files.
REQUIRED_SINCE_2: dict[str, tuple[str, ...]] = {
    "RegionFile": (
        "question",
        "state",
        "headline",
        "verdicts",
        "setting",
        "where",
        "limiting",
        "front",
        "next",
        "verification",
        "lacks",
        "text",
    ),
    "PointEntry": ("verdict",),
}
#: The types of what every region.json has, of whatever version.
REQUIRED: dict[str, type] = {"name": str, "points": list, "panel": list, "thresholds": dict}
