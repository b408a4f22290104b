"""Statements that hold together, against all sets of the likeliest ones."""

from __future__ import annotations

import numpy as np
import pytest

from sweeps.statistics.holding_together import hold_together


def slow(true, confidence):
    """The largest of the sets {statements at least as likely as p}, over all p."""
    chance = true.mean(axis=1)
    best = np.zeros(len(true), dtype=bool)
    for least in set(chance.tolist()):
        chosen = chance >= least
        together = sum(all(row) for row in true[chosen].T.tolist()) / true.shape[1]
        if together >= confidence and chosen.sum() > best.sum():
            best = chosen
    return best


@pytest.mark.parametrize("confidence", [0.5, 0.8, 0.95])
def test_it_is_the_largest_set_of_the_likeliest(confidence) -> None:
    rng = np.random.default_rng(0)
    for _ in range(60):
        statements, draws = int(rng.integers(1, 8)), int(rng.integers(1, 60))
        shared = rng.random(draws)
        true = (0.7 * shared + 0.3 * rng.random((statements, draws))) > 0.4 * rng.random(
            (statements, 1)
        )
        found = hold_together(true, confidence)
        assert found.tolist() == slow(true, confidence).tolist()


def test_equally_likely_statements_are_all_in_or_none() -> None:
    draws = np.ones((3, 10), dtype=bool)
    draws[1, 0] = draws[2, 1] = False  # 0.9 each, 0.8 together
    assert hold_together(draws, 0.9).tolist() == [True, False, False]
    assert hold_together(draws, 0.8).tolist() == [True, True, True]


def test_none_and_all() -> None:
    assert hold_together(np.zeros((2, 5), dtype=bool), 0.95).tolist() == [False, False]
    assert hold_together(np.ones((2, 5), dtype=bool), 0.95).tolist() == [True, True]
    assert hold_together(np.zeros((0, 5), dtype=bool), 0.95).tolist() == []
