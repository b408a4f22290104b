"""What is drawn and shown in a report: the figures of the region, and triggered images."""

from __future__ import annotations

from dataclasses import dataclass

from dashboards.figures import has_figures, plot_accuracy_against_attack, plot_success_against_rate
from dashboards.model_map import has_model_map, plot_model_map
from dashboards.plot_style import to_svg
from dashboards.region_map import plot_region_map
from dashboards.results import Picture, Results
from sweeps.records.model_used import judged_together
from sweeps.records.region_file import RegionFile

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
    the model's map says it all. left_out: points without measured figures. together: whether a
    model of all points together judges them."""

    model_map: str | None
    of_points: PointFigures | None
    confidence: float
    left_out: int
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
        left_out=len(results.points) - complete,
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
