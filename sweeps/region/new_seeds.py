"""What the model of a region search expects of one new seed at points, with 95 % limits."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy.special import expit

from sweeps.levelset.columns import Floats
from sweeps.levelset.model import Model
from sweeps.records.model_answer import RateEntry

#: Standard deviations of a 95 % interval.
Z = 1.96
#: Points at a time: under all attacks they would take much memory.
CHUNK = 1024


class NewSeed(NamedTuple):
    """One new seed at one point. attacks: its success under each attack, in the order of the panel;
    worst: the number of the attack that is expected to succeed most."""

    clean: RateEntry
    attacks: list[RateEntry]
    worst: int


def new_seeds(model: Model, points: Floats) -> list[NewSeed]:
    """Of each point of the encoded space, (n, columns)."""
    parts = (points[start : start + CHUNK] for start in range(0, len(points), CHUNK))
    return [seed for part in parts for seed in _of_part(model, part)]


def _of_part(model: Model, points: Floats) -> list[NewSeed]:
    width = len(model.panel)
    clean, attack = model.clean.at(points), model.attack.at(model.crossed(points))
    accuracy = _rates(clean.mean, clean.variance() + model.seed_noise(clean, 0), model.centre[0])
    success = _rates(attack.mean, attack.variance() + model.seed_noise(attack, 1), model.centre[1])
    worst = attack.mean.reshape(len(points), width).argmax(axis=1).tolist()
    return [
        NewSeed(accuracy[i], success[i * width : (i + 1) * width], worst[i])
        for i in range(len(points))
    ]


def _rates(mean: Floats, variance: Floats, centre: float) -> list[RateEntry]:
    """Expected rates with the limits of one new seed, from logits less `centre`."""
    spread = Z * np.sqrt(variance)
    ends = (expit(logit + centre).tolist() for logit in (mean, mean - spread, mean + spread))
    return [
        {"expected": expected, "lower": lower, "upper": upper}
        for expected, lower, upper in zip(*ends, strict=True)
    ]
