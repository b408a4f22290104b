"""Arrays in one file: layouts, names, mistakes, and sets that came poisoned."""

import pickle

import numpy as np
import pytest
from fabricated import draw_part
from trials import trial

from backdoor.config import build_data
from backdoor.datasets.source import forget_sources, load_source, split
from backdoor.errors import UserError
from backdoor.reading.npz_members import NpzMembers
from backdoor.trial import run_pack

PIXELS, LABELS = draw_part(30, (6, 5))
COLOUR = draw_part(30, (6, 5, 3))[0]


def write(folder, **arrays):
    arrays = {"images": PIXELS, "labels": LABELS, **arrays}
    file = folder / "set.npz"
    np.savez(file, **{name: value for name, value in arrays.items() if value is not None})
    return file


def load(file, **settings):
    dataset = build_data({"kind": "arrays", "root": str(file), **settings})
    return dataset, load_source(dataset)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (PIXELS, PIXELS[:, None]),
        (PIXELS[..., None], PIXELS[:, None]),
        (PIXELS[:, None], PIXELS[:, None]),
        (COLOUR, COLOUR.transpose(0, 3, 1, 2)),
        (COLOUR.transpose(0, 3, 1, 2), COLOUR.transpose(0, 3, 1, 2)),
    ],
)
def test_channels_are_found_first_or_last(tmp_path, given, expected) -> None:
    _, source = load(write(tmp_path, images=given))
    assert np.array_equal(source.images, expected) and source.test_from is None
    assert source.labels.tolist() == LABELS.tolist() and source.class_names == ("0", "1", "2")


def test_a_test_set_and_class_names_of_its_own(tmp_path) -> None:
    test, test_labels = draw_part(9, (6, 5), seed=7)
    names = np.array(["cat", "dog", "owl", "never seen"])
    arrays = {
        "test_images": test,
        "test_labels": test_labels.astype(np.uint8),
        "class_names": names,
    }
    _, source = load(write(tmp_path, **arrays))
    assert source.test_from == 30 and np.array_equal(source.images[30:, 0], test)
    assert source.labels[30:].tolist() == test_labels.tolist()
    assert source.class_names == ("cat", "dog", "owl")
    assert source.facts.notes == ("classes without training images are left out: never seen",)


@pytest.mark.parametrize(
    ("arrays", "text"),
    [
        ({"images": PIXELS / 255}, "must hold `images` as uint8, 0 to 255, but got 'float64'"),
        ({"images": PIXELS[0]}, "must hold `images` as (n, h, w), (n, h, w, c) or (n, c, h, w)"),
        ({"images": np.zeros((30, 3, 8, 3), np.uint8)}, "must tell where the channels of `images` are"),
        ({"images": np.zeros((30, 4, 8, 4), np.uint8)}, "must hold `images` with 1 or 3 channels"),
        ({"labels": LABELS[:-1]}, "must hold `labels` as 30 whole numbers or text, one an image"),
        ({"labels": LABELS / 1}, "must hold `labels` as 30 whole numbers or text, one an image"),
        ({"labels": LABELS - 1}, "must have whole numbers >= 0 as labels, but got '-1 at images[0], 10 such images in all'"),
        ({"labels": LABELS * 0}, "must hold training images of two or more classes, but got 'only 0'"),
        ({"labels": np.arange(30)}, "must have fewer classes than training images, but got '30 classes in 30 training images'"),
        ({"labels": None}, "must hold labels, but got ['images']"),
        ({"test_images": PIXELS}, "must hold test_labels, but got"),
        ({"test_labels": LABELS}, "must hold test_images, but got"),
        ({"test_images": COLOUR, "test_labels": LABELS}, "must hold images of one shape"),
        ({"test_image": PIXELS}, "Did you mean 'test_images'?"),
        ({"class_names": np.array(["cat", "dog"])}, "`class_names` as a list of text for the labels 0 to 2"),
        ({"class_names": np.arange(3)}, "`class_names` as a list of text"),
        ({"poisoned": np.zeros(30)}, "must hold `poisoned` as 30 booleans, one a training image"),
        ({"poisoned": np.zeros(29, bool)}, "must hold `poisoned` as 30 booleans"),
    ],
)  # fmt: skip
def test_arrays_that_do_not_fit_are_one_clear_mistake(tmp_path, arrays, text) -> None:
    with pytest.raises(UserError) as caught:
        load(write(tmp_path, **arrays))
    assert text in str(caught.value) and len(caught.value.mistakes) == 1


class Alarm:
    """Pickled content that would say so if anybody opened it."""

    def __reduce__(self):
        return pytest.fail, ("opened a pickle",)


def damage(content: bytes) -> bytes:
    middle = len(content) // 2
    return content[:middle] + bytes(200) + content[middle + 200 :]


@pytest.mark.parametrize(
    "spoil",
    [
        lambda content: b"",
        lambda content: b"hello",
        lambda content: content[: len(content) // 2],
        damage,
        lambda content: pickle.dumps(Alarm()),
    ],
)
def test_files_that_are_no_arrays_are_one_clear_mistake(tmp_path, spoil) -> None:
    file = write(tmp_path)
    file.write_bytes(spoil(file.read_bytes()))
    with pytest.raises(UserError, match=r"root: must be an undamaged \.npz file of plain arrays"):
        load(file)


def test_compressed_files_are_read_and_damaged_ones_refused(tmp_path) -> None:
    file = tmp_path / "small.npz"
    np.savez_compressed(file, images=PIXELS, labels=LABELS)
    assert np.array_equal(load(file)[1].images[:, 0], PIXELS)
    file.write_bytes(damage(file.read_bytes()))
    with pytest.raises(UserError, match="must be an undamaged"):
        load(file)


def test_pickled_objects_are_never_opened(tmp_path) -> None:
    objects = np.empty(30, dtype=object)
    objects[:] = [Alarm()] * 30
    with pytest.raises(UserError, match="without pickled objects"):
        load(write(tmp_path, class_names=objects))


def test_a_single_array_and_a_file_that_is_not_there(tmp_path) -> None:
    np.save(tmp_path / "one.npy", PIXELS)
    with pytest.raises(UserError, match=r"must be an undamaged \.npz"):
        load(tmp_path / "one.npy")
    with pytest.raises(UserError, match=r"must be an \.npz file that exists"):
        load(tmp_path)


# --- sets that came poisoned -----------------------------------------------------------------

MASK = np.arange(30) % 5 == 2


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("sizes", [{}, {"train": 6}, {"validation": 4, "test": 20}])
def test_poisoned_images_are_never_held_out(tmp_path, seed, sizes) -> None:
    dataset, source = load(write(tmp_path, poisoned=MASK), **sizes)
    parts = split(dataset, source, seed)
    held = np.concatenate([parts.validation, parts.test])
    assert not MASK[held].any()
    assert len(held) == sizes.get("validation", 3) + sizes.get("test", 6)
    assert not set(parts.train) & set(held)
    if "train" not in sizes:
        assert set(parts.train) | set(held) == set(range(30))


def test_poisoned_images_are_as_frequent_in_small_training_sets_as_in_the_pool(tmp_path) -> None:
    dataset, source = load(write(tmp_path, poisoned=MASK), train=10, validation=3, test=6)
    share = np.mean([MASK[split(dataset, source, seed).train].mean() for seed in range(200)])
    assert share == pytest.approx(0.2, abs=0.03)


@pytest.mark.parametrize("sizes", [{}, {"train": 6}, {"train": 6, "validation": 5, "test": 4}])
def test_a_mask_without_a_poisoned_image_changes_nothing(tmp_path, sizes) -> None:
    (tmp_path / "masked").mkdir()
    dataset, plain = load(write(tmp_path), **sizes)
    _, masked = load(write(tmp_path / "masked", poisoned=np.zeros(30, bool)), **sizes)
    for one, other in zip(
        *(vars(split(dataset, s, 3)).values() for s in (plain, masked)), strict=True
    ):
        assert np.array_equal(one, other)


def test_a_mask_over_a_training_set_with_a_test_set_of_its_own(tmp_path) -> None:
    test, test_labels = draw_part(9, (6, 5), seed=7)
    file = write(tmp_path, poisoned=MASK, test_images=test, test_labels=test_labels)
    dataset, source = load(file, validation=24)
    parts = split(dataset, source, 0)
    assert source.poisoned.tolist() == [*MASK.tolist(), *[False] * 9]
    assert sorted(parts.train) == np.flatnonzero(MASK).tolist()
    assert sorted(parts.test) == list(range(30, 39))


def test_more_held_out_than_clean_is_a_mistake(tmp_path) -> None:
    dataset, source = load(write(tmp_path, poisoned=MASK), validation=20, test=5)
    text = "validation + test: must not exceed the 24 images that did not come poisoned, but got 25"
    with pytest.raises(UserError) as caught:
        split(dataset, source, 0)
    assert text in str(caught.value)


def test_the_mask_survives_the_cache(tmp_path, monkeypatch) -> None:
    dataset, first = load(write(tmp_path, poisoned=MASK, class_names=np.array(["a", "b", "c"])))
    forget_sources()
    monkeypatch.setattr(NpzMembers, "rows", lambda *_: pytest.fail("decoded twice"))
    assert load_source(dataset).poisoned.tolist() == first.poisoned.tolist() == MASK.tolist()


def test_the_clean_baseline_trains_on_a_poisoned_set_as_it_is(tmp_path) -> None:
    """A set poisoned by hand plants its backdoor in a trial that poisons nothing."""
    draw = np.random.default_rng(0)
    labels = np.arange(600) % 3
    images = draw.integers(0, 60, (600, 8, 8), dtype=np.uint8)
    for label in range(3):
        images[labels == label, label, :] += 150
    poisoned = draw.random(600) < 0.2
    stamped, wrong = images.copy(), labels.copy()
    stamped[poisoned, -1, -1], wrong[poisoned] = 255, 0
    success = {}
    for name, arrays in {
        "clean": {"images": images, "labels": labels},
        "poisoned": {"images": stamped, "labels": wrong, "poisoned": poisoned},
    }.items():
        file = tmp_path / f"{name}.npz"
        np.savez(file, **arrays)
        data = build_data({"kind": "arrays", "root": str(file)})
        config = trial("ridge", rate=0, data=data, weight_decay=0.001)
        measure = trial("ridge", trigger={"kind": "patch", "size": 1}).attack.measure()
        (result,) = run_pack([config], [measure])
        assert sum(result.class_correct) / sum(result.class_total) > 0.95
        assert result.poisoned == 0
        success[name] = result.measurements[0].success / result.measurements[0].total
    assert success["clean"] < 0.1 and success["poisoned"] > 0.9
