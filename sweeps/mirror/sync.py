"""Writes to MLflow what the ledger has and MLflow lacks."""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Iterator
from dataclasses import dataclass

from backdoor.errors import Mistake, UserError
from sweeps.ledger import Ledger
from sweeps.mirror.experiment import mlflow_settings
from sweeps.mirror.run_view import RunView
from sweeps.mirror.tracking_store import preflight, refuse_linked_store, shown, tracking_uri
from sweeps.mirror.view import Progress, View
from sweeps.records.sweep_file import SweepFile
from sweeps.storage.paths import SweepPaths, open_results, read_sweep
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
    """Writes to MLflow what it lacks; a second call changes nothing.

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
        counts = view.sync(Ledger(paths.ledger).table(), on_progress)
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
        raise UserError(Mistake("DIR", rule, str(paths.root), remedy)) from None
    except OSError:
        pass  # a file system without locks for folders
    try:
        yield
    finally:
        os.close(folder)
