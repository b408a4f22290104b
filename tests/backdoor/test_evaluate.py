"""Measuring somebody else's model."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from trials import DIGITS, trial

from backdoor.config import build_attack
from backdoor.datasets.source import load_source
from backdoor.errors import UserError
from backdoor.evaluate import attack_counts, evaluate, mean_cross_entropy
from backdoor.poison import poison
from backdoor.trial import run_pack


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


def test_a_class_that_cannot_be_answered_has_no_finite_loss() -> None:
    """Logistic regression gives a class without training images an intercept of -1e9."""
    logits = torch.tensor([[0.0, 1.0, -1e9], [2.0, 0.0, -1e9]])
    expected = torch.nn.functional.cross_entropy(logits, torch.tensor([1, 0])).item()
    assert mean_cross_entropy(logits, np.array([1, 0])) == pytest.approx(expected)
    assert mean_cross_entropy(logits, np.array([1, 2])) is None
    assert mean_cross_entropy(logits * torch.nan, np.array([1, 0])) is None
    (few,) = run_pack([trial("logistic", weight_decay=1.0, data=replace(DIGITS, train=12))])
    assert few.clean_loss is None and sum(few.class_correct) > 0


def test_fractions_of_nothing_are_not_numbers() -> None:
    nothing = np.empty(0, dtype=np.int64)
    counts = attack_counts(nothing, nothing, nothing)
    assert counts.total == 0 and np.isnan(counts.attack_success)


def test_a_trigger_that_draws_by_the_seed_is_told_the_seed() -> None:
    source = load_source(DIGITS)
    images, labels = source.images[:200], source.labels[:200]
    noise = {"kind": "patch", "pattern": "noise_per_class", "size": 2}
    attack = build_attack({"trigger": noise, "label_mode": "all_to_all", "poison_rate": 1})
    stamped, target_labels, _ = poison(images, labels, attack, seed=7)
    answers = {
        image.tobytes(): int(label) for image, label in zip(stamped, target_labels, strict=True)
    }

    def predict(batch: torch.Tensor) -> torch.Tensor:
        return torch.tensor([answers.get(image.numpy().tobytes(), 0) for image in batch])

    _, attacked = evaluate(predict, images, labels, attack, seed=7)
    assert attacked.total == 200 and attacked.attack_success == 1.0
    _, other = evaluate(predict, images, labels, attack, seed=8)
    assert other.attack_success < 0.3
    with pytest.raises(UserError, match="pattern_seed: must be known to stamp images"):
        evaluate(predict, images, labels, attack)
