"""The MLflow experiment of one sweep: every call to MLflow is made here."""

from __future__ import annotations

import contextlib
import logging
import os
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from backdoor.errors import BackdoorSweepsError
from sweeps.mirror.description import NOTE, kept_apart
from sweeps.mirror.run_record import MetricPoint
from sweeps.mirror.tracking_store import TrackingUnreachable
from sweeps.storage.sqlite_address import opened_uri

#: Runs listed by one request, and metric values sent by one, of which MLflow takes no more.
PAGE, BATCH = 1000, 800


class NoExperimentError(BackdoorSweepsError):
    """The store has no experiment of the sweep, or has it among what was deleted."""


class Experiment:
    """The experiment of one sweep in the store `uri`; it is made where it is missing.

    tags: of the experiment, where it is made. make: without it, `NoExperimentError` where it is
    missing. Every method raises `TrackingUnreachable` where the store cannot be used.
    """

    def __init__(
        self,
        uri: str,
        name: str,
        sweep_id: str,
        tags: Mapping[str, str] | None = None,
        make: bool = True,
    ) -> None:
        self.uri, self._tags = uri, {"sweep_id": sweep_id, **(tags or {})}
        with self._calling():
            from mlflow import MlflowClient

            self._client = MlflowClient(tracking_uri=opened_uri(uri))
            self.experiment_id = self._find_or_create(name, sweep_id, make)

    def runs(self) -> list[Any]:
        """The experiment's runs (MLflow's `Run`) that are not deleted, oldest first."""
        runs: list[Any] = []
        token = None
        with self._calling():
            while True:
                page = self._client.search_runs(
                    [self.experiment_id], max_results=PAGE, page_token=token
                )
                runs += page
                token = page.token
                if not token:
                    break
        return sorted(runs, key=lambda run: (run.info.start_time, run.info.run_id))

    def create_run(self, name: str, started: int, tags: Mapping[str, str]) -> str:
        """A new run, by its id. started: milliseconds since 1970."""
        with self._calling():
            made = self._client.create_run(
                self.experiment_id, start_time=started, tags=dict(tags), run_name=name
            )
        return str(made.info.run_id)

    def log(
        self,
        run_id: str,
        points: Iterable[tuple[MetricPoint, int]],
        params: Mapping[str, str],
        tags: Mapping[str, str] | None = None,
    ) -> None:
        """Writes values of metrics with their times (milliseconds since 1970), then parameters,
        then tags: a run whose writing was interrupted lacks the last of these."""
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

    def set_status(self, run_id: str, status: str, ended: int) -> None:
        """Sets the run's status, and its end (milliseconds since 1970) unless it is RUNNING."""
        with self._calling():
            if status == "RUNNING":
                self._client.update_run(run_id, status=status)
            else:
                self._client.set_terminated(run_id, status=status, end_time=ended)

    def set_tags(self, tags: Mapping[str, str]) -> None:
        """Sets those tags of the experiment that have another value, or none. A description that
        a person wrote is left (`sweeps.mirror.description`)."""
        with self._calling():
            known = self._client.get_experiment(self.experiment_id).tags
            for key, value in kept_apart(known, tags, self._tags.get(NOTE)).items():
                if known.get(key) != value:
                    self._client.set_experiment_tag(self.experiment_id, key, value)

    def delete_run(self, run_id: str) -> None:
        """Deletes a run; MLflow can restore it."""
        with self._calling():
            self._client.delete_run(run_id)

    def delete_tag(self, run_id: str, key: str) -> None:
        """Removes a tag of a run."""
        with self._calling():
            self._client.delete_tag(run_id, key)

    def _find_or_create(self, name: str, sweep_id: str, make: bool) -> str:
        """The sweep's experiment, found by its tag whatever it is called now.

        One that was deleted is restored: whoever mirrors a sweep wants to see it.
        """
        from mlflow.entities import ViewType

        found = self._client.search_experiments(
            view_type=ViewType.ALL, filter_string=f"tags.sweep_id = '{sweep_id}'"
        )
        if found:
            oldest = min(found, key=lambda e: (e.lifecycle_stage == "deleted", e.creation_time))
            if oldest.lifecycle_stage == "deleted":
                if not make:
                    raise NoExperimentError
                self._client.restore_experiment(oldest.experiment_id)
            return str(oldest.experiment_id)
        if not make:
            raise NoExperimentError
        # Names are unique in a store, deleted experiments included.
        if self._client.get_experiment_by_name(name) is not None:
            name = f"{name} {sweep_id[:8]}"
        return str(self._client.create_experiment(name, tags=self._tags))

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
    """MLflow fails soon, reports errors only by exceptions, and is restored afterwards.

    What the user has set in the environment is kept, but stdout is ours.
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
