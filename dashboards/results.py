"""What a report reads from a results folder; nothing is written."""

from __future__ import annotations

import base64
import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from backdoor.errors import Mistake, StoredDataError, UserError
from dashboards.filters import UNKNOWN
from sweeps.ledger import Ledger, ProbeTable, load_probe_results
from sweeps.records.answer_entry import SettingEntry
from sweeps.records.region_check import is_region, opened
from sweeps.records.region_file import PanelEntry, PointEntry, RegionFile
from sweeps.records.sweep_file import SweepFile
from sweeps.records.trial_row import TrialRow
from sweeps.storage import SweepPaths, open_results, read_region


@dataclass(frozen=True)
class Picture:
    """One image of the gallery. `source` is a data URI, None where the file is missing."""

    trigger: str | None
    class_name: str
    source: str | None


@dataclass(frozen=True)
class Results:
    """A sweep as its report needs it. spec: the text of the spec. trials: all that are recorded,
    however they ended. probed: what each probe found."""

    region: RegionFile
    sweep: SweepFile
    spec: str
    trials: list[TrialRow]
    pictures: list[Picture]
    probed: list[ProbeTable] = field(default_factory=list)

    @property
    def name(self) -> str:
        """The sweep's name."""
        return self.region["name"]

    @property
    def points(self) -> list[PointEntry]:
        """The defence points, judged."""
        return self.region["points"]

    @cached_property
    def by_id(self) -> dict[str, PointEntry]:
        """Defence points by `defence_id`."""
        return {point["defence_id"]: point for point in self.points}

    @cached_property
    def attacks(self) -> dict[str, PanelEntry]:
        """The panel by `attack_id`."""
        return {attack["attack_id"]: attack for attack in self.region["panel"]}

    @property
    def setting(self) -> SettingEntry | None:
        """The recommended setting, which a region search need not have tried."""
        return self.region["setting"]

    @property
    def recommended(self) -> PointEntry | None:
        """The recommended setting as a point, where it was tried."""
        return None if self.setting is None else self.by_id.get(self.setting["defence_id"])

    @property
    def best(self) -> PointEntry | None:
        """The most accurate point, chosen on validation images."""
        return self.by_id.get(self.region["thresholds"]["clean_accuracy"]["best_point"] or "")

    @property
    def searched(self) -> bool:
        """Whether it is of a region search, which judges a whole space by few trials a point."""
        return "model" in self.region

    def attack_label(self, attack_id: str | None) -> str:
        """The label of an attack of the panel, its rate never broken over two lines."""
        attack = self.attacks.get(attack_id or "")
        label = UNKNOWN if attack is None else attack["label"]
        return label.replace(" %", "\N{NO-BREAK SPACE}%")


def region_from(source: str | Path | RegionFile) -> RegionFile:
    """A region that was read already, or that of a results folder; `UserError` for all else. One
    of an earlier release is brought up, as `read_region` does it."""
    if isinstance(source, str | os.PathLike):
        return read_region(Path(source))
    remedy = "Name the folder that `sweeps run` wrote."
    if not isinstance(source, Mapping) or not is_region(source):
        rule = "must be a results folder, or its region as `sweeps.read_region` returns it"
        raise UserError(Mistake("region", rule, source, remedy))
    found, faults = opened(source)
    if found is None:
        raise UserError(Mistake(f"region.{f.place}", f.rule, f.value, remedy) for f in faults)
    return found


def read_results(
    folder: Path, ledger: Ledger | None = None, region: RegionFile | None = None
) -> Results:
    """Everything that a report shows. ledger: the folder's, where it is open already. region: the
    answer, where it is known already."""
    paths = open_results(folder)
    region = read_region(folder) if region is None else region
    remedy = "Restore the file; `sweeps run` wrote it."
    sweep = _parsed(paths.sweep, remedy)
    spec = paths.spec.read_text(encoding="utf-8") if paths.spec.is_file() else ""
    ledger = Ledger(paths.ledger) if ledger is None else ledger
    pictures = list(_pictures(paths))
    return Results(region, sweep, spec, ledger.trials(), pictures, load_probe_results(ledger))


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
