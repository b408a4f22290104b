"""Every path of a results folder, and writing files whole or not at all."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from backdoor.errors import Mistake, StoredDataError, UserError
from sweeps.records.sweep_file import SweepFile

#: Of sweep.json.
SWEEP_VERSION = 1


@dataclass(frozen=True)
class SweepPaths:
    """A results folder. Nothing else in the project spells these names."""

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
    def lock(self) -> Path:
        return self.root / ".lock"

    @property
    def region(self) -> Path:
        return self.root / "region.json"

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
        """Final models that `sweeps train` saved, a folder each."""
        return self.root / "models"

    @property
    def verifications(self) -> Path:
        """What `sweeps verify` froze and trained, a folder each."""
        return self.root / "verify"

    @property
    def mlflow(self) -> Path:
        """The MLflow store of a sweep that names no other."""
        return self.root / "mlflow.db"

    @property
    def mirror_log(self) -> Path:
        return self.root / "mirror.log"


@dataclass(frozen=True)
class VerificationPaths(SweepPaths):
    """A folder of `verifications`: a sweep's ledger and lock, and files of its own."""

    @property
    def plan(self) -> Path:
        """The frozen region and every draw, written before anything is trained."""
        return self.root / "plan.json"

    @property
    def answer(self) -> Path:
        return self.root / "answer.json"


def open_results(folder: Path | str) -> SweepPaths:
    """The paths of a folder that holds a sweep; `UserError` where it holds none."""
    paths = SweepPaths(Path(folder))
    if not paths.sweep.is_file():
        raise UserError(
            Mistake(
                "DIR",
                "must be the results folder of a sweep",
                str(folder),
                "Name the folder that `sweeps run` wrote (it holds sweep.json).",
            )
        )
    return paths


def read_text(path: Path) -> str:
    """The text of a stored file; `StoredDataError` where it cannot be read."""
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        remedy = "Restore it from a copy of the results folder."
        raise StoredDataError(
            Mistake(str(path), "must be readable text", str(error), remedy)
        ) from None


def read_sweep(paths: SweepPaths) -> SweepFile:
    """What the sweep is, from sweep.json; `StoredDataError` where that is torn or too new."""
    try:
        sweep = json.loads(read_text(paths.sweep))
    except ValueError as error:
        sweep = str(error)
    version = sweep.get("schema_version") if isinstance(sweep, dict) else sweep
    if version != SWEEP_VERSION:
        rule = f"must describe a sweep with schema version {SWEEP_VERSION}"
        remedy = "Restore it, or use the release of backdoor-sweeps that wrote it."
        raise StoredDataError(Mistake(str(paths.sweep), rule, version, remedy))
    if not paths.ledger.is_dir():
        rule = "must hold the sweep's ledger"
        remedy = "Restore the folder: without it every trial would be trained again."
        raise StoredDataError(Mistake(str(paths.root), rule, "no folder `ledger`", remedy))
    found: SweepFile = sweep
    return found


def write_atomic(path: Path, content: bytes) -> None:
    """Writes the file whole or not at all, durable when it returns."""
    path.parent.mkdir(parents=True, exist_ok=True)
    scratch = path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}.tmp")
    try:
        with scratch.open("wb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        scratch.replace(path)
    finally:
        scratch.unlink(missing_ok=True)
    sync_folder(path.parent)


@contextmanager
def new_folder(folder: Path) -> Iterator[Path]:
    """A scratch folder beside `folder` that becomes `folder` when all went well, else nothing.

    It is made at once, so that a place that cannot be written is told before anything is computed.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    scratch = folder.with_name(f".{folder.name}.{uuid.uuid4().hex[:8]}.tmp")
    scratch.mkdir()
    try:
        yield scratch
        scratch.replace(folder)
        sync_folder(folder.parent)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def sync_folder(folder: Path) -> None:
    """Makes renames and removals in `folder` durable."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_json(path: Path, value: Any) -> None:
    """Writes plain values as indented JSON, whole or not at all."""
    write_atomic(path, (json.dumps(value, indent=2, allow_nan=False) + "\n").encode())


@contextmanager
def locked(paths: SweepPaths, again: str = "sweeps resume") -> Iterator[None]:
    """Holds the folder for one writer. The lock ends with the process, however it ends.

    again: the command that goes on with what the folder holds."""
    with paths.lock.open("a+") as stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            stream.seek(0)
            owner = stream.read().strip() or "another process"
            raise UserError(
                Mistake(
                    "DIR",
                    f"is in use by {owner}",
                    str(paths.root),
                    f"Wait for it, or stop it; then use `{again}`.",
                )
            ) from None
        stream.truncate(0)
        stream.write(f"process {os.getpid()} on {os.uname().nodename}")
        stream.flush()
        yield
