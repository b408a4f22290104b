"""Sections that are plain settings, and their errors in our words. The home of pydantic."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Annotated, Any, Literal

import pydantic
from pydantic import BaseModel, ConfigDict, Field

from backdoor.errors import Mistake
from backdoor.settings.aliases import nearest
from backdoor.settings.schema import LARGEST, change_remedy, is_number, suggest
from sweeps.addresses import scrubbed_value
from sweeps.records.spec_keys import dotted_key
from sweeps.spec.durations import DurationError, read_duration
from sweeps.spec.success_rule import SuccessRuleError, read_success_rule
from sweeps.storage.tracking_uri import broken_rule

Warn = Callable[[Mistake], None]
#: Seeds of a sweep.
MOST_SEEDS = 10_000
#: Characters of a sweep's name.
LONGEST_NAME = 64


class Section(BaseModel):
    """Settings that are no factors: unknown keys and values of other types are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


class Seeds(Section):
    """`count` seeds from `base` on."""

    count: Annotated[int, Field(ge=1, le=MOST_SEEDS)] = 3
    base: Annotated[int, Field(ge=0, le=LARGEST)] = 0


class Budget(Section):
    """trials: how many trainings at most. gpu_hours: how many hours of a GPU at most; no more
    trials are proposed than fit into it at the mean duration so far."""

    trials: Annotated[int, Field(ge=1, le=1_000_000)] = 300
    gpu_hours: Annotated[float, Field(gt=0)] | None = None


class SearchSettings(Section):
    """How defence points are chosen; each meets the whole panel with every seed.

    grid: every combination. random, sobol: `points` distinct ones, drawn by `seed`, a power of 2
    being the best number for sobol. optuna: `points` distinct ones that `sampler` with `options`
    proposes, `pending` at a time: it learns from those that are done. With more pending a larger
    cluster is kept busy, and the sampler knows less. region: single trials, chosen where the model
    learns most about the region's border, until it is known or `budget` is spent. Where `pending`
    is not given, as many trials at a time as packs run at once, at least 4; where a trial takes
    seconds, larger batches.
    """

    kind: Literal["grid", "random", "sobol", "optuna", "region"] = "grid"
    points: Annotated[int, Field(ge=1, le=1_000_000)] | None = None
    seed: Annotated[int, Field(ge=0, le=LARGEST)] = 0
    sampler: Literal["tpe", "nsga2", "gp", "qmc", "random"] = "tpe"
    options: dict[str, Any] = {}
    pending: Annotated[int, Field(ge=1)] | None = None
    budget: Budget | None = None

    @property
    def at_once(self) -> int:
        """`pending`, or its default where it is not given."""
        return 4 if self.pending is None else self.pending

    @pydantic.field_validator("budget", mode="before")
    @classmethod
    def _short(cls, value: Any) -> Any:
        whole = isinstance(value, int) and not isinstance(value, bool)
        return {"trials": value} if whole else value


#: Settings of `search` that only some kinds have, the first of them named in the remedy.
ADAPTIVE = {
    "sampler": ("optuna",),
    "options": ("optuna",),
    "pending": ("optuna", "region"),
    "budget": ("region",),
}


class RegionSettings(Section):
    """clean_accuracy: a fraction, or `best - x`. attack_success: the largest that still counts as
    a failed attack, a fraction, or `baseline + x`: that of the clean baseline of the same seed and
    point, and x more. confidence: of the one-sided bounds, and of IN and OUT in a region search.
    target: whether the median seed has to be inside, or a share of 90 % of the seeds; a matter of
    region searches, whose model knows how much seeds differ."""

    clean_accuracy: Any = ("best", 0.05)
    attack_success: Annotated[float, Field(ge=0, le=1)] = 0.2
    confidence: Annotated[float, Field(gt=0.5, lt=1)] = 0.95
    target: Literal["median", "share"] = "median"

    @pydantic.field_validator("attack_success", mode="wrap")
    @classmethod
    def _number_or_rule(cls, value: Any, as_number: Callable[[Any], float]) -> float:
        return read_success_rule(value) if isinstance(value, str) else as_number(value)

    @pydantic.field_validator("clean_accuracy")
    @classmethod
    def _readable(cls, value: Any) -> Any:
        match = re.fullmatch(r"\s*best\s*-\s*([0-9]*\.?[0-9]+(?:[eE][+-]?[0-9]+)?)\s*", str(value))
        number = float(match[1]) if match else value
        if not is_number(number) or not 0 <= number <= 1:
            raise ValueError("must be a fraction in [0, 1] or `best - x`")
        return ("best", float(number)) if match else float(number)


class Resources(Section):
    """What one pack gets: CPU cores (and as many threads), and GPUs, which may be fractions.

    time_limit: seconds that one trial may take, written with its unit (`2h`); a pack of trials may
    take as many times that. None is no limit of the user's: then what takes 20 times as long as
    others like it, and at least 10 minutes, is ended, see `sweeps.scheduling.deadlines`."""

    cpu: Annotated[int, Field(ge=1, le=1024)] = 1
    gpu: Annotated[float, Field(ge=0, le=1024)] = 0
    time_limit: float | None = None

    @pydantic.field_validator("time_limit", mode="plain")
    @classmethod
    def _with_unit(cls, value: Any) -> float | None:
        return read_duration(value)


class StoppingSettings(Section):
    """Early stopping: of trials that do worse than others of the same attack, or of those whose
    verdict is certain.

    kind: `asha`, Tune's AsyncHyperBandScheduler, keeps the best 1 / `reduction_factor` at epochs
    `grace_period`, times `reduction_factor`, and so on; `median`, Tune's MedianStoppingRule, stops
    a trial whose best value so far is below the median of the others' running means, of which
    there must be `min_samples_required`. metric: `score` is validation accuracy minus attack
    success; the others are one of the two. Both rules are Ray Tune's. grace_period: epochs that
    every trial is trained for. Decisions are made every `curve_every` epochs.

    kind `certain`, with either runner: a trial ends once it is certain enough whether it will reach
    the region's thresholds, by the curves of finished trials of the same attack, epochs and kinds.
    At most 1 - `confidence` of those like it ended otherwise, by an exact 95 % bound; that takes 29
    finished curves for 0.9, 59 for 0.95, 299 for 0.99, of at least three seeds. verdict: `fails`
    stops what will fail a threshold, so that only points with a failing seed lose trials; `any`
    also stops what will pass both. control: the share of trials, drawn by their ids, that are held
    out: they run to their end whatever is predicted, and show how often that was wrong. Where clean
    accuracy is `best - x`, only attack success is predicted.

    A stopped trial has no result: its point stays INCOMPLETE in the region, and may have been a
    part of it. Tune's time_attr, max_t and mode follow from the trial and the metric.
    """

    kind: Literal["none", "asha", "median", "certain"] = "none"
    metric: Literal["score", "validation_accuracy", "attack_success"] = "score"
    grace_period: Annotated[int, Field(ge=1, le=LARGEST)] = 1
    reduction_factor: Annotated[float, Field(gt=1)] = 4
    min_samples_required: Annotated[int, Field(ge=1)] = 3
    confidence: Annotated[float, Field(gt=0.5, lt=1)] = 0.95
    control: Annotated[float, Field(gt=0, lt=1)] = 0.1
    verdict: Literal["fails", "any"] = "fails"

    @property
    def words(self) -> str:
        """What is stopped, for `sweeps check`."""
        if self.kind == "certain":
            what = "what fails" if self.verdict == "fails" else "what fails or passes"
            certain = f"with {100 * self.confidence:g} % certainty"
            held_out = f"but for {100 * self.control:g} % held out"
            return f"{what} {certain}, {held_out}, from epoch {self.grace_period} on"
        return f"by {self.kind} on {self.metric}, from epoch {self.grace_period} on"


#: Settings of `stopping` that each kind has.
RULE_OPTIONS = {
    "none": frozenset[str](),
    "asha": frozenset({"metric", "grace_period", "reduction_factor"}),
    "median": frozenset({"metric", "grace_period", "min_samples_required"}),
    "certain": frozenset({"grace_period", "confidence", "control", "verdict"}),
}


class Tracking(Section):
    """uri: of MLflow's tracking store; by default $MLFLOW_TRACKING_URI, else a sqlite file in the
    results folder. A password in it may be left out by `***`: then $MLFLOW_TRACKING_URI has the
    whole address. runs: what an MLflow run stands for, a `trial`, or a defence `point` with the
    figures of the whole panel. `tracking: none` switches the mirror off."""

    uri: str | None = None
    runs: Literal["trial", "point"] = "trial"

    @pydantic.field_validator("uri")
    @classmethod
    def _usable(cls, value: str | None) -> str | None:
        if value is not None and (rule := broken_rule(value)) is not None:
            raise ValueError(rule)
        return value


class Document(Section):
    """The spec as a file has it."""

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")]
    data: Any
    defence: Any
    attack: Any
    training: Any = None
    seeds: Any = None
    search: Any = None
    region: Any = None
    resources: Any = None
    stopping: Any = None
    tracking: Any = None
    probes: Any = None
    curve_every: Annotated[int, Field(ge=0, le=LARGEST)] = 0


def validate(model: type[Any], given: Any, place: str, warn: Warn) -> Any:
    """A pydantic model of `given`; its errors as our mistakes, with the near miss of a key."""
    if not isinstance(given, Mapping):
        known = ", ".join(model.model_fields)
        warn(Mistake(place, "must be a mapping", scrubbed_value(given), f"Known: {known}."))
        return None
    # A section without a value is a section that is not there.
    present = {key: value for key, value in given.items() if value is not None}
    try:
        return model.model_validate(present)
    except pydantic.ValidationError as error:
        for mistake in _mistakes(model, error.errors(), place):
            warn(mistake)
        return None


def _name_rule(name: str) -> str:
    """What a name that has not the form of one must be."""
    rule = "must begin with a letter or digit and hold only those, '.', '_' and '-'"
    length = f"must have at most {LONGEST_NAME} characters"
    if re.fullmatch("[A-Za-z0-9][A-Za-z0-9._-]*", name):
        return length
    return rule if len(name) <= LONGEST_NAME else f"{rule}, and {length}"


def _mistakes(model: type[Any], errors: Iterable[Any], place: str) -> list[Mistake]:
    known = list(model.model_fields)
    found: dict[str, Mistake] = {}
    for error in errors:
        name = str(error["loc"][0]) if error["loc"] else ""
        at = f"{place}.{name}" if place and name else place or name
        rule, value = error["msg"].lower(), scrubbed_value(error.get("input"))
        remedy = change_remedy(value)
        if error["type"] == "extra_forbidden":
            rule, remedy = "is not a known key", suggest(name, known)
            if not place and nearest(name, known) is None and (meant := dotted_key(name)):
                remedy = f"Did you mean {meant!r}?"
        elif error["type"] == "missing":
            rule, remedy, value = "must be given", f"Add `{name}:`.", None
        elif error["type"] == "literal_error":
            options = error["ctx"]["expected"].replace("'", "").replace(" or ", ", ").split(", ")
            near = nearest(str(value), options)
            rule = f"must be one of {', '.join(options)}"
            remedy = f"Did you mean {near!r}?" if near else remedy
        elif error["type"] == "string_pattern_mismatch":
            rule = _name_rule(str(error.get("input")))
        elif error["type"] == "invalid_key":
            key = error.get("input")
            at = f"{at if place else 'spec.' + at}"
            rule, value, remedy = "must be text, as each key is", key, suggest("", known)
        elif error["type"] == "value_error":
            rule = str(error["ctx"]["error"])
            if isinstance(error["ctx"]["error"], (SuccessRuleError, DurationError)):
                remedy = error["ctx"]["error"].remedy
        elif rule.startswith("input should"):
            rule = rule.replace("input should", "must")
        found.setdefault(at, Mistake(at, rule, value, remedy))
    return list(found.values())
