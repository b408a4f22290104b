"""The tried points of a region search, which are seldom complete: the most relevant ones."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from dashboards.figures import has_figures
from dashboards.filters import UNKNOWN
from dashboards.opening import VERDICTS
from dashboards.results import Results
from sweeps.records.model_used import chance_words
from sweeps.records.region_file import ExpectedFigures, PointEntry

#: A search tries hundreds of points; the whole table is in the exported one.
MOST = 200


@dataclass(frozen=True)
class SearchedRow:
    """A tried point. trials: how many have a result. inside: P(inside) in words. expected: by the
    model, None where it says nothing. measured: whether it has measured figures of its own, which
    takes all attacks and seeds."""

    point: PointEntry
    verdict: str
    trials: int
    inside: str
    expected: ExpectedFigures | None
    measured: bool
    recommended: bool


@dataclass(frozen=True)
class SearchedPoints:
    """rows: IN first, then by P(inside), so that the border follows; left_out: points that are not
    shown. total: all tried points."""

    rows: list[SearchedRow]
    left_out: int
    total: int


def searched_points(results: Results) -> SearchedPoints | None:
    """The table; None where the sweep is no region search, whose points are all shown."""
    if not results.searched:
        return None
    trials = Counter(trial.defence_id for trial in results.trials if trial.finished)
    chosen = None if results.setting is None else results.setting["defence_id"]
    ordered = sorted(results.points, key=lambda point: _relevance(point, chosen))
    shown = ordered[:MOST]
    rows = [_row(point, trials[point["defence_id"]], chosen) for point in shown]
    return SearchedPoints(rows, len(ordered) - len(shown), len(ordered))


def _relevance(point: PointEntry, chosen: str | None) -> tuple[bool, int, float]:
    """The recommended point, then by verdict, then by P(inside), the highest first."""
    inside = point.get("inside")
    rank = VERDICTS.index(point.get("verdict", "incomplete"))
    return point["defence_id"] != chosen, rank, -1.0 if inside is None else -inside


def _row(point: PointEntry, trials: int, chosen: str | None) -> SearchedRow:
    return SearchedRow(
        point=point,
        verdict=point.get("verdict", "incomplete"),
        trials=trials,
        inside=chance_words(point.get("inside")) or UNKNOWN,
        expected=point.get("expected"),
        measured=has_figures(point),
        recommended=point["defence_id"] == chosen,
    )
