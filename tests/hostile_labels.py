"""Hostile labels, for every reader that could meet them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from hostile import Case, Read, Refused, Sample, Settings, draw, expect, label_all
from hostile_writers import ENCODED, NUMBERED, PUBLISHED, WRITERS, png, table_of

BELOW = Refused((r"label", r"-1"))
SINGLE = Refused((r"class", r"two|single|one class|at least 2|only one"))
FEW = Refused((r"class", r"images"))
EMPTY = Refused((r"label|class", r"empty|without|missing|no label|each|every|null"))
FRACTION = Refused((r"label", r"whole|fraction", r"0\.5|float|double"))


def only_in_test(name: str) -> Refused:
    return Refused((r"class", r"test", name))


CLASSES = 4 * [0, 1, 2]

#: Whole numbers: idea → training labels, test labels, and what comes of it. A tuple of text is the
#: names of the classes, which are others than the numbers up to k - 1.
NUMBERS: dict[str, tuple[Sequence[int], Sequence[int] | None, tuple[str, ...] | Refused]] = {
    "labels from 0": (CLASSES, [0, 1, 2], ("0", "1", "2")),
    "labels from 0, one pool": (CLASSES, None, ("0", "1", "2")),
    "labels from 1": (4 * [1, 2, 3], [1, 2, 3], ("1", "2", "3")),
    "labels from 1, one pool": (4 * [3, 2, 1], None, ("1", "2", "3")),
    "labels with holes": (4 * [3, 5, 9], [9, 3, 5], ("3", "5", "9")),
    "labels 9 and 10, whose order as text is another": (4 * [10, 9], [9, 10], ("9", "10")),
    "a class without test images": (CLASSES, [0, 1], ("0", "1", "2")),
    "a class that only test images have": (4 * [0, 1], [0, 1, 2], only_in_test("2")),
    "a hole in the training labels that test images fill": (4 * [0, 2], [0, 1, 2], only_in_test("1")),
    "a single class": (8 * [0], [0, 0], SINGLE),
    "a single class, and it is 5": (8 * [5], [5, 5], SINGLE),
    "a single class in training, two in test": (8 * [0], [0, 1], Refused((r"class",))),
    "as many classes as training images": ([0, 1, 2, 3, 4, 5], [0, 1, 2, 3], FEW),
    "an image of each number, one pool": (list(range(12)), None, FEW),
    "a label for each image, as of an index": (list(range(100, 112)), [100, 101], FEW),
}  # fmt: skip
#: As above, with numbers that are not in torchvision's files.
WIDE_NUMBERS: dict[str, tuple[Sequence[int], Sequence[int] | None, tuple[str, ...] | Refused]] = {
    "a label of ten millions": (4 * [0, 1, 10**7], [0, 1], ("0", "1", "10000000")),
    "a label of a milliard": (4 * [0, 1, 10**9], [0, 10**9], ("0", "1", "1000000000")),
    "a label near the end of int64": (4 * [7, 2**63 - 1], [7], ("7", str(2**63 - 1))),
    "a test label of a milliard": (4 * [0, 1], [0, 10**9], only_in_test("1000000000")),
    "labels below 0": (4 * [-1, 0, 1], [0, 1], BELOW),
    "labels below 0, one pool": (4 * [0, 1, -1], None, BELOW),
    "test images without labels, as hubs mark them": (4 * [0, 1], [-1, -1], BELOW),
    "all labels below 0": (4 * [-1, -2], [-1, -2], BELOW),
}

#: Text: idea → training labels, test labels, and the names of the classes or the refusal.
TEXTS: dict[str, tuple[Sequence[str], Sequence[str] | None, tuple[str, ...] | Refused]] = {
    "text labels": (4 * ["owl", "cat", "dog"], ["dog", "owl", "cat"], ("cat", "dog", "owl")),
    "text labels, one pool": (4 * ["owl", "cat"], None, ("cat", "owl")),
    "text labels in other scripts": (4 * ["éclair", "猫", "Zebra"], ["猫", "éclair", "Zebra"], ("Zebra", "éclair", "猫")),
    "text labels that differ in case": (4 * ["Cat", "cat"], ["Cat", "cat"], ("Cat", "cat")),
    "numbers among text labels": (4 * ["1", "two"], ["1", "two"], ("1", "two")),
    "text that looks below 0": (4 * ["-1", "cat"], ["-1", "cat"], ("-1", "cat")),
    "a class that only test images have, as text": (4 * ["cat", "dog"], ["cat", "dog", "owl"], only_in_test("owl")),
    "a single class, as text": (8 * ["cat"], ["cat"], SINGLE),
    "as many classes as training images, as text": (["a", "b", "c"], ["a", "b", "c"], FEW),
}  # fmt: skip
#: Text for tables alone: a folder has a name, and classes of text with one name are one folder.
TABLE_TEXTS: dict[str, tuple[Sequence[str], Sequence[str] | None, tuple[str, ...] | Refused]] = {
    "an empty text label": (4 * ["cat", "dog", ""], ["cat", "dog"], EMPTY),
    "an empty text label in the test set": (4 * ["cat", "dog"], ["cat", ""], EMPTY),
    "a class of text without test images": (4 * ["b", "a", "c"], ["a", "b"], ("a", "b", "c")),
}


def cases() -> Iterator[Case]:
    """Every idea for every reader that could meet it."""
    for (
        reader
    ) in NUMBERED:  # Parquet files of other cells, and CSV files apart, have the same labels
        for idea, row in {**NUMBERS, **WIDE_NUMBERS}.items():
            largest = max([*row[0], *(row[1] or ())])
            # The names of a user's own kind end before such a number; Parquet has no pool.
            if (reader != "own read" or largest < 20) and (row[1] or reader != "parquet"):
                yield _case(idea, reader, *row, shape=(6, 6, 3))
    for reader, (shape, names) in PUBLISHED.items():
        for idea, (train, test, outcome) in NUMBERS.items():
            if test is not None and max(train) < 10:
                yield _case(idea, reader, train, test, outcome, shape=shape, published=names)
    for reader in (*ENCODED, "arrays"):
        texts = TEXTS if reader == "image_folder" else {**TEXTS, **TABLE_TEXTS}
        for idea, row in texts.items():
            if reader == "image_folder" and idea.startswith("a class that only"):
                row = (row[0], row[1], Refused((r"class", "owl")))
            if row[1] is None and reader.startswith("parquet"):
                continue
            yield _case(idea, reader, *row, shape=(6, 6, 3))
    yield from _odd_cases()


def _case(
    idea: str, reader: str, train_labels: Sequence[Any], test_labels: Sequence[Any] | None,
    outcome: tuple[str, ...] | Refused, shape: tuple[int, ...], published: Sequence[str] = (),
) -> Case:  # fmt: skip
    train = label_all(train_labels, shape)
    test = None if test_labels is None else label_all(test_labels, shape, seed=4)

    def called(label: Any) -> str:
        return published[label] if published else str(label)

    found: Read | Refused
    if isinstance(outcome, Refused):
        found = outcome
    else:
        numbers = isinstance(train_labels[0], int)
        renumbered = numbers and sorted(set(train_labels)) != list(range(len(outcome)))
        names = [called(int(name)) for name in outcome] if published else outcome
        says = {"warnings": "test"} if "without test" in idea else {}
        says |= {"notes": "number|label|class"} if renumbered else {}
        found = expect(names, train, test, called, renumbered=renumbered, says=says)
    write = WRITERS[reader]
    return Case(
        f"{idea} [{reader}]", lambda root: write(root, train, test), (found,), bool(published)
    )


def _columns(idea: str, labels: Any, outcomes: tuple[Read | Refused, ...]) -> Case:
    """A parquet column of labels as it is, in training and test images."""
    samples = [Sample(None, pixels) for pixels in draw(len(labels))]

    def write(root: Path) -> Settings:
        for word in ("train", "test"):
            table = table_of(samples, "struct", root, word, labels=labels)
            pq.write_table(table, root / f"{word}.parquet")
        return {"kind": "parquet", "root": str(root)}

    return Case(f"{idea} [parquet]", write, outcomes)


def _arrays(idea: str, labels: np.ndarray, outcomes: tuple[Read | Refused, ...], **more: Any) -> Case:  # fmt: skip
    """An array of labels as it is, one pool."""
    images = np.stack(draw(max(len(labels), 1)))[: len(labels)]

    def write(root: Path) -> Settings:
        np.savez(root / "set.npz", images=images, labels=labels, **more)
        return {"kind": "arrays", "root": str(root / "set.npz")}

    return Case(f"{idea} [arrays]", write, outcomes)


def _read_as(labels: Sequence[Any], names: Sequence[str], both: bool, called: Any = str, **more: Any) -> Read:  # fmt: skip
    samples = label_all(labels)
    return expect(names, samples, samples if both else None, called, **more)


def _odd_cases() -> Iterator[Case]:
    """Types of labels that one reader has."""
    whole = {float(i): str(i) for i in range(3)}
    as_whole = _read_as(4 * [0.0, 1.0, 2.0], "012", True, whole.__getitem__)
    yield _columns("fractions", pa.array(4 * [0.5, 1.0, 2.0]), (FRACTION,))
    yield _columns("whole numbers as floating point", pa.array(4 * [0.0, 1.0, 2.0]), (as_whole, Refused((r"label", r"whole|integer|float|double"))))  # fmt: skip
    yield _columns("a label of null", pa.array([*(4 * [0, 1]), None]), (EMPTY,))
    yield _columns("a text label of null", pa.array([*(4 * ["a", "b"]), None]), (EMPTY,))
    yield _columns("labels of nan", pa.array(4 * [0.0, 1.0, float("nan")]), (Refused((r"label",)),))
    yield _columns("lists of labels", pa.array(4 * [[0], [1], [0, 1]]), (Refused((r"label", r"list")),))  # fmt: skip
    yield _columns("small numbers", pa.array(4 * [1, 2], pa.int8()), (_read_as(4 * [1, 2], "12", True, renumbered=True),))  # fmt: skip
    far = 2**63 + 5
    yield _columns("a label beyond int64", pa.array(4 * [1, far], pa.uint64()), (_read_as(4 * [1, far], ("1", str(far)), True, renumbered=True), Refused((r"label", str(far)))))  # fmt: skip
    yield _columns("text labels in a dictionary", pa.array(4 * ["b", "a"]).dictionary_encode(), (_read_as(4 * ["b", "a"], "ab", True),))  # fmt: skip
    yield _arrays("fractions", np.array(4 * [0.5, 1, 2]), (FRACTION,))
    yield _arrays("labels of nan", np.array(4 * [0, np.nan, 2]), (Refused((r"label",)),))
    yield _arrays("one-hot labels", np.eye(12, 3), (Refused((r"label", r"12, 3|shape")),))
    yield _arrays("labels in a column", np.arange(12)[:, None] % 3, (Refused((r"label", r"12, 1")),))  # fmt: skip
    yield _arrays("labels of the other byte order", np.array(4 * [4, 2], ">i4"), (_read_as(4 * [4, 2], "24", False, renumbered=True),))  # fmt: skip
    yield _arrays("a label beyond int64", np.array(4 * [1, far], np.uint64), (_read_as(4 * [1, far], ("1", str(far)), False, renumbered=True), Refused((r"label", str(far)))))  # fmt: skip
    yield _arrays("labels as bytes", np.array(4 * [b"cat", b"dog"]), (_read_as(4 * ["cat", "dog"], ("cat", "dog"), False), Refused((r"label", r"text|whole"))))  # fmt: skip
    yield from _named_cases()
    yield from _many_classes()


def _named_cases() -> Iterator[Case]:
    """Names that the source gives to whole numbers."""
    names = ("background", "cat", "dog", "owl")
    for reader in ("parquet", "arrays", "own read", "own open"):
        for idea, given, found in (
            ("names of labels from 1", 4 * [1, 2, 3], ("cat", "dog", "owl")),
            ("a name without images", 4 * [0, 1, 2], ("background", "cat", "dog")),
            ("a name in the middle without images", 4 * [0, 3], ("background", "owl")),
        ):
            train, test = label_all(given), label_all(sorted(set(given)), seed=4)
            outcome = expect(found, train, test, names.__getitem__, renumbered=idea != "a name without images")  # fmt: skip
            yield Case(f"{idea} [{reader}]", _writer(reader, train, test, names), (outcome,))
    train = label_all(4 * [0, 1, 2])
    refusal, read = Refused((r"name", r"label|class")), expect("012", train, None)
    for reader, outcomes in {"arrays": (refusal,), "own read": (refusal,), "own open": (read, refusal)}.items():  # fmt: skip
        yield Case(f"fewer names than labels [{reader}]", _writer(reader, train, None, ("a", "b")), outcomes)  # fmt: skip


def _writer(reader: str, train: Any, test: Any, names: Sequence[str]) -> Callable[[Path], Settings]:
    return lambda root: WRITERS[reader](root, train, test, names=names)


def _many_classes() -> Iterator[Case]:
    """Two images for each of 65,537 classes: too many, and refused before they are decoded."""
    labels = np.repeat(np.arange(65_537), 2)
    refusal = Refused((r"65,?536",))

    def arrays(root: Path) -> Settings:
        np.savez(root / "set.npz", images=np.zeros((len(labels), 1, 2), np.uint8), labels=labels)
        return {"kind": "arrays", "root": str(root / "set.npz")}

    def own(root: Path) -> Settings:
        images, names = np.zeros((len(labels), 1, 1, 2), np.uint8), np.arange(65_537).astype(str)
        np.savez(root / "own.npz", images=images, labels=labels, class_names=names)
        return {"kind": "hostile_kinds:OwnRead", "root": str(root / "own.npz")}

    def parquet(root: Path) -> Settings:
        content = png(np.zeros((2, 2), np.uint8))
        for word in ("train", "test"):
            images = pa.repeat(pa.scalar(content), len(labels))
            pq.write_table(pa.table({"image": images, "label": labels}), root / f"{word}.parquet")
        return {"kind": "parquet", "root": str(root)}

    for reader, write in {"arrays": arrays, "own read": own, "parquet of bytes": parquet}.items():
        yield Case(f"more than 65,536 classes [{reader}]", write, (refusal,))
