"""What a probe measured along an axis of its own, such as training steps, drawn at one point."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.lines import Line2D

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

COLOURS = (BLUE, VERMILION, GREEN, "#a8579b", "#b58900", INK)
COLUMNS = 3
_DASHED: dict[str, Any] = {"linewidth": 0.9, "linestyle": (0, (5, 3))}

Row = Mapping[str, Any]
#: x, then the median, the least and the greatest value over seeds.
Series = list[tuple[float, float, float, float]]


def draw_curves(
    rows: Sequence[Row], x: str, names: Sequence[str], attacks: Mapping[str, str]
) -> str:
    """SVG text: a panel for each of the columns `names`, over the column `x`.

    rows: of one point, a row a model and value of x. attacks: their labels by id, at most
    as many as there are COLOURS. Lines are medians over seeds, bands their range; dashed: the
    same of the clean model.
    """
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
            Line2D([], [], color=colour, label=plain(label))
            for label, colour in zip(attacks.values(), COLOURS, strict=False)
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
        if known(row.get(name)) and known(row.get(x)):
            found.setdefault(row[x], []).append(row[name])
    return [(at, statistics.median(v), min(v), max(v)) for at, v in sorted(found.items())]


def known(value: Any) -> bool:
    """Whether it is a finite number."""
    return isinstance(value, (int, float)) and math.isfinite(value)
