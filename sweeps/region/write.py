"""Writing region.json."""

from __future__ import annotations

from typing import Any

from sweeps.ledger import Ledger
from sweeps.region.point_table import region_of
from sweeps.spec import SweepSpec
from sweeps.storage.paths import SweepPaths, read_sweep, write_json


def write_region(paths: SweepPaths, spec: SweepSpec) -> dict[str, Any]:
    """Judges what the ledger holds and writes region.json."""
    sweep = read_sweep(paths)
    region = region_of(spec, Ledger(paths.ledger), sweep["planned"])
    if spec.search.kind == "region":
        from sweeps.region.model_region import model_answer
        from sweeps.region.model_text import model_text

        region["model"] = model_answer(spec, Ledger(paths.ledger))
        if region["model"] is not None:
            region["model"]["text"] = model_text(region)
    region["class_names"] = sweep["class_names"]
    write_json(paths.region, region)
    return region
