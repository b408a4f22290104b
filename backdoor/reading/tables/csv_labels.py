"""Labels in cells of text: whole numbers, or names of classes."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from backdoor.errors import Mistake, UserError
from backdoor.reading.tables.csv_rows import Row
from backdoor.reading.tables.label_texts import (
    LONGEST_LABEL,
    NOT_PRINTED,
    TOO_LONG,
    UNPRINTED,
)
from backdoor.reading.tables.named_files import counted, short

#: As Python writes a whole number, so that `007` is a name.
NUMBER = re.compile(r"0|-?[1-9][0-9]*")
FRACTION = re.compile(r"[-+]?([0-9]+\.[0-9]*|\.[0-9]+)(e[-+]?[0-9]+)?", re.I)
#: What programs write in place of a number that is missing.
MISSING = {"nan", "null", "none", "na", "n/a", "<na>"}
LARGEST = 2**63


def labels_of(train: Sequence[Row], test: Sequence[Row]) -> npt.NDArray[Any]:
    """(n,) int64 if all training labels are whole numbers, else text.

    Raises:
        UserError: fractions or missing numbers; numbers in training rows and text in test rows.
    """
    rows = [*train, *test]
    kinds = {_kind(row.label) for row in train}
    if "text" in kinds or kinds == {"missing"}:
        if mistakes := _wrong_text(rows):
            raise UserError(mistakes)
        return np.array([row.label for row in rows], dtype=str)
    mistakes = _wrong(rows)
    if mistakes:
        raise UserError(mistakes)
    return np.array([int(row.label) for row in rows], dtype=np.int64)


def _wrong_text(rows: Sequence[Row]) -> list[Mistake]:
    wrong = (
        (TOO_LONG, [row for row in rows if len(row.label) > LONGEST_LABEL]),
        (NOT_PRINTED, [row for row in rows if UNPRINTED.search(row.label)]),
    )
    return [
        Mistake("root", rule, counted("line", [f"{r.at}: {short(repr(r.label))}" for r in of]), say)
        for (rule, say), of in wrong
        if of
    ]


def _kind(label: str) -> str:
    if NUMBER.fullmatch(label):
        return "number" if -LARGEST <= int(label[:30]) < LARGEST else "large"
    if FRACTION.fullmatch(label):
        return "fraction"
    return "missing" if label.lower() in MISSING else "text"


def _wrong(rows: Sequence[Row]) -> list[Mistake]:
    """Mistakes in labels of which most are numbers."""
    by: dict[str, list[str]] = {}
    for row in rows:
        by.setdefault(_kind(row.label), []).append(f"{row.at}: {row.label[:40]}")
    rules = {
        "fraction": ("must have whole numbers or names as labels", "Write 1 in place of 1.0."),
        "missing": ("must have a label in each line", "Leave out images without a label."),
        "large": (f"must have labels below {LARGEST}", "Number the classes 0, 1, ..."),
        "text": (
            "must have whole numbers as labels of test images, as the training images have",
            "Write all labels as numbers, or all as names.",
        ),
    }
    return [
        Mistake("root", rule, counted("line", by[kind]), remedy)
        for kind, (rule, remedy) in rules.items()
        if kind in by
    ]
