"""What was read of the data, as sweep.json, region.json and `sweeps check --json` say it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypedDict, cast


class DataEntry(TypedDict):
    """The data set, for one seed.

    text: two or three lines for people, that sum up the rest but for the warnings. kind: of the
    data set. root: the folder or file that it was read from, None where it has none. seed: of the
    trials whose images these are, None where all seeds have the same. train, validation, test: how
    many images this split has. pool: images that training and validation images are drawn from;
    test images too where `test_pool` is None. test_pool: images of the source's own test set; None
    where it has none. height, width: of an image, in pixels. channels: of an image; 1 is grey, 3
    are RGB. value_range: lowest and highest of 0 to 255. class_names: by class number.
    train_by_class: training images, by class number. left_out: what is there and was not read.
    notes: what was assumed. warnings: what makes results doubtful.
    """

    text: list[str]
    kind: str
    root: str | None
    seed: int | None
    train: int
    validation: int
    test: int
    pool: int
    test_pool: int | None
    height: int
    width: int
    channels: int
    value_range: list[int]
    class_names: list[str]
    train_by_class: list[int]
    left_out: list[str]
    notes: list[str]
    warnings: list[str]


def data_text(record: Mapping[str, object]) -> list[str]:
    """The lines of a sweep.json or region.json; none where it is of an earlier release."""
    return _texts(record, "text")


def data_warnings(record: Mapping[str, object]) -> list[str]:
    """The warnings of a sweep.json or region.json."""
    return _texts(record, "warnings")


def _texts(record: Mapping[str, object], key: str) -> list[str]:
    entry = record.get("data")
    found = entry.get(key) if isinstance(entry, Mapping) else None
    if not isinstance(found, list):
        return []
    return [text for text in cast(list[object], found) if isinstance(text, str)]
