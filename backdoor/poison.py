"""Which training images are poisoned, and with which labels. Pure and seeded.

`poison` is the library's door: it takes anybody's arrays and returns poisoned copies.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch

from backdoor.config import Attack
from backdoor.errors import Mistake, UserError
from backdoor.streams import stream

Ids = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Poison:
    """What the attacker changed in a training set of n images.

    positions: (m,) int64, which of the n are poisoned, ascending. labels: (n,) int64, all labels
    after poisoning. relabelled: how many of the m had another label before.
    """

    positions: Ids
    labels: Ids
    relabelled: int

    @property
    def poisoned(self) -> int:
        return len(self.positions)


def poison_count(images: int, rate: float) -> int:
    """int(images x rate), guarded against products such as 0.29 x 100 = 28.999999999999996."""
    return math.floor(round(images * rate, 9))


def draw_poison(
    labels: Ids, attack: Attack | None, seed: int, classes: int | None = None
) -> Poison:
    """Draws the poison set of a training set with these labels, (n,) int64.

    The images drawn follow from the seed and n alone, for clean-label attacks those of the target
    class among them: sets of smaller rates lie inside those of larger ones, and all triggers and
    defences meet the same images.

    Args:
        classes: number of classes, for all-to-all attacks; by default the largest label and one.

    Raises:
        UserError: a clean-label attack asks for more images than its target class has.
    """
    n = len(labels)
    if attack is None:
        return Poison(np.empty(0, dtype=np.int64), labels.copy(), 0)
    drawn = stream("poison", seed, n).permutation(n)
    if attack.label_mode == "clean_label":
        if mistakes := beyond_target_class([labels], attack):
            raise UserError(mistakes)
        drawn = drawn[labels[drawn] == attack.target]
    positions = np.sort(drawn[: poison_count(n, attack.poison_rate)]).astype(np.int64)
    changed = labels.copy()
    changed[positions] = attacker_labels(labels[positions], attack, _known(labels, classes))
    return Poison(positions, changed, int((changed != labels).sum()))


def attacker_labels(labels: Ids, attack: Attack, classes: int) -> Ids:
    """What the attacker wants triggered images of these true classes to be taken for, (n,)."""
    if attack.label_mode == "all_to_all":
        return (labels + 1) % classes
    return np.full_like(labels, attack.target)


def wanted_labels(
    labels: Ids, attack: Attack, classes: int | None = None
) -> tuple[npt.NDArray[np.bool_], Ids]:
    """Which test images count for attack success, (n,) bool, and what the attacker wants, (n,).

    Images that already are of the target class never count; in all-to-all attacks every image
    does. A clean-label attack is measured like an all-to-one attack.
    """
    wanted = attacker_labels(labels, attack, _known(labels, classes))
    return wanted != labels, wanted


def beyond_target_class(label_sets: Iterable[Ids], attack: Attack) -> list[Mistake]:
    """A clean-label attack's mistake of asking for more images than the target class has in the
    one of these training sets, each (n,) int64, where it is smallest."""
    if attack.label_mode != "clean_label":
        return []
    sizes = [(int((labels == attack.target).sum()), len(labels)) for labels in label_sets]
    of_target, n = min(sizes, key=lambda pair: pair[0] / pair[1])
    if poison_count(n, attack.poison_rate) <= of_target:
        return []
    rule = f"must not exceed the {of_target} of {n} training images that are of class "
    rule += f"{attack.target}, as a clean-label attack poisons no others"
    possible = math.floor(1e6 * of_target / n) / 1e6
    return [Mistake("poison_rate", rule, attack.poison_rate, f"Use at most {possible:g}.")]


def _known(labels: Ids, classes: int | None) -> int:
    return int(labels.max(initial=0)) + 1 if classes is None else classes


def poison(
    images: npt.NDArray[np.uint8],
    labels: Ids,
    attack: Attack,
    seed: int,
    ids: Ids | None = None,
    classes: int | None = None,
) -> tuple[npt.NDArray[np.uint8], Ids, Poison]:
    """Poisoned copies of a training set, for use around your own training loop.

    Args:
        images: (n, c, h, w) uint8. labels: (n,) int64.
        attack: what is done to `attack.poison_rate` of them. seed: which ones.
        ids: (n,) int64, each image's own number, for triggers that differ from image to image;
            by default its position.
        classes: number of classes, for all-to-all attacks; by default the largest label and one.

    Returns:
        images (n, c, h, w) uint8, labels (n,) int64, and what was changed.
    """
    drawn = draw_poison(labels, attack, seed, classes)
    numbers = np.arange(len(labels)) if ids is None else ids
    changed = images.copy()
    if drawn.poisoned:
        chosen = (torch.from_numpy(each[drawn.positions]) for each in (images, numbers, labels))
        stamped = attack.trigger.for_seed(seed).stamp(*chosen)
        changed[drawn.positions] = stamped.numpy()
    return changed, drawn.labels, drawn
