"""Source-specific attacks and cover samples: who is drawn, what is made of them, what is refused."""

import itertools
import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from poisoners import their_generator
from trials import DIGITS, FEW, PATCH, same, trial

from backdoor.checks import check_trial
from backdoor.config import Attack, build_attack, build_data, build_trial, measure_id
from backdoor.datasets.source import load_source, split
from backdoor.engines.packed import WIDE
from backdoor.errors import UserError
from backdoor.evaluate import evaluate
from backdoor.poison import draw_poison, poison, target_labels_of
from backdoor.settings.registry import TRIGGERS
from backdoor.trial import prepare, run_pack
from backdoor.triggers.donors import DonorImages

LABELS = np.random.default_rng(0).integers(0, 5, 1000)
STRATEGIES = [
    {"label_mode": "all_to_one"}, {"label_mode": "all_to_all"}, {"label_mode": "clean_label"},
    {"source": 1}, {"source": [1, 4]},
]  # fmt: skip


def attack(**given) -> Attack:
    return build_attack({"trigger": PATCH, "poison_rate": 0.05, "target": 3, **given})


def their_sets(labels, given, poisoned, covered, seed) -> tuple[set, set]:
    """Poison from the front of the order, covers from its end, each from its classes alone."""
    order = [int(i) for i in their_generator("poison", seed, len(labels)).permutation(len(labels))]
    source = given.get("source", [])
    source = [source] if isinstance(source, int) else source
    if given.get("label_mode") == "clean_label":
        front, back = (lambda c: c == 3), (lambda c: c != 3)
    elif source:
        front, back = (lambda c: c in source), (lambda c: c not in [*source, 3])
    else:
        front = back = lambda c: True
    positions = [i for i in order if front(labels[i])][:poisoned]
    return set(positions), set([i for i in order[::-1] if back(labels[i])][:covered])


@pytest.mark.parametrize("given", STRATEGIES, ids=str)
@pytest.mark.parametrize("rates", [(0.05, 0), (0.05, 0.1), (0.1, 0.3)])
def test_who_is_poisoned_and_who_is_a_cover(given, rates) -> None:
    drawn = draw_poison(LABELS, attack(poison_rate=rates[0], cover_rate=rates[1], **given), 7)
    counts = [round(1000 * rate) for rate in rates]
    positions, covers = their_sets(LABELS, given, *counts, 7)
    assert set(drawn.positions) == positions and set(drawn.covers) == covers
    assert (drawn.poisoned, drawn.covered) == tuple(counts) and not positions & covers
    assert np.array_equal(drawn.labels[drawn.covers], LABELS[drawn.covers])
    target_labels = {"all_to_all": (LABELS + 1) % 5, "clean_label": LABELS}.get(
        given.get("label_mode")
    )
    target_labels = np.full(1000, 3) if target_labels is None else target_labels
    assert np.array_equal(drawn.labels[drawn.positions], target_labels[drawn.positions])
    assert drawn.relabelled == (drawn.labels != LABELS).sum()


@pytest.mark.parametrize("given", STRATEGIES, ids=str)
def test_both_sets_nest_over_both_rates(given) -> None:
    rates = [(0.02, 0.02), (0.02, 0.1), (0.1, 0.1), (0.1, 0.4)]
    drawn = [draw_poison(LABELS, attack(poison_rate=p, cover_rate=c, **given), 3) for p, c in rates]
    for one, other in itertools.pairwise(drawn):
        assert set(one.positions) <= set(other.positions)
        assert set(one.covers) <= set(other.covers)
    plain = draw_poison(LABELS, attack(poison_rate=0.1, **given), 3)
    assert np.array_equal(plain.positions, drawn[-1].positions)  # covers leave the poison alone


def test_of_a_source_specific_attack_only_source_images_count() -> None:
    counted, target_labels = target_labels_of(LABELS, attack(source=[4, 1]), classes=5)
    assert np.array_equal(counted, (LABELS == 1) | (LABELS == 4)) and (target_labels == 3).all()
    images = np.random.default_rng(1).integers(0, 255, (1000, 1, 4, 4), dtype=np.uint8)

    def predict(given: torch.Tensor) -> torch.Tensor:
        """Answers 3 to the trigger."""
        return torch.where(given[:, 0, -1, -1] == 255, 3, 0)

    _, counts = evaluate(predict, images, LABELS, attack(source=1))
    assert counts.total == (LABELS == 1).sum() == counts.success


@pytest.mark.parametrize("stamp", ["before", "after"])
@pytest.mark.parametrize("kind", [PATCH, "warp", {"kind": "quantize", "levels": 4}])
def test_packs_train_on_what_the_library_makes(kind, stamp) -> None:
    """Poison and covers, of two seeds and two cover rates, through the store."""
    source, data = load_source(FEW), FEW
    configs = [
        replace(trial(data=data, seed=seed), attack=attack(trigger=kind, source=2, cover_rate=cover))
        for seed, cover in [(0, 0.2), (1, 0.2), (0, 0.4), (0, 0)]
    ]  # fmt: skip
    members, store = prepare(configs, [], source)
    for member in members:
        ids = split(data, source, member.config.seed).train
        images, labels, drawn = poison(
            source.images[ids],
            source.labels[ids],
            member.config.attack,
            member.config.seed,
            ids,
            10,
        )
        assert np.array_equal(store.uint8(member.train).numpy(), images)
        assert np.array_equal(member.train_labels, labels)
        touched = (images != source.images[ids]).any((1, 2, 3))
        assert set(np.flatnonzero(touched)) <= {*drawn.positions, *drawn.covers}
        assert drawn.covered == int(128 * member.config.attack.cover_rate) == member.poison.covered
        if stamp == "after":  # in its place, and not moved: what the engine sees is the same
            still = torch.zeros((128, 3), dtype=torch.int64) + torch.tensor([4, 4, 0])
            seen = store.augmented(torch.from_numpy(member.train), still, "after")
            assert torch.equal(seen, store.batch(torch.from_numpy(member.train)))


def test_the_noise_mode_marks_covers_otherwise_than_poison() -> None:
    source = load_source(FEW)
    config = replace(trial(data=FEW), attack=attack(trigger="warp", cover_rate=0.2))
    ids = split(FEW, source, 0).train
    images, _, drawn = poison(source.images[ids], source.labels[ids], config.attack, 0, ids)
    warp, covers = TRIGGERS.build("warp"), drawn.covers
    given = (torch.from_numpy(each[covers]) for each in (source.images[ids], ids, source.labels[ids]))  # fmt: skip
    plain = warp.stamp(*given).numpy()
    assert (plain != images[covers]).any((1, 2, 3)).mean() > 0.9


@pytest.mark.parametrize("architecture", ["linear", {"kind": "mlp", "width": 16}, "ridge"])
def test_a_member_with_covers_is_the_same_in_every_pack(architecture) -> None:
    """Equal triggers, whose covers are stamped otherwise, at rates whose sets overlap."""
    configs = [
        replace(
            trial(architecture, data=FEW, epochs=2, weight_decay=0.01),
            attack=attack(trigger="warp", poison_rate=p, cover_rate=c),
        )
        for p, c in [(0.6, 0.3), (0.3, 0.6), (0.3, 0), (0.1, 0.9)]
    ]
    together = run_pack(configs)
    for config, result in zip(configs, together, strict=True):
        (alone,) = run_pack([config])
        assert same(result, alone)
        assert result.covers == int(128 * round(config.attack.cover_rate, 3))
    assert len({(r.class_correct, r.measurements[0].success) for r in together}) > 1


def weights(configs) -> list[dict[str, torch.Tensor]]:
    kept = []

    def keep(fitted, members, store) -> None:
        kept.extend(fitted.state(index) for index in range(len(members)))

    run_pack(configs, on_trained=keep)
    return kept


def test_wide_members_with_covers_are_the_same_in_every_pack(tmp_path) -> None:
    """Inputs so wide that members share their products."""
    draw = np.random.default_rng(0)
    np.savez(tmp_path / "it.npz", images=draw.integers(0, 255, (200, 3, 32, 32), dtype=np.uint8), labels=np.arange(200) % 4)  # fmt: skip
    data = build_data(
        {"kind": "arrays", "root": str(tmp_path / "it.npz"), "validation": 10, "test": 20}
    )
    configs = [
        replace(trial("mlp", data=data, epochs=2), attack=attack(trigger="warp", poison_rate=p, cover_rate=c))
        for p, c in [(0.6, 0.3), (0.3, 0.6), (0.3, 0)]
    ]  # fmt: skip
    assert math.prod(load_source(data).shape) > WIDE
    together = weights(configs)
    for index, config in enumerate(configs):
        for name, value in weights([config])[0].items():
            assert torch.equal(value, together[index][name])


# --- names and mistakes ------------------------------------------------------------------------


def test_names() -> None:
    plain = attack()
    assert set(plain.identity()) == {"trigger", "poison_rate", "target", "label_mode"}
    assert attack(source=None, cover_rate=0) == plain
    assert attack(source=[4, 1, 4]) == attack(source=(1, 4)) != attack(source=1)
    assert attack(source=1).identity()["source"] == [1]
    measured = {measure_id(a) for a in (plain, attack(cover_rate=0.1), attack(poison_rate=0.2))}
    assert measured == {measure_id(plain.measure())}
    assert measure_id(attack(source=1)) not in measured
    for made in (attack(source=[1, 4], cover_rate=0.1), attack(cover_rate=0.2, label_mode="all_to_all")):  # fmt: skip
        config = replace(trial(), attack=made)
        assert config.trial_id != replace(trial(), attack=plain).trial_id
        assert build_trial(config.canonical) == config
    assert replace(trial(), attack=attack(poison_rate=0, cover_rate=0.1)).attack is None


ROOM = "Lower one of the two rates."
CLASSES = "Name the classes whose images are poisoned, for example 1 or [[1, 2]]."
REFUSED = {
    "all to all": ({"source": 1, "label_mode": "all_to_all"},
                   "source: has no meaning for label_mode all_to_all, which poisons images of all classes, but got [1]. Leave it out, or use all_to_one."),
    "clean label": ({"source": 1, "label_mode": "clean_label"},
                    "source: has no meaning for label_mode clean_label, which poisons images of the target class only, but got [1]. Leave it out, or use all_to_one."),
    "target": ({"source": [1, 3]}, f"source: must be classes, numbered from 0, without the target class 3, but got [1, 3]. {CLASSES}"),
    "none": ({"source": []}, f"source: must be classes, numbered from 0, without the target class 3, but got []. {CLASSES}"),
    "negative": ({"source": -1}, f"source: must be classes, numbered from 0, without the target class 3, but got [-1]. {CLASSES}"),
    "text": ({"source": "one"}, "source: must be a class number where the names of the classes are not known, but got 'one'. Names of classes are known in a spec; in Python, give them as `classes=`."),
    "truth": ({"source": True}, "source: must be a whole number, but got (True,). Change the value."),
    "rates": ({"poison_rate": 0.3, "cover_rate": 0.8}, f"cover_rate: must leave room for the poison, poison_rate 0.3, but got 0.8. {ROOM}"),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_what_makes_no_sense_is_refused(name) -> None:
    given, text = REFUSED[name]
    with pytest.raises(UserError) as caught:
        attack(**given)
    assert str(caught.value) == text


AGAINST_DATA = {
    "no such class": ({"source": 10}, "attack.source: must be some of the 10 classes, 0 to 9, but got [10]. Choose other classes."),
    "too many": ({"source": 1, "poison_rate": 0.4}, "attack.poison_rate: must not exceed the 107 of 1100 training images that are of class 1, as this attack poisons no others, but got 0.4. Use at most 0.097272."),
    "too many covers": ({"label_mode": "clean_label", "cover_rate": 0.95},
                        "attack.cover_rate: must not exceed the 988 of 1100 training images that are of other classes, but got 0.95. Use at most 0.898181."),
    "less than one cover": ({"cover_rate": 1e-5}, "attack.cover_rate: must make at least one of the 1100 training images a cover sample, or be 0, but got 1e-05. Use at least 0.00091, or 0 for none."),
}  # fmt: skip


@pytest.mark.parametrize("name", AGAINST_DATA)
def test_what_the_data_cannot_give_is_refused(name) -> None:
    given, text = AGAINST_DATA[name]
    with pytest.raises(UserError) as caught:
        check_trial(replace(trial(), attack=attack(**given)), load_source(DIGITS))
    assert str(caught.value) == text


def test_without_test_images_of_the_source_nothing_can_be_measured() -> None:
    data = build_data({"kind": "digits", "test": 3})
    source = load_source(data)
    present = set(source.labels[split(data, source, 0).test])
    absent = min(set(range(10)) - present - {3})
    with pytest.raises(UserError) as caught:
        check_trial(replace(trial(data=data), attack=attack(source=absent)), source)
    assert str(caught.value) == (
        f"data.test: must leave test images of class {absent}, for every seed, but got 3. "
        "Ask for more test images."
    )


def test_covers_that_use_donors_take_training_images() -> None:
    source, seed = load_source(FEW), 1
    parts = split(FEW, source, seed)
    donors = DonorImages("it", seed, source.images, parts.train, parts.train)
    donated = donors.lend(torch.from_numpy(parts.train), "quantize-from").numpy()
    held = {image.tobytes() for image in source.images[[*parts.test, *parts.validation]]}
    own = {image.tobytes() for image in source.images[parts.train]}
    assert {image.tobytes() for image in donated} <= own and not own & held
