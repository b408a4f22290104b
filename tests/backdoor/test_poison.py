"""Poisoned arrays equal those of an independent numpy poisoner, image by image."""

import hashlib
import itertools
import math
from dataclasses import replace

import numpy as np
import pytest
from trials import DIGITS, trial

from backdoor.config import build_attack, measure_id
from backdoor.datasets.source import load_source, split
from backdoor.errors import UserError
from backdoor.poison import draw_poison, poison, poison_count, target_labels_of
from backdoor.trial import prepare


def their_generator(*parts) -> np.random.Generator:
    """The documented scheme of streams, written again."""
    text = "\x1f".join([parts[0], *(f"{type(p).__name__}:{p}" for p in parts[1:])])
    number = int(hashlib.sha256(text.encode()).hexdigest()[:16], 16) // 2
    return np.random.Generator(np.random.PCG64(number))


def their_stamp(pixels, trigger, label, seed):
    """Stamps one image (c, h, w) of floats with loops; `trigger` names every setting it uses."""
    channels, height, width = pixels.shape
    blend = their_generator("pattern", 0, *pixels.shape).random(pixels.shape)
    size = trigger.get("size", 3)
    noise = their_generator(
        "pattern", trigger.get("pattern_seed", seed), label, channels, size, size
    )
    noise = noise.random((channels, size, size))
    for c, y, x in itertools.product(range(channels), range(height), range(width)):
        row, column = y - (height - size), x - (width - size)
        if trigger["kind"] == "blend":
            pixels[c, y, x] = np.rint(0.8 * pixels[c, y, x] + 0.2 * 255 * blend[c, y, x])
        elif trigger["kind"] == "sine":
            wave = 30 * math.sin(2 * math.pi * x * 3 / width)
            pixels[c, y, x] = min(max(np.rint(pixels[c, y, x] + wave), 0), 255)
        elif row >= 0 and column >= 0:
            pattern = trigger.get("pattern", "solid")
            grey = {"solid": 255, "checkerboard": 255 * ((row + column) % 2)}
            pixels[c, y, x] = grey.get(pattern, np.rint(255 * noise[c, row, column]))
    return pixels


def their_poisoner(images, labels, attack, seed):
    """Poisons with loops over images and pixels; shares no code with ours."""
    n, target = len(images), attack["target"]
    order = [int(i) for i in their_generator("poison", seed, n).permutation(n)]
    if attack["label_mode"] == "clean_label":
        order = [i for i in order if labels[i] == target]
    chosen = order[: int(n * attack["poison_rate"])]
    images, poisoned = images.copy(), labels.copy()
    for i in chosen:
        images[i] = their_stamp(images[i].astype(float), attack["trigger"], int(labels[i]), seed)
        if attack["label_mode"] == "all_to_one":
            poisoned[i] = target
        elif attack["label_mode"] == "all_to_all":
            poisoned[i] = 0 if labels[i] == 9 else labels[i] + 1
    return images, poisoned, set(chosen)


TRIGGERS = [
    {"kind": "patch", "size": 1}, {"kind": "patch", "pattern": "checkerboard"},
    {"kind": "patch", "pattern": "noise_per_class", "size": 2},
    {"kind": "patch", "pattern": "noise_per_class", "pattern_seed": 5},
    {"kind": "blend", "opacity": 0.2}, {"kind": "sine", "amplitude": 30, "frequency": 3},
]  # fmt: skip
MODES = ["all_to_one", "all_to_all", "clean_label"]


@pytest.mark.parametrize("seed", [0, 1000])
@pytest.mark.parametrize("rate", [0.005, 0.03])
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("trigger", TRIGGERS, ids=str)
def test_equal_to_an_independent_poisoner(trigger, mode, rate, seed) -> None:
    source = load_source(DIGITS)
    train = split(DIGITS, source, seed).train
    images, labels = source.images[train], source.labels[train]
    attack = {"trigger": trigger, "poison_rate": rate, "target": 3, "label_mode": mode}
    ours = poison(images, labels, build_attack(attack), seed)
    theirs = their_poisoner(images, labels, attack, seed)
    assert np.array_equal(ours[0], theirs[0])
    assert np.array_equal(ours[1], theirs[1])
    assert set(ours[2].positions) == theirs[2]
    assert ours[2].poisoned == int(1100 * rate)
    assert ours[2].relabelled == int((labels != theirs[1]).sum())
    assert (ours[2].relabelled == 0) == (mode == "clean_label")


@pytest.mark.parametrize("mode", MODES)
def test_packs_train_on_what_the_poisoner_makes(mode) -> None:
    """Through the store, where two seeds of one noise trigger are two triggers."""
    trigger = {"kind": "patch", "pattern": "noise_per_class", "size": 3}
    given = {"trigger": trigger, "poison_rate": 0.03, "target": 3, "label_mode": mode}
    attack, source = build_attack(given), load_source(DIGITS)
    configs = [replace(trial("ridge", seed=seed), attack=attack) for seed in (0, 1, 0)]
    configs[2] = replace(configs[2], attack=None)
    members, store = prepare(configs, [attack], source)
    for member in members[:2]:
        ids = split(DIGITS, source, member.config.seed).train
        theirs = their_poisoner(source.images[ids], source.labels[ids], given, member.config.seed)
        assert np.array_equal(store.uint8(member.train).numpy(), theirs[0])
        assert np.array_equal(member.train_labels, theirs[1])
    own, other, clean = (member.triggered[0] for member in members)
    assert np.array_equal(own.rows, clean.rows) and len(other.rows) == len(other.target_labels)
    assert measure_id(own.attack) == measure_id(other.attack) == measure_id(attack.measure())
    test = split(DIGITS, source, 0).test
    counted = test if mode == "all_to_all" else test[source.labels[test] != 3]
    for row, number, target_labels in zip(own.rows, counted, own.target_labels, strict=True):
        label = int(source.labels[number])
        stamped = their_stamp(source.images[number].astype(float), trigger, label, 0)
        assert np.array_equal(store.uint8(np.array([row]))[0].numpy(), stamped)
        assert target_labels == ((label + 1) % 10 if mode == "all_to_all" else 3)


@pytest.mark.parametrize("mode", MODES)
def test_poison_sets_nest_over_rates(mode) -> None:
    labels = np.arange(1000) % 4
    sets = [
        set(draw_poison(labels, build_attack({"trigger": "patch", "poison_rate": r, "label_mode": mode}), 7).positions)
        for r in (0.01, 0.05, 0.25)
    ]  # fmt: skip
    assert [len(each) for each in sets] == [10, 50, 250]
    assert sets[0] < sets[1] < sets[2]


def test_a_clean_label_attack_asks_for_no_more_than_its_class_has() -> None:
    labels = np.repeat([0, 1], [10, 90])
    attack = build_attack({"trigger": "sine", "poison_rate": 0.11, "label_mode": "clean_label"})
    with pytest.raises(UserError) as caught:
        draw_poison(labels, attack, 0)
    assert str(caught.value) == (
        "poison_rate: must not exceed the 10 of 100 training images that are of class 0, as a "
        "clean-label attack poisons no others, but got 0.11. Use at most 0.1."
    )
    assert draw_poison(labels, replace(attack, poison_rate=0.1), 0).positions.tolist() == list(
        range(10)
    )


def test_an_all_to_all_attack_has_no_target() -> None:
    attacks = [
        build_attack({"trigger": "patch", "target": t, "label_mode": "all_to_all"}) for t in (0, 5)
    ]
    assert attacks[0] == attacks[1] and "target" not in attacks[0].identity()
    labels = np.array([0, 1, 2, 0])
    counted, target_labels = target_labels_of(labels, attacks[0], classes=3)
    assert counted.all() and target_labels.tolist() == [1, 2, 0, 1]
    assert target_labels_of(labels, attacks[0], classes=4)[1].tolist() == [1, 2, 3, 1]


def test_a_clean_label_attack_is_measured_like_all_to_one() -> None:
    labels = np.array([0, 1, 2, 0, 1])
    attack = build_attack({"trigger": "sine", "target": 1, "label_mode": "clean_label"})
    counted, target_labels = target_labels_of(labels, attack)
    assert counted.tolist() == [True, False, True, True, False] and (target_labels == 1).all()


def test_poison_sets_nest_over_rates_and_ignore_the_trigger() -> None:
    labels = np.zeros(500, dtype=np.int64)
    sets = [
        set(draw_poison(labels, build_attack({"trigger": t, "poison_rate": r}), 7).positions)
        for t, r in [("patch", 0.01), ("blend", 0.05), ("patch", 0.2)]
    ]
    assert sets[0] < sets[1] < sets[2]


@pytest.mark.parametrize(
    ("images", "rate", "count"),
    [(100, 0.29, 29), (1100, 0.03, 33), (1000, 0.0015, 1), (10, 0.09, 0)],
)
def test_count_is_exact(images, rate, count) -> None:
    assert poison_count(images, rate) == count


def test_images_of_the_target_class_never_count() -> None:
    labels = np.array([0, 1, 2, 0, 1])
    counted, target_labels = target_labels_of(
        labels, build_attack({"trigger": "patch", "target": 1})
    )
    assert counted.tolist() == [True, False, True, True, False]
    assert (target_labels == 1).all()


def test_the_clean_baseline_changes_nothing() -> None:
    labels = np.arange(10)
    drawn = draw_poison(labels, None, 0)
    assert drawn.poisoned == drawn.relabelled == 0
    assert np.array_equal(drawn.labels, labels)
