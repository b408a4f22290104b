"""What the ledger has and MLflow lacks, written to MLflow."""

from __future__ import annotations

import contextlib
import fcntl
import logging
import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from backdoor.errors import BackdoorSweepsError, Mistake, UserError
from sweeps.ledger import Ledger, ProbeResults, Rows
from sweeps.mirror.process import MirrorProcess
from sweeps.mirror.run_record import STATUS, MetricPoint, RunRecord, RunRecords
from sweeps.mirror.tracking_store import (
    TrackingUnreachable,
    preflight,
    shown,
    tracking_uri,
    ui_command,
)
from sweeps.storage.paths import SweepPaths, open_results, read_sweep

__all__ = ["MirrorProcess", "Mirrored", "TrackingUnreachable", "mirror", "preflight", "ui_command"]

#: Runs listed by one request, and metric values sent by one, of which MLflow takes no more.
PAGE, BATCH = 1000, 800

Progress = Callable[[int, int], None]
SyncState = Literal["created", "present", "repaired"]


@dataclass(frozen=True)
class Mirrored:
    """What MLflow has now. created + present + repaired is the number of trials in the ledger,
    or of defence points where runs are points.

    created: runs that MLflow did not have. present: runs found as they should be.
    repaired: runs that were torn, out of date or double, and were put right.
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
        UserError: no store is named, or another process mirrors this folder.
    """
    sweep = read_sweep(open_results(paths.root))
    uri = uri or tracking_uri(sweep)
    preflight(uri)  # before MLflow is imported, which takes seconds
    with mlflow_settings(), only_mirror(paths):
        view = view_of(paths, sweep, uri)
        counts = view.sync(Ledger(paths.ledger).table(), on_progress)
    return Mirrored(
        counts["created"], counts["present"], counts["repaired"], view.experiment_id, shown(uri)
    )


def view_of(paths: SweepPaths, sweep: Mapping[str, Any], uri: str) -> View:
    """The view that a sweep (sweep.json) asks for: of its trials, or of its defence points."""
    if (sweep.get("tracking") or {}).get("runs") != "point":
        return View(sweep, uri, Ledger(paths.ledger).studies)
    from sweeps.mirror.point_view import PointView  # it judges points, which loads much more
    from sweeps.results.create import read_spec

    return PointView(sweep, uri, read_spec(paths))


def _state(status: str, probes: str) -> str:
    """What a run was made from, where it is enough to tell whether to make it anew."""
    return f"{status} {probes}".strip()


# --- MLflow's side -----------------------------------------------------------------------------


@dataclass(frozen=True)
class _Run:
    run_id: str
    status: str
    started: int
    probes: str = ""


class View:
    """The experiment of one sweep, a run a trial. `sweep` is what sweep.json says; `studies` are
    those of its trials, where runs show them."""

    #: Whether runs lack something although their trials have not changed.
    behind = False

    def __init__(
        self, sweep: Mapping[str, Any], uri: str, studies: ProbeResults | None = None
    ) -> None:
        self.uri, self._studies = uri, studies
        self._records = RunRecords(sweep)
        #: trial_id → the ledger's status, and the probes, that its run shows.
        self.sync_state: dict[str, str] = {}
        with self._calling():
            from mlflow import MlflowClient

            self._client = MlflowClient(tracking_uri=uri)
            self.experiment_id = self._experiment(sweep["name"], sweep["sweep_id"])
            self._runs: dict[str, list[_Run]] = dict(self._listed())

    def sync(
        self, table: Rows, on_progress: Progress | None = None, whole: bool = True
    ) -> Counter[SyncState]:
        """Settles every row that is new or has another status than it had.

        whole: also what is only `behind`.
        """
        counts: Counter[SyncState] = Counter()
        for row in self._changed_rows(table):
            counts[self._sync(row)] += 1
            self.sync_state[row["trial_id"]] = _state(row["status"], row["probes"])
            if on_progress is not None:
                on_progress(len(self.sync_state), table.num_rows)
        return counts

    def _changed_rows(self, table: Rows) -> list[dict[str, Any]]:
        """The rows that are not settled as they are; looks whether the store is there for them."""
        ids, statuses = table["trial_id"].to_pylist(), table["status"].to_pylist()
        probes = {} if self._studies is None else self._studies.found()
        new = [
            index
            for index, (trial_id, status) in enumerate(zip(ids, statuses, strict=True))
            if self.sync_state.get(trial_id) != _state(status, probes.get(trial_id, ""))
        ]
        if not new:
            return []
        preflight(self.uri)
        rows: list[dict[str, Any]] = table.take(new).to_pylist()
        studies = self._studies.of(ids[index] for index in new) if self._studies and probes else {}
        for row in rows:
            row["probes"] = probes.get(row["trial_id"], "")
            row["studies"] = studies.get(row["trial_id"], [])
        return rows

    def _sync(self, row: dict[str, Any]) -> SyncState:
        """One run for the trial, which says what the ledger says."""
        runs = self._runs.get(row["trial_id"], [])
        wanted = STATUS[row["status"]], row["probes"]
        right = [run for run in runs if (run.status, run.probes) == wanted]
        keep = right[:1]
        for run in runs:
            if run not in keep:
                with self._calling():
                    self._client.delete_run(run.run_id)
        if not keep:
            keep = [self._write(self._records.record(row))]
            self._runs[row["trial_id"]] = keep
            return "repaired" if runs else "created"
        self._runs[row["trial_id"]] = keep
        return "present" if len(runs) == 1 else "repaired"

    def _write(self, record: RunRecord) -> _Run:
        """Three calls; the last one makes the run count."""
        run_id = self._create(record.name, record.started, record.tags)
        self._log(run_id, [(point, record.ended) for point in record.points], record.params)
        with self._calling():
            self._client.set_terminated(run_id, status=record.status, end_time=record.ended)
        return _Run(run_id, record.status, record.started, record.tags.get("probes", ""))

    def _create(self, name: str, started: int, tags: Mapping[str, str]) -> str:
        """A new run, by its id."""
        with self._calling():
            made = self._client.create_run(
                self.experiment_id, start_time=started, tags=dict(tags), run_name=name
            )
        return str(made.info.run_id)

    def _log(
        self, run_id: str, points: Iterable[tuple[MetricPoint, int]], params: Mapping[str, str],
        tags: Mapping[str, str] | None = None,
    ) -> None:  # fmt: skip
        """Values of metrics with their times, then parameters, then tags, which a run that was
        torn in between lacks."""
        with self._calling():
            from mlflow.entities import Metric, Param, RunTag

            metrics = [Metric(p.key, p.value, time, p.step) for p, time in points]
            while len(metrics) > BATCH:
                self._client.log_batch(run_id, metrics=metrics[:BATCH])
                metrics = metrics[BATCH:]
            self._client.log_batch(
                run_id,
                metrics=metrics,
                params=[Param(key, value) for key, value in params.items()],
                tags=[RunTag(key, value) for key, value in (tags or {}).items()],
            )

    def _experiment(self, name: str, sweep_id: str) -> str:
        """The sweep's experiment, found by tag whatever it is called now; made where missing.

        One that was deleted is restored, since whoever mirrors a sweep wants to see it.
        """
        from mlflow.entities import ViewType

        found = self._client.search_experiments(
            view_type=ViewType.ALL, filter_string=f"tags.sweep_id = '{sweep_id}'"
        )
        if found:
            oldest = min(found, key=lambda e: (e.lifecycle_stage == "deleted", e.creation_time))
            if oldest.lifecycle_stage == "deleted":
                self._client.restore_experiment(oldest.experiment_id)
            return str(oldest.experiment_id)
        # Names are unique in a store, deleted ones included.
        if self._client.get_experiment_by_name(name) is not None:
            name = f"{name} {sweep_id[:8]}"
        return str(self._client.create_experiment(name, tags={"sweep_id": sweep_id}))

    def _listed(self) -> Mapping[str, list[_Run]]:
        """trial_id → its runs, oldest first."""
        runs: dict[str, list[_Run]] = {}
        for run in self._all_runs():
            if trial_id := run.data.tags.get("trial_id"):
                info, probes = run.info, run.data.tags.get("probes", "")
                found = _Run(info.run_id, info.status, info.start_time, probes)
                runs.setdefault(trial_id, []).append(found)
        return runs

    def _all_runs(self) -> list[Any]:
        """The experiment's runs that are not deleted, oldest first."""
        runs: list[Any] = []
        token = None
        while True:
            page = self._client.search_runs(
                [self.experiment_id], max_results=PAGE, page_token=token
            )
            runs += page
            token = page.token
            if not token:
                break
        return sorted(runs, key=lambda run: (run.info.start_time, run.info.run_id))

    @contextlib.contextmanager
    def _calling(self) -> Iterator[None]:
        """Whatever MLflow, its database or the network raise becomes one error."""
        try:
            yield
        except BackdoorSweepsError:
            raise
        except Exception as error:
            raise TrackingUnreachable(self.uri, str(error) or type(error).__name__) from error


# --- around MLflow -----------------------------------------------------------------------------


@contextlib.contextmanager
def only_mirror(paths: SweepPaths) -> Iterator[None]:
    """Two mirrors of one folder would take each other's unfinished runs for torn ones."""
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


#: The environment in which MLflow is called. Its own retries would take four minutes.
_ENVIRONMENT = {
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "10",
    "MLFLOW_DISABLE_TELEMETRY": "true",
}
_PRINTING = "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT"
_LOGGERS = ("mlflow", "alembic", "urllib3")


@contextlib.contextmanager
def mlflow_settings() -> Iterator[None]:
    """MLflow fails soon, says nothing but through its errors, and is left as it was found.

    What the user has set in the environment holds, but stdout is ours.
    """
    before = {name: os.environ.get(name) for name in (*_ENVIRONMENT, _PRINTING)}
    os.environ.update({**_ENVIRONMENT, **{k: v for k, v in before.items() if v is not None}})
    os.environ[_PRINTING] = "true"
    import mlflow  # noqa: F401  (sets its loggers up, which we then turn down)

    loggers = [logging.getLogger(name) for name in _LOGGERS]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
