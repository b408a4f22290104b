"""Measuring somebody else's model."""

import numpy as np
import torch
from trials import DIGITS

from backdoor.config import build_attack
from backdoor.data import load_source
from backdoor.evaluate import attack_counts, evaluate


def test_a_model_that_is_the_backdoor_itself() -> None:
    source = load_source(DIGITS)
    images, labels = source.images[:300], source.labels[:300]
    known = {image.tobytes(): int(label) for image, label in zip(images, labels, strict=True)}
    attack = build_attack({"trigger": {"kind": "patch", "size": 1}, "target": 4})

    def predict(batch: torch.Tensor) -> torch.Tensor:
        return torch.tensor([4 if i[0, 7, 7] == 255 else known[i.numpy().tobytes()] for i in batch])

    clean, attacked = evaluate(predict, images, labels, attack)
    assert clean.accuracy == 1.0
    assert attacked.total == int((labels != 4).sum())
    assert attacked.attack_success == 1.0 and attacked.robust_accuracy == 0.0


def test_fractions_of_nothing_are_not_numbers() -> None:
    nothing = np.empty(0, dtype=np.int64)
    counts = attack_counts(nothing, nothing, nothing)
    assert counts.total == 0 and np.isnan(counts.attack_success)
