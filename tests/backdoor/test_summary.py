"""What is said of a data set that was read."""

from __future__ import annotations

import json
import time
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from backdoor import load_data
from backdoor.config import build_data
from backdoor.datasets.equal_images import equal_images
from backdoor.datasets.splits import draw_split
from backdoor.datasets.summary import DataSummary, summarize
from backdoor.errors import UserError
from backdoor.reading.printed_names import class_name, class_names, listed, printable


def made(
    labels: list[int], names: tuple[str, ...], test_from: int | None = None, **facts: Any
) -> Any:
    """A source of images of 3 x 4 pixels in colour, of which no two are equal."""
    n = len(labels)
    known = {"left_out": (), "notes": (), "warnings": (), "traits": {}, "value_range": (3, 250),
             "digests": np.arange(n).astype(np.uint64), "constant": np.zeros(n, bool)}  # fmt: skip
    numbers = np.array(labels)
    return SimpleNamespace(
        shape=(3, 3, 4), labels=numbers, kept=np.flatnonzero(numbers >= 0), test_from=test_from,
        class_names=names, poisoned=np.zeros(n, bool), facts=SimpleNamespace(**known | facts),
    )  # fmt: skip


#: 30 cats, 20 dogs, 10 owls.
LABELS = [0, 1, 0, 2, 1, 0] * 10
NAMES = ("cat", "dog", "owl")


def dataset(**settings: Any) -> Any:
    return build_data({"kind": "digits", "train": 40, "validation": 5, "test": 10, **settings})


def drawn(seed: int) -> Any:
    """The split of `dataset()`, of LABELS."""
    return draw_split(dataset(), np.arange(60), None, np.zeros(60, bool), seed)


def test_the_lines_say_what_trials_see() -> None:
    summary = summarize(dataset(), made(LABELS, NAMES, left_out=("3 files (.txt)",)), 7)
    first, second = summary.lines()
    assert first == (
        "40 training, 5 validation and 10 test images (of 60, seed 7) of 3 x 4 pixels "
        "(height x width), RGB, values 3 to 250"
    )
    ids = drawn(7).train
    cats, dogs, owls = counts = np.bincount(np.array(LABELS)[ids]).tolist()
    assert cats > dogs > owls and summary.train_by_class == tuple(counts)
    assert second == (
        f"3 classes (cat, dog, owl), each with {owls} (class owl) to {cats} (class cat) training "
        "images; left out: 3 files (.txt)"
    )
    assert summary.warnings == ()


def test_images_of_all_seeds_name_none() -> None:
    source = made([0, 1] * 20 + [0, 1] * 5, ("cat", "dog"), 40)
    summary = summarize(dataset(train=None, test=None, validation=4, split_seed=1), source, 7)
    assert summary.seed is None and (summary.pool, summary.test_pool) == (40, 10)
    assert summary.lines()[0].startswith("36 training, 4 validation and 10 test images of 3 x 4")


def test_equal_classes_are_said_in_one_figure() -> None:
    summary = summarize(dataset(), made(LABELS, NAMES), 0)
    assert replace(summary, train_by_class=(1000,) * 3).lines()[1] == (
        "3 classes (cat, dog, owl), each with 1,000 training images"
    )


def test_notes_are_a_third_line() -> None:
    traits = {"frames": 2, "exif": 1, "alpha": 0}
    source = made(LABELS, NAMES, notes=("image column img",), traits=traits)
    assert summarize(dataset(), source, 0).lines()[2] == (
        "image column img; 1 image: turned as their EXIF orientation says; "
        "2 images: only the first of several frames is read"
    )


def test_all_that_is_left_out_is_listed_and_what_is_hidden_comes_last() -> None:
    kinds = ("2 hidden files", *(f"1 file (.{letter})" for letter in "abcdefgh"))
    second = summarize(dataset(), made(LABELS, NAMES, left_out=kinds), 0).lines()[1]
    assert second.endswith(f"left out: {'; '.join((*kinds[1:], kinds[0]))}")


def test_the_background_of_transparent_pixels_is_named() -> None:
    given = {"kind": "image_folder", "root": "x", "background": "black", "train": 9}
    summary = summarize(build_data(given), made(LABELS, NAMES, traits={"alpha": 2}), 0)
    assert summary.notes == ("2 images: transparent pixels are laid over black (data.background)",)


def test_equal_images_of_one_pool_are_counted_for_all_seeds() -> None:
    digests = np.arange(60).astype(np.uint64)
    digests[[0, 2, 1, 4, 7]] = [70, 70, 80, 80, 80]  # cats, and dogs
    found = {summarize(dataset(), made(LABELS, NAMES, digests=digests), s).warnings for s in (0, 1)}
    assert found == {(
        "5 images are there more than once, pixel by pixel, so that equal ones may be in training "
        "and in test: accuracy looks better than it is",
    )}  # fmt: skip


def test_equal_images_with_other_labels_are_named() -> None:
    digests = np.arange(60).astype(np.uint64)
    digests[[2, 3, 6]], digests[[7, 13]] = 70, 80
    warnings = summarize(dataset(), made(LABELS, NAMES, digests=digests), 0).warnings
    assert warnings[1:] == (
        "3 images are equal to one with another label, pixel by pixel, such as image 2 of class "
        "cat and image 3 of class owl (counted from 0)",
    )


def test_a_test_set_that_has_training_images() -> None:
    digests = np.arange(50).astype(np.uint64)
    digests[[40, 41, 42]], digests[9] = digests[[0, 1, 2]], digests[7]
    source = made([0, 1] * 20 + [0, 1] * 5, ("cat", "dog"), 40, digests=digests)
    warnings = summarize(dataset(train=20, test=2), source, 0).warnings
    assert warnings == (
        "3 of 10 test images are also in the training pool, pixel by pixel: accuracy looks better "
        "than it is",
        "2 images are there more than once in the pool, pixel by pixel, so that equal ones may be "
        "in training and in validation: accuracy looks better than it is",
    )


def test_equal_images_are_found_at_once_in_many() -> None:
    n = 70_000
    digests = np.random.default_rng(0).integers(0, 2**63, n).astype(np.uint64)
    digests[: n // 2] = digests[n // 2 :]  # the worst case: each is there twice
    source = made([0, 1] * (n // 2), ("cat", "dog"), digests=digests)
    began = time.perf_counter()
    assert next(equal_images(source)).startswith("70,000 images are there more than once")
    assert time.perf_counter() - began < 0.5


def test_constant_images_are_counted_where_some_trial_uses_them() -> None:
    parts, constant = drawn(0), np.zeros(60, bool)
    used = np.sort(np.concatenate([parts.train, parts.validation, parts.test]))
    unused = np.setdiff1d(np.arange(60), used)
    constant[used[[4, 9]]], constant[unused] = True, True
    (warning,) = summarize(dataset(), made(LABELS, NAMES, constant=constant), 0).warnings
    name = NAMES[LABELS[used[4]]]
    assert warning == (
        f"2 images of one value only, such as image {used[4]} (counted from 0), of class {name}"
    )


def test_classes_without_images_are_named() -> None:
    source = made([0, 1] * 20 + [2, 0] + [0, 1] * 5, NAMES, 42)
    warnings = summarize(dataset(train=30, test=None), source, 0).warnings
    assert warnings[-1] == "1 class without test images: owl"
    few = summarize(dataset(train=2, split_seed=0), made(LABELS, NAMES), 0)
    assert any("without training images: " in warning for warning in few.warnings)


def test_too_few_images_are_refused() -> None:
    with pytest.raises(UserError, match="must not exceed the 60 images"):
        summarize(dataset(train=60), made(LABELS, NAMES), 0)


@pytest.mark.parametrize(
    "names, shown",
    [
        (["cat", "a, b", "", " ", "x\ny", "it's", "\udcff", "\u202eabc"],
         "cat, 'a, b', '', ' ', x\\ny, 'it's', \\udcff, \\u202eabc"),
        ([str(i) for i in range(1000)], "0, 1, 2, ..., 999"),
        (["c" * 25, "b" * 25, "a" * 25], f"{'c' * 25}, {'b' * 25}, {'a' * 25}"),
        (["n" * 500, "m"], f"{'n' * 37}..., m"),
        (["n" * 500] * 3, f"{'n' * 37}..., ..., {'n' * 37}..."),
    ],
)  # fmt: skip
def test_names_of_classes_are_shown_safely(names, shown) -> None:
    assert class_names(names) == shown


def test_texts_are_short_and_on_one_line() -> None:
    assert printable("a\tb\rc\x00") == "a\\tb\\rc\\x00" and len(printable("x" * 999)) == 120
    assert listed(["a", "b\n"]) == "a; b\\n"
    assert listed([str(i) for i in range(9)]) == "0; 1; 2; 3; 4; 5; and 3 more"
    assert class_name("two words") == "'two words'"


def test_json_and_back() -> None:
    source = made(LABELS, NAMES, left_out=("1 file (.txt)",), notes=("x",))
    summary = summarize(dataset(), source, 0)
    stored = json.loads(json.dumps(summary.as_json()))
    assert stored["text"] == summary.lines()
    assert DataSummary.from_json(stored) == summary


def test_python_gets_it_with_the_arrays() -> None:
    data = load_data("digits", seed=3)
    assert (data.summary.train, data.summary.seed) == (len(data.train), 3)
    assert data.summary.train_by_class == tuple(np.bincount(data.train.labels).tolist())
    assert data.summary.lines()[1].startswith("10 classes (0, 1, 2, 3, 4, 5, 6, 7, 8, 9), each")


def test_what_is_wrong_with_the_pixels_is_found_when_they_are_read(tmp_path) -> None:
    images = np.random.default_rng(0).integers(20, 200, (40, 6, 6), dtype=np.uint8)
    images[5] = 7
    file = tmp_path / "images.npz"
    labels = np.arange(40) % 2
    np.savez(file, images=images, labels=labels, test_images=images[[0, 1, 39]], test_labels=labels[[0, 1, 39]])  # fmt: skip
    summary = load_data({"kind": "arrays", "root": str(file), "validation": 1}).summary
    assert summary.lines()[0].endswith("(seed 0) of 6 x 6 pixels, grey, values 7 to 199")
    assert (summary.kind, summary.root, summary.test_pool) == ("arrays", str(file), 3)
    constant, shared = summary.warnings
    assert constant.startswith("1 image of one value only, such as image 5 ")
    assert shared.startswith("3 of 3 test images are also in the training pool")
