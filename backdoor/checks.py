"""Mistakes of a trial that can be found before training, but not by one of its parts alone."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt

from backdoor.architectures import Shape
from backdoor.config import Attack, Defence, TrialConfig
from backdoor.datasets.source import Source, split
from backdoor.errors import Mistake, UserError
from backdoor.poison import beyond_classes, poison_count, target_labels_of
from backdoor.settings.kind_checks import mistakes_of

Ids = npt.NDArray[np.int64]
#: How many classes the message of a mistake names.
SHOWN = 10


def check_trial(config: TrialConfig, source: Source, seeds: Sequence[int] = ()) -> None:
    """Raises every mistake that no part of the trial can see alone: sizes, classes, counts.

    seeds: all seeds that the trial will be run with, where its own is not the only one.

    Raises:
        UserError: with all mistakes.
    """
    mistakes: list[Mistake] = []
    try:
        splits = [split(config.data, source, seed) for seed in {config.seed, *seeds}]
        label_sets = [source.labels[parts.train] for parts in splits]
        if (attack := config.attack) is not None:
            mistakes += _nothing_to_attack([source.labels[parts.test] for parts in splits], attack)
    except UserError as error:
        mistakes += error.inside("data").mistakes
        label_sets = []
    images = len(label_sets[0]) if label_sets else 0
    shape, features = source.shape, config.training.features
    if features is not None:
        misfits = mistakes_of(features, "fits", shape)
        mistakes += [m.inside("training.features") for m in misfits]
        shape = shape if misfits else features.shape
    against = _against_defence(config.defence, source, images, shape)
    mistakes += [m.inside("defence") for m in against]
    if config.attack is not None:
        mistakes += [m.inside("attack") for m in _against_attack(config.attack, source, label_sets)]
    if mistakes:
        raise UserError(mistakes)


def _nothing_to_attack(test_labels: list[Ids], attack: Attack) -> list[Mistake]:
    """Attack success needs test images for every seed: not of the target class, and of the source
    classes if the attack has some."""
    classes = 1 + max(int(labels.max()) for labels in test_labels)
    if max(attack.target, *(attack.source or (0,))) >= classes:
        return []
    if all(target_labels_of(labels, attack, classes)[0].any() for labels in test_labels):
        return []
    rule = "must leave test images that are not of the target class, for every seed"
    if attack.source is not None:
        names = " or ".join(map(str, attack.source))
        rule = f"must leave test images of class {names}, for every seed"
    return [Mistake("data.test", rule, len(test_labels[0]), "Ask for more test images.")]


def _against_defence(
    defence: Defence, source: Source, images: int, shape: Shape
) -> Iterator[Mistake]:
    """Mistakes of a defence point.

    images: size of the training set, 0 if unknown. shape: of the images as learners see them.
    """
    architecture = defence.architecture
    misfits = [m.inside("architecture") for m in mistakes_of(architecture, "fits", shape)]
    yield from misfits
    if not misfits and architecture.takes_regularizer:
        asked = architecture, shape, len(source.class_names)
        fits = mistakes_of(defence.regularizer, "fits", *asked)
        yield from (m.inside("regularizer") for m in fits)
    if architecture.needs_weight_decay and not defence.weight_decay:
        rule = f"must be above 0 for {architecture.kind_name()}, which is solved exactly"
        remedy = "Give this architecture a weight_decay of its own, for example 0.001."
        yield Mistake("weight_decay", rule, defence.weight_decay, remedy)
    most = architecture.most_images
    if most is not None and images > most:
        rule = f"must have at most {most} training images, as it compares each with every other"
        remedy = f"Set data.train to {most} or fewer, or choose another architecture."
        yield Mistake("architecture", rule, images, remedy)


def _against_attack(attack: Attack, source: Source, label_sets: list[Ids]) -> Iterator[Mistake]:
    """Mistakes of an attack. label_sets: labels of the training sets, empty if unknown."""
    classes = len(source.class_names)
    yield from (m.inside("trigger") for m in mistakes_of(attack.trigger, "fits", source.shape))
    if attack.target >= classes:
        rule = f"must be one of the {classes} classes, 0 to {classes - 1}"
        remedy = f"Choose another class{_numbered(source.class_names)}."
        yield Mistake("target", rule, attack.target, remedy)
    elif max(attack.source or (0,)) >= classes:
        rule = f"must be some of the {classes} classes, 0 to {classes - 1}"
        remedy = f"Choose other classes{_numbered(source.class_names)}."
        yield Mistake("source", rule, list(attack.source or ()), remedy)
    elif label_sets:
        yield from beyond_classes(label_sets, attack)
    images = len(label_sets[0]) if label_sets else 0
    if images and not poison_count(images, attack.poison_rate):
        rule = f"must poison at least one of the {images} training images, or be 0"
        remedy = f"Use at least {1 / images:.2g}, or 0 for the clean baseline."
        yield Mistake("poison_rate", rule, attack.poison_rate, remedy)
    if images and attack.cover_rate and not poison_count(images, attack.cover_rate):
        rule = f"must make at least one of the {images} training images a cover sample, or be 0"
        remedy = f"Use at least {1 / images:.2g}, or 0 for none."
        yield Mistake("cover_rate", rule, attack.cover_rate, remedy)


def _numbered(names: Sequence[str]) -> str:
    """`: number 0 is 7, 1 is 1` if the names of classes are not their numbers, else nothing."""
    numbered = [f"{number} is {name}" for number, name in enumerate(names)]
    # torchvision names MNIST's classes `0 - zero`.
    if all(name.partition(" ")[0] == str(number) for number, name in enumerate(names)):
        return ""
    return f": number {', '.join(numbered[:SHOWN])}" + (", ..." if len(numbered) > SHOWN else "")
