"""Products of whole pixels: exact, and of the same bits in any company."""

import numpy as np
import pytest
from trials import trial

from backdoor.config import build_data
from backdoor.datasets.source import load_source
from backdoor.engines.convex import Tridiagonal
from backdoor.engines.shared import SharedProducts
from backdoor.engines.whole import SAFE, Pixels, products
from backdoor.trial import prepare

DRAW = np.random.default_rng(0)


@pytest.mark.parametrize("inputs", [1, 7, SAFE, SAFE + 1, 3 * SAFE + 5])
def test_products_are_those_of_whole_numbers(inputs) -> None:
    a = DRAW.integers(0, 256, (9, inputs), dtype=np.uint8)
    b = DRAW.integers(0, 256, (4, inputs), dtype=np.uint8)
    whole = [each.astype(np.int64) for each in (a, b)]
    assert np.array_equal(products(a, b), whole[0] @ whole[1].T)
    assert np.array_equal(products(a), whole[0] @ whole[0].T)


@pytest.mark.parametrize("value", [0, 255])
def test_products_of_the_extremes_are_exact(value) -> None:
    a = np.full((2, 5 * SAFE), value, dtype=np.uint8)
    assert (products(a) == value**2 * 5 * SAFE).all()


@pytest.mark.parametrize("standard", [False, True])
def test_inner_products_distances_and_variance_are_those_of_the_inputs(standard) -> None:
    scale = np.array([0.01, 0.02, 0.005]) if standard else np.full(3, 1 / 255)
    shift = np.array([0.3, 1.5, 0.8]) if standard else np.zeros(3)
    some, others = (
        Pixels(DRAW.integers(0, 256, (n, 12), dtype=np.uint8), scale, shift) for n in (6, 5)
    )
    x = some.images.reshape(6, 3, 4) * scale[:, None] - shift[:, None]
    y = others.images.reshape(5, 3, 4) * scale[:, None] - shift[:, None]
    x, y = x.reshape(6, 12), y.reshape(5, 12)
    assert np.allclose(some.inputs(), x, rtol=1e-14, atol=1e-14)
    for ours, theirs in ((None, x), (others, y)):
        assert np.allclose(some.inner(ours), x @ theirs.T, rtol=1e-12)
        apart = np.square(x[:, None] - theirs[None]).sum(2)
        assert np.allclose(some.squared_distances(ours), apart, rtol=1e-12, atol=1e-12)
    assert np.isclose(some.variance(), x.var(), rtol=1e-12)


def pack(rates=(0, 0.02, 0.1), seeds=(0, 1)):
    data = build_data({"kind": "digits", "train": 120, "validation": 10, "test": 30})
    configs = [trial("ridge", seed=s, rate=r, data=data) for s in seeds for r in rates]
    return prepare(configs, (), load_source(data))


@pytest.mark.parametrize("most", [None, 0, 20_000])
def test_shared_products_are_bitwise_those_of_one_training_set(most, monkeypatch) -> None:
    """Whatever came before, and whether or not there is room to keep them."""
    if most is not None:
        monkeypatch.setattr("backdoor.engines.shared.MOST", most)
    members, store = pack()
    shared = SharedProducts(store, members)
    for member in [*members, *members[::-2]]:
        own, test = Pixels.of(store, member.train), Pixels.of(store, member.test)
        whole = own.images.astype(np.int64)
        assert np.array_equal(shared.moments(member.train), whole.T @ whole)
        support = member.train[5:40]
        for what in ("inner", "squared_distances"):
            assert np.array_equal(shared.inner(member.train, what), getattr(own, what)())
            between = getattr(own[np.arange(5, 40)], what)(test)
            assert np.array_equal(shared.between(support, member.test, what), between)
        assert sum(kept.size for kept in shared._kept.values()) <= (most if most else 2**26)


@pytest.mark.parametrize("size", [1, 2, 3, 40])
def test_a_tridiagonal_form_solves_for_every_alpha(size) -> None:
    root = DRAW.standard_normal((size, max(1, size - 3)))
    matrix, right = root @ root.T, DRAW.standard_normal((size, 2))
    form = Tridiagonal(matrix.copy())
    for alpha in (1e-3, 1.0, 100.0):
        solved = form.rotate(np.asfortranarray(form.solve(alpha, form.rotate(right))), back=True)
        expected = np.linalg.solve(matrix + alpha * np.eye(size), right)
        assert np.allclose(solved, expected, rtol=1e-9, atol=1e-9)
    free = form.rotate(form.solve(0.0, form.rotate(right)), back=True)
    assert np.allclose(free, np.linalg.pinv(matrix, rcond=1e-12) @ right, rtol=1e-7, atol=1e-7)
