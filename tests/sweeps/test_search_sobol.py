"""Sobol search: even in every axis, another sequence for another seed."""

import math
from collections import Counter
from itertools import islice

import numpy as np
import pytest
from scipy.stats import qmc
from small import small_spec

from sweeps.search import make_search
from sweeps.search.sobol import sobol_points
from sweeps.space.unit_cube import point_at

MIXED = {
    "architecture": ["linear", {"kind": "mlp", "width": [8, 16], "learning_rate": {"log": [0.01, 1]}}],
    "weight_decay": [0, {"log": [1e-4, 1]}],
    "momentum": {"uniform": [0, 0.8]},
    "epochs": {"int": [1, 4]},
}  # fmt: skip


def spec_of(defence=MIXED, points=64, seed=0):
    search = {"kind": "sobol", "points": points, "seed": seed}
    return small_spec(defence=defence, search=search)


def points_of(spec):
    return list(islice(sobol_points(spec.defence, spec.search.points, spec.search.seed), spec.search.points))  # fmt: skip


def test_equal_shares_for_branches_options_and_parts_of_ranges() -> None:
    points = points_of(spec_of(points=256))
    kinds = Counter(p["architecture"]["kind"] for p in points)
    assert kinds == {"linear": 128, "mlp": 128}
    assert Counter(p["weight_decay"] == 0 for p in points) == {True: 128, False: 128}
    decades = Counter(
        math.floor(math.log10(p["weight_decay"])) for p in points if p["weight_decay"]
    )
    assert set(decades) == {-4, -3, -2, -1} and all(28 <= n <= 36 for n in decades.values())
    assert Counter(p["epochs"] for p in points) == {1: 64, 2: 64, 3: 64, 4: 64}
    assert Counter(int(p["momentum"] * 10) for p in points) == dict.fromkeys(range(8), 32)
    mlps = [p for p in points if p["architecture"]["kind"] == "mlp"]
    assert Counter(p["architecture"]["width"] for p in mlps) == {8: 64, 16: 64}
    assert Counter(p["learning_rate"] < 0.1 for p in mlps) == {True: 64, False: 64}


def test_more_even_than_chance_in_all_axes_together() -> None:
    defence = {"architecture": "linear", "weight_decay": {"log": [1e-4, 1]}, "momentum": {"uniform": [0, 0.9]},
               "learning_rate": {"log": [0.01, 1]}}  # fmt: skip
    unit = np.array([
        [(math.log10(p["weight_decay"]) + 4) / 4, p["momentum"] / 0.9, (math.log10(p["learning_rate"]) + 2) / 2]
        for p in points_of(spec_of(defence, points=50))
    ])  # fmt: skip
    chance = [qmc.discrepancy(np.random.default_rng(s).random((50, 3))) for s in range(20)]
    assert qmc.discrepancy(np.clip(unit, 0, 1)) < min(chance) / 2


def test_ends_of_the_cube_are_ends_of_the_space() -> None:
    space = spec_of().defence
    first, last = point_at(space, [0.0] * 6), point_at(space, [1 - 2**-53] * 6)
    assert first == {"architecture": {"kind": "linear"}, "weight_decay": 0, "momentum": 0.0, "epochs": 1}  # fmt: skip
    assert last["architecture"] == {"kind": "mlp", "width": 16}
    assert (last["weight_decay"], last["momentum"], last["epochs"]) == (1, 0.8, 4)
    assert last["learning_rate"] == 1


def drain(search):
    found = []
    while not search.finished:
        found += search.ask(7)
    return found


def test_every_point_meets_the_panel_and_seeds_and_seeds_differ() -> None:
    trials = drain(make_search(spec_of(points=9)))
    assert len({t.trial_id for t in trials}) == len(trials) == 9 * 3 * 2
    assert [t.trial_id for t in trials] == [
        t.trial_id for t in drain(make_search(spec_of(points=9)))
    ]
    other = drain(make_search(spec_of(points=9, seed=1)))
    assert not {t.defence_id for t in trials} & {t.defence_id for t in other}


def test_ends_where_the_space_is_exhausted() -> None:
    defence = {"architecture": ["linear", "ridge"], "weight_decay": [0.1, 1], "epochs": [1, 2, 3]}
    trials = drain(make_search(spec_of(defence, points=50)))
    assert len({t.defence_id for t in trials}) == 2 * 3 + 2  # ridge has no epochs


@pytest.mark.parametrize("points", [1, 5, 8])
def test_no_warning_whatever_the_number_of_points(points) -> None:
    assert len({t.defence_id for t in drain(make_search(spec_of(points=points)))}) == points
