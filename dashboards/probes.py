"""The part of a report on what probes found: curves at one point, figures at all points."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from dashboards.page import Content, Markup, element, figure, join, paragraph, section, table
from dashboards.plot_style import (
    BLUE,
    GREEN,
    GREY,
    INK,
    VERMILION,
    new_figure,
    plain,
    show_handles,
    style,
    to_svg,
)
from dashboards.results import Results
from dashboards.sections import UNKNOWN, attack_label, plural, soft
from sweeps.ledger import ProbeTable
from sweeps.records.region_file import PointEntry

#: Attacks in one figure, panels of a figure, and rows of a table, at most.
ATTACKS, PANELS, ROWS = 6, 6, 40
COLOURS = (BLUE, VERMILION, GREEN, "#a8579b", "#b58900", INK)
COLUMNS = 3
_DASHED: dict[str, Any] = {"linewidth": 0.9, "linestyle": (0, (5, 3))}

Row = Mapping[str, Any]
#: x, then the median, the least and the greatest value over seeds.
Series = list[tuple[float, float, float, float]]


def findings(results: Results) -> Markup:
    """What each probe found; nothing where none was asked for."""
    if not results.probed:
        return Markup()
    parts = (part for found in results.probed for part in _of_one_probe(results, found))
    return section("What probes found", *parts)


def _of_one_probe(results: Results, found: ProbeTable) -> Iterable[Markup]:
    settings = {name: value for name, value in found.probe.items() if name != "kind"}
    written = ", ".join(f"{name} {value}" for name, value in settings.items())
    name = f"{found.probe['kind']} ({written})" if written else str(found.probe["kind"])
    trials = len({row["trial_id"] for row in found.rows})
    models = plural(trials, "trained model")
    yield paragraph(element("strong", name), f": found something on {models}.")
    for error, count in found.failed.items():
        yield soft(f"It failed on {plural(count, 'model')}: {error}")
    if not found.rows:
        return
    if found.x is not None:
        yield _curves(results, found)
    elif found.figures:
        yield _figures(results, found)


# --- probes with several rows -------------------------------------------------------------------


def _curves(results: Results, found: ProbeTable) -> Markup:
    point = shown_point(results, found)
    names = found.figures[:PANELS]
    if point is None or not names:
        return Markup()
    chosen = [row for row in found.rows if row["defence_id"] == point["defence_id"]]
    ids = [a for a in results.attacks if any(row["attack_id"] == a for row in chosen)]
    drawing = _draw(results, chosen, str(found.x), names, ids[:ATTACKS])
    hidden = f" {plural(len(ids) - ATTACKS, 'attack')} not shown." if len(ids) > ATTACKS else ""
    return figure(
        f"{found.probe['kind']} at {point['label']}",
        drawing,
        f"At {point['label']}. Lines are medians over seeds, bands their whole range. Dashed: "
        f"the clean model of equal point and seed, where the same was looked at on it.{hidden} "
        "All points: sweeps export --probes FILE.",
    )


def shown_point(results: Results, found: ProbeTable) -> PointEntry | None:
    """The recommended point, else the most accurate one, else the first, where the probe found
    something on a poisoned model."""
    probed = {row["defence_id"] for row in found.rows if row["attack_id"] in results.attacks}
    for point in (results.recommended, results.best, *results.points):
        if point is not None and point["defence_id"] in probed:
            return point
    return None


def _draw(
    results: Results, rows: Sequence[Row], x: str, names: Sequence[str], attacks: Sequence[str]
) -> str:
    with style():
        down = math.ceil(len(names) / COLUMNS)
        drawing = new_figure(1.0 + 2.3 * down + 0.12 * len(attacks))
        grid = list(drawing.subplots(down, min(COLUMNS, len(names)), squeeze=False).flat)
        for axes in grid[len(names) :]:
            axes.set_visible(False)
        for axes, name in zip(grid, names, strict=False):
            axes.set_title(plain(name.replace("_", " ")))
            axes.set_xlabel(plain(x.replace("_", " ")))
            for attack, colour in zip(attacks, COLOURS, strict=False):
                own = [row for row in rows if row["attack_id"] == attack]
                _draw_series(axes, series(own, x, name), colour)
                clean = series(own, x, f"baseline_{name}")
                axes.plot([p[0] for p in clean], [p[1] for p in clean], color=colour, **_DASHED)
            _scale(axes)
        handles = [
            Line2D([], [], color=colour, label=plain(attack_label(results, attack)))
            for attack, colour in zip(attacks, COLOURS, strict=False)
        ]
        handles.append(Line2D([], [], color=GREY, label="clean model", **_DASHED))
        show_handles(drawing, handles)
        return to_svg(drawing, f"probe-{x}-{'-'.join(names)}")


def _draw_series(axes: Axes, points: Series, colour: str) -> None:
    xs = [p[0] for p in points]
    low, high = [p[2] for p in points], [p[3] for p in points]
    axes.fill_between(xs, low, high, color=colour, alpha=0.18, linewidth=0)
    axes.plot(xs, [p[1] for p in points], color=colour, marker="." if len(xs) < 12 else None)


def _scale(axes: Axes) -> None:
    """Fractions have an axis from 0 to 1; other figures the range of their values."""
    low, high = axes.dataLim.intervaly
    if low >= 0 and high <= 1:
        axes.set_ylim(-0.03, 1.03)


def series(rows: Iterable[Row], x: str, name: str) -> Series:
    """Median and range over seeds at every x, of the figures that there are."""
    found: dict[float, list[float]] = {}
    for row in rows:
        if _known(row.get(name)) and _known(row.get(x)):
            found.setdefault(row[x], []).append(row[name])
    return [(at, statistics.median(v), min(v), max(v)) for at, v in sorted(found.items())]


def _known(value: Any) -> bool:
    return isinstance(value, (int, float)) and math.isfinite(value)


# --- probes with single figures ----------------------------------------------------------------


def _figures(results: Results, found: ProbeTable) -> Markup:
    groups: dict[tuple[str, str], list[Row]] = {}
    for row in found.rows:
        groups.setdefault((row["defence_id"], row["attack_id"]), []).append(row)
    body: list[list[Content]] = []
    places = {name: place for place, name in enumerate([*results.by_id, *results.attacks])}

    def order(key: tuple[str, str]) -> tuple[int, ...]:
        return tuple(places.get(name, len(places)) for name in key)

    for (defence_id, attack_id), rows in sorted(groups.items(), key=lambda item: order(item[0])):
        point = results.by_id.get(defence_id)
        cells = [_over_seeds([row.get(name) for row in rows]) for name in found.figures]
        label = defence_id if point is None else point["label"]
        attack = attack_label(results, attack_id) if attack_id in results.attacks else "none"
        body.append([label, attack, *cells])
    more = f" {len(body) - ROWS} more rows: sweeps export --probes FILE." if body[ROWS:] else ""
    head = ["defence point", "attack", *(name.replace("_", " ") for name in found.figures)]
    shown = table(f"{found.probe['kind']} by point and attack", head, body[:ROWS])
    return join([shown, soft(f"Medians over seeds, and in brackets their whole range.{more}")])


def _over_seeds(values: Sequence[Any]) -> str:
    known = [float(value) for value in values if _known(value)]
    if not known:
        return UNKNOWN
    ends = f" ({min(known):.3g} to {max(known):.3g})" if len(known) > 1 else ""
    return f"{statistics.median(known):.3g}{ends}"
