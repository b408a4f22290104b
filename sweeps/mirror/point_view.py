"""A run a defence point: made when its first trial is recorded, and kept up to date in place.

A point's own figures change when trials of it arrive, and its run is then written at once. Its
margin and verdicts also move with the best point of the sweep. Runs that only that concerns wait
until as many others have been written as there are points, and until the sweep ends: so a sweep
of n trials writes at most some n times, however often the best point changes.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from time import time as now
from typing import Any

from sweeps.ledger import Rows
from sweeps.mirror.point_record import PASSING_TAGS, STATE, PointRecord, PointRecords
from sweeps.mirror.run_record import MetricPoint
from sweeps.mirror.sync import Progress, SyncState, View
from sweeps.mirror.tracking_store import preflight
from sweeps.region.point_table import INCOMPLETE
from sweeps.spec import SweepSpec


@dataclass
class _Shown:
    """A run as MLflow has it; `series` is what this process knows to be there."""

    run_id: str
    status: str
    tags: dict[str, str]
    params: dict[str, str]
    metrics: dict[str, float]
    series: frozenset[MetricPoint] = frozenset()
    latest: int = 0  # milliseconds since 1970, of the metrics that this process wrote last

    def can_become(self, record: PointRecord) -> bool:
        """Parameters never change in MLflow, and figures never go away."""
        same = all(record.params.get(k, v) == v for k, v in self.params.items())
        judged = self.tags.get("by_means", INCOMPLETE) != INCOMPLETE
        return same and (record.judged or not judged)

    def is_right(self, record: PointRecord) -> bool:
        return self.tags.get(STATE) == record.state and self.status == record.status


class PointView(View):
    """The experiment of one sweep, a run a defence point."""

    def __init__(self, sweep: Mapping[str, Any], uri: str, spec: SweepSpec) -> None:
        self._point_records = PointRecords(sweep, spec)
        self._shown: dict[str, list[_Shown]] = {}
        self._written = 0  # runs written since all were looked at
        self._trials = 0  # in the ledger
        super().__init__(sweep, uri)

    def _listed(self) -> Mapping[str, list[Any]]:
        """Notes the runs of points, oldest first; those of trials are not looked for."""
        for run in self._all_runs():
            tags = dict(run.data.tags)
            if "defence_id" in tags and "trial_id" not in tags:
                found = _Shown(run.info.run_id, run.info.status, tags, dict(run.data.params),
                               dict(run.data.metrics))  # fmt: skip
                self._shown.setdefault(tags["defence_id"], []).append(found)
        return {}

    def sync(
        self, table: Rows, on_progress: Progress | None = None, whole: bool = True
    ) -> Counter[SyncState]:
        """Brings the points of new rows up to date; with `whole`, or when it is time, all of them.

        Counts points; progress is told in trials.
        """
        changed_rows = self._changed_rows(table)
        touched = self._point_records.take(changed_rows)
        self._trials = len(table)
        self._written += len(touched)
        if whole or self._written >= len(self._point_records):
            self._point_records.stand()
            touched, self._written = list(self._point_records), 0
        if touched and not changed_rows:
            preflight(self.uri)
        counts = self._sync_all(touched, len(table) - len(changed_rows), len(table), on_progress)
        self.sync_state |= {row["trial_id"]: row["status"] for row in changed_rows}
        self.behind = self._written > 0
        return counts

    def _sync_all(
        self, names: list[str], before: int, total: int, on_progress: Progress | None
    ) -> Counter[SyncState]:
        counts: Counter[SyncState] = Counter()
        for index, name in enumerate(names, 1):
            counts[self._sync_point(name, self._point_records.record(name))] += 1
            if on_progress is not None:
                on_progress(before + (total - before) * index // len(names), total)
        return counts

    def _sync_point(self, name: str, record: PointRecord) -> SyncState:
        """One run for the point, which says what the card says."""
        runs = self._shown.get(name, [])
        usable = sorted(
            (run for run in runs if run.can_become(record)),
            key=lambda run: not run.is_right(record),
        )
        keep = usable[0] if usable else None
        self._delete(run for run in runs if run is not keep)
        if keep is not None and keep.is_right(record):
            sync_state: SyncState = "present" if len(runs) == 1 else "repaired"
        else:
            sync_state = "repaired" if runs else "created"
            keep = keep or self._begun(record)
            self._update(keep, record)
        self._shown[name] = [keep]
        return sync_state

    def _delete(self, runs: Iterable[_Shown]) -> None:
        for run in runs:
            with self._calling():
                self._client.delete_run(run.run_id)

    def _begun(self, record: PointRecord) -> _Shown:
        run_id = self._create(record.name, record.started, record.tags)
        return _Shown(run_id, "RUNNING", dict(record.tags), {}, {})

    def _update(self, run: _Shown, record: PointRecord) -> None:
        """Writes what the run lacks; the tag that says so and the status come last."""
        for key in PASSING_TAGS:
            if key in run.tags and key not in record.tags:
                with self._calling():
                    self._client.delete_tag(run.run_id, key)
        # MLflow shows the value of the last step, and of equal steps that of the latest time.
        time = max(run.latest + 1, round(1000 * now())) if run.metrics else record.ended
        points = [
            (MetricPoint(key, value, self._trials), time)
            for key, value in record.metrics.items()
            if run.metrics.get(key) != value
        ]
        points += [(point, record.ended) for point in record.series if point not in run.series]
        tags = {k: v for k, v in record.tags.items() if run.tags.get(k) != v} | {
            STATE: record.state
        }
        self._log(run.run_id, points, {} if run.params else record.params, tags)
        if run.status != record.status:
            self._set_status(run.run_id, record)
        run.status, run.latest, run.params = record.status, time, record.params
        run.tags = {**record.tags, STATE: record.state}
        run.metrics, run.series = dict(record.metrics), frozenset(record.series)

    def _set_status(self, run_id: str, record: PointRecord) -> None:
        with self._calling():
            if record.status == "RUNNING":
                self._client.update_run(run_id, status="RUNNING")
            else:
                self._client.set_terminated(run_id, status=record.status, end_time=record.ended)
