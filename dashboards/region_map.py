"""The map: where the region lies among the factors."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Literal

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from dashboards.axis_layout import Axis, Layout, arrange, number, number_of, short
from dashboards.compared import point_success, success_label
from dashboards.plot_style import (
    FAINT,
    GREEN,
    GREY,
    INK,
    THRESHOLD,
    draw_legend,
    draw_verdict,
    label_outside,
    new_figure,
    panel_grid,
    plain,
    style,
)
from dashboards.results import region_from
from sweeps.records.region_file import PointEntry, RegionFile

Metric = Literal["clean_accuracy", "attack_success"]
#: The two curves: the key of a point's figure, and how it is drawn.
CURVES: dict[Metric, dict[str, Any]] = {
    "clean_accuracy": {"color": INK, "linestyle": "-", "marker": ".", "markersize": 5},
    "attack_success": {"color": GREEN, "linestyle": (0, (5, 2)), "marker": ".", "markersize": 5},
}

#: Where the upper row of verdicts stands above curves that end at 1.
TOP_ROW = 1.34


def plot_region_map(region: str | Path | RegionFile) -> Figure:
    """Where the region lies: the verdict of every defence point, over the settings that vary.

    There is a panel for each combination of categories, such as architectures. Along one numeric
    setting it shows clean accuracy and worst attack success, with the verdicts above; over two the
    verdicts alone; along none a row for each point. Further numeric settings have no axis and are
    named below the panels.

    A circle is IN and a square is OUT by the means over seeds, filled where the confidence bounds,
    or the model of all points together, agree and hollow where they leave it undecided. A ring
    marks the recommended point. Accuracies and success rates are fractions in [0, 1].

    Args:
        region: a results folder, or its region as `sweeps.read_region` returns it.

    Returns:
        A matplotlib figure, 8 inches wide; a notebook shows it.

    Raises:
        UserError: the folder holds no sweep or no region.json, or `region` is something else.

    Example:
        >>> plot_region_map("digits").savefig("map.svg")
    """
    found = region_from(region)
    layout = arrange(found["points"])
    with style():
        draw = (_along_none, _along_one, _over_two)[len(layout.axes)]
        return draw(found, layout)


# --- no numeric factor -------------------------------------------------------------------------


def _along_none(region: RegionFile, layout: Layout) -> Figure:
    points = region["points"]
    figure = new_figure(1.5 + 0.3 * max(len(points), 1))
    axes = figure.subplots()
    for row, point in enumerate(points):
        axes.axhline(row, color=FAINT, linewidth=0.5, zorder=0)
        for key, look in CURVES.items():
            if (value := _drawn(point, key)) is not None:
                axes.plot([value], [row], **{**look, "markersize": 10})
        draw_verdict(axes, region, point, 1.08, row)
    for value, colour in _limits(region):
        axes.axvline(value, color=colour, **THRESHOLD)
    axes.set_yticks(range(len(points)), [plain(layout.title(p) or p["label"]) for p in points])
    axes.set_ylim(max(len(points), 1) - 0.4, -0.6)
    axes.set_xlim(-0.02, 1.14)
    axes.set_xticks([0, 0.2, 0.4, 0.6, 0.8, 1])
    axes.spines.bottom.set_bounds(0, 1)
    draw_legend(figure, region, _curve_handles(region))
    return figure


def _drawn(point: PointEntry, key: Metric) -> float | None:
    return point_success(point) if key == "attack_success" else point[key]


def _limits(region: RegionFile) -> list[tuple[float, str]]:
    """The thresholds that there are, each with the colour of its curve."""
    lowest = region["thresholds"]["clean_accuracy"]["value"]
    known = [] if lowest is None else [(lowest, INK)]
    return [*known, (region["thresholds"]["attack_success"], GREEN)]


def _curve_handles(region: RegionFile) -> list[Line2D]:
    words = {INK: "lowest clean accuracy allowed", GREEN: "highest attack success allowed"}
    return [
        Line2D([], [], label="clean accuracy", **CURVES["clean_accuracy"]),
        Line2D([], [], label=f"worst {success_label(region)}", **CURVES["attack_success"]),
        *(Line2D([], [], color=c, label=words[c], **THRESHOLD) for _, c in _limits(region)),
    ]


# --- one numeric factor ------------------------------------------------------------------------


def _along_one(region: RegionFile, layout: Layout) -> Figure:
    panels, axis = layout.panels(region["points"]), layout.axes[0]
    columns = 1 if len(panels) < 5 else 2 if len(panels) < 13 else 3
    figure, grid = panel_grid(len(panels), columns, 1.8)
    for axes, (title, points) in zip(grid, panels, strict=True):
        axes.set_title(plain(title))
        for value, colour in _limits(region):
            axes.axhline(value, color=colour, **THRESHOLD)
        ordered = sorted(points, key=lambda point: _place(point, axis))
        _draw_curves(axes, ordered, axis)
        _draw_verdicts(axes, region, ordered, axis, 0.018 * columns)
        _scale_across(axes, axis, 0.075 * columns)
        axes.set_ylim(-0.03, TOP_ROW + 0.1)
        axes.set_yticks([0, 0.25, 0.5, 0.75, 1], ["0", "", "0.5", "", "1"])
        axes.spines.left.set_bounds(0, 1)
    label_outside(grid, columns, short(axis.name), None)
    draw_legend(figure, region, _curve_handles(region))
    return figure


def _draw_verdicts(
    axes: Axes, region: RegionFile, ordered: Sequence[PointEntry], axis: Axis, room: float
) -> None:
    """Markers above the curves, every other one raised where they are closer than `room`."""
    low, high = axis.limits
    last, raised = -math.inf, False
    for point in ordered:
        place = _place(point, axis)
        raised = not raised and place - last < room * (high - low)
        draw_verdict(axes, region, point, place, TOP_ROW if raised else TOP_ROW - 0.16)
        last = place


def _draw_curves(axes: Axes, points: Sequence[PointEntry], axis: Axis) -> None:
    on_scale = [point for point in points if not axis.is_apart(_value(point, axis))]
    apart = [point for point in points if axis.is_apart(_value(point, axis))]
    for key, look in CURVES.items():
        # Places left of a break are not on the scale, so no line leads there.
        for own, line in ((on_scale, look), (apart, {**look, "linestyle": "none"})):
            found = [_drawn(point, key) for point in own]
            values = [math.nan if value is None else value for value in found]
            axes.plot([_place(point, axis) for point in own], values, **line)


# --- two numeric factors -----------------------------------------------------------------------


def _over_two(region: RegionFile, layout: Layout) -> Figure:
    panels, (across, up) = layout.panels(region["points"]), layout.axes
    columns = min(len(panels), 3 if len(panels) == 3 or len(panels) > 4 else 2)
    figure, grid = panel_grid(len(panels), columns, 2.6 if columns > 1 else 3.6)
    for axes, (title, points) in zip(grid, panels, strict=True):
        axes.set_title(plain(title))
        for point, shift in _dodged(points, across, up):
            draw_verdict(axes, region, point, _place(point, across) + shift, _place(point, up))
        _scale_across(axes, across, 0.075 * columns)
        _scale_up(axes, up)
    label_outside(grid, columns, short(across.name), short(up.name))
    draw_legend(figure, region)
    _note_left_out(figure, region, layout)
    return figure


def _dodged(
    points: Sequence[PointEntry], across: Axis, up: Axis
) -> Iterable[tuple[PointEntry, float]]:
    """Each point with a shift to the right, so that points of one place are all seen."""
    low, high = across.limits
    places: dict[tuple[float, float], list[PointEntry]] = {}
    for point in points:
        places.setdefault((_place(point, across), _place(point, up)), []).append(point)
    for own in places.values():
        for index, point in enumerate(own):
            yield point, (index - (len(own) - 1) / 2) * 0.03 * (high - low)


def _note_left_out(figure: Figure, region: RegionFile, layout: Layout) -> None:
    ranges = []
    for name in layout.left_out:
        given = [number_of(point["factors"].get(name)) for point in region["points"]]
        values = [value for value in given if value is not None]
        ranges.append(f"{short(name)} ({number(min(values))} to {number(max(values))})")
    if ranges:
        text = "Vary too, but have no axis here: " + ", ".join(ranges) + "."
        figure.supxlabel(plain(text), fontsize=8, color=GREY, x=0.01, ha="left")


# --- scales ------------------------------------------------------------------------------------


def _value(point: PointEntry, axis: Axis) -> float | None:
    return number_of(point["factors"].get(axis.name))


def _place(point: PointEntry, axis: Axis) -> float:
    return axis.place(_value(point, axis))


def _scale_across(axes: Axes, axis: Axis, room: float) -> None:
    places, labels = zip(*axis.ticks(room), strict=True)
    axes.set_xticks(places, labels)
    axes.set_xlim(axis.limits)
    for at in axis.breaks:
        _draw_break(axes, (at, 0), rotation=0)


def _scale_up(axes: Axes, axis: Axis) -> None:
    places, labels = zip(*axis.ticks(0.08), strict=True)
    axes.set_yticks(places, labels)
    axes.set_ylim(axis.limits)
    for at in axis.breaks:
        _draw_break(axes, (0, at), rotation=90)


def _draw_break(axes: Axes, where: tuple[float, float], rotation: int) -> None:
    """Two strokes over the axis line. `where`: fractions of the panel's width and height."""
    box = {"facecolor": "white", "edgecolor": "none", "pad": 0.5}
    text: dict[str, Any] = {"ha": "center", "va": "center", "color": GREY, "fontsize": 8}
    axes.annotate("//", where, xycoords="axes fraction", rotation=rotation, bbox=box, **text)
