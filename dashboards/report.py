"""A finished sweep as one HTML file that needs nothing else: to read, to print, to pass on."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from backdoor.errors import Mistake, UserError
from dashboards import appendix, failed_trials, probes, sections
from dashboards.opening import Opening, opening
from dashboards.page import render
from dashboards.plot_style import to_svg
from dashboards.region_map import plot_region_map
from dashboards.results import Results, read_results
from dashboards.searched_points import SearchedPoints, searched_points
from dashboards.setting import Recommended, recommended
from dashboards.stability import Stability, stability
from dashboards.where import Where, where
from sweeps.ledger import Ledger
from sweeps.records.answer_entry import VerificationEntry
from sweeps.records.region_file import RegionFile
from sweeps.storage import SweepPaths, read_region, write_atomic


@dataclass(frozen=True)
class Report:
    """What `templates/report.html` is given: the name of the sweep, and each part's values."""

    name: str
    opening: Opening
    recommended: Recommended
    verification: VerificationEntry
    where: Where
    figures: sections.Figures
    panel: list[appendix.PanelRow]
    pictures: sections.Pictures | None
    probes: list[probes.Probe]
    points: appendix.Points
    searched: SearchedPoints | None
    stability: Stability | None
    failures: failed_trials.Failures | None
    broken_models: list[failed_trials.BrokenRow]
    caveats: appendix.Caveats
    source: appendix.Source


def write_report(
    folder: str | Path,
    out: str | Path | None = None,
    ledger: Ledger | None = None,
    region: RegionFile | None = None,
) -> Path:
    """Write a sweep's report, one HTML file that needs nothing else, and return its path.

    It holds what region.json answers: how the region stands with fresh trainings, the strongest
    claim, all verdicts, the recommended training settings with what they cost, the figures, the
    attacks, the defence points, and how to run the sweep again. Equal folders give equal bytes.

    Args:
        folder: the results folder of a sweep, with its region.json.
        out: the file to write; `report.html` in the folder if not given.
        ledger: the folder's record of trials, where it is open already.
        region: the answer, where it is known already; it is read from the folder if not given.

    Raises:
        UserError: the folder holds no sweep or no region.json, or one of its files is damaged; or
            `out` cannot be written.

    Example:
        >>> write_report("digits", "digits.html")
        PosixPath('digits.html')
    """
    file = SweepPaths(Path(folder)).report if out is None else Path(out)
    page = report_page(read_results(Path(folder), ledger, region))
    try:
        # A link in a results folder may be a stranger's; one that is named is meant.
        write_atomic(file, page.encode(), follow=out is not None)
    except (OSError, ValueError) as error:
        rule, reason = "must be a file that can be written", getattr(error, "strerror", error)
        remedy = f"Name another file, with `sweeps report DIR -o FILE` ({reason})."
        place = "out" if out is not None else "report.html"
        raise UserError(Mistake(place, rule, str(file), remedy)) from None
    return file


def report_page(results: Results) -> str:
    """The report as HTML."""
    return render("report.html", **vars(_report_of(results)))


def _report_of(results: Results) -> Report:
    return Report(
        name=results.name,
        opening=opening(results),
        recommended=recommended(results),
        verification=results.region["verification"],
        where=where(results),
        figures=sections.figures(results),
        panel=appendix.panel(results),
        pictures=sections.pictures(results),
        probes=probes.findings(results),
        points=appendix.all_points(results),
        searched=searched_points(results),
        stability=stability(results),
        failures=failed_trials.failures(results),
        broken_models=failed_trials.broken_models(results),
        caveats=appendix.caveats(results),
        source=appendix.source(results),
    )


def write_map(folder: Path, out: Path) -> Path:
    """Writes the map of the region as a stand-alone SVG file and returns its path."""
    picture = to_svg(plot_region_map(read_region(folder)), "map").encode()
    write_atomic(out, picture, follow=out != SweepPaths(folder).map)
    return out
