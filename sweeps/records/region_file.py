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

    defence_id: of the point. source: whose they are, the `panel`'s or the clean `baseline`'s, which
    stands for the panel where a trial was stopped. models: how many. seeds: of these models, in
    order. reference: whether the point has unbroken models left by which it could be the most
    accurate one.
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
    None where none is known, as the next two. best_point: its `defence_id`. best_source: the models
    it is of, the `panel`'s or the clean `baseline`. left_out: where broken models are left out of
    it; files of before, whose best accuracy has them, lack it.
    """

    rule: str
    value: float | None
    best: float | None
    best_point: str | None
    best_source: str | None
    left_out: NotRequired[list[LeftOutEntry]]


class ThresholdsEntry(TypedDict):
    """When a point is inside.

    clean_accuracy: the least under every attack. attack_success: the most that any attack may have,
    a fraction. attack_rule: as the spec writes it, `baseline + 0.1`, where success is compared with
    that of the clean baseline; `attack_success` is then the number in it, which a reader that does
    not know this key takes for a stricter threshold. confidence: of each one-sided bound, in (0,
    1).
    """

    clean_accuracy: CleanAccuracyEntry
    attack_success: float
    attack_rule: NotRequired[str]
    confidence: float


class PanelEntry(TypedDict):
    """One attack of the panel.

    attack_id: by which other parts of the file name it. measure_id: of its trigger and target,
    whatever the poison rate. label: all of it in words. trigger: the name of its kind. poison_rate:
    a fraction of the training images. target: class number, None where every class goes to the
    next. goal: `to class 0`, in words.
    """

    attack_id: str
    measure_id: str
    label: str
    trigger: str
    poison_rate: float
    target: int | None
    goal: NotRequired[str]


class AttackEntry(TypedDict):
    """One attack at one point.

    attack_id: as in the panel. clean_by_seed: clean accuracy by seed. success_by_seed: attack
    success by seed. clean_accuracy, attack_success: the mean over seeds. images: the fewest
    triggered test images of a seed; the first files lack it. baseline_success: how often clean
    models give the attacker's answer to them; None without a clean baseline.

    excess_by_seed: where the threshold is `baseline + x`, success minus that of the clean baseline
    of the same seed. excess: the mean of these over seeds.
    """

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
    measured there.

    clean_accuracy: under the panel. attack_success: of `worst_attack`. worst_attack: the label of
    the attack that is expected to succeed most.
    """

    clean_accuracy: RateEntry
    attack_success: RateEntry
    worst_attack: str


class PointEntry(TypedDict):
    """A defence point, judged.

    All figures are means over seeds; they are None, and `attacks` is empty, while the point is
    INCOMPLETE. Bounds are one-sided ones of these means over all seeds that might be drawn
    (`sweeps.statistics.seed_bounds`), of the least favourable attack; None with one seed. Where no
    best accuracy is known although the point is complete, only its margin and what follows from
    thresholds is missing.

    defence_id: the hash of its settings, by which other parts of the file name it. label: its
    settings in words, those that differ in the sweep. factors: its settings by dotted name,
    `defence.weight_decay`. clean_accuracy: on test images, the lowest mean over the attacks.
    validation_accuracy: on validation images, the lowest mean over the attacks. attack_success: the
    highest mean over the attacks. worst_attack: the `attack_id` of the attack with that success.
    clean_lower: lower bound of the mean clean accuracy. clean_upper: its upper bound.
    success_lower: lower bound of the mean attack success. success_upper: its upper bound. seeds:
    how many seeds the point has. seeds_passing: how many seeds meet both thresholds under every
    attack. stopped: how many of its trials were stopped early.

    by_means: whether the means meet the thresholds: IN, OUT or INCOMPLETE. by_bounds: whether the
    bounds do, of this point by itself: IN, OUT or UNDECIDED. by_model: the verdict by a model of
    all points together: IN, OUT or UNDECIDED; of a region search by its own model; older files lack
    it. inside: P(inside) by the model that `by_model` is of; None where it does not say; older
    files lack it. verdict: the surest of these that holds, since version 2. margin: the smaller
    distance to a threshold, below 0 outside. attacks: the point under each attack of the panel.
    baseline_accuracy: mean clean accuracy of the clean baseline, None without one. broken: how many
    of its models collapsed or diverged.

    excess: where the threshold is `baseline + x`, the highest mean over the attacks of success
    minus that of the clean baseline of the same seed. excess_attack: the `attack_id` of the attack
    whose excess that is. excess_lower: lower bound of the mean excess. excess_upper: its upper
    bound. expected: of a region search, what its model expects at the point, where too few trials
    say more.
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
    """How many points have each verdict, by verdict.

    by_means: IN, OUT and INCOMPLETE, by means over seeds. by_bounds: IN, OUT and UNDECIDED, by
    bounds of each point. by_model: IN, OUT and UNDECIDED, by the model of all points together;
    older files lack it.
    """

    by_means: dict[str, int]
    by_bounds: dict[str, int]
    by_model: NotRequired[dict[str, int]]


class TrialCounts(TypedDict):
    """Trials by how they ended.

    finished: trained to their end. stopped: ended early by a rule of the spec; files of the first
    releases lack it. failed: without a result. planned: in all, None where nobody said.
    """

    finished: int
    stopped: NotRequired[int]
    failed: int
    planned: int | None


class RecommendedEntry(TypedDict):
    """The recommended point, for readers of version 1.

    defence_id: its id. basis: the verdict by which it is IN. margin: as the point's.
    """

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
    """The whole file.

    Of doubles, use `setting` and `verdicts`: since version 2 they are the answer, the same for
    every search. `recommended` and `counts` are kept for readers of version 1. `next` is trials
    that a region search would train, not advice.

    schema_version: the version of these keys. name: that of the sweep, as its spec has it.
    thresholds: when a point is inside. panel: the attacks that are asked about. counts: how many
    points have each verdict, for readers of version 1; use `verdicts`. trials: how many trials
    there are, by how they ended. recommended: the recommended point, for readers of version 1; use
    `setting`, which may also be one that was never trained; None where none is. points: every
    defence point that was tried. controls: whether each attack takes anywhere, in the order of the
    panel; older files lack it. seed_model: the model of all points together; a region search and
    older files lack it. foretold: how often predicted verdicts were wrong, where the spec predicts
    them. doubts: sentences to read before believing the answer. model: what the model of a region
    search says of the whole space; None where too few trials have finished; other searches lack it.
    class_names: names of the classes, by class number. data: what was read of the data set, where
    sweep.json says it. stability: what of the region survives small changes; a region search, a
    sweep without a complete point and files of before lack it.

    question: what is asked. state: how far the sweep was when the file was written. headline: the
    strongest claim that holds. verdicts: how many points, and which shares of a searched space,
    have each verdict. setting: the recommended setting with its figures, None where none is
    recommended. where: where the region is, as intervals of factors. limiting: what keeps points
    outside, the most frequent first. front: what is left against the poison rate. next: trials that
    a region search would train next, not advice; empty of any other search. verification: how the
    region stands with fresh trainings. lacks: sentences on what a file of an earlier version does
    not say. text: the answer as lines for people.
    """

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
