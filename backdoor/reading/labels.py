"""From labels as a source writes them to class numbers and names: one rule for all readers."""

from __future__ import annotations

import re
import unicodedata
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from backdoor.reading.contents import Contents, Ids
from backdoor.reading.files import listed, wrong_root

#: More classes than any set of images has: labels are then numbers of something else.
MOST_CLASSES = 65_536
#: What no name of a class may have.
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]")


@dataclass(frozen=True)
class Classes:
    """Class numbers of all images, and what the classes are.

    labels: (n,) int64, 0 to len(names) - 1. numbers: the label of each class in the source, where
    whole numbers were renumbered since they have holes or do not begin at 0; else (). former: the
    names by which earlier versions knew the classes, which kept those without training images; None
    where they refused the source.
    """

    labels: Ids
    names: tuple[str, ...]
    numbers: tuple[int, ...] = ()
    former: tuple[str, ...] | None = None
    notes: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()


def classes_of(contents: Contents) -> Classes:
    """The classes are those that training images have, in the order of their labels.

    Raises:
        UserError: labels that are no class numbers or text; a single class; a class that only test
            images have; so many classes that each has one training image.
    """
    given = np.asarray(contents.labels)
    if given.shape != (len(contents.images),):
        rule = f"must have one label for each of the {len(contents.images)} images"
        raise wrong_root(rule, f"labels of shape {given.shape}", "Give every image one label.")
    text = given.dtype.kind in "US"
    if not text and given.dtype.kind not in "iu":
        rule = "must have whole numbers or text as labels"
        raise wrong_root(rule, str(given.dtype), "Store class numbers, or names of classes.")
    if not len(given):
        raise wrong_root("must hold images", "none", "Check the path.")
    if text:
        _none_empty(given, contents)
    else:
        _none_outside(given, contents)
    train = given[: contents.test_from]
    found = np.unique(train)
    _enough_classes(found, len(train))
    _all_trained(given, found, contents)
    labels = np.searchsorted(found, given).astype(np.int64)
    made = Classes(labels, *(_named_text(found) if text else _named_numbers(found, contents)))
    _check_names(made.names)
    return replace(made, warnings=_similar(made.names))


def _named_text(found: npt.NDArray[Any]) -> tuple[tuple[str, ...]]:
    return (tuple(str(name) for name in found),)


def _check_names(names: Sequence[str]) -> None:
    """Raises `UserError` for names that nobody could read or type."""
    wrong = [name for name in names if not name.strip() or _CONTROL.search(name)]
    if wrong:
        rule = "must have class names without control characters, and none that is blank"
        raise wrong_root(rule, listed([ascii(name) for name in wrong]), "Rename these classes.")


def _similar(names: Sequence[str]) -> tuple[str, ...]:
    """A warning of classes that are probably one, written in two ways."""
    groups = defaultdict[str, list[str]](list)
    for name in names:
        groups[unicodedata.normalize("NFC", name).casefold().strip()].append(name)
    pairs = [" and ".join(same) for same in groups.values() if len(same) > 1]
    return (f"classes whose names are nearly the same: {listed(pairs)}",) if pairs else ()


def _named_numbers(
    found: npt.NDArray[Any], contents: Contents
) -> tuple[tuple[str, ...], tuple[int, ...], tuple[str, ...] | None, tuple[str, ...]]:
    """Names, numbers, former names and notes for sorted numeric labels."""
    numbers, given = [int(label) for label in found], tuple(contents.names)
    covered = len(given) > numbers[-1]
    names = tuple(given[n] if covered else str(n) for n in numbers)
    notes: list[str] = []
    if renumbered := numbers != list(range(len(numbers))):
        notes.append(f"labels {_shortly(numbers)} are the classes 0 to {len(numbers) - 1}")
    present = set(numbers)
    if covered and len(given) > len(numbers):
        empty = [name for number, name in enumerate(given) if number not in present]
        notes.append(f"classes without training images are left out: {listed(empty)}")
    elif renumbered and len(given) and not covered:
        notes.append(f"its {len(given)} class names do not reach label {numbers[-1]}: not used")
    most = numbers[-1] if numbers[-1] <= MOST_CLASSES else 0  # larger ones ended in no sweep
    former = given if covered else tuple(str(n) for n in range(most + 1))
    return names, tuple(numbers) if renumbered else (), former, tuple(notes)


def _shortly(numbers: Sequence[int]) -> str:
    shown = [str(number) for number in numbers]
    return ", ".join(shown) if len(shown) <= 6 else f"{', '.join(shown[:3])}, ..., {shown[-1]}"


def _none_empty(labels: npt.NDArray[Any], contents: Contents) -> None:
    wrong = np.flatnonzero(np.strings.str_len(np.strings.strip(labels)) == 0)
    if len(wrong):
        value = f"an empty label at {name_of(contents, int(wrong[0]))}, {len(wrong)} in all"
        raise wrong_root("must have a label for every image", value, "Name the class.")


def _none_outside(labels: npt.NDArray[Any], contents: Contents) -> None:
    """Labels are at least 0, and can be counted in int64."""
    wrong = np.flatnonzero((labels < 0) | (labels > np.iinfo(np.int64).max))
    if len(wrong):
        rule = "must have whole numbers >= 0 as labels"
        value = f"{labels[wrong[0]]} at {name_of(contents, int(wrong[0]))}"
        value += f", {len(wrong)} such images in all" if len(wrong) > 1 else ""
        raise wrong_root(rule, value, "Leave out images without a class, or give them one.")


def _enough_classes(found: npt.NDArray[Any], images: int) -> None:
    if len(found) < 2:
        rule = "must hold training images of two or more classes"
        value = f"only {found[0]}" if len(found) else "no training image"
        raise wrong_root(rule, value, "Check the labels and the layout.")
    if len(found) >= images or len(found) > MOST_CLASSES:
        rule = (
            "must have fewer classes than training images"
            if len(found) >= images
            else f"must have at most {MOST_CLASSES} classes"
        )
        value = f"{len(found)} classes in {images} training images"
        raise wrong_root(rule, value, "Check that the labels are those of classes.")


def _all_trained(labels: npt.NDArray[Any], found: npt.NDArray[Any], contents: Contents) -> None:
    if contents.test_from is None:
        return
    test = labels[contents.test_from :]
    if len(only := np.setdiff1d(test, found)):
        named = [_name(label, contents.names) for label in only]
        rule = "must have training images of every class that test images have"
        value = f"only in the test images: {listed(named)}"
        remedy = "Move images of these classes into the training set, or leave them out."
        raise wrong_root(rule, value, remedy)


def _name(label: Any, names: Sequence[str]) -> str:
    known = not isinstance(label, str) and int(label) < len(names)
    return f"{label} ({names[int(label)]})" if known else str(label)


def name_of(contents: Contents, number: int) -> str:
    """How messages call the image of this number."""
    return next(contents.images.items(np.array([number])))[0]


def class_number(given: int | str, names: Sequence[str]) -> int | None:
    """The number of the class that is meant: a whole number is the number itself, text is a name.
    None if there is no such class, or if several have this name."""
    if isinstance(given, str):
        return names.index(given) if list(names).count(given) == 1 else None
    return given if 0 <= given < len(names) else None
