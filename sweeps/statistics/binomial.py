"""What a number of passes among a number of draws proves, and how many draws a claim needs."""

from __future__ import annotations

from scipy.special import betaincinv

#: Of every bound here: fixed, so that it cannot be chosen after the results are known.
CONFIDENCE = 0.95
#: A verification has so many draws that it proves a true claim with this probability, if possible.
POWER = 0.9
#: No plan allows for more draws that fail: each one takes about thirty more draws.
MOST_FAILING = 6


def lower_bound(passed: int, total: int, confidence: float = CONFIDENCE) -> float:
    """The exact one-sided lower bound of a share (Clopper and Pearson 1934, Biometrika 26, 404).

    With `confidence`, at least so large a share passes; 0 where nothing has passed.
    """
    if passed == 0:
        return 0.0
    return float(betaincinv(passed, total - passed + 1, 1 - confidence))


def fewest_draws(claim: float) -> int:
    """How many draws prove the claim if all of them pass."""
    return _draws_allowing(claim, 0)


def draws_for(claim: float, predicted: float) -> int:
    """How many draws to plan, where each is expected to pass with the probability `predicted`.

    The fewest by which the claim is proven with the probability `POWER`. Where no number reaches
    it, the one that comes nearest.
    """
    plans = [(_draws_allowing(claim, failing), failing) for failing in range(MOST_FAILING + 1)]
    chances = [_chance_of_failing(failing, draws, 1 - predicted) for draws, failing in plans]
    likely = [draws for (draws, _), chance in zip(plans, chances, strict=True) if chance >= POWER]
    return likely[0] if likely else plans[chances.index(max(chances))][0]


def chance_to_prove(claim: float, draws: int, predicted: float) -> float:
    """The probability that so many draws prove the claim, each passing with `predicted`."""
    allowed = [f for f in range(draws) if lower_bound(draws - f, draws) >= claim]
    return _chance_of_failing(max(allowed), draws, 1 - predicted) if allowed else 0.0


def _chance_of_failing(most: int, draws: int, rate: float) -> float:
    """The probability that at most so many of the draws fail, each with this rate."""
    from scipy.stats import binom  # takes a second to load, which no bound needs

    return float(binom.cdf(most, draws, rate))


def _draws_allowing(claim: float, failing: int) -> int:
    """The fewest draws that prove the claim although so many fail."""
    total = failing + 1
    while lower_bound(total - failing, total) < claim:
        total += 1
    return total
