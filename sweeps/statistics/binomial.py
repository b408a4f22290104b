"""What so many passes of so many draws prove, and how many draws it takes."""

from __future__ import annotations

from scipy.special import betaincinv
from scipy.stats import binom

#: Of every bound here: fixed, so that it cannot be chosen after the fact.
CONFIDENCE = 0.95
#: A verification is made so large that it proves what is true with this chance, if that can be.
POWER = 0.9
#: No plan allows for more draws that do not pass: each one costs about thirty more draws.
MOST_FAILING = 6


def lower_bound(passed: int, total: int, confidence: float = CONFIDENCE) -> float:
    """The exact one-sided lower bound of a share (Clopper and Pearson 1934, Biometrika 26, 404).

    With `confidence`, at least so large a share passes; 0 where nothing has passed.
    """
    if passed == 0:
        return 0.0
    return float(betaincinv(passed, total - passed + 1, 1 - confidence))


def fewest_draws(claim: float) -> int:
    """How many draws it takes, all passing, to prove the claim."""
    return _draws_allowing(claim, 0)


def draws_for(claim: float, predicted: float) -> int:
    """How many draws to plan, where each is expected to pass with the chance `predicted`.

    The fewest by which the claim is proven with the chance `POWER`. Where none of them reach it,
    those that come nearest.
    """
    plans = [(_draws_allowing(claim, failing), failing) for failing in range(MOST_FAILING + 1)]
    chances = [float(binom.cdf(failing, draws, 1 - predicted)) for draws, failing in plans]
    likely = [draws for (draws, _), chance in zip(plans, chances, strict=True) if chance >= POWER]
    return likely[0] if likely else plans[chances.index(max(chances))][0]


def chance_to_prove(claim: float, draws: int, predicted: float) -> float:
    """The chance that so many draws prove the claim, each passing with the chance `predicted`."""
    allowed = [f for f in range(draws) if lower_bound(draws - f, draws) >= claim]
    return float(binom.cdf(max(allowed), draws, 1 - predicted)) if allowed else 0.0


def _draws_allowing(claim: float, failing: int) -> int:
    """The fewest draws that prove the claim though so many do not pass."""
    total = failing + 1
    while lower_bound(total - failing, total) < claim:
        total += 1
    return total
