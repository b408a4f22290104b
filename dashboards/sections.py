"""The parts of a report down to the points: what their templates are given.

Sentences and the number of digits are the templates' own. Rates are fractions in [0, 1].
"""

from __future__ import annotations

from dataclasses import dataclass

from dashboards.figures import has_figures, plot_accuracy_against_attack, plot_success_against_rate
from dashboards.model_map import has_model_map, plot_model_map
from dashboards.plot_style import to_svg
from dashboards.region_map import plot_region_map
from dashboards.results import Picture, Results
from sweeps.records.control_text import control_answer, on_accuracy_alone
from sweeps.records.data_entry import data_warnings
from sweeps.records.model_used import chance_words, judged_together
from sweeps.records.region_file import AttackEntry, Basis, PointEntry, RegionFile, ThresholdsEntry
from sweeps.records.seed_model_text import seed_model_lines

# --- the answer --------------------------------------------------------------------------------


@dataclass(frozen=True)
class Answer:
    """Question and answer.

    attacks: how many the panel has. points, inside, incomplete: defence points in all, IN by the
    means, and without a verdict. seeds: the numbers of seeds that judged points have, ascending.
    surely_inside, surely_outside, undecided: judged points by their bounds. recommended: None where
    no point is inside; nearest: the one with the largest margin, where none is. together: what a
    model of all points together says, and what so few seeds cannot exclude, in sentences. model:
    what the model of a region search says as lines for people; where it says something, it is the
    answer. alone: a line below the recommended point where no attack of the panel takes anywhere;
    panel: a sentence where none is known to.
    data_warnings: what was found in the data that makes results doubtful.
    """

    thresholds: ThresholdsEntry
    attacks: int
    points: int
    inside: int
    incomplete: int
    seeds: list[int]
    surely_inside: int
    surely_outside: int
    undecided: int
    recommended: PointEntry | None
    nearest: PointEntry | None
    together: list[str]
    model: list[str]
    alone: list[str]
    panel: list[str]
    data_warnings: list[str]


def answer(results: Results) -> Answer:
    """The question that the sweep was run for, and its answer."""
    means, bounds = (results.region["counts"][by] for by in ("by_means", "by_bounds"))
    judged = [point for point in results.points if has_figures(point)]
    return Answer(
        thresholds=results.region["thresholds"],
        attacks=len(results.attacks),
        points=len(results.points),
        inside=means["IN"],
        incomplete=means["INCOMPLETE"],
        seeds=sorted({point["seeds"] for point in judged}),
        surely_inside=bounds["IN"],
        surely_outside=bounds["OUT"],
        undecided=sum(point["by_bounds"] == "UNDECIDED" for point in judged),
        recommended=results.recommended if means["IN"] else None,
        nearest=None if means["IN"] else _nearest(results),
        together=seed_model_lines(results.region),
        model=_model_lines(results.region),
        alone=on_accuracy_alone(results.region),
        panel=control_answer(results.region),
        data_warnings=data_warnings(results.sweep),
    )


def _nearest(results: Results) -> PointEntry | None:
    judged = [(m, point) for point in results.points if (m := point["margin"]) is not None]
    return max(judged, key=lambda pair: pair[0])[1] if judged else None


def _model_lines(region: RegionFile) -> list[str]:
    model = region.get("model")
    lines = model.get("text", []) if model else []
    return [*lines[:1], *(line.strip() for line in lines[1:] if line.strip())]


# --- the operating point -----------------------------------------------------------------------


@dataclass(frozen=True)
class OperatingPoint:
    """The recommended point.

    basis: the verdict by which it is IN. margin: to the nearer threshold. worst_attack: its label.
    attacks: each attack's label and how it does at the point. inside: P(inside) by the model of all
    points together, in words, empty where it does not say. best: the point most accurate on
    validation images, None where none is known; given_up: how much less accurate the point is than
    that; baseline: the clean baseline's accuracy, which stands in where the trials of best were
    stopped early.
    """

    point: PointEntry
    basis: Basis
    margin: float
    confidence: float
    worst_attack: str
    attacks: list[tuple[str, AttackEntry]]
    inside: str
    best: PointEntry | None
    given_up: float | None
    baseline: float | None


def operating_point(results: Results) -> OperatingPoint | None:
    """The recommended point with its price; None where no point is inside."""
    point, chosen = results.recommended, results.region["recommended"]
    if point is None or chosen is None:
        return None
    thresholds = results.region["thresholds"]
    return OperatingPoint(
        point=point,
        basis=chosen["basis"],
        margin=chosen["margin"],
        confidence=thresholds["confidence"],
        worst_attack=results.attack_label(point["worst_attack"]),
        attacks=[(results.attack_label(a["attack_id"]), a) for a in point["attacks"]],
        inside=chance_words(point.get("inside")),
        best=results.best,
        given_up=_given_up(results, point),
        baseline=thresholds["clean_accuracy"]["best"],
    )


def _given_up(results: Results, point: PointEntry) -> float | None:
    best, accuracy = results.best, point["clean_accuracy"]
    if best is None or accuracy is None:
        return None
    # Not the best point's own figure, which has its broken models.
    highest = results.region["thresholds"]["clean_accuracy"]["best"]
    return 0.0 if highest is None else max(highest - accuracy, 0.0)


# --- figures and pictures ----------------------------------------------------------------------


@dataclass(frozen=True)
class PointFigures:
    """What is drawn of the points, each as SVG text."""

    region_map: str
    accuracy: str
    success: str


@dataclass(frozen=True)
class Figures:
    """What is drawn. model_map: SVG text, None where no model was fitted. of_points: None where
    the model's map says it all. incomplete: points that the figures leave out. together: whether a
    model of all points together judges them."""

    model_map: str | None
    of_points: PointFigures | None
    confidence: float
    incomplete: int
    together: bool


def figures(results: Results) -> Figures:
    """The three figures of the points, and the map of a region search."""
    region, has_model = results.region, has_model_map(results.region)
    complete = sum(has_figures(point) for point in results.points)
    # A region search completes few points, if any: without one their figures would be empty.
    return Figures(
        model_map=to_svg(plot_model_map(region), "model") if has_model else None,
        of_points=_point_figures(region) if complete or not has_model else None,
        confidence=region["thresholds"]["confidence"],
        incomplete=len(results.points) - complete,
        together=judged_together(region),
    )


def _point_figures(region: RegionFile) -> PointFigures:
    return PointFigures(
        region_map=to_svg(plot_region_map(region), "map"),
        accuracy=to_svg(plot_accuracy_against_attack(region), "accuracy"),
        success=to_svg(plot_success_against_rate(region), "rate"),
    )


@dataclass(frozen=True)
class Pictures:
    """The same test images, clean and with each trigger. class_names: of the images of a row. rows:
    a trigger's pictures by its name, the clean ones first, under `clean`."""

    class_names: list[str]
    rows: dict[str, list[Picture]]


def pictures(results: Results) -> Pictures | None:
    """The gallery; None where the folder has none."""
    rows: dict[str, list[Picture]] = {}
    for picture in results.pictures:
        rows.setdefault("clean" if picture.trigger is None else picture.trigger, []).append(picture)
    first = next(iter(rows.values()), None)
    return None if first is None else Pictures([picture.class_name for picture in first], rows)
