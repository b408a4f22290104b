"""Which training images are poisoned, and with which labels. Pure and seeded.

`poison` is the library's door: it takes anybody's arrays and returns poisoned copies.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch

from backdoor.config import Attack
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


def draw_poison(labels: Ids, attack: Attack | None, seed: int) -> Poison:
    """Draws the poison set of a training set with these labels, (n,) int64.

    The draw depends on the seed and on n alone: sets of smaller rates lie inside those of larger
    ones, and all triggers, targets and defences meet the same images.
    """
    n = len(labels)
    if attack is None:
        return Poison(np.empty(0, dtype=np.int64), labels.copy(), 0)
    drawn = stream("poison", seed, n).permutation(n)[: poison_count(n, attack.poison_rate)]
    positions = np.sort(drawn).astype(np.int64)
    changed = labels.copy()
    changed[positions] = attack.target
    return Poison(positions, changed, int((changed != labels).sum()))


def wanted_labels(labels: Ids, attack: Attack) -> tuple[npt.NDArray[np.bool_], Ids]:
    """Which test images count for attack success, (n,) bool, and what the attacker wants, (n,).

    Images that already are of the target class never count.
    """
    return labels != attack.target, np.full_like(labels, attack.target)


def poison(
    images: npt.NDArray[np.uint8], labels: Ids, attack: Attack, seed: int, ids: Ids | None = None
) -> tuple[npt.NDArray[np.uint8], Ids, Poison]:
    """Poisoned copies of a training set, for use around your own training loop.

    Args:
        images: (n, c, h, w) uint8. labels: (n,) int64.
        attack: what is done to `attack.poison_rate` of them. seed: which ones.
        ids: (n,) int64, each image's own number, for triggers that differ from image to image;
            by default its position.

    Returns:
        images (n, c, h, w) uint8, labels (n,) int64, and what was changed.
    """
    drawn = draw_poison(labels, attack, seed)
    numbers = np.arange(len(labels)) if ids is None else ids
    changed = images.copy()
    if drawn.poisoned:
        chosen = (torch.from_numpy(each[drawn.positions]) for each in (images, numbers, labels))
        stamped = attack.trigger.stamp(*chosen)
        changed[drawn.positions] = stamped.numpy()
    return changed, drawn.labels, drawn
