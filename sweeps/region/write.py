"""Writing region.json."""

from __future__ import annotations

from sweeps.ledger import Ledger
from sweeps.records.region_file import RegionFile
from sweeps.region.point_table import region_of
from sweeps.spec import SweepSpec
from sweeps.storage.files import write_json
from sweeps.storage.paths import SweepPaths, read_sweep


def write_region(paths: SweepPaths, spec: SweepSpec, ledger: Ledger | None = None) -> RegionFile:
    """Judges what the ledger holds, and writes region.json. ledger: the folder's, where it is open
    already."""
    ledger = Ledger(paths.ledger) if ledger is None else ledger
    sweep = read_sweep(paths)
    region = region_of(spec, ledger, sweep["planned"])
    if spec.search.kind == "region":
        _add_model(region, spec, ledger)
    region["class_names"] = sweep["class_names"]
    write_json(paths.region, region)
    return region


def _add_model(region: RegionFile, spec: SweepSpec, ledger: Ledger) -> None:
    """What the model of a region search says; it takes seconds, and scipy."""
    from sweeps.region.fitted_region import FittedRegion
    from sweeps.region.model_region import model_answer
    from sweeps.region.model_text import model_text

    answer = model_answer(FittedRegion.of(spec, ledger))
    region["model"] = answer
    if answer is not None:
        answer["text"] = model_text(region)
