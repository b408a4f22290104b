"""Checks of the section `search` beside its types: settings that do not belong together."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from backdoor.errors import Mistake
from sweeps.space.space import Space
from sweeps.spec.sections import ADAPTIVE, SearchSettings


def check_search(
    search: SearchSettings, defence: Space, document: dict[str, Any]
) -> Iterator[Mistake]:
    """Mistakes of a search of these points. document: the whole spec, as plain values."""
    kind = search.kind
    yield from _foreign_settings(search, document.get("search"))
    region = document.get("region")
    if kind != "region" and isinstance(region, dict) and region.get("target") == "share":
        rule = f"must be median for the search `{kind}`, which compares means over few seeds"
        remedy = "Use search: {kind: region, budget: 300}, or `sweeps verify --target share`."
        yield Mistake("region.target", rule, "share", remedy)
    if kind == "grid":
        yield from _grid(search, defence)
    elif kind == "region":
        yield from _region_search(search, document)
    elif search.points is None:
        rule, remedy = f"must be given for `{kind}`", "Say how many defence points to draw."
        yield Mistake("search.points", rule, None, remedy)
    if kind == "optuna":
        from sweeps.spec.samplers import check_options  # loads Optuna: only where it is named

        for mistake in check_options(search.sampler, search.options):
            yield mistake.inside("search.options")


def _foreign_settings(search: SearchSettings, given: Any) -> Iterator[Mistake]:
    """Settings of another kind of search."""
    for name in sorted(search.model_fields_set & set(ADAPTIVE)):
        if search.kind not in ADAPTIVE[name]:
            count = "budget" if ADAPTIVE[name] == ("region",) else "points"
            rule = f"has no meaning for `{search.kind}`"
            remedy = f"Remove it, or use {{kind: {ADAPTIVE[name][0]}, {count}: ...}}."
            yield Mistake(f"search.{name}", rule, given[name], remedy)


def _region_search(search: SearchSettings, document: dict[str, Any]) -> Iterator[Mistake]:
    if search.points is not None:
        rule, remedy = "has no meaning for `region`", "Remove it; `budget` counts trials."
        yield Mistake("search.points", rule, search.points, remedy)
    if search.budget is None:
        rule, remedy = "must be given for `region`", "Say how many trials at most: budget: 300."
        yield Mistake("search.budget", rule, None, remedy)
    elif search.budget.gpu_hours is not None and not _given(document, "resources", "gpu"):
        rule = "needs `resources.gpu` above 0"
        remedy = "Say what share of a GPU a pack gets, or set a budget in trials only."
        yield Mistake("search.budget.gpu_hours", rule, search.budget.gpu_hours, remedy)


def _grid(search: SearchSettings, defence: Space) -> Iterator[Mistake]:
    if search.points is not None:
        rule, remedy = "has no meaning for `grid`", "Remove it, or use {kind: random, points: ...}."
        yield Mistake("search.points", rule, search.points, remedy)
    rule = "must have `steps` for a grid search"
    remedy = "Add `steps`, or use a search that needs none: {kind: random, points: 40}."
    for leaf in defence.unbounded():
        yield Mistake(leaf.place, rule, "a range without `steps`", remedy)


def _given(document: dict[str, Any], section: str, name: str) -> bool:
    """Whether a setting is there and not 0."""
    settings = document.get(section)
    return isinstance(settings, dict) and bool(settings.get(name))
