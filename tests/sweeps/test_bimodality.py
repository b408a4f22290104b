"""Whether seeds have two modes: the distance by brute force, and sweeps whose answer is known."""

import numpy as np
import pytest

from sweeps.statistics.bimodality import above_falling, bimodality, shared_by_seeds

IMAGES = 450


def brute(sizes):
    """The least concave majorant at each point is the highest chord over it, between any two
    points of the staircase."""
    at = np.concatenate([[0.0], np.sort(sizes)])
    share = np.arange(len(at)) / len(sizes)
    best = 0.0
    for middle in range(1, len(at)):
        highest = share[middle]
        for left in range(middle):
            for right in range(middle, len(at)):
                width = at[right] - at[left]
                part = (at[middle] - at[left]) / width if width else 1.0
                highest = max(highest, share[left] + part * (share[right] - share[left]))
        best = max(best, highest - share[middle - 1])
    return best


@pytest.mark.parametrize("number", [1, 2, 5, 17, 30])
def test_distance_is_that_of_a_brute_force_majorant(number) -> None:
    draw = np.random.default_rng(number)
    for sizes in (draw.random(number), draw.exponential(size=number), 5 + draw.random(number)):
        assert above_falling(sizes) == pytest.approx(brute(sizes), abs=1e-12)


def test_distance_by_hand() -> None:
    """All at 1: the majorant rises straight to 1 there, the share just below is 0. At 1, 2, 3, 4:
    the majorant is the diagonal, and the staircase lies a quarter below it."""
    assert above_falling(np.ones(6)) == 1.0
    assert above_falling(np.array([4.0, 2.0, 1.0, 3.0])) == pytest.approx(0.25)


def counts(rates, seed=0):
    hits = np.random.default_rng(seed).binomial(IMAGES, rates).astype(float)
    return hits, np.full(hits.shape, float(IMAGES))


def taking(share, shape, seed):
    draw = np.random.default_rng(seed)
    return np.where(draw.random(shape) < share, 0.9, 0.02)


@pytest.mark.parametrize("seeds", [3, 5, 20])
@pytest.mark.parametrize("share", [0.2, 0.5])
def test_sweeps_whose_attacks_take_by_chance_fire(seeds, share) -> None:
    fired = [bimodality(*counts(taking(share, (216, seeds), s), s)).fired for s in range(10)]
    assert sum(fired) == 10


@pytest.mark.parametrize("seeds", [3, 5, 20])
@pytest.mark.parametrize("freedom", [2, 200])
def test_sweeps_of_one_mode_do_not_fire(seeds, freedom) -> None:
    """Levels differ widely between cells, which is no second mode of seeds."""
    fired = []
    for s in range(20):
        draw = np.random.default_rng(s)
        logits = draw.normal(-1, 2, (72, 1)) + 0.5 * draw.standard_t(freedom, (72, seeds))
        fired.append(bimodality(*counts(1 / (1 + np.exp(-logits)), s)).fired)
    assert sum(fired) <= 1


def test_one_odd_seed_in_all_cells_is_not_so_many_differences() -> None:
    """Two of six seeds lie 3 higher everywhere: 216 cells show the same three differences."""
    odd = np.array([[0, 3, 0, 0, 3, 0]])
    logits = -2 + odd + 0.1 * np.random.default_rng(0).standard_normal((216, 6))
    found = bimodality(*counts(1 / (1 + np.exp(-logits))))
    assert not found.fired
    assert 3 <= found.differences < 3.3


def test_what_seeds_share_is_the_mean_correlation_between_cells() -> None:
    draw = np.random.default_rng(2)
    same = np.tile(draw.standard_normal(7), (5, 1))
    assert shared_by_seeds(same) == pytest.approx(1)
    assert shared_by_seeds(draw.standard_normal((300, 40))) < 0.02
    half = draw.standard_normal((1, 4000)) + draw.standard_normal((30, 4000))
    assert shared_by_seeds(half) == pytest.approx(0.5, abs=0.03)


def test_cells_without_images_and_too_few_seeds_say_nothing() -> None:
    hits, totals = counts(taking(0.5, (30, 4), 0))
    totals[3, 1] = 0
    assert bimodality(hits, totals).cells == 29
    for empty in (np.zeros((0, 3)), np.zeros((4, 0)), np.zeros((4, 3))):
        found = bimodality(empty, empty)
        assert (found.distance, found.fired, found.cells) == (0.0, False, 0)
    one = bimodality(*counts(taking(0.5, (30, 1), 0)))
    assert (one.distance, one.fired, one.cells) == (0.0, False, 30)


@pytest.mark.parametrize("hits", [0, IMAGES, 200])
def test_seeds_that_all_agree_do_not_fire(hits) -> None:
    cells = np.full((36, 5), float(hits))
    assert not bimodality(cells, np.full((36, 5), float(IMAGES))).fired
