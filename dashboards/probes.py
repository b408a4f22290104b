"""The part of a report on what probes found: what its template is given."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from dashboards.probe_curves import COLOURS, Row, draw_curves, known
from dashboards.results import Results
from sweeps.ledger import ProbeTable
from sweeps.records.region_file import PointEntry

#: Attacks in one figure, panels of a figure, and rows of a table, at most.
ATTACKS, PANELS, ROWS = len(COLOURS), 6, 40


@dataclass(frozen=True)
class Curves:
    """A figure of a probe with several rows a model, at one point.

    svg: text. point: its label. attacks_left_out: how many are not drawn.
    """

    svg: str
    point: str
    attacks_left_out: int


@dataclass(frozen=True)
class Spread:
    """A figure over seeds: how many there are, their median and both ends."""

    seeds: int
    median: float
    least: float
    most: float


@dataclass(frozen=True)
class MediansRow:
    """Labels of a point and of an attack, None for clean models, and a spread a column, None where
    nothing is known."""

    point: str
    attack: str | None
    spreads: list[Spread | None]


@dataclass(frozen=True)
class Medians:
    """A table of a probe with one row a model; rows_left_out: how many more there would be."""

    columns: list[str]
    rows: list[MediansRow]
    rows_left_out: int


@dataclass(frozen=True)
class Probe:
    """What one probe found. models: how many it found something on. failed: models by the error
    that it ended with. curves, medians: at most one of them is there."""

    kind: str
    settings: dict[str, Any]
    models: int
    failed: Mapping[str, int]
    curves: Curves | None
    medians: Medians | None


def findings(results: Results) -> list[Probe]:
    """What each probe found; empty where none was asked for."""
    return [_finding(results, found) for found in results.probed]


def _finding(results: Results, found: ProbeTable) -> Probe:
    has_axis = found.x is not None
    return Probe(
        kind=str(found.probe["kind"]),
        settings={name: value for name, value in found.probe.items() if name != "kind"},
        models=len({row["trial_id"] for row in found.rows}),
        failed=found.failed,
        curves=_curves(results, found) if found.rows and has_axis else None,
        medians=_medians(results, found) if found.rows and not has_axis else None,
    )


# --- probes with several rows -------------------------------------------------------------------


def _curves(results: Results, found: ProbeTable) -> Curves | None:
    point, names = shown_point(results, found), found.figures[:PANELS]
    if point is None or not names:
        return None
    rows = [row for row in found.rows if row["defence_id"] == point["defence_id"]]
    ids = [a for a in results.attacks if any(row["attack_id"] == a for row in rows)]
    labels = {attack: results.attack_label(attack) for attack in ids[:ATTACKS]}
    svg = draw_curves(rows, str(found.x), names, labels)
    return Curves(svg, point["label"], len(ids[ATTACKS:]))


def shown_point(results: Results, found: ProbeTable) -> PointEntry | None:
    """The recommended point, else the most accurate one, else the first, where the probe found
    something on a poisoned model."""
    probed = {row["defence_id"] for row in found.rows if row["attack_id"] in results.attacks}
    for point in (results.recommended, results.best, *results.points):
        if point is not None and point["defence_id"] in probed:
            return point
    return None


# --- probes with single figures ----------------------------------------------------------------


def _medians(results: Results, found: ProbeTable) -> Medians | None:
    """A row a point and attack, in the order of the region and its panel."""
    if not found.figures:
        return None
    groups: dict[tuple[str, str], list[Row]] = {}
    for row in found.rows:
        groups.setdefault((row["defence_id"], row["attack_id"]), []).append(row)
    places = {name: place for place, name in enumerate([*results.by_id, *results.attacks])}

    def order(key: tuple[str, str]) -> tuple[int, ...]:
        return tuple(places.get(name, len(places)) for name in key)

    keys = sorted(groups, key=order)
    rows = [_medians_row(results, key, groups[key], found.figures) for key in keys[:ROWS]]
    return Medians([name.replace("_", " ") for name in found.figures], rows, len(keys[ROWS:]))


def _medians_row(
    results: Results, key: tuple[str, str], rows: Sequence[Row], names: Sequence[str]
) -> MediansRow:
    defence_id, attack_id = key
    point = results.by_id.get(defence_id)
    return MediansRow(
        point=defence_id if point is None else point["label"],
        attack=results.attack_label(attack_id) if attack_id in results.attacks else None,
        spreads=[_spread([row.get(name) for row in rows]) for name in names],
    )


def _spread(values: Sequence[Any]) -> Spread | None:
    found = [float(value) for value in values if known(value)]
    return Spread(len(found), statistics.median(found), min(found), max(found)) if found else None
