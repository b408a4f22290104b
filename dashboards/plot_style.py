"""What the figures share: how a verdict is drawn, legends, panels, and SVG.

Colour and shape say the same thing, so that neither is needed: a circle is IN and a square is OUT
by the means over seeds, filled where the bounds, or the model of all points together, agree at the
region's confidence and hollow where they leave it undecided; a cross is a point whose trials are
incomplete.
"""

from __future__ import annotations

import io
import math
from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

import matplotlib
from matplotlib.axes import Axes
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from sweeps.records.model_used import judged_together
from sweeps.records.region_file import PointEntry, RegionFile

#: From the palette of Okabe and Ito, which stays distinct in every common colour blindness.
BLUE, VERMILION, GREEN, GREY = "#0072b2", "#d55e00", "#007a5a", "#6b7280"
INK, FAINT, SHADE = "#1b1f24", "#c3c9d0", "#dcebf5"
THRESHOLD: dict[str, Any] = {"linewidth": 0.8, "linestyle": (0, (1, 1.5))}
WIDTH = 8.0  # inches, 72 units of the drawing each
DPI = 120  # pixels an inch, where a figure becomes a PNG file
STYLE = {
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"],
    "font.size": 9.0,
    "axes.titlesize": 9.0,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": GREY,
    "axes.labelcolor": INK,
    "xtick.color": GREY,
    "ytick.color": GREY,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "legend.frameon": False,
    "lines.linewidth": 1.4,
}


def style() -> AbstractContextManager[None]:
    """Within it figures have the project's style; outside, matplotlib stays as it was."""
    context: AbstractContextManager[None] = matplotlib.rc_context(STYLE)
    return context


def to_svg(figure: Figure, salt: str) -> str:
    """The figure as SVG with its text as text; the same bytes for the same figure.

    `salt` keeps the identifiers of several drawings on one page apart.
    """
    stream = io.StringIO()
    nothing = dict.fromkeys(("Date", "Creator", "Format", "Type"))
    with matplotlib.rc_context({**STYLE, "svg.fonttype": "none", "svg.hashsalt": salt}):
        figure.savefig(stream, format="svg", metadata=nothing)
    # The text was only measured with that font; browsers have a sans-serif font of their own.
    return stream.getvalue().replace("'DejaVu Sans', sans-serif", "sans-serif")


def plain(text: str) -> str:
    """Text that matplotlib takes as it is: `$` begins no formula, no control characters."""
    return "".join(c if c.isprintable() else " " for c in text).replace("$", r"\$")


# --- figures and panels ------------------------------------------------------------------------


class NotebookFigure(Figure):
    """A matplotlib figure that shows itself as the value of a notebook's cell.

    Figures of pyplot are shown since pyplot hooks itself into the notebook. These know nothing of
    pyplot, and no pyplot, window or global list knows them: `savefig` writes them to a file.
    """

    def _repr_png_(self) -> bytes:
        return to_png(self, DPI)


def to_png(figure: Figure, dpi: int) -> bytes:
    """The figure as a PNG file, `dpi` pixels an inch; the same bytes for the same figure."""
    stream = io.BytesIO()
    with style():
        figure.savefig(stream, format="png", dpi=dpi, metadata={"Software": None})
    return stream.getvalue()


def new_figure(height: float) -> Figure:
    """An empty figure, `height` in inches, bound to no window and to no global state."""
    figure = NotebookFigure(figsize=(WIDTH, height), layout="constrained", facecolor="white")
    FigureCanvasSVG(figure)
    return figure


def panel_grid(
    panels: int, columns: int, height: float, share: bool = True
) -> tuple[Figure, list[Axes]]:
    """A figure with `panels` panels, `columns` in a row and each `height` inches tall. share:
    whether their axes have the same limits."""
    down = math.ceil(panels / columns)
    figure = new_figure(1.2 + height * down)
    grid = list(figure.subplots(down, columns, sharex=share, sharey=share, squeeze=False).flat)
    for axes in grid[panels:]:
        axes.set_visible(False)
    return figure, grid[:panels]


def label_outside(
    grid: Sequence[Axes], columns: int, below: str | None, beside: str | None
) -> None:
    """Axis labels where no panel follows, below and to the left."""
    for axes in grid[max(len(grid) - columns, 0) :]:
        axes.tick_params(labelbottom=True)
        if below:
            axes.set_xlabel(plain(below))
    for axes in grid[::columns]:
        if beside:
            axes.set_ylabel(plain(beside))


# --- verdicts ----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Marker:
    """How a verdict is drawn. The legend lists markers by `rank`."""

    rank: int
    label: str
    shape: str
    colour: str
    filled: bool = True

    @property
    def style(self) -> dict[str, Any]:
        fill = self.colour if self.filled else "white"
        return {
            "linestyle": "none",
            "marker": self.shape,
            "markersize": 7.5,
            "color": self.colour,
            "markerfacecolor": fill,
            "markeredgecolor": self.colour,
            "markeredgewidth": 1.5,
        }


def marker_of(point: PointEntry, confidence: float, together: bool = False) -> Marker:
    """The marker of a point; the bounds count only where they confirm the means. together: whether
    the model of all points judges them too, which then counts as the bounds do."""
    verdict = point["by_means"]
    certain = verdict in (point["by_bounds"], point.get("by_model") if together else None)
    if verdict == "IN":
        shape, colour = "o", BLUE
    elif verdict == "OUT":
        shape, colour = "s", VERMILION
    else:
        return Marker(4, "INCOMPLETE", "x", GREY)
    rank = 2 * (verdict == "OUT") + (not certain)
    if certain:
        agree = "certain" if together else "bounds agree"
        return Marker(rank, f"{verdict}, {agree} ({100 * confidence:.3g} %)", shape, colour)
    hollow = "by means only" if together else "by means, bounds UNDECIDED"
    return Marker(rank, f"{verdict} {hollow}", shape, colour, filled=False)


_RING: dict[str, Any] = {
    "linestyle": "none",
    "marker": "o",
    "markersize": 14,
    "markerfacecolor": "none",
    "markeredgecolor": INK,
    "markeredgewidth": 1.4,
}


def draw_verdict(axes: Axes, region: RegionFile, point: PointEntry, x: float, y: float) -> None:
    """The marker of a point, ringed if it is the recommended one."""
    if is_recommended(region, point):
        axes.plot([x], [y], clip_on=False, zorder=4, **_RING)
    marker = marker_of(point, region["thresholds"]["confidence"], judged_together(region))
    axes.plot([x], [y], clip_on=False, zorder=3, **marker.style)


def is_recommended(region: RegionFile, point: PointEntry) -> bool:
    """Whether it is the setting that the region recommends."""
    return point["defence_id"] == recommended_id(region)


def recommended_id(region: RegionFile) -> str | None:
    """The `defence_id` of the recommended setting, which a region search need not have tried; None
    without one."""
    chosen = region["setting"] if "setting" in region else region["recommended"]
    return None if chosen is None else chosen["defence_id"]


def draw_legend(figure: Figure, region: RegionFile, more: Sequence[Line2D] = ()) -> None:
    """Above the figure: the verdicts that occur, the ring, and `more`."""
    confidence = region["thresholds"]["confidence"]
    together = judged_together(region)
    markers = {marker_of(point, confidence, together) for point in region["points"]}
    handles = [
        Line2D([], [], label=marker.label, **marker.style)
        for marker in sorted(markers, key=lambda marker: marker.rank)
    ]
    if any(is_recommended(region, point) for point in region["points"]):
        handles.append(Line2D([], [], label="recommended", **{**_RING, "markersize": 11}))
    show_handles(figure, [*handles, *more])


def show_handles(figure: Figure, handles: Sequence[Line2D]) -> None:
    """A legend above the panels."""
    if handles:
        figure.legend(handles=handles, loc="outside upper center", ncols=3, fontsize=8)
