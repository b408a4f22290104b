"""Figures: what is drawn where, and every shape of region that must not break them."""

from __future__ import annotations

import re
import warnings
from typing import Any
from xml.etree import ElementTree

import matplotlib
import pytest

from dashboards.axis_layout import Axis, arrange
from dashboards.figures import plot_accuracy_against_attack, plot_success_against_rate
from dashboards.plot_style import marker_of, to_svg
from dashboards.region_map import plot_region_map

FIGURES = (plot_region_map, plot_accuracy_against_attack, plot_success_against_rate)


def texts(svg: str) -> list[str]:
    root = ElementTree.fromstring(svg)
    return ["".join(node.itertext()) for node in root.iter("{http://www.w3.org/2000/svg}text")]


def titles(figure: Any) -> list[str]:
    return [axes.get_title(loc="left") for axes in figure.axes if axes.get_visible()]


def cases(make_point: Any) -> dict[str, list[dict[str, Any]]]:
    """Regions of every shape, as their points."""
    grid = [(a, b, c) for a in (0, 0.01, 0.1, 1) for b in (0.1, 0.2, 0.3) for c in (1, 2, 3)]
    return {
        "no point": [],
        "one point": [make_point("p", {"architecture": "mlp", "weight_decay": 0.1}, 0.95, 0.1)],
        "one incomplete point": [make_point("p", {"weight_decay": 0.1}, None, 0)],
        "no numeric factor": [make_point(k, {"architecture": k}, 0.95, 0.1) for k in "xyz"],
        "one numeric factor": [make_point(f"{v}", {"width": v}, 0.9, 0.3) for v in (0, 8, 64, 1024)],
        "two numeric factors": [make_point(f"{g}", {"a": g[0], "b": g[1]}, 0.95, 0.1) for g in grid if g[2] == 1],
        "three numeric factors": [make_point(f"{g}", {"a": g[0], "b": g[1], "c": g[2]}, 0.95, 0.1) for g in grid],
        "two values": [make_point(f"{v}", {"momentum": v}, 0.95, 0.1) for v in (0, 0.9)],
        "negative values": [make_point(f"{v}", {"shift": v}, 0.95, 0.1) for v in (-10, 0, 10)],
        "a factor that some lack": [make_point("p", {"architecture": "ridge"}, 0.95, 0.1)]
        + [make_point(f"{v}", {"architecture": "mlp", "rate": v}, 0.95, 0.1) for v in (0, 0.1, 10)],
        "one seed": [make_point(f"{v}", {"width": v}, 0.95, 0.1, seeds=1) for v in (1, 2, 3)],
        "many panels": [make_point(f"{k}{v}", {"kind": k, "width": v}, 0.95, 0.1) for k in "abcdefg" for v in (1, 2, 3)],
    }  # fmt: skip


CASES = list(cases(lambda *args, **kwargs: {}))


@pytest.mark.parametrize("draw", FIGURES)
@pytest.mark.parametrize("case", CASES)
def test_every_shape_of_region_is_drawn_without_a_warning(case, draw, make_point, make_region):
    found = make_region(cases(make_point)[case])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        svg = to_svg(draw(found), "salt")
    ElementTree.fromstring(svg)


@pytest.mark.parametrize("draw", FIGURES)
def test_the_same_region_gives_the_same_bytes_and_no_global_state(draw, small_region):
    before = dict(matplotlib.rcParams)
    assert to_svg(draw(small_region), "salt") == to_svg(draw(small_region), "salt")
    assert dict(matplotlib.rcParams) == before


def test_no_identifier_of_a_definition_is_shared_by_two_salts(small_region):
    one, other = (to_svg(plot_region_map(small_region), salt) for salt in ("one", "other"))
    used = [set(re.findall(r"url\(#([^)]+)\)|href=\"#([^\"]+)\"", svg)) for svg in (one, other)]
    assert used[0]
    assert not used[0] & used[1]


def test_a_panel_for_each_category_with_zero_apart(small_region):
    figure = plot_region_map(small_region)
    assert titles(figure) == ["linear", "mlp"]
    axes = figure.axes[-1]
    labels = [label.get_text() for label in axes.get_xticklabels()]
    assert labels == ["0", "0.01", "0.1", "1"]
    zero, first = axes.get_xticks()[:2]
    assert zero < first == pytest.approx(-2)
    assert any(text.get_text() == "//" for text in axes.texts)


def test_categories_that_some_points_lack_are_distinguished(make_point, make_region):
    points = [make_point("p", {"architecture": "ridge", "weight_decay": 1}, 0.95, 0.1)]
    points += [
        make_point(f"{w}-{d}", {"architecture": "mlp", "architecture.width": w, "weight_decay": d}, 0.95, 0.1)
        for w in (16, 32)
        for d in (0.1, 1, 10)
    ]  # fmt: skip
    assert titles(plot_region_map(make_region(points))) == [
        "ridge",
        "mlp, width 16",
        "mlp, width 32",
    ]


def test_factors_without_an_axis_are_named(make_point, make_region):
    found = make_region(cases(make_point)["three numeric factors"])
    layout = arrange(found["points"])
    assert [axis.name for axis in layout.axes] == ["defence.a", "defence.b"]
    words = "Vary too, but have no axis here: c (1 to 3)."
    assert words in texts(to_svg(plot_region_map(found), "salt"))


def test_points_of_one_place_are_drawn_beside_each_other(make_point, make_region):
    found = make_region(cases(make_point)["three numeric factors"])
    axes = plot_region_map(found).axes[0]
    marks = [line for line in axes.lines if line.get_marker() == "o" and line.get_markersize() < 10]
    verdicts = [(float(line.get_xdata()[0]), float(line.get_ydata()[0])) for line in marks]
    assert len(verdicts) == len(set(verdicts)) == len(found["points"])


def test_every_verdict_has_its_own_shape_or_filling(make_point):
    looks = []
    for means, bounds in (("IN", "IN"), ("IN", "UNDECIDED"), ("OUT", "OUT"), ("OUT", "UNDECIDED"), ("INCOMPLETE", "UNDECIDED")):  # fmt: skip
        marker = marker_of({"by_means": means, "by_bounds": bounds}, 0.95)
        assert marker.label.startswith(means)
        looks.append((marker.shape, marker.filled))
    assert len(set(looks)) == 5


def test_a_mark_is_filled_where_bounds_or_the_model_agree():
    filled = {}
    for bounds, model in (("IN", "UNDECIDED"), ("UNDECIDED", "IN"), ("UNDECIDED", "UNDECIDED"), ("UNDECIDED", "OUT")):  # fmt: skip
        point = {"by_means": "IN", "by_bounds": bounds, "by_model": model}
        filled[bounds, model] = marker_of(point, 0.95, together=True).filled
        assert marker_of(point, 0.95).filled == (bounds == "IN"), "where the model judges none"
    assert list(filled.values()) == [True, True, False, False]


def test_the_recommended_point_is_ringed_once_on_each_map(small_region):
    for draw, place in ((plot_region_map, -2.0), (plot_accuracy_against_attack, 0.94)):
        rings = [line for axes in draw(small_region).axes for line in axes.lines if line.get_markersize() == 14]  # fmt: skip
        assert [float(ring.get_xdata()[0]) for ring in rings] == [pytest.approx(place)]


def test_the_shaded_corner_holds_the_points_that_are_in(small_region):
    axes = plot_accuracy_against_attack(small_region).axes[0]
    (corner,) = axes.collections
    box = corner.get_paths()[0].get_extents()
    assert (box.x0, box.y1) == pytest.approx((0.9, 0.2))
    assert box.x1 >= axes.get_xlim()[1]


def test_the_bounds_of_the_recommended_point_are_whole(small_region):
    small_region["points"][1] |= {"clean_lower": 0.5, "clean_upper": 0.99}
    left, right = plot_accuracy_against_attack(small_region).axes[0].get_xlim()
    assert left < 0.5
    assert right > 0.99


def test_a_panel_a_trigger_with_every_seed_a_dot(small_region):
    figure = plot_success_against_rate(small_region)
    assert titles(figure) == ["patch(size=1)", "blend"]
    dots = [line for line in figure.axes[0].lines if line.get_linestyle() == "None"]
    assert all(len(line.get_xdata()) == 3 for line in dots)
    # The recommended and the most accurate point, at two poison rates each.
    assert len(dots) == 4
    ticks = [label.get_text() for label in figure.axes[0].get_xticklabels()]
    assert ticks == ["1 %", "3 %"]


def test_targets_are_distinguished_where_they_differ(small_region):
    small_region["panel"][1]["goal"] = "to class 7"
    assert titles(plot_success_against_rate(small_region)) == [
        "patch(size=1), to class 0", "patch(size=1), to class 7", "blend, to class 0",
    ]  # fmt: skip


def test_names_are_text_and_never_formulas(make_point, make_region):
    names = ("$\\frac{1}{2}$", "<b>&", "a\x00b")
    points = [make_point(n, {"architecture": n, "rate": v}, 0.95, 0.1) for n in names for v in (1, 2, 3)]  # fmt: skip
    shown = texts(to_svg(plot_region_map(make_region(points)), "salt"))
    assert {"$\\frac{1}{2}$", "<b>&", "a b"} <= set(shown)


AXES = [
    ((0, 0.001, 0.1), True, [(-4.0, "0"), (-3, "0.001"), (-1, "0.1")]),
    ((1, 2, 4), False, [(1, "1"), (2, "2"), (4, "4")]),
    ((-100, 1, 100), False, [(-100, "-100"), (1, "1"), (100, "100")]),
    ((0, 1, 2), False, [(0, "0"), (1, "1"), (2, "2")]),
]


@pytest.mark.parametrize(("values", "logarithmic", "ticks"), AXES)
def test_values_lie_where_the_scale_says(values, logarithmic, ticks):
    axis = Axis("factor", values, has_missing=False)
    assert axis.logarithmic is logarithmic
    assert [label for _, label in axis.ticks(0.01)] == [label for _, label in ticks]
    places = [place for place, _ in axis.ticks(0.01)]
    on_scale = [p for p, v in zip(places, values, strict=True) if not axis.is_apart(v)]
    assert on_scale == pytest.approx([p for (p, _), v in zip(ticks, values, strict=True) if not axis.is_apart(v)])  # fmt: skip
    assert places == sorted(places)


def test_many_values_are_labelled_at_powers_of_ten():
    axis = Axis("factor", tuple(10 ** (k / 20) for k in range(-60, 1)), has_missing=True)
    assert [label for _, label in axis.ticks(0.1)] == ["\N{EN DASH}", "0.001", "0.01", "0.1", "1"]
    assert len(axis.breaks) == 1
