"""Writes to MLflow what the ledger has and MLflow lacks."""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from backdoor.errors import Mistake, UserError
from sweeps.addresses import scrubbed
from sweeps.ledger import Ledger
from sweeps.mirror.current_answer import answer_if_any
from sweeps.mirror.experiment import mlflow_settings
from sweeps.mirror.panel_tags import experiment_tags
from sweeps.mirror.run_view import RunView
from sweeps.mirror.tracking_store import preflight, refuse_linked_store, shown, tracking_uri
from sweeps.mirror.view import Progress, View
from sweeps.records.sweep_file import SweepFile
from sweeps.storage.paths import SweepPaths, open_results, read_sweep
from sweeps.storage.shell import line_of
from sweeps.storage.tracking_uri import whole_uri


@dataclass(frozen=True)
class Mirrored:
    """What MLflow has now. created + present + repaired is the number of trials in the ledger,
    or of defence points where runs are points.

    created: runs that MLflow did not have. present: runs found as they should be.
    repaired: runs that were incomplete, out of date or double, and were put right.
    """

    created: int
    present: int
    repaired: int
    experiment_id: str
    uri: str


def mirror(
    paths: SweepPaths, uri: str | None = None, *, on_progress: Progress | None = None
) -> Mirrored:
    """Writes to MLflow what it lacks, and what the sweep answers; a second call changes nothing.

    region.json is brought up to date on the way.

    Args:
        paths: the results folder; its sweep may still be running, unless it mirrors itself.
        uri: of the tracking store; by default the one in sweep.json.
        on_progress: called with the number of trials that MLflow has, and of all.

    Raises:
        TrackingUnreachable: the store cannot be used. What was written counts next time.
        UserError: no store is named, the environment lacks the secret of its address, or another
            process mirrors this folder.
    """
    sweep = read_sweep(open_results(paths.root))
    uri = whole_uri(uri) if uri else tracking_uri(sweep, paths)
    refuse_linked_store(uri, paths)
    preflight(uri)  # before MLflow is imported, which takes seconds
    with mlflow_settings(), only_mirror(paths):
        view = view_of(paths, sweep, uri)
        table = Ledger(paths.ledger).table()
        answer = answer_if_any(paths, trust_file=False)
        counts = view.sync(table, on_progress, answer=answer)
        view.set_tags(experiment_tags(answer))
    return Mirrored(
        counts["created"], counts["present"], counts["repaired"], view.experiment_id, shown(uri)
    )


def view_of(paths: SweepPaths, sweep: SweepFile, uri: str) -> View:
    """The view that a sweep (sweep.json) asks for: of its trials, or of its defence points."""
    tracking = sweep.get("tracking")
    if not tracking or tracking.get("runs") != "point":
        return RunView(sweep, uri, Ledger(paths.ledger).probe_results)
    from sweeps.mirror.point_view import PointView  # it judges points, which loads much more
    from sweeps.results.create import read_spec

    return PointView(sweep, uri, read_spec(paths))


def _other_command(paths: SweepPaths) -> str | None:
    """The command that has the folder's lock as a mirror, as Linux tells it: `process 12 (sweeps
    mirror r)`; None where it cannot be told."""
    with contextlib.suppress(OSError, ValueError, IndexError):
        inode = paths.root.stat().st_ino
        for line in Path("/proc/locks").read_text(encoding="ascii").splitlines():
            fields = line.split()  # 1: FLOCK ADVISORY WRITE 12 08:01:99 0 EOF
            if "->" in fields or fields[1] != "FLOCK" or int(fields[5].split(":")[2]) != inode:
                continue
            raw = Path(f"/proc/{int(fields[4])}/cmdline").read_bytes().rstrip(b"\0")
            words = raw.decode(errors="replace").split("\0")
            if "sweeps.mirror.follower" in words:
                return f"process {fields[4]}, the mirror of a sweep that runs or has just ended,"
            name = next((n for n, w in enumerate(words) if Path(w).name == "sweeps"), 0)
            shown = line_of([Path(words[name]).name, *words[name + 1 :]])
            return f"process {fields[4]} ({scrubbed(shown)})"
    return None


@contextlib.contextmanager
def only_mirror(paths: SweepPaths) -> Iterator[None]:
    """Locks the folder: two mirrors of it would each repair the unfinished runs of the other."""
    folder = os.open(paths.root, os.O_RDONLY)
    try:
        fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(folder)
        rule = "must not be mirrored by two processes at once"
        remedy = "A running sweep mirrors itself; wait until it has ended."
        if (other := _other_command(paths)) is not None:
            remedy = f"{other} does it now. {remedy}"
        raise UserError(Mistake("DIR", rule, str(paths.root), remedy)) from None
    except OSError:
        pass  # a file system without locks for folders
    try:
        yield
    finally:
        os.close(folder)
