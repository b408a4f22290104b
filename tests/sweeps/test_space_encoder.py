"""The encoder of a space: random spaces there and back, without any memory of what was encoded."""

import numpy as np
import pytest

from sweeps.space.axis import axis_of
from sweeps.space.encoder import SpaceEncoder
from sweeps.space.scale import Scale
from sweeps.space.space import Branch, Leaf, Range, Space

WORDS = ("a", "b", "every", None, True, False, (1, 2), (3,))


def random_range(rng, signed):
    scale = str(rng.choice(["log", "uniform", "int"]))
    if scale == "int":
        low = int(rng.integers(-5 if signed else 0, 50))
        return Range(low, low + int(rng.integers(1, 400)), "int")
    if scale == "uniform" and signed:
        return Range(-float(rng.random()) - 0.01, float(rng.random()) + 0.01, "uniform")
    if scale == "uniform" and rng.random() < 0.3:
        return Range(0, 10.0 ** rng.uniform(-3, 3), "uniform")
    low = 10.0 ** rng.uniform(-7, 2)
    return Range(low, low * 10.0 ** rng.uniform(0.01, 8), scale)


def random_option(rng, signed):
    if rng.random() < 0.5:
        return random_range(rng, signed)
    number = round(10.0 ** rng.uniform(-6, 3), int(rng.integers(1, 20)))
    return [number, int(rng.integers(0, 200)), 0, 1 / 3][int(rng.integers(4))]


def random_leaf(rng, signed):
    """Words, numbers and ranges, some of them or one."""
    words = rng.permutation(len(WORDS))[: int(rng.integers(0, 4))] if rng.random() < 0.3 else ()
    options = [WORDS[i] for i in words]
    options += [
        random_option(rng, signed) for _ in range(int(rng.integers(0 if options else 1, 4)))
    ]
    return Leaf(tuple(options), "defence.x")


def random_space(rng, signed=False):
    """Branches that share some factors, have some of their own, and lack others."""
    shared = {name: random_leaf(rng, signed) for name in ("x", "y", "z")}
    branches, inactive = [], []
    for kind in range(int(rng.integers(1, 5))):
        leaves = {n: leaf for n, leaf in shared.items() if rng.random() < 0.8}
        if "y" in leaves and rng.random() < 0.3:
            leaves["y"] = random_leaf(rng, signed)  # a component may carry a factor of its own
        for setting in range(int(rng.integers(0, 3))):
            leaves[f"net.s{setting}"] = random_leaf(rng, signed)
        branches.append(Branch((("net", f"k{kind}"),), tuple(leaves.items())))
        inactive.append(frozenset(n for n in leaves if rng.random() < 0.15))
    return Space(tuple(branches)), inactive


def located(space, point):
    kinds = [branch.kinds[0][1] for branch in space.branches]
    index = kinds.index(point["net"]["kind"])
    return index, space.branches[index].read(point)


def effective(space, inactive, point):
    """The branch of a point, and the values of the leaves that have an effect there."""
    index, values = located(space, point)
    names = [name for name, _ in space.branches[index].leaves]
    pairs = zip(names, values, strict=True)
    return index, {name: value for name, value in pairs if name not in inactive[index]}


@pytest.mark.parametrize("seed", range(60))
def test_every_point_comes_back_from_its_row_alone(seed) -> None:
    rng = np.random.default_rng(seed)
    space, inactive = random_space(rng)
    encoder, fresh = SpaceEncoder(space, inactive), SpaceEncoder(space, inactive)
    points = [space.sample(rng) for _ in range(40)] + [point for point, _ in space.ends()]
    for point in points:
        row = encoder.encode(*located(space, point))
        back = fresh.decode(row)
        assert effective(space, inactive, back) == effective(space, inactive, point)
        assert np.array_equal(fresh.encode(*located(space, back)), row)


@pytest.mark.parametrize("seed", range(30))
def test_numbers_near_0_may_have_one_row_but_the_row_has_one_point(seed) -> None:
    """On a scale from below 0, positions tell fewer numbers apart than twelve digits do."""
    rng = np.random.default_rng(500 + seed)
    space, inactive = random_space(rng, signed=True)
    encoder = SpaceEncoder(space, inactive)
    for _ in range(40):
        row = encoder.encode(*located(space, space.sample(rng)))
        assert np.array_equal(encoder.encode(*located(space, encoder.decode(row))), row)


@pytest.mark.parametrize("seed", range(60))
def test_positions_in_the_unit_cube_are_rows_that_come_back(seed) -> None:
    rng = np.random.default_rng(1000 + seed)
    space, inactive = random_space(rng, signed=seed % 2 == 0)
    encoder = SpaceEncoder(space, inactive)
    places = rng.random((40, encoder.axes))
    rows = encoder.at(places)
    for row in rows:
        assert np.array_equal(encoder.encode(*located(space, encoder.decode(row))), row)
    assert encoder.near(places) == pytest.approx(rows, abs=1e-9)


@pytest.mark.parametrize("seed", range(60))
def test_any_row_stands_for_a_point_whose_row_stands_for_the_same_point(seed) -> None:
    rng = np.random.default_rng(2000 + seed)
    space, inactive = random_space(rng, signed=seed % 2 == 0)
    encoder = SpaceEncoder(space, inactive)
    for _ in range(40):
        row = [rng.integers(c) if c else rng.random() for c in encoder.categories]
        point = encoder.decode(np.array(row, dtype=np.float64))
        again = encoder.encode(*located(space, point))
        assert np.array_equal(encoder.encode(*located(space, encoder.decode(again))), again)
        assert effective(space, inactive, encoder.decode(again)) == effective(
            space, inactive, point
        )


def test_values_come_back_as_the_spec_writes_them() -> None:
    leaf = Leaf((1, 0.1, 1 / 3, 0, Range(0.001, 1000, "log")), "defence.x")
    axis = axis_of(leaf.options)
    for value in (1, 0.1, 1 / 3, 0, 123.456, 0.001, 1000.0):
        found = axis.decode(axis.encode(value), leaf)
        assert found == value and type(found) is type(value)


@pytest.mark.parametrize(
    ("scale", "values"),
    [
        (Scale(0, 10), [0, 5, 10]),
        (Scale(1, 100, log=True), [1, 10, 100]),
        (Scale(3, 11, step=4), [3, 7, 11]),
        (Scale(1, 100, log=True, step=1), [1, 7, 100]),
        (Scale(0, 1, step=0.25), [0, 0.5, 1]),
    ],
)
def test_a_scale_gives_equal_parts_to_its_values(scale, values) -> None:
    units = np.array([0.0, 0.5, 1.0])
    assert [scale.at(unit) for unit in units] == pytest.approx(values, rel=0.07)
    assert scale.at_all(units) == pytest.approx([scale.at(unit) for unit in units])
    assert scale.snap(units) == pytest.approx(scale.to_units(scale.at_all(units)))
    for value in values:
        assert scale.to_value(scale.to_unit(value)) == pytest.approx(value)
    if scale.step is not None and not scale.log:
        drawn = [scale.at(unit) for unit in (np.arange(1000) + 0.5) / 1000]
        counts = [drawn.count(value) for value in set(drawn)]
        assert len(counts) == scale.count and max(counts) - min(counts) <= 1
