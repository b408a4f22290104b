"""Choices, ranges, components and what is active in which branch."""

import numpy as np
import pytest

from backdoor.config import Defence
from backdoor.settings.registry import ARCHITECTURES, REGULARIZERS
from sweeps.space.parser import SpaceParser
from sweeps.space.space import Range

FAMILIES = {"architecture": ARCHITECTURES, "regularizer": REGULARIZERS}


def parse(given):
    mistakes = []
    space = SpaceParser("defence", Defence, FAMILIES, {}, mistakes.append).parse(given)
    return space, [str(m) for m in mistakes]


def test_grid_is_the_product_with_own_factors_of_components() -> None:
    space, mistakes = parse({
        "architecture": ["linear", {"kind": "mlp", "width": [8, 16], "weight_decay": 0.5}],
        "weight_decay": [0, {"log": [0.01, 1], "steps": 3}],
    })  # fmt: skip
    assert not mistakes
    points = list(space.grid())
    linear = [p["weight_decay"] for p in points if p["architecture"] == {"kind": "linear"}]
    mlp = [
        (p["architecture"]["width"], p["weight_decay"])
        for p in points
        if "width" in p["architecture"]
    ]
    assert linear == [0, 0.01, 0.1, 1.0]
    assert mlp == [(8, 0.5), (16, 0.5)]


@pytest.mark.parametrize(
    ("text", "values"),
    [
        (Range(1, 1000, "log", 4), [1, 10, 100, 1000]),
        (Range(0, 1, "uniform", 3), [0, 0.5, 1]),
        (Range(1, 10, "int", 4), [1, 4, 7, 10]),
        (Range(1, 3, "int", 9), [1, 2, 3]),
    ],
)
def test_grids_of_ranges(text, values) -> None:
    assert text.grid() == values


@pytest.mark.parametrize("scale", ["log", "uniform", "int"])
def test_samples_stay_inside_and_fill_the_range(scale) -> None:
    rng, low, high = np.random.default_rng(0), 1, 100
    values = [Range(low, high, scale).sample(rng) for _ in range(2000)]
    assert min(values) >= low and max(values) <= high
    middle = 10 if scale == "log" else 50.5
    below = sum(value < middle for value in values) / 2000
    assert 0.45 < below < 0.55


def test_ends_visit_every_choice_and_both_ends_of_ranges() -> None:
    space, _ = parse(
        {"architecture": "mlp", "weight_decay": [0, {"log": [0.01, 1]}], "epochs": [3, 5]}
    )
    seen = [assignment for assignment, _ in space.ends()]
    assert {a["weight_decay"] for a in seen} == {0, 0.01, 1.0}
    assert {a["epochs"] for a in seen} == {3, 5}


@pytest.mark.parametrize(
    ("given", "text"),
    [
        ({"architecture": "mlp", "epochs": []}, "defence.epochs: must not be an empty list, but got []."),
        ({"architecture": []}, "defence.architecture: must not be an empty list"),
        ({"architecture": "mlp", "weight_decay": {"log": [1, 0.1]}}, "must have `low < high`, but got [1, 0.1]"),
        ({"architecture": "mlp", "weight_decay": {"log": [0, 1]}}, "must have `low > 0` on a log scale"),
        ({"architecture": "mlp", "epochs": {"int": [1.5, 3]}}, "must have two whole numbers as its ends"),
        ({"architecture": "mlp", "epochs": {"int": [1, 3], "steps": 1}}, "must be a whole number >= 2"),
        ({"architecture": "mlp", "epochs": {"from": 1}}, "must be a value, a list, or a range"),
        ({"architecture": {"width": 3}}, "must be the name of one architecture, or a mapping with `kind`"),
        ({"architecture": "mlp", "regularizer": {"kind": "none", "strength": 1}},
         "defence.regularizer.strength: is not a factor of `none` or of `defence`, but got 1."),
        ({"architecture": {"kind": "mlp", "epochs": 3}, "regularizer": {"kind": "none", "epochs": 4}},
         "defence.regularizer.epochs: is also set by defence.architecture.epochs"),
        ({"architecture": "mlp", "epohcs": 3}, "is not a factor of `defence`, but got 3. Did you mean 'epochs'?"),
    ],
)  # fmt: skip
def test_mistakes(given, text) -> None:
    _, mistakes = parse(given)
    assert any(text in mistake for mistake in mistakes), mistakes
