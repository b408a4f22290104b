"""What a trial is, and its id: frozen dataclasses, a canonical form, and `trial_id`.

Two trials are the same trial exactly if their canonical forms are equal. In that form defaults are
filled in, factors without effect are left out (ridge has no learning rate; at poison rate 0 a
trigger has no effect), floats have twelve digits, the seed is included, and nothing says where or
how the trial was computed.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Annotated, Any, Literal

from backdoor.architectures import Architecture
from backdoor.architectures.frozen_features import Features
from backdoor.datasets import Dataset
from backdoor.errors import Mistake, UserError
from backdoor.regularizers import Regularizer
from backdoor.regularizers.none import NoRegularizer
from backdoor.settings.digest import digest
from backdoor.settings.registry import ARCHITECTURES, DATASETS, REGULARIZERS, TRIGGERS, Family, Kind
from backdoor.settings.schema import Count, Fields, Fraction, Range, build_fields
from backdoor.settings.user_file import located
from backdoor.triggers import Trigger


@dataclass(frozen=True)
class Attack(Fields):
    """What the attacker does: which trigger, on which images, with which labels.

    poison_rate, cover_rate: fractions of the whole training set. Cover samples carry the trigger
    too, or the method's noise mode (`Trigger.cover`), but keep their true labels; no image is both
    poisoned and a cover sample. Without poison there are no cover samples: that is the clean
    baseline.
    label_mode: `all_to_one` gives poisoned images the label `target`. They are drawn from all
    classes, including the target class, whose images keep their label; both counts are recorded.
    `all_to_all` gives each image the class after its own, the last class the first; it has no
    target. `clean_label` poisons images of the target class only, and they keep their label; its
    cover samples are of the other classes.
    source: for all-to-one attacks, the classes whose images are poisoned and count for attack
    success; cover samples are then drawn from the classes that are neither source nor target.
    None: images of all classes.
    allow_weak: whether a sweep may begin with a trigger that changes nearly no image of a class. It
    says nothing of the attack itself: no identity contains it, and equal attacks may differ in it.

    Classes are numbers here. A spec, `poison_dataset` and `evaluate_model` take names too, where
    the names are known.
    """

    trigger: Trigger
    poison_rate: Fraction = 0.01
    target: Annotated[int, Range(ge=0)] = 0
    label_mode: Literal["all_to_one", "all_to_all", "clean_label"] = "all_to_one"
    source: tuple[int, ...] | None = None
    cover_rate: Fraction = 0.0
    allow_weak: bool = field(default=False, compare=False, metadata={"identity": False})

    def __post_init__(self) -> None:
        given: object = self.source
        if isinstance(given, int):
            object.__setattr__(self, "source", (given,))
        elif isinstance(given, (list, tuple)) and all(isinstance(each, int) for each in given):
            object.__setattr__(self, "source", tuple(sorted(set(given))))
        try:
            super().__post_init__()
        except UserError as error:
            raise UserError(map(_class_by_name, error.mistakes)) from None

    def inert(self) -> frozenset[str]:
        names = {"target"} if self.label_mode == "all_to_all" else set()
        # Attacks without source classes or cover samples keep the ids of before these existed.
        names |= {"source"} if self.source is None else set()
        return frozenset(names | ({"cover_rate"} if not self.cover_rate else set()))

    def rules(self) -> Iterator[Mistake]:
        if self.source is not None:
            yield from self._source_rules(self.source)
        if self.poison_rate + self.cover_rate > 1:
            rule = f"must leave room for the poison, poison_rate {self.poison_rate:g}"
            yield Mistake("cover_rate", rule, self.cover_rate, "Lower one of the two rates.")

    def _source_rules(self, source: tuple[int, ...]) -> Iterator[Mistake]:
        if self.label_mode != "all_to_one":
            why = {
                "all_to_all": "which poisons images of all classes",
                "clean_label": "which poisons images of the target class only",
            }
            rule = f"has no meaning for label_mode {self.label_mode}, {why[self.label_mode]}"
            yield Mistake("source", rule, list(source), "Leave it out, or use all_to_one.")
        elif not source or min(source) < 0 or self.target in source:
            rule = f"must be classes, numbered from 0, without the target class {self.target}"
            remedy = "Name the classes whose images are poisoned, for example 1 or [[1, 2]]."
            yield Mistake("source", rule, list(source), remedy)

    @property
    def by_class(self) -> bool:
        """Whether images must be of certain classes to be poisoned or to be cover samples."""
        return self.label_mode == "clean_label" or self.source is not None

    def measure(self) -> Attack:
        """The attack as it is measured: the same for all rates in training."""
        return replace(self, poison_rate=0.0, cover_rate=0.0)

    def measure_identity(self) -> dict[str, Any]:
        """The identity of what a measurement measures, as plain JSON values."""
        rates = ("poison_rate", "cover_rate")
        return {k: v for k, v in self.identity().items() if k not in rates}


def _class_by_name(mistake: Mistake) -> Mistake:
    """The mistake, with a remedy where a class was named and names are not known."""
    value = mistake.value
    named = isinstance(value, str) or (
        isinstance(value, (list, tuple)) and any(isinstance(each, str) for each in value)
    )
    if mistake.place not in ("target", "source") or not named:
        return mistake
    remedy = "Names of classes are known in a spec; in Python, give them as `classes=`."
    rule = "must be a class number where the names of the classes are not known"
    return replace(mistake, rule=rule, remedy=remedy)


@dataclass(frozen=True)
class Defence(Fields):
    """What the defender controls.

    weight_decay is the w in (1/n) sum loss + (w/2) ||weights||^2, for every learner. Biases,
    intercepts, and the scales and shifts of normalization layers are not decayed.
    """

    architecture: Architecture
    regularizer: Regularizer = field(default_factory=NoRegularizer)
    weight_decay: Annotated[float, Range(ge=0)] = 0.0
    learning_rate: Annotated[float, Range(gt=0)] = 0.1
    momentum: Annotated[float, Range(ge=0, lt=1)] = 0.9
    epochs: Count = 30

    def active(self) -> dict[str, Any]:
        """The factors that have an effect, as plain JSON values."""
        return self.architecture.active(self.identity())


@dataclass(frozen=True)
class Training(Fields):
    """How training runs, the same for all trials of a sweep.

    schedule: `cosine` takes the learning rate to 0 over all steps; `constant` leaves it.
    normalization: `unit` gives pixels / 255; `standard` then subtracts the mean and divides by the
    standard deviation of the source's training pool, per channel.
    augmentation: `crop_flip` pads every training image by 4 black pixels, crops it at a new random
    place in every epoch, and mirrors about half of the images; test images stay as they are.
    stamp: `before` augmentation the trigger is moved and mirrored with its image, as when the
    attacker hands in poisoned files; `after` it stays in its place, as when the attacker controls
    the data loader.
    features: a frozen network whose penultimate layer replaces the pixels, see
    `backdoor.architectures.frozen_features`; it has a normalization of its own.
    """

    batch_size: Count = 64
    schedule: Literal["cosine", "constant"] = "cosine"
    normalization: Literal["unit", "standard"] = "unit"
    augmentation: Literal["none", "crop_flip"] = "none"
    stamp: Literal["before", "after"] = "before"
    features: Features | None = None

    def inert(self) -> frozenset[str]:
        # A training without augmentation or features is named as it was before there were any.
        left_out = {"augmentation", "stamp"} if self.augmentation == "none" else set[str]()
        return frozenset(left_out | {"features" if self.features is None else "normalization"})

    def rules(self) -> Iterator[Mistake]:
        if self.features is not None and self.augmentation != "none":
            rule = "must be none where learners see frozen features, which are made once"
            yield Mistake("augmentation", rule, self.augmentation, "Leave it out.")

    def active(self, architecture: Architecture) -> dict[str, Any]:
        return architecture.active(self.identity())


@dataclass(frozen=True)
class TrialConfig:
    """One training: data, defence point, attack (None for the clean baseline) and seed."""

    data: Dataset
    defence: Defence
    attack: Attack | None
    training: Training
    seed: int

    def __post_init__(self) -> None:
        if self.attack is not None and self.attack.poison_rate == 0:
            object.__setattr__(self, "attack", None)

    @functools.cached_property
    def canonical(self) -> dict[str, Any]:
        """The form that says which trial this is, as plain JSON values."""
        return {
            "data": _identity(self.data),
            "defence": self.defence.active(),
            "attack": None if self.attack is None else _identity(self.attack),
            "training": self.training.active(self.defence.architecture),
            "seed": self.seed,
        }

    @functools.cached_property
    def trial_id(self) -> str:
        """Sixteen hex digits; equal for equal canonical forms."""
        return digest("trial", self.canonical)

    @functools.cached_property
    def defence_id(self) -> str:
        return digest("defence", {"d": self.canonical["defence"], "t": self.canonical["training"]})

    @functools.cached_property
    def attack_id(self) -> str:
        """Eight or more hex digits, or "clean" for the baseline."""
        return "clean" if self.attack is None else digest("attack", self.canonical["attack"])


@functools.lru_cache(maxsize=1024)
def _identity(part: Fields) -> dict[str, Any]:
    """Its plain values, cached: thousands of trials share a part, and none of them changes it."""
    return part.identity()


@functools.lru_cache(maxsize=1024)
def measure_id(attack: Attack) -> str:
    """The id of what a measurement measures: trigger, target and label mode."""
    return digest("measure", attack.measure_identity())


# --- from plain values -----------------------------------------------------------------------


def build_attack(
    given: Mapping[str, Any], files: Mapping[str, str] | None = None, former: bool = False
) -> Attack:
    """An attack from plain values, `trigger` as a name or a mapping.

    files: digest → path on this machine, for the files that an identity names. former: settings
    that are missing act as before they existed (`Trigger.former`): so in every identity, and in the
    spec of a sweep that an earlier release began.
    """
    plain = located(given, files) if files else given
    attack: Attack = build_fields(Attack, _with_kinds(plain, {"trigger": TRIGGERS}, former))
    return attack


def build_defence(given: Mapping[str, Any], files: Mapping[str, str] | None = None) -> Defence:
    """A defence point from plain values, `architecture` and `regularizer` as names or mappings.

    files: as for `build_attack`.
    """
    families = {"architecture": ARCHITECTURES, "regularizer": REGULARIZERS}
    plain = located(given, files) if files else given
    defence: Defence = build_fields(Defence, _with_kinds(plain, families))
    return defence


def build_data(given: str | Mapping[str, Any]) -> Dataset:
    """A dataset from its name or a mapping with `kind`."""
    return DATASETS.build(given)


def build_training(given: Mapping[str, Any], files: Mapping[str, str] | None = None) -> Training:
    """How training runs, from plain values; `files` as for `build_attack`."""
    training: Training = build_fields(Training, dict(located(given, files) if files else given))
    return training


def build_trial(
    canonical: Mapping[str, Any], root: str | None = None, files: Mapping[str, str] | None = None
) -> TrialConfig:
    """The trial of a canonical form.

    root: where the data are on this machine. files: digest → path, where other files are.
    """
    data = dict(canonical["data"])
    if root is not None:
        data["root"] = root
    attack = canonical["attack"]
    return TrialConfig(
        build_data(data),
        build_defence(canonical["defence"], files),
        None if attack is None else build_attack(attack, files, former=True),
        build_training(canonical["training"], files),
        int(canonical["seed"]),
    )


def _with_kinds(
    given: Mapping[str, Any], families: Mapping[str, Family[Kind]], former: bool = False
) -> dict[str, Any]:
    """`given` with the components of `families` built; one `UserError` with all their mistakes."""
    built, mistakes = dict(given), list[Mistake]()
    for key, family in families.items():
        if key in built and not isinstance(built[key], Kind):
            try:
                built[key] = family.build(built[key], former)
            except UserError as error:
                mistakes += error.inside(key).mistakes
    if mistakes:
        raise UserError(mistakes)
    return built
