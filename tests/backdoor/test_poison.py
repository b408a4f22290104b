"""Poisoned arrays equal those of an independent numpy poisoner, image by image."""

import hashlib

import numpy as np
import pytest
from trials import DIGITS

from backdoor.config import build_attack
from backdoor.data import load_source, split
from backdoor.poison import draw_poison, poison, poison_count, wanted_labels


def their_generator(*parts) -> np.random.Generator:
    """The documented scheme of streams, written again."""
    text = "\x1f".join([parts[0], *(f"{type(p).__name__}:{p}" for p in parts[1:])])
    number = int(hashlib.sha256(text.encode()).hexdigest()[:16], 16) // 2
    return np.random.Generator(np.random.PCG64(number))


def their_poisoner(images, labels, kind, rate, target, seed):
    """Poisons with loops over images and pixels; shares no code with ours."""
    n, channels, height, width = images.shape
    chosen = list(their_generator("poison", seed, n).permutation(n))[: int(n * rate)]
    pattern = their_generator("pattern", 0, channels, height, width).random(
        (channels, height, width)
    )
    images, labels = images.copy(), labels.copy()
    for i in chosen:
        labels[i] = target
        for c in range(channels):
            for y in range(height):
                for x in range(width):
                    if kind == "blend":
                        mixed = 0.8 * images[i, c, y, x] + 0.2 * 255 * pattern[c, y, x]
                        images[i, c, y, x] = int(np.rint(mixed))
                    elif y == height - 1 and x == width - 1:
                        images[i, c, y, x] = 255
    return images, labels, set(chosen)


@pytest.mark.parametrize("seed", [0, 1, 1000])
@pytest.mark.parametrize("rate", [0.005, 0.01, 0.03])
@pytest.mark.parametrize(
    "trigger", [{"kind": "patch", "size": 1}, {"kind": "blend", "opacity": 0.2}]
)
def test_equal_to_an_independent_poisoner(trigger, rate, seed) -> None:
    source = load_source(DIGITS)
    train = split(DIGITS, source, seed).train
    images, labels = source.images[train], source.labels[train]
    attack = build_attack({"trigger": trigger, "poison_rate": rate, "target": 3})
    ours = poison(images, labels, attack, seed)
    theirs = their_poisoner(images, labels, trigger["kind"], rate, 3, seed)
    assert np.array_equal(ours[0], theirs[0])
    assert np.array_equal(ours[1], theirs[1])
    assert set(ours[2].positions) == theirs[2]
    assert ours[2].poisoned == int(1100 * rate)
    assert ours[2].relabelled == int((labels != theirs[1]).sum())


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
    counted, wanted = wanted_labels(labels, build_attack({"trigger": "patch", "target": 1}))
    assert counted.tolist() == [True, False, True, True, False]
    assert (wanted == 1).all()


def test_the_clean_baseline_changes_nothing() -> None:
    labels = np.arange(10)
    drawn = draw_poison(labels, None, 0)
    assert drawn.poisoned == drawn.relabelled == 0
    assert np.array_equal(drawn.labels, labels)
