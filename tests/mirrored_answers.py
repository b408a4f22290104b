"""region.json version 2 made by hand, for tests of what shows it."""

from __future__ import annotations

from typing import Any

from sweeps.ledger import Ledger
from sweeps.records.region_file import RegionFile
from sweeps.region.panel import criteria_of
from sweeps.region.point_table import region_of
from sweeps.spec import SweepSpec
from sweeps.storage.paths import SweepPaths, read_sweep

NOT_YET: dict[str, Any] = {
    "state": "not yet", "text": "not verified yet", "verification_id": None, "verdict": None,
    "passed": 0, "draws": 0, "claim": None, "lower_bound": None, "basis": None, "earlier": 0,
    "stale_because": None, "failed_where": [],
}  # fmt: skip
POINTS: dict[str, Any] = {
    "total": 36, "certainly_in": 3, "likely_in": 2, "undecided": 5, "likely_out": 4,
    "certainly_out": 20, "incomplete": 2, "in_by_means": 8,
}  # fmt: skip
SPACE = {
    "likely_in": 0.412, "undecided": 0.3, "likely_out": 0.288,
    "volume": 0.5, "volume_lower": 0.4, "volume_upper": 0.6,
}  # fmt: skip
HEADLINE = "3 of 36 settings are certainly IN: accuracy 0.9, success at most 0.2."


def answered(paths: SweepPaths, spec: SweepSpec, **changes: Any) -> RegionFile:
    """What the folder's ledger says, and an answer that has nothing to do with it."""
    region: Any = region_of(criteria_of(spec), Ledger(paths.ledger))
    region |= {
        "question": {"text": "Which settings withstand 3 attacks?", "attacks": 3, "seeds": 2,
                     "target": "mean"},
        "state": {"state": "finished", "text": "finished: 40 of 40 trials", "planned": 40,
                  "at_most": False, "ended": 40, "failed": 0, "why": None},
        "headline": {"claim": "certain", "text": HEADLINE},
        "verdicts": {"confidence": 0.95, "points": POINTS, "space": None},
        "setting": None, "verification": NOT_YET, "doubts": [], "lacks": [],
        "data": read_sweep(paths)["data"],
        **changes,
    }  # fmt: skip
    return region  # type: ignore[no-any-return]


def setting(region: RegionFile, number: int = 0) -> dict[str, Any]:
    """A recommended setting: a point of the region."""
    point = region["points"][number]
    return {
        "defence_id": point["defence_id"], "label": point["label"], "basis": "bounds",
        "text": [f"{point['label']}: IN by bounds", "accuracy 0.95 (0.93 to 0.97 of one new seed)"],
    }  # fmt: skip
