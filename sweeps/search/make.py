"""The search that a spec names. Each is imported where it is made: some load Optuna or scipy."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:  # the sampler for plain Optuna studies is imported without torch
    from sweeps.search.base import Search
    from sweeps.spec import SweepSpec


def make_search(spec: SweepSpec) -> Search:
    """The search that the spec names."""
    kind = spec.search.kind
    if kind == "optuna":
        from sweeps.search.optuna_search import OptunaSearch

        return OptunaSearch(spec)
    if kind == "region":
        from sweeps.search.level_set import RegionSearch

        return RegionSearch(spec)
    if kind == "sobol":
        from sweeps.search.sobol import sobol_search

        return sobol_search(spec)
    from sweeps.search.enumerated import grid_search, random_search

    return grid_search(spec) if kind == "grid" else random_search(spec)
