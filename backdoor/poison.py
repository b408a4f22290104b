"""Which training images are poisoned, and with which labels. Pure and seeded.

`poison_dataset` is for users of the library: it takes any arrays and returns poisoned copies.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from backdoor.config import Attack, build_attack
from backdoor.datasets.class_names import ClassNames
from backdoor.datasets.labelled_images import checked_arrays, checked_ids, whole
from backdoor.errors import Mistake, UserError
from backdoor.settings.kind_checks import mistakes_of
from backdoor.settings.plain import plain_settings
from backdoor.streams import stream
from backdoor.triggers.donors import DonorImages
from backdoor.triggers.stamping import derived, stamped

Ids = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Poison:
    """What the attacker changed in a training set of n images.

    positions: (m,) int64, which of the n are poisoned, ascending. labels: (n,) int64, all labels
    after poisoning. relabelled: how many of the m had a different label before. covers: (k,) int64,
    which of the n are cover samples, ascending; none of them is poisoned.
    """

    positions: Ids
    labels: Ids
    relabelled: int
    covers: Ids = field(default_factory=lambda: np.empty(0, dtype=np.int64))

    @property
    def poisoned(self) -> int:
        """How many images are poisoned."""
        return len(self.positions)

    @property
    def covered(self) -> int:
        """How many images are cover samples."""
        return len(self.covers)


def poison_count(images: int, rate: float) -> int:
    """int(images x rate), robust to products such as 0.29 x 100 = 28.999999999999996."""
    return math.floor(round(images * rate, 9))


def draw_poison(
    labels: Ids, attack: Attack | None, seed: int, classes: int | None = None
) -> Poison:
    """Draws the poison set of a training set with these labels, (n,) int64.

    Images are taken from the beginning of an order that depends on the seed and n only: for
    clean-label attacks those of the target class, for source-specific attacks those of the source
    classes. So the set of a smaller rate is a subset of that of a larger one, and all triggers and
    defences get the same images. Cover samples are taken from the end of the same order, so that
    their sets are nested too, over both rates.

    Args:
        classes: number of classes, for all-to-all attacks; by default the largest label plus 1.

    Raises:
        UserError: the classes that the attack may use have too few images.
    """
    n = len(labels)
    if attack is None:
        return Poison(np.empty(0, dtype=np.int64), labels.copy(), 0)
    order = stream("poison", seed, n).permutation(n)
    if mistakes := beyond_classes([labels], attack):
        raise UserError(mistakes)
    poisonable, coverable = (mask[order] for mask in _eligible(labels, attack))
    positions = np.sort(order[poisonable][: poison_count(n, attack.poison_rate)])
    covers = np.sort(order[coverable][::-1][: poison_count(n, attack.cover_rate)])
    changed = labels.copy()
    changed[positions] = attacker_labels(labels[positions], attack, _class_count(labels, classes))
    return Poison(positions, changed, int((changed != labels).sum()), covers)


def _eligible(labels: Ids, attack: Attack) -> tuple[Mask, Mask]:
    """Which images may be poisoned, and which may be cover samples, (n,) bool each."""
    if attack.source is not None:
        source = np.isin(labels, attack.source)
        return source, ~source & (labels != attack.target)
    if attack.label_mode == "clean_label":
        return labels == attack.target, labels != attack.target
    everything = np.ones(len(labels), dtype=bool)
    return everything, everything


def attacker_labels(labels: Ids, attack: Attack, classes: int) -> Ids:
    """The classes that the attacker wants triggered images of these true classes to get, (n,)."""
    if attack.label_mode == "all_to_all":
        return (labels + 1) % classes
    return np.full_like(labels, attack.target)


def target_labels_of(
    labels: Ids, attack: Attack, classes: int | None = None
) -> tuple[npt.NDArray[np.bool_], Ids]:
    """Which test images count for attack success, (n,) bool, and their target labels, (n,) int64.

    Images of the target class never count. In all-to-all attacks every image counts, in
    source-specific attacks only those of the source classes. A clean-label attack is measured like
    an all-to-one attack.
    """
    target_labels = attacker_labels(labels, attack, _class_count(labels, classes))
    counted = target_labels != labels
    if attack.source is not None:
        counted &= np.isin(labels, attack.source)
    return counted, target_labels


def beyond_classes(label_sets: Iterable[Ids], attack: Attack) -> list[Mistake]:
    """Mistakes of an attack that needs more images than its classes have.

    label_sets: labels (n,) int64 of training sets; the one with the fewest such images decides.
    """
    if not attack.by_class:
        return []
    sizes = [(*(int(m.sum()) for m in _eligible(s, attack)), len(s)) for s in label_sets]
    mistakes = []
    poisonable, _, n = min(sizes, key=lambda size: size[0] / size[2])
    if poison_count(n, attack.poison_rate) > poisonable:
        rule = f"must not exceed the {poisonable} of {n} training images that are of "
        rule += _poisoned_classes(attack)
        mistakes.append(Mistake("poison_rate", rule, attack.poison_rate, _at_most(poisonable, n)))
    _, coverable, n = min(sizes, key=lambda size: size[1] / size[2])
    if poison_count(n, attack.cover_rate) > coverable:
        rule = f"must not exceed the {coverable} of {n} training images that are of other classes"
        mistakes.append(Mistake("cover_rate", rule, attack.cover_rate, _at_most(coverable, n)))
    return mistakes


def _poisoned_classes(attack: Attack) -> str:
    if attack.source is None:
        return f"class {attack.target}, as a clean-label attack poisons no others"
    names = " or ".join(map(str, attack.source))
    return f"class {names}, as this attack poisons no others"


def _at_most(images: int, n: int) -> str:
    return f"Use at most {math.floor(1e6 * images / n) / 1e6:g}."


def _class_count(labels: Ids, classes: int | None) -> int:
    return int(labels.max(initial=0)) + 1 if classes is None else classes


def poison_dataset(
    images: npt.NDArray[np.uint8],
    labels: Ids,
    attack: Attack | Mapping[str, Any],
    seed: int = 0,
    ids: Ids | None = None,
    classes: int | Sequence[str] | None = None,
) -> tuple[npt.NDArray[np.uint8], Ids, Poison]:
    """Poisoned copies of a training set, cover samples included, for your own training loop.

    Example:
        attack = {"trigger": {"kind": "patch", "size": 2}, "poison_rate": 0.05, "target": 0}
        images, labels, poison = poison_dataset(train.images, train.labels, attack, seed=1)

    Args:
        images: (n, c, h, w) uint8. labels: (n,) int64.
        attack: what is done, and to which fraction of the images: an `Attack`, or a mapping as a
            spec has it under `attack`, with single values: a list is no choice here, and
            `source: [1, 2]` is one attack with two source classes. A class may be given by its name
            where `classes` are names.
        seed: decides which images are poisoned. The same seed gives the same images for all
            triggers, and a smaller rate a subset of those of a larger one.
        ids: (n,) int64, the number of each image, for triggers that differ from image to image;
            by default its position.
        classes: number of classes, or their names, such as `data.class_names`; by default the
            largest label plus 1.

    Returns:
        images (n, c, h, w) uint8, labels (n,) int64, and what was changed.

    Raises:
        UserError: the arrays or the attack are wrong, or do not fit each other.
    """
    count, names = count_and_names(classes)
    images, labels = checked_arrays(images, labels, count)
    attack = checked_attack(attack, images, labels, count, names)
    seed = whole("seed", seed)
    drawn = draw_poison(labels, attack, seed, count)
    numbers = checked_ids(ids, len(labels))
    changed = images.copy()
    donors = DonorImages("given", seed, images, np.arange(len(images)), numbers)
    trigger = derived(derived(attack.trigger.for_seed, seed).lent, donors)
    stamps = ((trigger, drawn.positions), (derived(trigger.cover, donors), drawn.covers))
    for each, positions in stamps:
        if len(positions):
            chosen = [torch.from_numpy(part[positions]) for part in (images, numbers, labels)]
            changed[positions] = stamped(each, *chosen).numpy()
    return changed, drawn.labels, drawn


def count_and_names(classes: int | Sequence[str] | None) -> tuple[int | None, tuple[str, ...]]:
    """How many classes there are, as far as the caller said so, and their names, if given.

    Raises:
        UserError: it is text, or a list of something else than text.
    """
    if classes is None or not isinstance(classes, (str, Sequence)):
        return classes, ()
    if isinstance(classes, str) or not all(isinstance(name, str) for name in classes):
        rule = "must be a number of classes, or a list of their names"
        raise UserError(Mistake("classes", rule, classes, "For example data.class_names."))
    return len(classes), tuple(classes)


def checked_attack(
    attack: Attack | Mapping[str, Any],
    images: npt.NDArray[np.uint8],
    labels: Ids,
    classes: int | None,
    names: tuple[str, ...] = (),
) -> Attack:
    """The attack, built where it is a mapping; `UserError` where it does not fit these images.

    names: of the classes, which the mapping may use; empty where they are not known.
    """
    built = attack
    if not isinstance(built, Attack):
        given = plain_settings(attack, "attack")
        if names:
            given = ClassNames(names).read_attack(given, "attack")
        built = build_attack(given)
    count = _class_count(labels, classes)
    mistakes = [
        Mistake(name, f"must be a class from 0 to {count - 1}", value, "Or say `classes`.")
        for name, values in (("target", [built.target]), ("source", built.source or ()))
        for value in values
        if value >= count
    ]
    mistakes += [m.inside("trigger") for m in mistakes_of(built.trigger, "fits", images.shape[1:])]
    if mistakes:
        raise UserError(mistakes).inside("attack")
    return built


#: The function's name in former releases.
poison = poison_dataset
