"""The map of a region search: the probability that each point of the defence space is inside."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.contour import QuadContourSet
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from backdoor.errors import Mistake, UserError
from dashboards.axis_layout import short
from dashboards.plot_style import BLUE, GREY, INK, panel_grid, plain, show_handles, style
from dashboards.results import region_from
from sweeps.records.model_answer import MapAxis, MapEntry
from sweeps.records.region_file import RegionFile

#: From surely outside to surely inside.
SHADES = LinearSegmentedColormap.from_list("inside", ["#ffffff", BLUE])
LEVELS = [i / 10 for i in range(11)]
CERTAIN: dict[str, Any] = {"color": INK, "linewidth": 1.3}
HALF: dict[str, Any] = {"color": GREY, "linewidth": 0.9, "linestyle": (0, (4, 2))}


def plot_model_map(region: str | Path | RegionFile) -> Figure:
    """Where the region of a region search lies: the probability that a point is inside.

    The model of the search gives it for the whole defence space, tried or not. There is a panel for
    each combination of the settings that have no order, over the two numeric settings that move the
    probability most; it is averaged over further ones. The darker, the more probably inside; the
    bold line is the probability that the spec's confidence asks for, the dashed one is 1/2.

    Args:
        region: a results folder, or its region as `sweeps.read_region` returns it.

    Returns:
        A matplotlib figure, 8 inches wide; a notebook shows it.

    Raises:
        UserError: no model was fitted, since the sweep is no region search or too few of its trials
            have finished; or the folder holds no sweep or no region.json.

    Example:
        >>> plot_model_map("digits-region").savefig("model.svg")
    """
    found = region_from(region)
    shown = _maps(found)
    if not shown:
        rule = "must have been searched with `search: {kind: region}`, with some trials finished"
        remedy = "plot_region_map draws the points of every sweep."
        raise UserError(Mistake("region", rule, found["name"], remedy))
    confidence = found["thresholds"]["confidence"]
    with style():
        columns = min(len(shown), 3 if len(shown) > 4 or len(shown) == 3 else 2)
        figure, grid = panel_grid(len(shown), columns, 2.9 if columns > 1 else 3.8, share=False)
        for axes, one in zip(grid, shown, strict=True):
            axes.set_title(plain(_title(one)))
            if one["up"] is None:
                _draw_line(axes, one, confidence)
            else:
                _draw_surface(axes, one, one["up"], confidence)
        _legend(figure, found, any(one["up"] is not None for one in shown))
    return figure


def has_model_map(region: RegionFile) -> bool:
    """Whether a model of the defence space was fitted and mapped."""
    return bool(_maps(region))


def _maps(region: RegionFile) -> list[MapEntry]:
    model = region.get("model")
    return model.get("maps", []) if model else []


def _title(one: MapEntry) -> str:
    words = [f"{short(name)} {value}" for name, value in one["category"].items()]
    return ", ".join(words) or "the whole space"


def _draw_surface(axes: Axes, one: MapEntry, up: MapAxis, confidence: float) -> None:
    across = one["across"]
    places = across["values"], up["values"], one["probability"]
    axes.contourf(*places, levels=LEVELS, cmap=SHADES)
    for level, look in ((0.5, HALF), (confidence, CERTAIN)):
        _contour(axes, places, level, look)
    _scale(axes, across, "x")
    _scale(axes, up, "y")


def _contour(
    axes: Axes, places: tuple[Sequence[Any], ...], level: float, look: Mapping[str, Any]
) -> QuadContourSet | None:
    values = [value for row in places[2] for value in row]
    if not min(values) < level < max(values):
        return None
    return axes.contour(
        *places,
        levels=[level],
        colors=[look["color"]],
        linewidths=[look["linewidth"]],
        linestyles=[look.get("linestyle", "-")],
    )


def _draw_line(axes: Axes, one: MapEntry, confidence: float) -> None:
    axes.plot(one["across"]["values"], one["probability"][0], color=BLUE)
    for level, look in ((0.5, HALF), (confidence, CERTAIN)):
        axes.axhline(level, **look)
    axes.set_ylim(-0.03, 1.03)
    axes.set_ylabel("probability of being inside")
    _scale(axes, one["across"], "x")


def _scale(axes: Axes, axis: MapAxis, which: str) -> None:
    if axis["log"]:
        getattr(axes, f"set_{which}scale")("log")
    values = axis["values"]
    getattr(axes, f"set_{which}lim")(values[0], values[-1])
    getattr(axes, f"set_{which}label")(plain(short(axis["factor"])))


def _legend(figure: Figure, region: RegionFile, surfaces: bool) -> None:
    confidence = f"{100 * region['thresholds']['confidence']:.3g} %"
    handles = [
        Line2D([], [], label=f"inside with {confidence} probability", **CERTAIN),
        Line2D([], [], label="as probably inside as outside", **HALF),
    ]
    if surfaces:
        words = "the darker, the more probably inside"
        handles.append(Line2D([], [], label=words, color=BLUE, linewidth=6))
    show_handles(figure, handles)
