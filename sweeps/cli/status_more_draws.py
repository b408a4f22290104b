"""The command that verifies a region again as before, with as many draws as the claim takes."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sweeps.cli.status_standing import VerificationCount
from sweeps.records.thresholds import MEDIAN, SHARE
from sweeps.storage.paths import SweepPaths, VerificationPaths
from sweeps.storage.shell import command

if TYPE_CHECKING:
    from sweeps.records.region_file import RegionFile

#: The share of draws that must pass, where nothing is asked, by the target.
CLAIMS = {MEDIAN: 0.95, SHARE: 0.90}
#: Fresh seeds of a draw, where nothing is asked.
SEEDS = 5
#: What is drawn from, where nothing is asked: of points, and of a region search.
BASES = (None, "means", "verdict")


def more_draws(folder: Path, region: RegionFile, found: VerificationCount) -> tuple[str, str]:
    """The command and what it does, where all draws passed but were too few. Options that are the
    default are left out."""
    from sweeps.statistics.binomial import fewest_draws

    plan = _plan(folder, found["verification_id"])
    asked: dict[str, Any] = plan.get("settings", {})
    usual = SHARE if _share(region) else MEDIAN
    target = asked.get("target", usual)
    claim = CLAIMS[usual] if found["claim"] is None else found["claim"]
    draws = max(fewest_draws(claim), found["draws"] + 1)
    options = {
        "claim": claim if claim != CLAIMS.get(target) else None,
        "draws": draws,
        "seeds": asked.get("seeds", SEEDS) if target == MEDIAN else SEEDS,
        "target": None if target == usual else target,
        "basis": None if found["basis"] in BASES else found["basis"],
        "transfer": "none" if plan.get("transfer") == [] else None,
    }
    if options["seeds"] == SEEDS:
        options["seeds"] = None
    words = [
        w for name, value in options.items() if value is not None for w in (f"--{name}", value)
    ]
    why = f"all draws pass, but they are too few: {draws} can prove the claim"
    return command("sweeps", "verify", folder, *words), why


def _share(region: RegionFile) -> bool:
    """Whether the question is about a share of the seeds."""
    question = region.get("question")
    return question is not None and question["target"] == SHARE


def _plan(folder: Path, verification_id: str | None) -> dict[str, Any]:
    """What was planned; nothing where that cannot be read."""
    if verification_id is not None:
        file = VerificationPaths(SweepPaths(folder).verifications / verification_id).plan
        with contextlib.suppress(OSError, ValueError):
            plan = json.loads(file.read_bytes())
            if isinstance(plan, dict) and isinstance(plan.get("settings", {}), dict):
                return plan
    return {}
