"""The region as intervals, what limits it, and what is left by poison rate: `templates/where.html`.

Shares, precision and coverage are fractions.
"""

from __future__ import annotations

from dataclasses import dataclass

from dashboards.axis_layout import number
from dashboards.results import Results
from sweeps.records.answer_entry import FrontPoint, LimitingEntry, WhereEntry
from sweeps.records.model_answer import CategoryEntry, DescriptionEntry, IntervalEntry


@dataclass(frozen=True)
class Described:
    """A box or a rule. key: `box` or `rule`. conditions: all hold together, in words, none where
    it is the whole space."""

    key: str
    name: str
    conditions: list[str]
    precision: float
    coverage: float


@dataclass(frozen=True)
class Where:
    """Where the region is. searched: whether shares are of a space, else of tried points.
    categories: of a region search, the combinations of factors that have no order, where there are
    several."""

    entry: WhereEntry
    described: list[Described]
    limiting: list[LimitingEntry]
    front: list[FrontPoint]
    categories: list[CategoryEntry]
    searched: bool
    confidence: float


def where(results: Results) -> Where:
    """The section."""
    entry, region = results.region["where"], results.region
    named = (("box", "Largest box", entry["box"]), ("rule", "Short rule", entry["rule"]))
    model = region.get("model")
    categories = model.get("categories", []) if model else []
    return Where(
        entry=entry,
        described=[_described(key, name, one) for key, name, one in named if one is not None],
        limiting=region["limiting"],
        front=region["front"],
        categories=categories if len(categories) > 1 else [],
        searched=results.searched,
        confidence=region["verdicts"]["confidence"],
    )


def _described(key: str, name: str, found: DescriptionEntry) -> Described:
    kinds = [f"{plain_name(factor)} is {value}" for factor, value in found["category"].items()]
    intervals = [interval_words(interval) for interval in found["intervals"]]
    return Described(key, name, [*kinds, *intervals], found["precision"], found["coverage"])


def interval_words(interval: IntervalEntry) -> str:
    """`weight_decay from 0.01 to 0.1`, `learning_rate ≥ 0.1`, `width: any value`."""
    low, high, name = interval["low"], interval["high"], plain_name(interval["factor"])
    if low is not None and high is not None:
        return f"{name} from {number(low)} to {number(high)}"
    if low is not None:
        return f"{name} \N{GREATER-THAN OR EQUAL TO} {number(low)}"
    return (
        f"{name}: any value" if high is None else f"{name} \N{LESS-THAN OR EQUAL TO} {number(high)}"
    )


def plain_name(factor: str) -> str:
    """A factor, or a product or ratio of two, without the prefix that all have."""
    return factor.replace("defence.", "")
