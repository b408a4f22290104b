"""A finished sweep as one HTML file that needs nothing else: to read, to print, to pass on."""

from __future__ import annotations

from pathlib import Path

from dashboards import appendix, probes, sections
from dashboards.figures import region_map, to_svg
from dashboards.page import document, join
from dashboards.results import Results, read_results
from sweeps.ledger import Ledger
from sweeps.storage import SweepPaths, read_region, write_atomic

#: The page from top to bottom. A part that has nothing to say is empty.
PARTS = (
    sections.answer,
    sections.operating_point,
    sections.figures,
    sections.pictures,
    probes.findings,
    appendix.all_points,
    appendix.panel,
    appendix.failures,
    appendix.broken_models,
    appendix.limits,
    appendix.source,
)


def write_report(folder: Path, out: Path | None = None, ledger: Ledger | None = None) -> Path:
    """Writes the report of a results folder, to `out` or into the folder, and returns its path.

    ledger: the folder's, where it is open already. Equal folders give equal bytes. `UserError`
    where the folder holds no region.json.
    """
    file = SweepPaths(folder).report if out is None else out
    write_atomic(file, report_page(read_results(folder, ledger)).encode())
    return file


def report_page(results: Results) -> str:
    """The report as HTML."""
    return document(f"Defence region of {results.name}", join(part(results) for part in PARTS))


def write_map(folder: Path, out: Path) -> Path:
    """Writes the map of the region as a stand-alone SVG file and returns its path."""
    write_atomic(out, to_svg(region_map(read_region(folder)), "map").encode())
    return out
