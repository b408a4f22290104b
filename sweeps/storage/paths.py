"""Every path of a results folder, and what its sweep.json says."""

from __future__ import annotations

import os
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from backdoor.errors import Mistake, StoredDataError, UserError
from sweeps.records import region_file, sweep_file
from sweeps.records.region_check import opened
from sweeps.records.region_file import REGION_VERSION, RegionFile
from sweeps.records.region_upgrade import FIRST_VERSION
from sweeps.records.sweep_file import SweepFile
from sweeps.storage.files import RESTORE, read_versioned
from sweeps.storage.named_places import named_place

#: Of sweep.json.
SWEEP_VERSION = 1


@dataclass(frozen=True)
class SweepPaths:
    """The files of a results folder. No other place in the project has these names."""

    root: Path

    @property
    def spec(self) -> Path:
        """The spec as it was run, `--set` included."""
        return self.root / "spec.yaml"

    @property
    def sweep(self) -> Path:
        """What the sweep is: its id, data, panel and the versions that began it."""
        return self.root / "sweep.json"

    @property
    def ledger(self) -> Path:
        """Parquet files, the only record of what was computed."""
        return self.root / "ledger"

    @property
    def incidents(self) -> Path:
        """What went wrong while it ran, a line each."""
        return self.root / "incidents.jsonl"

    @property
    def running(self) -> Path:
        """What one process trains just now, to be named if it ends by that."""
        return self.root / "running.json"

    @property
    def lock(self) -> Path:
        return self.root / ".lock"

    @property
    def region(self) -> Path:
        return self.root / "region.json"

    @property
    def verification(self) -> Path:
        """How the region stands with fresh trainings: the latest answer in `verifications`."""
        return self.root / "verification.json"

    @property
    def report(self) -> Path:
        return self.root / "report.html"

    @property
    def map(self) -> Path:
        """The region map as a picture of its own."""
        return self.root / "region.svg"

    @property
    def pictures(self) -> Path:
        """PNG files of clean and triggered images, with an index."""
        return self.root / "pictures"

    @property
    def gallery(self) -> Path:
        return self.pictures / "index.json"

    @property
    def models(self) -> Path:
        """Final models that `sweeps train` saved, one folder each."""
        return self.root / "models"

    @property
    def verifications(self) -> Path:
        """What `sweeps verify` froze and trained, one folder for each run."""
        return self.root / "verify"

    @property
    def mlflow(self) -> Path:
        """The MLflow store of a sweep that names no other."""
        return self.root / "mlflow.db"

    @property
    def own_store(self) -> Path:
        """The same with its whole path; a link of this name is not followed."""
        return self.root.resolve() / self.mlflow.name

    @property
    def mirror_log(self) -> Path:
        return self.root / "mirror.log"


@dataclass(frozen=True)
class VerificationPaths(SweepPaths):
    """A folder of `verifications`: a sweep's ledger and lock, and files of its own."""

    @property
    def plan(self) -> Path:
        """The frozen region and all sampled points, written before anything is trained."""
        return self.root / "plan.json"

    @property
    def answer(self) -> Path:
        return self.root / "answer.json"


def open_results(folder: Path | str) -> SweepPaths:
    """The paths of a folder that holds a sweep; `UserError` where it holds none."""
    # A folder that is there is taken whatever it is called.
    given = Path(folder)
    paths = SweepPaths(given if os.path.isdir(given) else named_place(folder, "DIR"))
    if not paths.sweep.is_file():
        remedy = "Name the folder that `sweeps run` wrote (it holds sweep.json)."
        meant = Path("results") / given.name
        if meant != given and SweepPaths(meant).sweep.is_file():
            remedy = f"Did you mean {shlex.quote(str(meant))}?"
        rule = "must be the results folder of a sweep"
        raise UserError(Mistake("DIR", rule, str(folder), remedy))
    return paths


def read_sweep(paths: SweepPaths) -> SweepFile:
    """What the sweep is, from sweep.json; `StoredDataError` where that is damaged or too new."""
    rule = "must describe a sweep with schema version"
    sweep = read_versioned(paths.sweep, SWEEP_VERSION, rule)
    _refuse_lacking(paths.sweep, sweep, sweep_file.REQUIRED, RESTORE)
    _refuse_odd_lists(paths.sweep, sweep)
    if not paths.ledger.is_dir():
        rule = "must hold the sweep's ledger"
        remedy = "Restore the folder: without it every trial would be trained again."
        raise StoredDataError(Mistake(str(paths.root), rule, "no folder `ledger`", remedy))
    return cast(SweepFile, sweep)


def _refuse_odd_lists(path: Path, sweep: Mapping[str, Any]) -> None:
    """`StoredDataError` where what is known of specs and of other sweeps is none of ours."""
    specs, reuse = sweep.get("specs", [{}]), sweep.get("reuse", [])
    if not isinstance(specs, list) or not specs or not all(isinstance(s, dict) for s in specs):
        rule = "must be a list of the specs that the sweep had"
        raise StoredDataError(Mistake(f"{path}: specs", rule, specs, RESTORE))
    for number, spec in enumerate(specs if "specs" in sweep else ()):
        _refuse_lacking(path, spec, sweep_file.SPEC_REQUIRED, RESTORE, f"specs[{number}].")
    if not isinstance(reuse, list) or not all(isinstance(folder, str) for folder in reuse):
        rule = "must be a list of results folders"
        raise StoredDataError(Mistake(f"{path}: reuse", rule, reuse, RESTORE))


def read_region(folder: Path | str) -> RegionFile:
    """The answer of a sweep, region.json, as a dict.

    Its keys are documented in `RegionFile` and its module, and by `sweeps.region_schema`:
    `headline` is the strongest claim that holds, `setting` the recommended setting, None if there
    is none, `points` are the defence points with their figures and verdicts. Fractions are in
    [0, 1]. A file of an earlier release is brought up; `lacks` are sentences on what it does not
    say, which `sweeps region` writes again.

    Raises:
        UserError: the folder holds no sweep, or no region.json yet.
        StoredDataError: the file is damaged, or of another version.
    """
    paths = open_results(folder)
    remedy = f"Run `sweeps region {folder}`, which writes it."
    if not paths.region.is_file():
        rule = "must exist: it holds the sweep's answer"
        raise UserError(Mistake(paths.region.name, rule, str(paths.region), remedy))
    rule = "must have schema version"
    region = read_versioned(paths.region, REGION_VERSION, rule, remedy, FIRST_VERSION)
    _refuse_lacking(paths.region, region, region_file.REQUIRED, remedy)
    found, faults = opened(region)
    if found is None:
        raise StoredDataError(
            Mistake(f"{paths.region}: {fault.place}", fault.rule, fault.value, remedy)
            for fault in faults
        )
    return found


def _refuse_lacking(
    path: Path,
    content: Mapping[str, Any],
    required: Mapping[str, type],
    remedy: str,
    inside: str = "",
) -> None:
    """`StoredDataError` where something that every such file has is missing, or of another type."""
    for name, kind in required.items():
        if not isinstance(content.get(name), kind):
            rule = f"must be there, and a {kind.__name__} of JSON"
            raise StoredDataError(
                Mistake(f"{path}: {inside}{name}", rule, content.get(name), remedy)
            )
