"""What is measured on a trained model: counts first, fractions from them.

Attack success and robust accuracy look at triggered test images whose true class is not the
target: predicted as the attacker wants, and predicted as their true class. Neither ever counts an
image of the target class; an all-to-all attack has none, and every image counts. For your own
model: `evaluate(predict, images, labels, attack)`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch

from backdoor.config import Attack
from backdoor.poison import target_labels_of
from backdoor.triggers.donors import DonorImages

Ids = npt.NDArray[np.int64]

#: A model is collapsed when this share of clean test images gets one and the same answer.
COLLAPSED_SHARE = 0.99
#: An image's loss from here on stands for an infinite one: some learners give a class without
#: training images an intercept of -1e9, whose best one is minus infinity.
ENDLESS = 1e8


@dataclass(frozen=True)
class CleanCounts:
    """Clean test images: correct and total by true class, (k,) each, and the commonest answer.

    loss: mean cross-entropy by the natural logarithm; None for what does not learn by it, and
    where it is not finite.
    """

    correct: tuple[int, ...]
    total: tuple[int, ...]
    top_answer_share: float
    nonsense: int
    loss: float | None = None

    @property
    def accuracy(self) -> float:
        """Fraction in [0, 1] of clean test images predicted as their true class."""
        return sum(self.correct) / sum(self.total)

    @property
    def collapsed(self) -> bool:
        """Whether the model gives (nearly) every image the same answer."""
        return self.top_answer_share >= COLLAPSED_SHARE

    @property
    def diverged(self) -> bool:
        """Whether some logits were not finite: the training diverged."""
        return self.nonsense > 0


@dataclass(frozen=True)
class AttackCounts:
    """Triggered test images that count: predicted as wanted, as their true class, and all."""

    success: int
    robust: int
    total: int

    @property
    def attack_success(self) -> float:
        """Fraction in [0, 1]; NaN where no image counts."""
        return self.success / self.total if self.total else float("nan")

    @property
    def robust_accuracy(self) -> float:
        """Fraction in [0, 1]; NaN where no image counts."""
        return self.robust / self.total if self.total else float("nan")


def clean_counts(predicted: Ids, labels: Ids, classes: int) -> CleanCounts:
    """Counts of predictions (n,) for clean images with true labels (n,)."""
    correct = np.bincount(labels[predicted == labels], minlength=classes)
    total = np.bincount(labels, minlength=classes)
    answers = np.unique(predicted, return_counts=True)[1]
    share = float(answers.max() / len(predicted))
    return CleanCounts(
        tuple(correct.tolist()), tuple(total.tolist()), share, int((predicted < 0).sum())
    )


def mean_cross_entropy(logits: torch.Tensor, labels: Ids) -> float | None:
    """Of logits (n, k) for images with true labels (n,), in nats; None where it is not finite, or
    an image's is beyond `ENDLESS`."""
    target_labels = torch.from_numpy(labels)[:, None]
    losses = -logits.cpu().double().log_softmax(1).gather(1, target_labels)
    loss = float(losses.mean())
    return loss if math.isfinite(loss) and float(losses.max()) < ENDLESS else None


def attack_counts(predicted: Ids, truth: Ids, target_labels: Ids) -> AttackCounts:
    """Counts of predictions (m,) for triggered images that `target_labels_of` counts."""
    return AttackCounts(
        int((predicted == target_labels).sum()), int((predicted == truth).sum()), len(predicted)
    )


def evaluate(
    predict: Callable[[torch.Tensor], torch.Tensor],
    images: npt.NDArray[np.uint8],
    labels: Ids,
    attack: Attack,
    classes: int | None = None,
    seed: int | None = None,
) -> tuple[CleanCounts, AttackCounts]:
    """Measures any model against one attack.

    Args:
        predict: (n, c, h, w) uint8 to (n,) classes; normalisation is its own business.
        images: (n, c, h, w) uint8, the clean test set. labels: (n,) int64.
        attack: its trigger and target are used, its poison rate is not.
        classes: number of classes; by default the largest label and one.
        seed: the one that the training set was poisoned with, for triggers that draw by it.

    A trigger that borrows from other training images borrows from `images` here.
    """
    known = int(labels.max()) + 1 if classes is None else classes
    clean = predict(torch.from_numpy(images)).cpu().numpy().astype(np.int64)
    counted, target_labels = target_labels_of(labels, attack, known)
    ids = torch.from_numpy(np.flatnonzero(counted))
    chosen, truth = torch.from_numpy(images[counted]), torch.from_numpy(labels[counted])
    trigger = attack.trigger if seed is None else attack.trigger.for_seed(seed)
    numbers = np.arange(len(images))
    donors = DonorImages("given", seed or 0, images, numbers, numbers)
    stamped = trigger.lent(donors).for_test().stamp(chosen, ids, truth)
    answers = predict(stamped).cpu().numpy().astype(np.int64)
    return (
        clean_counts(clean, labels, known),
        attack_counts(answers, labels[counted], target_labels[counted]),
    )
