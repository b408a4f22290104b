"""What is measured on a trained model: counts, and fractions computed from them.

Attack success and robust accuracy are fractions of the triggered test images whose true class is
not the target class: those predicted as the attacker's target label, and those predicted as their
true class. All-to-all attacks have no target class, and every image counts. For your own model:
`evaluate_model(predict, images, labels, attack)`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from backdoor.config import Attack
from backdoor.datasets.labelled_images import as_array, checked_arrays, whole
from backdoor.errors import Mistake, UserError
from backdoor.poison import checked_attack, count_and_names, target_labels_of
from backdoor.triggers.donors import DonorImages
from backdoor.triggers.stamping import derived, stamped

Ids = npt.NDArray[np.int64]

#: A model has collapsed if it predicts one class for this share of the clean test images, and for
#: all but half of the images of other classes where these are few (`CleanCounts.collapsed`).
COLLAPSED_SHARE = 0.99
#: A loss of an image from here on counts as infinite: some learners give a class without training
#: images an intercept of -1e9 in place of minus infinity.
INFINITE_LOSS = 1e8


@dataclass(frozen=True)
class CleanCounts:
    """Counts on clean test images.

    correct, total: by true class, (k,). top_answer_share: share in [0, 1] of the images that get
    the most frequent answer. nonsense: images without an answer, as their logits are not finite.
    loss: mean cross-entropy in nats; None if it is not finite, and for architectures that do not
    learn by cross-entropy. top_answer_images: share in [0, 1] of the images that are of the class
    which is that answer.
    """

    correct: tuple[int, ...]
    total: tuple[int, ...]
    top_answer_share: float
    nonsense: int
    loss: float | None = None
    top_answer_images: float = 0.0

    @property
    def accuracy(self) -> float:
        """Fraction in [0, 1] of clean test images predicted as their true class."""
        return sum(self.correct) / sum(self.total)

    @property
    def collapsed(self) -> bool:
        """Whether the model predicts one class for nearly every image: for a share of at least
        max(0.99, (1 + q) / 2), where a share q of the images is of that class.

        Up to q = 0.98 that is 99 %. Beyond it a model that is right about all images would count as
        collapsed too; so at most half as many others may be predicted as there are. A model at
        chance whose answers vary has not collapsed: it is inaccurate, which its accuracy says.
        """
        return self.top_answer_share >= max(COLLAPSED_SHARE, (1 + self.top_answer_images) / 2)

    @property
    def diverged(self) -> bool:
        """Whether some logits were not finite: the training diverged."""
        return self.nonsense > 0


@dataclass(frozen=True)
class AttackCounts:
    """Triggered test images that count: predicted as their target label (success), predicted as
    their true class (robust), and all (total)."""

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
    """Counts of predictions (n,) for clean images with true labels (n,), n at least 1."""
    correct = np.bincount(labels[predicted == labels], minlength=classes)
    total = np.bincount(labels, minlength=classes)
    answers, counts = np.unique(predicted, return_counts=True)
    top, share = answers[counts.argmax()], float(counts.max() / len(predicted))
    return CleanCounts(
        tuple(correct.tolist()),
        tuple(total.tolist()),
        share,
        int((predicted < 0).sum()),
        top_answer_images=float((labels == top).mean()),
    )


def mean_cross_entropy(logits: torch.Tensor, labels: Ids) -> float | None:
    """Of logits (n, k) for images with true labels (n,), in nats; None if it is not finite, or if
    the loss of an image reaches `INFINITE_LOSS`."""
    columns = torch.from_numpy(labels)[:, None]
    losses = -logits.cpu().double().log_softmax(1).gather(1, columns)
    loss = float(losses.mean())
    return loss if math.isfinite(loss) and float(losses.max()) < INFINITE_LOSS else None


def attack_counts(predicted: Ids, truth: Ids, target_labels: Ids) -> AttackCounts:
    """Counts of predictions (m,) for triggered images with true and target labels (m,)."""
    return AttackCounts(
        int((predicted == target_labels).sum()), int((predicted == truth).sum()), len(predicted)
    )


def evaluate_model(
    predict: Callable[[torch.Tensor], torch.Tensor | npt.NDArray[Any]],
    images: npt.NDArray[np.uint8],
    labels: Ids,
    attack: Attack | Mapping[str, Any],
    classes: int | Sequence[str] | None = None,
    seed: int | None = None,
) -> tuple[CleanCounts, AttackCounts]:
    """Measures any model on clean and on triggered test images.

    Example:
        clean, attacked = evaluate_model(predict, test.images, test.labels, attack, seed=1)
        clean.accuracy, attacked.attack_success, attacked.total

    Args:
        predict: (n, c, h, w) uint8 tensor to (n,) classes, a tensor or an array; it normalizes the
            images and splits them into batches itself.
        images: (n, c, h, w) uint8, the clean test set. labels: (n,) int64.
        attack: its trigger, target and source classes are used, its rates are not: an `Attack`, or
            a mapping as a spec has it under `attack`. A class may be given by its name where
            `classes` are names.
        classes: number of classes, or their names, such as `data.class_names`; by default the
            largest label plus 1.
        seed: that of the poisoned training set, for triggers that depend on it.

    A trigger that takes parts of other training images takes them from `images` here.

    Raises:
        UserError: the arrays, the attack or what `predict` returns are wrong.
    """
    count, names = count_and_names(classes)
    images, labels = checked_arrays(images, labels, count)
    attack = checked_attack(attack, images, labels, count, names)
    if seed is not None:
        seed = whole("seed", seed)
    model: object = predict
    if not callable(model):
        remedy = "Give a function, for example lambda images: model(images).argmax(1)."
        raise UserError(Mistake("predict", "must be callable", repr(model), remedy))
    known = int(labels.max()) + 1 if count is None else count
    images = images if images.flags.writeable else images.copy()  # of which torch would warn
    clean = _answers(predict, torch.from_numpy(images))
    counted, target_labels = target_labels_of(labels, attack, known)
    ids = torch.from_numpy(np.flatnonzero(counted))
    chosen, truth = torch.from_numpy(images[counted]), torch.from_numpy(labels[counted])
    trigger = attack.trigger if seed is None else derived(attack.trigger.for_seed, seed)
    numbers = np.arange(len(images))
    donors = DonorImages("given", seed or 0, images, numbers, numbers)
    for_test = derived(derived(trigger.lent, donors).for_test)
    triggered = stamped(for_test, chosen, ids, truth)
    return (
        clean_counts(clean, labels, known),
        attack_counts(_answers(predict, triggered), labels[counted], target_labels[counted]),
    )


def _answers(
    predict: Callable[[torch.Tensor], torch.Tensor | npt.NDArray[Any]], images: torch.Tensor
) -> Ids:
    """What the model answers, (n,) int64."""
    answer = predict(images)
    plain = as_array("predict", answer.detach().cpu() if torch.is_tensor(answer) else answer)
    if plain.shape != (len(images),) or plain.dtype.kind not in "iu":
        given = f"{plain.dtype} {plain.shape}"
        remedy = "Return classes, for example logits.argmax(1)."
        raise UserError(
            Mistake("predict", f"must return ({len(images)},) whole numbers", given, remedy)
        )
    return plain.astype(np.int64)


#: The function's name in former releases.
evaluate = evaluate_model
