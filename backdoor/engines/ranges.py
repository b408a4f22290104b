"""Consecutive ranges of nearly equal length."""

from __future__ import annotations

import itertools


def even_ranges(length: int, count: int) -> list[range]:
    """0 to `length` in `count` consecutive ranges whose lengths differ by at most 1."""
    cuts = [round(i * length / count) for i in range(count + 1)]
    return [range(first, end) for first, end in itertools.pairwise(cuts)]
