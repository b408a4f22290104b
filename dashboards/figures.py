"""What is drawn of the points beside their map: accuracy against attack, success against rate."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from dashboards.axis_layout import Axis
from dashboards.compared import (
    above_baseline,
    attack_success,
    by_seed,
    point_bounds,
    point_success,
    success_label,
)
from dashboards.plot_style import (
    BLUE,
    FAINT,
    GREY,
    SHADE,
    THRESHOLD,
    VERMILION,
    draw_legend,
    draw_verdict,
    is_recommended,
    label_outside,
    new_figure,
    panel_grid,
    plain,
    recommended_id,
    show_handles,
    style,
)
from dashboards.results import region_from
from sweeps.records.region_file import AttackEntry, PanelEntry, PointEntry, RegionFile

_DASHED: dict[str, Any] = {"linewidth": 0.9, "linestyle": (0, (5, 3))}
#: How single seeds are drawn.
_DOTS: dict[str, Any] = {
    "linestyle": "none",
    "markersize": 4,
    "markeredgewidth": 0,
    "alpha": 0.75,
    "zorder": 4,
}


# --- accuracy against attack -------------------------------------------------------------------


def plot_accuracy_against_attack(region: str | Path | RegionFile) -> Figure:
    """Clean accuracy against worst attack success: one marker for each defence point.

    The corner where both conditions hold is shaded. Both are fractions in [0, 1], means over seeds:
    the lowest accuracy and the highest success over the attacks of the panel. The cross through the
    recommended point spans its one-sided confidence bounds. Incomplete points are left out. Markers
    are those of `plot_region_map`.

    Args:
        region: a results folder, or its region as `sweeps.read_region` returns it.

    Returns:
        A matplotlib figure, 8 inches wide; a notebook shows it.

    Raises:
        UserError: the folder holds no sweep or no region.json, or `region` is something else.

    Example:
        >>> plot_accuracy_against_attack("digits").savefig("accuracy.svg")
    """
    return _accuracy_figure(region_from(region))


def _accuracy_figure(region: RegionFile) -> Figure:
    with style():
        figure = new_figure(4.4)
        axes = figure.subplots()
        shown = [point for point in region["points"] if has_figures(point)]
        axes.set_xlim(_accuracy_range(region, shown))
        axes.set_ylim(
            min([-0.03, *(y for p in shown if (y := point_success(p)) is not None)]), 1.03
        )
        _shade_corner(axes, region)
        for point in shown:
            if is_recommended(region, point):
                _draw_bounds(axes, point)
            x, y = point["clean_accuracy"], point_success(point)
            if x is not None and y is not None:
                draw_verdict(axes, region, point, x, y)
        axes.set_xlabel("clean accuracy (lowest mean over the attacks)")
        axes.set_ylabel(f"{success_label(region)} (highest mean over the attacks)")
        draw_legend(figure, region)
        return figure


def has_figures(point: PointEntry) -> bool:
    """Whether a point was judged at all; incomplete ones have no figures."""
    return point["clean_accuracy"] is not None and point["attack_success"] is not None


def _accuracy_range(region: RegionFile, shown: Sequence[PointEntry]) -> tuple[float, float]:
    lowest = region["thresholds"]["clean_accuracy"]["value"]
    bounds = [
        bound
        for point in shown
        if is_recommended(region, point)
        for bound in (point["clean_lower"], point["clean_upper"])
    ]
    drawn = [*(point["clean_accuracy"] for point in shown), *bounds, lowest]
    values = [value for value in drawn if value is not None]
    left, right = min(values, default=0.0), max(values, default=1.0)
    margin = max((right - left) * 0.06, 0.01)
    return left - margin, min(right + margin, 1.01)


def _shade_corner(axes: Axes, region: RegionFile) -> None:
    lowest = region["thresholds"]["clean_accuracy"]["value"]
    highest = region["thresholds"]["attack_success"]
    axes.axhline(highest, color=GREY, **THRESHOLD)
    if lowest is not None:
        axes.axvline(lowest, color=GREY, **THRESHOLD)
        right = axes.get_xlim()[1]
        axes.fill_between([lowest, right], -0.03, highest, color=SHADE, linewidth=0, zorder=0)


def _draw_bounds(axes: Axes, point: PointEntry) -> None:
    thin: dict[str, Any] = {"color": GREY, "linewidth": 1}
    x, y = point["clean_accuracy"], point_success(point)
    if x is None or y is None:
        return
    low, high = point["clean_lower"], point["clean_upper"]
    if low is not None and high is not None:
        axes.plot([low, high], [y, y], **thin)
    low, high = point_bounds(point)
    if low is not None and high is not None:
        axes.plot([x, x], [low, high], **thin)


# --- success against poison rate ---------------------------------------------------------------


def plot_success_against_rate(region: str | Path | RegionFile) -> Figure:
    """Attack success against poison rate: one panel for each trigger, and aim where they differ.

    Bold are the recommended and the most accurate point, every seed a dot; dashed is how often
    their clean models give the attacker's answer; faint are the means of all other points. Success
    is a fraction in [0, 1] of the triggered test images, the poison rate a percentage of the
    training images, on a logarithmic axis.

    Args:
        region: a results folder, or its region as `sweeps.read_region` returns it.

    Returns:
        A matplotlib figure, 8 inches wide; a notebook shows it.

    Raises:
        UserError: the folder holds no sweep or no region.json, or `region` is something else.

    Example:
        >>> plot_success_against_rate("digits").savefig("success.svg")
    """
    return _success_figure(region_from(region))


def _success_figure(region: RegionFile) -> Figure:
    panels = _attacks_by_trigger(region)
    with style():
        columns = max(min(3, len(panels)), 1)
        figure, grid = panel_grid(len(panels), columns, 2.5) if panels else (new_figure(1), [])
        for axes, (title, attacks) in zip(grid, panels.items(), strict=True):
            axes.set_title(plain(title))
            axes.axhline(region["thresholds"]["attack_success"], color=GREY, **THRESHOLD)
            _draw_points(axes, region, attacks)
            _scale_rates(axes, region)
        label_outside(grid, columns, "poison rate", success_label(region))
        show_handles(figure, _rate_handles(region))
        return figure


def _attacks_by_trigger(region: RegionFile) -> dict[str, list[PanelEntry]]:
    """The attacks of each trigger by poison rate; triggers in the order of the panel."""
    aims = {_aim(attack) for attack in region["panel"]}
    panels: dict[str, list[PanelEntry]] = {}
    for attack in region["panel"]:
        aim = f", {_aim(attack)}" if len(aims) > 1 else ""
        panels.setdefault(attack["trigger"] + aim, []).append(attack)
    for attacks in panels.values():
        attacks.sort(key=lambda attack: attack["poison_rate"])
    return panels


def _aim(attack: PanelEntry) -> str:
    """What the attack aims at, as the region says it."""
    return attack.get("goal", f"to class {attack['target']}")


def highlighted(region: RegionFile) -> list[tuple[str, str, str, PointEntry]]:
    """Role, colour, shape and point of those drawn in bold; one point may have both roles."""
    points = {point["defence_id"]: point for point in region["points"]}
    best = region["thresholds"]["clean_accuracy"]["best_point"]
    chosen = recommended_id(region)
    if chosen is not None and chosen == best and chosen in points:
        return [("recommended, and most accurate", BLUE, "o", points[chosen])]
    roles = (("recommended", BLUE, "o", chosen), ("most accurate", VERMILION, "s", best))
    return [(role, c, s, points[name]) for role, c, s, name in roles if name in points]


def _draw_points(axes: Axes, region: RegionFile, attacks: Sequence[PanelEntry]) -> None:
    bold = highlighted(region)
    for point in region["points"]:
        if all(point is not other for *_, other in bold):
            _draw_means(axes, _by_rate(point, attacks), color=FAINT, linewidth=0.8, zorder=1)
    for _, colour, shape, point in bold:
        found = _by_rate(point, attacks)
        _draw_means(axes, found, color=colour, zorder=3)
        for rate, result in found:
            seeds = by_seed(result)
            axes.plot([rate] * len(seeds), seeds, marker=shape, color=colour, **_DOTS)
        clean = [] if above_baseline(region) else [r["baseline_success"] for _, r in found]
        known = [success for success in clean if success is not None]
        if known:
            axes.axhline(sum(known) / len(known), color=colour, zorder=2, **_DASHED)


def _by_rate(point: PointEntry, attacks: Sequence[PanelEntry]) -> list[tuple[float, AttackEntry]]:
    """Poison rate and result of those attacks that have one at this point."""
    results = {result["attack_id"]: result for result in point["attacks"]}
    return [
        (attack["poison_rate"], results[attack["attack_id"]])
        for attack in attacks
        if attack["attack_id"] in results
    ]


def _draw_means(axes: Axes, found: Sequence[tuple[float, AttackEntry]], **look: Any) -> None:
    marker = "." if len(found) == 1 else None  # a line needs two ends to be seen
    values = [attack_success(result) for _, result in found]
    axes.plot([rate for rate, _ in found], values, marker=marker, **look)


def _scale_rates(axes: Axes, region: RegionFile) -> None:
    rates = sorted({attack["poison_rate"] for attack in region["panel"]})
    axis = Axis("poison_rate", tuple(rates), has_missing=False)
    axes.set_xscale("log")
    axes.set_xlim(rates[0] / 1.4, rates[-1] * 1.4)
    kept = axis.thinned(rates, 0.15)
    axes.set_xticks(kept, [f"{100 * rate:.3g} %" for rate in kept])
    axes.set_xticks([], minor=True)
    axes.set_ylim(-0.03, 1.03)


def _rate_handles(region: RegionFile) -> list[Line2D]:
    bold = highlighted(region)
    handles = [
        Line2D([], [], color=colour, marker=shape, markersize=4, label=role)
        for role, colour, shape, _ in bold
    ]
    if len(region["points"]) > len(bold):
        handles.append(Line2D([], [], color=FAINT, label="other points"))
    known = any(r["baseline_success"] is not None for *_, p in bold for r in p["attacks"])
    if known and not above_baseline(region):
        handles.append(Line2D([], [], color=GREY, label="clean baseline", **_DASHED))
    allowed = Line2D([], [], color=GREY, label="highest attack success allowed", **THRESHOLD)
    return [*handles, allowed]
