"""Where draws of a verification failed: conditions on single factors.

Each condition (`<=` and `>=` a number that was drawn, `==` a value without an order) splits the
draws in two. Whether draws fail more often where it holds is tested exactly, one-sided (Fisher
1922, J. R. Stat. Soc. 85, 87). As many conditions are tried, the probability is multiplied by
their number (Bonferroni); conditions that hold for the same draws are one.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from sweeps.levelset.columns import Bools, Floats
from sweeps.records.answer_entry import FailingEntry
from sweeps.records.model_answer import Factors

#: The probability by chance, corrected, up to which a condition is told.
CHANCE = 0.05
#: Conditions that are told at most, each of another factor.
TOLD = 3


def where_failed(draws: Sequence[Factors], failed: Sequence[bool]) -> list[FailingEntry]:
    """The most telling condition of each factor, the surest first; empty where none stands out.

    draws: the factors of each; failed: whether it did not pass.
    """
    fails = np.array(failed, dtype=np.bool_)
    if not fails.any() or fails.all():
        return []
    tried = _distinct(_conditions(draws))
    chances = _by_chance([holds for _, _, holds in tried], fails) * len(tried)
    found: list[FailingEntry] = []
    told = set[str]()
    for index in np.argsort(chances, kind="stable").tolist():
        factor, condition, holds = tried[index]
        if chances[index] <= CHANCE and factor not in told and len(found) < TOLD:
            told.add(factor)
            found.append(_entry(condition, holds, fails))
    return found


def _conditions(draws: Sequence[Factors]) -> Iterator[tuple[str, str, Bools]]:
    """Factor, condition in words, and for which draws it holds."""
    for factor in sorted({name for own in draws for name in own}):
        values = [own.get(factor) for own in draws]
        name = factor.removeprefix("defence.")
        column = np.array([_number(value) for value in values])
        for value in np.unique(column[~np.isnan(column)]).tolist():
            yield factor, f"{name} <= {value:g}", column <= value
            yield factor, f"{name} >= {value:g}", column >= value
        texts = [str(v) if v is not None and np.isnan(_number(v)) else None for v in values]
        for text in sorted({text for text in texts if text is not None}):
            same = [other == text for other in texts]
            yield factor, f"{name} == {text}", np.array(same, dtype=np.bool_)


def _number(value: object) -> float:
    """The value of a factor with an order; nan of others, and where a draw has no such factor."""
    known = isinstance(value, (int, float)) and not isinstance(value, bool)
    return float(value) if known else float("nan")  # type: ignore[arg-type]


def _distinct(found: Iterator[tuple[str, str, Bools]]) -> list[tuple[str, str, Bools]]:
    """The first of those that hold for the same draws, without those that split nothing."""
    kept: dict[bytes, tuple[str, str, Bools]] = {}
    for factor, condition, holds in found:
        if holds.any() and not holds.all():
            kept.setdefault(holds.tobytes(), (factor, condition, holds))
    return list(kept.values())


def _by_chance(conditions: Sequence[Bools], fails: Bools) -> Floats:
    """Of each, the probability of so many failing draws or more where it holds, if draws failed at
    the same rate everywhere."""
    from scipy.stats import hypergeom  # takes a second to load

    inside = np.array([holds.sum() for holds in conditions], dtype=np.int64)
    both = np.array([(holds & fails).sum() for holds in conditions], dtype=np.int64)
    found: Floats = hypergeom.sf(both - 1, len(fails), int(fails.sum()), inside)
    return found


def _entry(condition: str, holds: Bools, fails: Bools) -> FailingEntry:
    return {
        "condition": condition,
        "failed": int((holds & fails).sum()),
        "draws": int(holds.sum()),
        "elsewhere_failed": int((~holds & fails).sum()),
        "elsewhere_draws": int((~holds).sum()),
    }
