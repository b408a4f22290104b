"""Distances of points by ranks and categories, counted by hand."""

from __future__ import annotations

import numpy as np
import pytest

from sweeps.region.point_distances import attack_distances, has_order, point_distances


def distances(points):
    return point_distances(points).round(9).tolist()


def test_a_number_counts_by_its_rank() -> None:
    assert distances([{"x": 0.001}, {"x": 100.0}, {"x": 0.01}]) == [
        [0, 1, 0.5], [1, 0, 0.5], [0.5, 0.5, 0],
    ]  # fmt: skip


def test_factors_add_up_and_text_differs_by_one() -> None:
    points = [{"x": x, "kind": kind} for kind in ("a", "b") for x in (1, 2, 3)]
    found = point_distances(points)
    assert found[0].tolist() == [0, 0.5, 1, 1, 1.5, 2]
    assert (found == found.T).all() and (np.diag(found) == 0).all()


def test_of_chosen_points_ranks_are_those_among_all() -> None:
    points = [{"x": x} for x in (1, 2, 3, 4, 5)]
    assert has_order(points)
    assert point_distances(points, np.array([0, 4, 3])).tolist() == [
        [0, 1, 0.75], [1, 0, 0.25], [0.75, 0.25, 0],
    ]  # fmt: skip


def test_two_numbers_are_ranked_apart() -> None:
    points = [{"x": x, "y": y} for x in (1, 2, 4) for y in (10, 20)]
    found = point_distances(points)
    assert found[0].tolist() == [0, 1, 0.5, 1.5, 1, 2]


def test_a_conditional_factor_is_ranked_beside_its_condition() -> None:
    """Dropout is there for `mlp` only; its place without values is in the middle."""
    points = [{"net": "mlp", "drop": d} for d in (0.1, 0.2, 0.3)] + [{"net": "ridge"}]
    found = point_distances(points)
    assert found[3].tolist() == [1.5, 1, 1.5, 0] and found[0].tolist() == [0, 0.5, 1, 1.5]
    # Values of two kinds have ranks of their own: 0.1 to 0.3, and 5 to 7.
    both = point_distances([*points[:3], *({"net": "cnn", "drop": d} for d in (5, 6, 7))])
    assert both[0].tolist() == [0, 0.5, 1, 1, 1.5, 2]


@pytest.mark.parametrize(
    "points",
    [
        [{"x": 1}],
        [{"x": 1}, {"x": 2}, {"x": 2}],
        [{"x": 5, "k": k} for k in "abc"],
        [{"k": k} for k in "abc"],
        [{"on": on} for on in (True, False, True)],
        [{"x": x} for x in (1, 2, "auto")],
        [{"x": x} for x in (1, 2, None)],
        [{"x": x} for x in ("[1]", "[2]", "[3]")],
        # Two values, and points that have none: these are no third value.
        [{"k": "a", "x": 1}, {"k": "a", "x": 2}, {"k": "b"}],
        # Beside equal values of the others, no more than two are there to compare.
        [{"k": "a", "x": 1}, {"k": "a", "x": 2}, {"k": "b", "x": 3}],
        [{}, {}],
    ],
)
def test_no_factor_has_an_order(points) -> None:
    assert not has_order(points)
    assert np.isfinite(point_distances(points)).all()


def test_booleans_and_nothing_are_categories() -> None:
    points = [{"x": x, "on": on} for on in (True, None) for x in (1, 2, 3)]
    found = point_distances(points)
    assert found[0].tolist() == [0, 0.5, 1, 1, 1.5, 2]
    # 1 and true are not the same category, nor are 1 and "1".
    mixed = point_distances([{"x": x, "y": y} for y in (1, True, "1") for x in (1, 2, 3)])
    assert mixed[0, ::3].tolist() == [0, 1, 1]


def test_whole_numbers_and_fractions_are_one_order() -> None:
    assert distances([{"x": 1}, {"x": 1.5}, {"x": 2.0}, {"x": 2}])[0] == [0, 0.5, 1, 1]


def test_attacks_differ_by_trigger_target_and_the_logarithm_of_their_rates() -> None:
    def attack(trigger, rate, target=0, **more):
        return {"trigger": trigger, "poison_rate": rate, "target": target, **more}

    found = attack_distances([attack("p", 0.01), attack("p", 0.1), attack("b", 1.0)])
    np.testing.assert_allclose(found, [[0, 0.5, 2], [0.5, 0, 1.5], [2, 1.5, 0]])
    targets = [attack("p", 0.1, goal="to 0"), attack("p", 0.1, 1, goal="to 1"), attack("p", 0.1)]
    assert attack_distances(targets)[0].tolist() == [0, 1, 1]
    assert attack_distances([attack("p", 0.1, None)]).tolist() == [[0]]
