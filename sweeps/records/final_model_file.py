"""config.json of a final model: what was trained, and what the sweep's seeds made expected of it.

Rates are fractions; counts are of images.
"""

from __future__ import annotations

from typing import TypedDict


class ExpectedEntry(TypedDict):
    """A prediction interval for one new seed. low, high: as fractions, and as counts of `total`
    images; seeds: how many seeds it comes from; confidence: of the interval."""

    low: float
    high: float
    low_count: int
    high_count: int
    total: int
    seeds: int
    confidence: float


class FigureEntry(TypedDict):
    """A figure of the model. figure: `clean_accuracy` or `attack_success`; attack: trigger and goal
    in words, None for clean accuracy. value: count / total, None without images. expected: None
    where too few seeds say anything; inside: whether the figure lies in that interval."""

    figure: str
    attack: str | None
    count: int
    total: int
    value: float | None
    expected: ExpectedEntry | None
    inside: bool | None


class AttackName(TypedDict):
    """An attack of the panel; number: from 1, in its order."""

    number: int
    attack_id: str
    label: str


class IfPoisoned(TypedDict):
    """What is expected had the panel's worst attack poisoned the data."""

    attack: AttackName
    clean_accuracy: ExpectedEntry | None
    attack_success: ExpectedEntry | None


class Expectations(TypedDict):
    """The figures, each with what is expected. expected_from_seeds: seeds of the sweep that were
    used; expected_by: the method in words. if_poisoned: of a model of clean data, else None."""

    figures: list[FigureEntry]
    expected_from_seeds: list[int]
    expected_by: str
    if_poisoned: IfPoisoned | None
