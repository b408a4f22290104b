"""config.json of a final model: what was trained, and what the sweep's seeds made expected of it.

Rates are fractions; counts are of images.
"""

from __future__ import annotations

from typing import Literal, NotRequired, TypedDict


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


class HeldToEntry(TypedDict):
    """A figure of the model beside what the spec asks for. Rates are fractions.

    figure, attack: as of `FigureEntry`. rule: as the spec writes it, `best - 0.05`, `baseline +
    0.1`. threshold: the number that follows from it, None where it is not known. baseline_success:
    where the rule counts from it, how often clean models give the attacker's answer; None
    elsewhere, and where it is not known. value: of this model. met: whether it meets the
    threshold; None where that is not judged, and `text` says why.
    beyond_chance: whether it misses the threshold, and chance does not explain that; None where it
    is not judged. low, high: what chance explains; one of them is None where it is a one-sided
    bound. by: whose limits these are: of one new seed by the point's `seeds` or by the `model` of a
    region search, or of this model's own test `images`, where no seeds say more; None where there
    are none. text: all this in words.
    """

    figure: str
    attack: str | None
    rule: str
    threshold: float | None
    baseline_success: float | None
    value: float | None
    met: bool | None
    beyond_chance: bool | None
    low: float | None
    high: float | None
    by: Literal["seeds", "model", "images"] | None
    text: str


class ForeseenEntry(TypedDict):
    """What is foreseen of one new poisoned seed. standing: where the interval lies: it `meets` the
    threshold, `misses` it or `crosses` it. chance_to_miss: the share of new seeds that miss it."""

    figure: str
    rule: str
    threshold: float
    standing: Literal["meets", "crosses", "misses"]
    chance_to_miss: float
    text: str


class AttackName(TypedDict):
    """An attack of the panel; number: from 1, in its order."""

    number: int
    attack_id: str
    label: str


class IfPoisoned(TypedDict):
    """What is expected had the panel's worst attack poisoned the data. held_to: beside what the
    spec asks for, of what can be said; files of before lack it."""

    attack: AttackName
    clean_accuracy: ExpectedEntry | None
    attack_success: ExpectedEntry | None
    held_to: NotRequired[list[ForeseenEntry]]


class Expectations(TypedDict):
    """The figures, each with what is expected. expected_from_seeds: seeds of the sweep that were
    used; expected_by: the method in words. if_poisoned: of a model of clean data, else None.
    held_to: the figures beside what the spec asks for; files of before lack it."""

    figures: list[FigureEntry]
    expected_from_seeds: list[int]
    expected_by: str
    if_poisoned: IfPoisoned | None
    held_to: NotRequired[list[HeldToEntry]]


class ProgramEntry(TypedDict):
    """The saved program. tried_on: answers that were compared with the trained model's, and
    answers_alike: how many of them agree. images: clean test images that it was tried on;
    triggered: for each trigger, how many it was tried on; files of before lack both."""

    name: str
    tried_on: int
    answers_alike: int
    images: NotRequired[int]
    triggered: NotRequired[list[int]]
