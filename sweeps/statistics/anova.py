"""Analysis of variance of a complete table, one value a cell and seed, in closed form. Pure."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Term:
    """A main effect or an interaction. factors: which axes of the table it is of. ss: its sum of
    squares; df: degrees of freedom. eta2: ss over the total. omega2: what is left of that once the
    share that noise alone would give is taken off; it may be negative, and is None where nothing
    is left to estimate the noise from."""

    factors: tuple[int, ...]
    ss: float
    df: int
    eta2: float
    omega2: float | None


@dataclass(frozen=True)
class Anova:
    """terms: every subset of the factors, small ones first. seed: the seeds as blocks, as far as
    they shift all cells equally. residual_ss, residual_df: the rest, by which seeds differ from
    cell to cell. total_ss: of all values around their mean."""

    terms: tuple[Term, ...]
    seed: Term
    residual_ss: float
    residual_df: int
    total_ss: float


def anova(table: Floats) -> Anova | None:
    """The analysis of a table (levels of factor 1, ..., levels of factor k, seeds).

    A fixed-effects model with all interactions, and seeds as blocks: every cell has every seed,
    and equal seeds share images and poison sets. None where all values are equal, so that there
    is no variance to explain.
    """
    *levels, seeds = table.shape
    factors = len(levels)
    total = float(((table - table.mean()) ** 2).sum())
    if total <= 1e-15 * table.size:
        return None
    cells = table.mean(-1)
    subsets = [s for r in range(1, factors + 1) for s in itertools.combinations(range(factors), r)]
    effects = {s: effect(cells, s) for s in subsets}
    shares = {s: seeds * float((e**2).sum()) * cells.size / e.size for s, e in effects.items()}
    of_seeds = table.mean(tuple(range(factors))) - table.mean()
    seed_ss, seed_df = float((of_seeds**2).sum()) * cells.size, seeds - 1
    rest = max(0.0, total - sum(shares.values()) - seed_ss)
    rest_df = (cells.size - 1) * (seeds - 1)
    noise = rest / rest_df if rest_df else None

    def term(which: tuple[int, ...], ss: float, df: int) -> Term:
        left = None if noise is None else (ss - df * noise) / (total + noise)
        return Term(which, ss, df, ss / total, left)

    terms = tuple(term(s, ss, _freedom(levels, s)) for s, ss in shares.items())
    return Anova(terms, term((), seed_ss, seed_df), rest, rest_df, total)


def effect(cells: Floats, factors: tuple[int, ...]) -> Floats:
    """What these factors together add to a cell beyond all smaller groups of them: the means over
    the other axes, with the mean over each of their own taken off in turn. Other axes have
    length 1."""
    others = tuple(axis for axis in range(cells.ndim) if axis not in factors)
    found = cells.mean(others, keepdims=True) if others else cells
    for axis in factors:
        found = found - found.mean(axis, keepdims=True)
    return found


def _freedom(levels: Sequence[int], factors: tuple[int, ...]) -> int:
    return int(np.prod([levels[f] - 1 for f in factors]))
