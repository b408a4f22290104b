"""`load_data`, `poison_dataset` and `evaluate_model` around one's own training loop."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from trials import trial

from backdoor import Attack, UserError, evaluate_model, load_data, poison_dataset
from backdoor.config import build_attack
from backdoor.datasets.source import load_source, split
from backdoor.trial import prepare

ATTACK = {"trigger": {"kind": "patch", "size": 2}, "poison_rate": 0.05, "target": 3}


def test_load_data_gives_the_splits_of_a_trial() -> None:
    data = load_data("digits", seed=4)
    ids = [set(part.ids.tolist()) for part in (data.train, data.validation, data.test)]
    assert sum(map(len, ids)) == len(set.union(*ids))
    config = replace(trial(seed=4), attack=build_attack(ATTACK))
    source = load_source(config.data)
    (member,), _ = prepare([config], [], source)
    own = load_data(config.data, 4)
    assert (own.train.ids == split(config.data, source, 4).train).all()
    assert (own.test.labels == member.test_labels).all()
    _, labels, poison = poison_dataset(own.train.images, own.train.labels, ATTACK, seed=4)
    assert (labels == member.train_labels).all()
    assert (poison.positions == member.poison.positions).all()
    assert data.train.images.dtype == np.uint8 and data.train.labels.dtype == np.int64
    assert data.class_names == tuple("0123456789") and len(data.test) == len(data.test.labels)
    data.train.images[0] = 0  # a copy of one's own


def test_poison_dataset_takes_the_attack_of_a_spec() -> None:
    train = load_data(seed=1).train
    images, labels, poison = poison_dataset(train.images, train.labels, ATTACK, seed=1)
    again = poison_dataset(train.images, train.labels, build_attack(ATTACK), 1, train.ids, 10)
    assert (images == again[0]).all() and (labels == again[1]).all()
    assert poison.poisoned == int(0.05 * len(train)) and (labels[poison.positions] == 3).all()
    assert (images[poison.positions][:, :, -2:, -2:] == 255).all()
    untouched = np.setdiff1d(np.arange(len(train)), poison.positions)
    assert (images[untouched] == train.images[untouched]).all()
    lists = poison_dataset(torch.from_numpy(train.images), train.labels.tolist(), ATTACK, seed=1)
    assert (lists[0] == images).all()


def test_evaluate_model_counts_what_the_answers_say() -> None:
    test = load_data(seed=1).test

    def predict(images: torch.Tensor) -> torch.Tensor:
        """Right on clean images, the target on triggered ones."""
        stamped = (images[:, :, -2:, -2:] == 255).flatten(1).all(1)
        known = {
            image.tobytes(): int(label)
            for image, label in zip(test.images, test.labels, strict=True)
        }
        right = [known.get(image.numpy().tobytes(), 0) for image in images]
        return torch.where(stamped, 3, torch.tensor(right))

    clean, attacked = evaluate_model(predict, test.images, test.labels, ATTACK)
    assert clean.accuracy == 1 and attacked.attack_success == 1
    assert attacked.total == int((test.labels != 3).sum())
    as_arrays = evaluate_model(lambda x: predict(x).numpy(), test.images, test.labels, ATTACK)
    assert as_arrays == (clean, attacked)


IMAGES = np.zeros((6, 1, 8, 8), dtype=np.uint8)
LABELS = np.array([0, 1, 2, 3, 0, 1])


@pytest.mark.parametrize(
    ("images", "labels", "attack", "message"),
    [
        (IMAGES / 255, LABELS, ATTACK, r"images: .*uint8.*got 'float64 .*255 \* images"),
        (IMAGES.transpose(0, 2, 3, 1), LABELS, ATTACK, r"transpose\(0, 3, 1, 2\)"),
        (IMAGES[:, 0], LABELS, ATTACK, r"images\[:, None\]"),
        (IMAGES[:0], LABELS[:0], ATTACK, "at least one image"),
        (IMAGES, LABELS[:-1], ATTACK, "labels: must be as many as the 6 images, but got 5"),
        (IMAGES, LABELS.astype(float), ATTACK, r"labels: must be \(n,\) whole numbers"),
        (IMAGES, LABELS - 1, ATTACK, "from 0, but got -1"),
        (IMAGES, LABELS, ATTACK | {"target": 4}, "attack.target: must be a class from 0 to 3"),
        (IMAGES, LABELS, ATTACK | {"source": 7}, "attack.source: must be a class from 0 to 3"),
        (IMAGES, LABELS, ATTACK | {"poison_rate": 2}, "poison_rate: must be .*<= 1"),
        (IMAGES, LABELS, ATTACK | {"trigger": "pach"}, "patch"),
        (IMAGES, LABELS, {"trigger": {"kind": "patch", "size": 9}}, "trigger.size: must not be larger"),
        (IMAGES, LABELS, ATTACK | {"label_mode": "clean_label", "poison_rate": 1}, "must not exceed the 1 of 6"),
    ],
)  # fmt: skip
def test_wrong_arrays_and_attacks_are_refused(images, labels, attack, message) -> None:
    with pytest.raises(UserError, match=message):
        poison_dataset(images, labels, attack)
    if "exceed" not in message:  # rates have no effect on measuring
        with pytest.raises(UserError, match=message):
            evaluate_model(lambda x: torch.zeros(len(x), dtype=int), images, labels, attack)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"attack": None}, "attack: must be a mapping of settings, but got 'None'"),
        ({"attack": "standard-1"}, "attack: must be a mapping of settings"),
        ({"attack": ATTACK | {"target": {1}}}, "attack.target: must be text, a number"),
        ({"images": [[1], [1, 2]]}, "images: must be an array, but got 'builtins.list'"),
        ({"images": torch.zeros(6, 1, 8, 8, requires_grad=True)}, r"images: must be an array.*detach\(\)"),
        ({"labels": np.full(6, 2**64 - 1, dtype=np.uint64)}, "labels: must be from 0 to 999999, but got 18446"),
        ({"labels": np.array([True] * 6)}, r"labels: must be \(n,\) whole numbers"),
        ({"classes": 10.0}, "classes: must be a whole number from 1 to 1000000"),
        ({"classes": 10**12}, "classes: must be a whole number"),
        ({"seed": -1}, "seed: must be a whole number from 0"),
        ({"seed": 1.5}, "seed: must be a whole number"),
    ],
)  # fmt: skip
def test_values_of_a_wrong_kind_are_refused_by_both(change, message) -> None:
    given = {"images": IMAGES, "labels": LABELS, "attack": ATTACK} | change
    with pytest.raises(UserError, match=message):
        poison_dataset(**given)
    with pytest.raises(UserError, match=message):
        evaluate_model(lambda x: torch.zeros(len(x), dtype=int), **given)


@pytest.mark.parametrize("ids", [np.arange(5), np.arange(6.0), -np.arange(6), "abcdef"])
def test_ids_are_one_whole_number_for_each_image(ids) -> None:
    with pytest.raises(UserError, match=r"ids: must be \(6,\) whole numbers from 0"):
        poison_dataset(IMAGES, LABELS, ATTACK, ids=ids)


def test_numpy_numbers_are_numbers() -> None:
    attack = {"trigger": {"kind": "patch", "size": np.int64(2)}, "poison_rate": np.float64(0.5)}
    images, labels, _ = poison_dataset(IMAGES, LABELS, attack, seed=np.int64(3))
    again = poison_dataset(
        IMAGES, LABELS, {"trigger": {"kind": "patch", "size": 2}, "poison_rate": 0.5}, seed=3
    )
    assert (images == again[0]).all() and (labels == again[1]).all()
    for seed in ("1", -1, None):
        with pytest.raises(UserError, match="seed: must be a whole number"):
            load_data(seed=seed)
    with pytest.raises(UserError, match="predict: must be callable"):
        evaluate_model(None, IMAGES, LABELS, ATTACK)


def test_classes_can_be_more_than_the_labels_show() -> None:
    _, labels, _ = poison_dataset(
        IMAGES, LABELS, ATTACK | {"target": 9, "poison_rate": 0.5}, classes=10
    )
    assert sorted(labels)[-3:] == [9, 9, 9]
    with pytest.raises(UserError, match="labels: must be from 0 to 2, as there are 3 classes"):
        poison_dataset(IMAGES, LABELS, ATTACK, classes=3)


@pytest.mark.parametrize(
    "answer", [lambda x: x.float().flatten(1), lambda x: torch.zeros(len(x)), lambda x: [0]]
)
def test_predict_must_return_classes(answer) -> None:
    with pytest.raises(UserError, match=r"predict: must return \(6,\) whole numbers.*argmax"):
        evaluate_model(answer, IMAGES, LABELS, ATTACK)


def test_former_names_are_the_same_functions() -> None:
    from backdoor.evaluate import evaluate
    from backdoor.poison import poison

    assert evaluate is evaluate_model and poison is poison_dataset
    assert isinstance(build_attack(ATTACK), Attack)
