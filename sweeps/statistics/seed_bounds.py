"""One-sided bounds on a rate from a few seeds.

The rate is the mean over all seeds that might be drawn; what is shown is the mean over those that
were. Seeds are the unit of repetition: the test images of several seeds are not exchangeable, so
their counts are never pooled.

Where seeds have one mode, their logits z are taken as normal with unknown mean and deviation, and
the mean rate as E expit(z + s T), T with heavy tails. Its limits are put together from those of the
mean of z and of s (the method of variance estimates recovery, Zou and Donner 2008, Stat. Med. 27,
1693), and are never inside Student's t interval of the rates themselves. The mean binomial noise is
the least spread that is assumed: three seeds that agree by chance prove little.

Where a test finds that seeds have two modes (`sweeps.statistics.bimodality`), limits hold for any
distribution: those of a mean of values in [0, 1] whose weights are evenly distributed (Gaffke 2005;
Learned-Miller and Thomas 2020, arXiv 1905.06208).

Whatever the first m seeds prove remains proven while all seeds after them agree with it: an upper
limit is the least, over m, of the greater of their limit and the largest rate after them.
`tests/benchmarks/bounds.py` simulates how often all this holds.

Notation: c cells, each a rate of n seeds; m of the seeds; z are logits, s their deviation.
"""

from __future__ import annotations

import functools
import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import chdtri, expit, logit, stdtrit

from sweeps.statistics.arrays import Floats

#: Successes and images.
Counts = tuple[int, int]

#: Points at which the mean over T is taken.
NODES = 31
#: Draws of weights, where limits hold for any distribution. Fixed, so that equal counts always have
#: equal limits.
DRAWS = 4000
#: Where seeds have two modes, fewer than this prove nothing.
FEWEST_BIMODAL = 20

#: More images than this say no more of a rate near 0 or 1: most seeds may show none although the
#: mean is far above.
ENOUGH = 450
#: By which power of its factor a deviation grows that is only assumed, since noise is known better.
OF_NOISE = 0.6
#: The fewest seeds that have limits.
FIRST = 2
#: Cells of which limits are computed at once.
CHUNK = 2000


@dataclass(frozen=True)
class Rate:
    """A rate over seeds: its mean, and one-sided bounds where there are two seeds or more. firm:
    whether the bounds may prove that a point is inside; not where so few seeds have two modes."""

    mean: float
    lower: float | None
    upper: float | None
    firm: bool = True


@dataclass(frozen=True)
class Sample:
    """Rates of seeds, (c, n) each, in the order in which seeds were added.

    rates: in [0, 1]. logits: of rates a little inside (0, 1), so that they are finite. rate_noise,
    logit_noise: variances of either that are there at least. coarse_noise: that of logits if there
    were no more than `ENOUGH` images.
    """

    rates: Floats
    logits: Floats
    rate_noise: Floats
    logit_noise: Floats
    coarse_noise: Floats

    @staticmethod
    def of(hits: Floats, totals: Floats) -> Sample:
        """From successes of trials, (c, n) each; trials above 0."""
        # Half a success and half a failure keep the logit of 0 and of n finite. Where more images
        # than enough have no success, the logit would still fall with their number.
        some = np.minimum(totals, ENOUGH)
        inside = (hits / totals * some + 0.5) / (some + 1)
        spread = inside * (1 - inside)
        noise, coarse = 1 / ((totals + 1) * spread), 1 / ((some + 1) * spread)
        return Sample(hits / totals, logit(inside), spread / (totals + 1), noise, coarse)

    @property
    def seeds(self) -> int:
        return int(self.rates.shape[1])

    def rows(self, where: slice) -> Sample:
        """Some of the cells."""
        noises = self.rate_noise, self.logit_noise, self.coarse_noise
        return Sample(*(part[where] for part in (self.rates, self.logits, *noises)))

    def turned(self) -> Sample:
        """The sample of what is left to 1, whose upper limits are the lower ones of this."""
        noises = self.rate_noise, self.logit_noise, self.coarse_noise
        return Sample(1 - self.rates, -self.logits, *noises)


def rate(counts: Sequence[Counts], confidence: float, bimodal: bool = False) -> Rate:
    """The rate behind (successes, trials) of each seed, in the order in which seeds were added.

    A seed without a trial is left out. lower and upper each hold with `confidence`, in (0.5, 1), on
    their own; fractions in [0, 1], with the mean between them. bimodal: whether limits have to hold
    for seeds of any distribution.
    """
    return rates([counts], confidence, bimodal)[0]


def rates(
    cells: Sequence[Sequence[Counts]], confidence: float, bimodal: bool = False
) -> list[Rate]:
    """The same of many cells, which takes less time than one after the other."""
    kept = [[(k, n) for k, n in counts if n] for counts in cells]
    by_length: dict[int, list[int]] = defaultdict(list)
    for index, counts in enumerate(kept):
        by_length[len(counts)].append(index)
    found = [Rate(math.nan, None, None)] * len(kept)
    for length, own in by_length.items():
        if length:
            both = np.asarray([kept[index] for index in own], dtype=np.float64)
            sample = Sample.of(both[:, :, 0], both[:, :, 1])
            for index, each in zip(own, rates_of(sample, confidence, bimodal), strict=True):
                found[index] = each
    return found


def rates_of(sample: Sample, confidence: float, bimodal: bool = False) -> list[Rate]:
    """The same from a sample of at least one seed."""
    means = [sum(row) / len(row) for row in sample.rates.tolist()]
    if sample.seeds < FIRST:
        return [Rate(mean, None, None) for mean in means]
    firm = not bimodal or sample.seeds >= FEWEST_BIMODAL
    found: list[Rate] = []
    for start in range(0, len(means), CHUNK):
        part = sample.rows(slice(start, start + CHUNK))
        upper = upper_limits(part, confidence, bimodal).tolist()
        lower = lower_limits(part, confidence, bimodal).tolist()
        own = means[start : start + CHUNK]
        found += [
            Rate(m, max(0.0, min(low, m)), min(1.0, max(high, m)), firm)
            for m, low, high in zip(own, lower, upper, strict=True)
        ]
    return found


def upper_limits(sample: Sample, confidence: float, bimodal: bool = False) -> Floats:
    """The least limit that any first seeds prove and all after them agree with, (c,)."""
    counts = _counts(sample, bimodal)
    found = _limits(sample, confidence, counts, bimodal)
    for column, count in enumerate(counts):
        after = sample.rates[:, count:].max(axis=1, initial=0.0)
        found[:, column] = np.maximum(found[:, column], after)
    return np.asarray(found.min(axis=1), dtype=np.float64)


def lower_limits(sample: Sample, confidence: float, bimodal: bool = False) -> Floats:
    """The greatest such limit from below, (c,). Rates after the first seeds are compared as they
    are: what is left to 1 is rounded."""
    counts = _counts(sample, bimodal)
    found = 1 - _limits(sample.turned(), confidence, counts, bimodal)
    for column, count in enumerate(counts):
        after = sample.rates[:, count:].min(axis=1, initial=1.0)
        found[:, column] = np.minimum(found[:, column], after)
    return np.asarray(found.max(axis=1), dtype=np.float64)


def _counts(sample: Sample, bimodal: bool) -> range:
    """The numbers of first seeds whose limits count. Where seeds have two modes, fewer than
    `FEWEST_BIMODAL` prove nothing, and theirs take long."""
    first = min(FEWEST_BIMODAL, sample.seeds) if bimodal else FIRST
    return range(first, sample.seeds + 1)


def _limits(sample: Sample, confidence: float, counts: Sequence[int], bimodal: bool) -> Floats:
    limits = any_distribution if bimodal else one_mode
    return limits(sample, confidence, counts)


# --- seeds with one mode ----------------------------------------------------------------------


def one_mode(sample: Sample, confidence: float, counts: Sequence[int]) -> Floats:
    """Upper limits of the mean rate, from the first m seeds for each m of `counts`, (c, counts)."""
    found = [_one_mode(sample, confidence, count) for count in counts]
    return np.stack(found, axis=1)


def _one_mode(sample: Sample, confidence: float, count: int) -> Floats:
    mean, deviation = _moments(sample.logits[:, :count], sample.logit_noise[:, :count])
    of_rates, rate_deviation = _moments(sample.rates[:, :count], sample.rate_noise[:, :count])
    reach = float(stdtrit(count - 1, confidence)) / math.sqrt(count)
    # As of normal values up to three seeds; with more, a heavy-tailed deviation varies more.
    freedom, nodes = min(count - 1, 2 + 0.4 * (count - 3)), _nodes(count)
    up, down = (math.sqrt(freedom / chdtri(freedom, tail)) for tail in (confidence, 1 - confidence))
    own = sample.logits[:, :count].std(axis=1, ddof=1)
    assumed = np.sqrt(sample.coarse_noise[:, :count].mean(axis=1))
    wide, narrow = np.maximum(own * up, assumed * up**OF_NOISE), deviation * down
    centre = _mean_logit(mean, deviation, nodes)
    shifted = _mean_logit(mean + reach * deviation, deviation, nodes) - centre
    spread = np.maximum(_mean_logit(mean, wide, nodes), _mean_logit(mean, narrow, nodes)) - centre
    limit = expit(centre + np.hypot(shifted, np.maximum(0.0, spread)))
    return np.asarray(np.maximum(limit, of_rates + reach * rate_deviation), dtype=np.float64)


def _moments(values: Floats, noise: Floats) -> tuple[Floats, Floats]:
    """Mean and deviation of each row, the latter at least that of the noise, (c,) each."""
    variance = np.maximum(values.var(axis=1, ddof=1), noise.mean(axis=1))
    return values.mean(axis=1), np.sqrt(variance)


@functools.cache
def _nodes(seeds: int) -> tuple[Floats, Floats]:
    """Values of T and their weights, (NODES,) each: Gauss and Legendre's rule over probabilities,
    which reaches far into the tails of Student's t. Of few seeds the uncertain deviation covers a
    part of heavy tails."""
    places, weights = np.polynomial.legendre.leggauss(NODES)
    values = np.asarray(stdtrit(4 if seeds <= 3 else 3, (1 + places) / 2), dtype=np.float64)
    return values, np.asarray(weights / 2, dtype=np.float64)


def _mean_logit(mean: Floats, deviation: Floats, nodes: tuple[Floats, Floats]) -> Floats:
    """Logits of E expit(mean + deviation T), (c,)."""
    values, weights = nodes
    found = expit(mean[:, None] + deviation[:, None] * values) @ weights
    return np.asarray(logit(np.clip(found, 1e-12, 1 - 1e-12)), dtype=np.float64)


# --- seeds of any distribution -----------------------------------------------------------------


def any_distribution(sample: Sample, confidence: float, counts: Sequence[int]) -> Floats:
    """The same for seeds of any distribution in [0, 1]: in the worst case, what no seed has shown
    is at 1."""
    gaps, found = _exponentials(sample.seeds), []
    for count in counts:
        weights = gaps[: count + 1] / gaps[: count + 1].sum(axis=0)
        means = sample.rates[:, :count] @ weights[1:] + weights[0]
        found.append(np.quantile(means, confidence, axis=1))
    return np.stack(found, axis=1)


@functools.cache
def _exponentials(seeds: int) -> Floats:
    """Draws whose columns, divided by their sums, are even weights, (seeds + 1, DRAWS). With more
    seeds the first rows stay as they are, and with them the limits of the first seeds."""
    return np.random.default_rng(0).standard_exponential((seeds + 1, DRAWS))


def taking_share(seeds: int, confidence: float) -> float:
    """The share of seeds in which an attack may take although it took in none of so many: more than
    that they exclude with this confidence."""
    return float(1 - (1 - confidence) ** (1 / seeds))
