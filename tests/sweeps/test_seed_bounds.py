"""Bounds of a rate over seeds, against a slow implementation of their own, closed forms, by hand."""

import functools
import math
import statistics

import numpy as np
import pytest
from scipy import stats

from sweeps.statistics.seed_bounds import (
    FEWEST_BIMODAL,
    Rate,
    Sample,
    rate,
    rates,
    rates_of,
    taking_share,
)

LEVEL = 0.95


def expit(z):
    return 1 / (1 + math.exp(-z)) if z > -700 else 0.0


def logit(p):
    return math.log(p / (1 - p))


# --- an implementation of its own ---------------------------------------------------------------


@functools.cache
def quantiles(freedom):
    return stats.t.ppf((np.arange(20_000) + 0.5) / 20_000, freedom)


def mean_logit(mean, deviation, freedom):
    """The mean over 20,000 quantiles of Student's t."""
    with np.errstate(over="ignore"):
        return logit((1 / (1 + np.exp(-mean - deviation * quantiles(freedom)))).mean())


def spread_of(values, noise):
    return math.sqrt(max(statistics.variance(values), statistics.mean(noise)))


def first_seeds(counts, level):
    """The upper limit that these seeds prove on their own."""
    m, z, z_noise, coarse, x, x_noise = len(counts), [], [], [], [], []
    for k, n in counts:
        some = min(n, 450)
        p = (k / n * some + 0.5) / (some + 1)
        z.append(logit(p))
        z_noise.append(1 / ((n + 1) * p * (1 - p)))
        coarse.append(1 / ((some + 1) * p * (1 - p)))
        x.append(k / n)
        x_noise.append(p * (1 - p) / (n + 1))
    s, centre = spread_of(z, z_noise), statistics.mean(z)
    reach = stats.t.ppf(level, m - 1) / math.sqrt(m)
    freedom, heavy = min(m - 1, 2 + 0.4 * (m - 3)), 4 if m < 4 else 3
    up = math.sqrt(freedom / stats.chi2.ppf(1 - level, freedom))
    down = math.sqrt(freedom / stats.chi2.ppf(level, freedom))
    wide = max(statistics.stdev(z) * up, math.sqrt(statistics.mean(coarse)) * up**0.6)
    middle = mean_logit(centre, s, heavy)
    shift = mean_logit(centre + reach * s, s, heavy) - middle
    widened = max(mean_logit(centre, wide, heavy), mean_logit(centre, s * down, heavy)) - middle
    limit = expit(middle + math.hypot(shift, max(0.0, widened)))
    return max(limit, statistics.mean(x) + reach * spread_of(x, x_noise))


def slow_upper(counts, level):
    best = 1.0
    for m in range(2, len(counts) + 1):
        best = min(best, max([first_seeds(counts[:m], level), *(k / n for k, n in counts[m:])]))
    return max(best, statistics.mean(k / n for k, n in counts))


CASES = [
    [(300, 500), (350, 500), (410, 500), (330, 500)],
    [(40, 450), (61, 450), (33, 450)],
    [(3, 450), (5, 450), (0, 450), (9, 450), (2, 450), (1, 450)],
    [(12, 100), (30, 300), (8, 120), (15, 90), (3, 40)],
    [(9500, 10000), (9480, 10000), (9533, 10000)],
    [(100, 450), (10, 450), (11, 450), (12, 450), (8, 450)],
    [(450, 450), (450, 450), (449, 450), (450, 450)],
]


@pytest.mark.parametrize("counts", CASES)
def test_limits_are_those_of_an_implementation_of_its_own(counts) -> None:
    found = rate(counts, LEVEL)
    failed = [(n - k, n) for k, n in counts]
    assert found.mean == pytest.approx(statistics.mean(k / n for k, n in counts))
    assert found.upper == pytest.approx(slow_upper(counts, LEVEL), abs=1.5e-3)
    assert found.lower == pytest.approx(1 - slow_upper(failed, LEVEL), abs=1.5e-3)


def test_three_seeds_that_agree_at_a_half_by_hand() -> None:
    """Their spread is the binomial noise of 500 images, 0.0223; t with two degrees at 0.95, 2.92."""
    found = rate([(250, 500)] * 3, LEVEL)
    assert found.upper == pytest.approx(0.5 + 2.919986 * math.sqrt(0.25 / 501) / math.sqrt(3))
    assert found.lower == pytest.approx(1 - found.upper)


def test_the_limit_of_the_first_seeds_stays_while_those_after_agree() -> None:
    """A seed without a success widens the deviation, but is none above what five proved."""
    before = rate([(30, 450)] * 5, LEVEL)
    after = rate([(30, 450)] * 5 + [(0, 450)], LEVEL)
    assert after.upper == before.upper and after.lower < before.lower
    assert first_seeds([(30, 450)] * 5 + [(0, 450)], LEVEL) > 1.2 * before.upper
    assert rate([(0, 450), (30, 450), (30, 450), (30, 450)], LEVEL).upper > 1.2 * before.upper


# --- what no count disproves --------------------------------------------------------------------


@pytest.mark.parametrize("bimodal", [False, True])
@pytest.mark.parametrize("seeds", [2, 3, 20])
def test_no_count_disproves_a_rate_of_none_or_of_all(seeds, bimodal) -> None:
    """A point with no success at all was OUT by bounds where none is allowed."""
    none, all_ = (rate([(k, 450)] * seeds, LEVEL, bimodal) for k in (0, 450))
    assert none.mean == none.lower == 0 and all_.mean == all_.upper == 1
    assert none.upper == pytest.approx(1 - all_.lower)
    assert 0 < none.upper < 1


def test_three_seeds_without_a_success_prove_a_low_rate_but_not_none() -> None:
    assert 0.02 < rate([(0, 450)] * 3, LEVEL).upper < 0.15
    assert rate([(0, 450)] * 10, LEVEL).upper < 0.05
    assert rate([(20, 450)] * 3, LEVEL).lower > 0.02


def test_one_seed_proves_nothing_and_a_seed_without_images_is_none() -> None:
    assert rate([(3, 10)], LEVEL) == Rate(0.3, None, None)
    assert rate([(3, 10), (0, 0)], LEVEL) == Rate(0.3, None, None)
    nothing = rate([(0, 0)], LEVEL)
    assert math.isnan(nothing.mean) and nothing.lower is nothing.upper is None
    assert rate([(1, 9), (0, 0), (2, 9)], LEVEL) == rate([(1, 9), (2, 9)], LEVEL)


def test_bounds_are_never_inside_the_mean() -> None:
    draw = np.random.default_rng(0)
    cells = [[(int(draw.binomial(90, p)), 90) for p in draw.beta(0.3, 0.6, n)] for n in
             draw.integers(2, 12, 300)]  # fmt: skip
    for bimodal in (False, True):
        for found in rates(cells[:: 10 if bimodal else 1], LEVEL, bimodal):
            assert 0 <= found.lower <= found.mean <= found.upper <= 1


def test_many_cells_are_those_one_after_the_other() -> None:
    cells = [*CASES, [(1, 9)], [(0, 0), (2, 9)], []]
    for bimodal in (False, True):
        for one, many in zip(
            [rate(c, LEVEL, bimodal) for c in cells], rates(cells, LEVEL, bimodal), strict=True
        ):
            assert many.mean == pytest.approx(one.mean, nan_ok=True) and many.firm == one.firm
            assert many.upper == pytest.approx(one.upper) and many.lower == pytest.approx(one.lower)


# --- a seed more that agrees --------------------------------------------------------------------


def agreeing(limit, images, draw, kind):
    """Counts whose rate is at most the limit: none, as many as agree, or any of them."""
    most = np.floor(limit * images)
    most -= most / images > limit
    return {"none": 0 * most, "most": most, "any": np.floor(draw.random(len(most)) * (most + 1)),
            "turns": most * (draw.random(len(most)) < 0.3)}[kind]  # fmt: skip


KINDS = [(kind, False) for kind in ("none", "most", "any", "turns")]


@pytest.mark.parametrize(("kind", "bimodal"), [*KINDS, ("most", True), ("any", True)])
def test_a_seed_more_that_agrees_never_takes_away_what_was_proven(kind, bimodal) -> None:
    """From two seeds on, on both sides, with thresholds that are just met before each."""
    draw = np.random.default_rng(1)
    cells, more_seeds = (3, 8) if bimodal else (40, 14)
    images = draw.choice([60, 450, 5000], cells).astype(float)
    centre = draw.normal(-2, 1.5, (cells, 1))
    p = 1 / (1 + np.exp(-centre - draw.normal(0, 0.5, (cells, 2))))
    hits = draw.binomial(images[:, None].astype(int), p).astype(float)
    for side in ("upper", "lower"):
        column, limits = hits if side == "upper" else images[:, None] - hits, None
        for _ in range(more_seeds):
            sample = Sample.of(column, np.broadcast_to(images[:, None], column.shape).copy())
            found = np.array([getattr(each, side) for each in rates_of(sample, LEVEL, bimodal)])
            if limits is not None:
                assert (found <= limits if side == "upper" else found >= limits).all()
            limits = found
            if side == "upper":
                more = agreeing(limits, images, draw, kind)
            else:
                more = images - agreeing(1 - limits, images, draw, kind)
                more += more / images < limits
            column = np.concatenate([column, more[:, None]], axis=1)


# --- seeds of two modes -------------------------------------------------------------------------


def test_two_modes_prove_nothing_below_twenty_seeds() -> None:
    assert FEWEST_BIMODAL == 20
    assert not rate([(0, 450)] * 19, LEVEL, bimodal=True).firm
    assert rate([(0, 450)] * 20, LEVEL, bimodal=True).firm
    assert rate([(0, 450)] * 3, LEVEL).firm


@pytest.mark.parametrize("seeds", [3, 5, 10, 20])
def test_of_seeds_that_all_failed_more_are_excluded_only_by_more_seeds(seeds) -> None:
    """A share q of seeds that take is missed by all with (1 - q)^n = 0.05, and may take at 1."""
    share = 1 - 0.05 ** (1 / seeds)
    assert taking_share(seeds, LEVEL) == pytest.approx(share)
    assert rate([(0, 450)] * seeds, LEVEL, True).upper == pytest.approx(share, abs=0.025)
    assert taking_share(3, LEVEL) == pytest.approx(0.632, abs=5e-4)


def test_limits_for_any_distribution_are_quantiles_of_evenly_weighted_means() -> None:
    counts = [(9, 450)] * 14 + [(405, 450)] * 6
    weights = np.random.default_rng(7).dirichlet(np.ones(21), 100_000)
    values = np.array([k / n for k, n in counts] + [1.0])
    found = rate(counts, LEVEL, bimodal=True)
    assert found.upper == pytest.approx(np.quantile(weights @ values, 0.95), abs=0.01)
    values[-1] = 0
    assert found.lower == pytest.approx(np.quantile(weights @ values, 0.05), abs=0.01)


# --- coverage, a few draws ----------------------------------------------------------------------


@pytest.mark.parametrize("freedom", [2, 200])
@pytest.mark.parametrize("seeds", [3, 8])
def test_bounds_hold_for_normal_and_for_heavy_tailed_logits(seeds, freedom) -> None:
    """At least 0.93 of each; with 1,500 draws, that less two standard errors."""
    draw = np.random.default_rng(3)
    truth = (1 / (1 + np.exp(3 - 0.5 * quantiles(freedom)))).mean()
    p = 1 / (1 + np.exp(3 - 0.5 * draw.standard_t(freedom, (1500, seeds))))
    cells = [[(int(k), 2000) for k in row] for row in draw.binomial(2000, p)]
    found = rates(cells, LEVEL)
    assert np.mean([each.upper >= truth for each in found]) > 0.93 - 2 * 0.0066
    assert np.mean([each.lower <= truth for each in found]) > 0.93 - 2 * 0.0066
    assert np.mean([each.upper < 0.5 for each in found]) > 0.7
