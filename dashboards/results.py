"""What a report reads from a results folder: nothing else is looked at, nothing is written."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from backdoor.errors import Mistake, StoredDataError, UserError
from sweeps.ledger import ProbeTable, load_probe_results, load_results
from sweeps.storage import SweepPaths, open_results

REGION_VERSION = 1


@dataclass(frozen=True)
class Picture:
    """One image of the gallery. `source` is a data URI, None where the file is missing."""

    trigger: str | None
    class_name: str
    source: str | None


@dataclass(frozen=True)
class Results:
    """A sweep as its report needs it. `trials`: one flat row a trial, finished or failed.
    `studies`: what each probe found."""

    region: dict[str, Any]
    sweep: dict[str, Any]
    spec: str
    trials: list[dict[str, Any]]
    pictures: list[Picture]
    studies: list[ProbeTable] = field(default_factory=list)

    @property
    def name(self) -> str:
        """The sweep's name."""
        return str(self.region["name"])

    @property
    def points(self) -> list[dict[str, Any]]:
        """The defence points, judged."""
        points: list[dict[str, Any]] = self.region["points"]
        return points

    @cached_property
    def by_id(self) -> dict[str, dict[str, Any]]:
        """Defence points by `defence_id`."""
        return {point["defence_id"]: point for point in self.points}

    @cached_property
    def attacks(self) -> dict[str, dict[str, Any]]:
        """The panel by `attack_id`."""
        return {attack["attack_id"]: attack for attack in self.region["panel"]}

    @property
    def recommended(self) -> dict[str, Any] | None:
        """The recommended point."""
        chosen = self.region["recommended"]
        return None if chosen is None else self.by_id[chosen["defence_id"]]

    @property
    def best(self) -> dict[str, Any] | None:
        """The most accurate point, chosen on validation images."""
        return self.by_id.get(self.region["thresholds"]["clean_accuracy"]["best_point"])


def read_region(folder: Path) -> dict[str, Any]:
    """region.json, parsed; `UserError` where it is missing, damaged or of another version."""
    paths = open_results(folder)
    remedy = f"Run `sweeps region {folder}`, which writes it."
    if not paths.region.is_file():
        rule = "must exist: the report shows the region that it describes"
        raise UserError(Mistake(paths.region.name, rule, str(paths.region), remedy))
    region = _parsed(paths.region, remedy)
    version = region.get("schema_version") if isinstance(region, dict) else None
    if version != REGION_VERSION:
        rule = f"must have schema version {REGION_VERSION}"
        raise StoredDataError(Mistake(str(paths.region), rule, version, remedy))
    found: dict[str, Any] = region
    return found


def read_results(folder: Path) -> Results:
    """Everything that a report shows."""
    region, paths = read_region(folder), open_results(folder)
    remedy = "Restore the file; `sweeps run` wrote it."
    sweep = _parsed(paths.sweep, remedy)
    spec = paths.spec.read_text(encoding="utf-8") if paths.spec.is_file() else ""
    rows = load_results(folder).to_pylist()
    trials = {row["trial_id"]: row for row in rows}
    pictures = list(_pictures(paths))
    return Results(region, sweep, spec, list(trials.values()), pictures, load_probe_results(folder))


def _parsed(file: Path, remedy: str) -> Any:
    try:
        return json.loads(file.read_text(encoding="utf-8"))
    except ValueError as error:
        raise StoredDataError(
            Mistake(str(file), "must be valid JSON", str(error), remedy)
        ) from None


def _pictures(paths: SweepPaths) -> Iterable[Picture]:
    if not paths.gallery.is_file():
        return
    for entry in _parsed(paths.gallery, "Restore the file; `sweeps run` wrote it.")["images"]:
        # Only files of this folder are shown, whatever the index names.
        file = paths.pictures / Path(entry["file"]).name
        source = None
        if file.suffix == ".png" and file.is_file():
            source = "data:image/png;base64," + base64.b64encode(file.read_bytes()).decode()
        yield Picture(entry["trigger"], entry["class"], source)
