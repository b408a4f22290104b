"""A run a defence point: made when its first trial is recorded, and kept up to date in place.

A point's own figures change when trials of it arrive, and its run is then written at once. Its
margin and verdicts also change with the best point of the sweep. Runs of which only these have
changed wait until as many others have been written as there are points, and until the sweep ends:
so a sweep of n trials makes O(n) writes, however often the best point changes. What a model of all
points together says of them is taken from region.json when the sweep ends.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from time import time as now

from sweeps.ledger import Rows
from sweeps.mirror.experiment import Experiment
from sweeps.mirror.point_judgements import MODEL_METRICS
from sweeps.mirror.point_record import STATE, TRANSIENT_TAGS, PointRecord, PointRecords
from sweeps.mirror.run_record import MetricPoint, data_tags
from sweeps.mirror.tracking_store import preflight
from sweeps.mirror.view import Progress, SyncedTrials, SyncState
from sweeps.records.region_file import RegionFile
from sweeps.records.sweep_file import SweepFile
from sweeps.region.point_table import INCOMPLETE
from sweeps.spec import SweepSpec


@dataclass
class _Run:
    """A run as MLflow has it; `series` is what this process has written there."""

    run_id: str
    status: str
    tags: dict[str, str]
    params: dict[str, str]
    metrics: dict[str, float]
    series: frozenset[MetricPoint] = frozenset()
    latest: int = 0  # milliseconds since 1970, of the metrics that this process wrote last

    def can_become(self, record: PointRecord) -> bool:
        """Parameters never change in MLflow, and metrics cannot be removed."""
        same = all(record.params.get(k, v) == v for k, v in self.params.items())
        judged = self.tags.get("by_means", INCOMPLETE) != INCOMPLETE
        return same and (record.judged or not judged)

    def said_no_more(self, record: PointRecord) -> list[str]:
        """Metrics of a model that shows them no more: MLflow can only forget them as NaN."""
        shown = [key for key in MODEL_METRICS if not math.isnan(self.metrics.get(key, math.nan))]
        return [key for key in shown if key not in record.metrics]

    def is_up_to_date(self, record: PointRecord) -> bool:
        return self.tags.get(STATE) == record.state and self.status == record.status


class PointView:
    """The experiment of one sweep, a run a defence point. sweep: the content of sweep.json."""

    def __init__(self, sweep: SweepFile, uri: str, spec: SweepSpec) -> None:
        self._records = PointRecords(sweep, spec)
        self._synced = SyncedTrials()
        self._experiment = Experiment(uri, sweep["name"], sweep["sweep_id"], data_tags(sweep))
        self._runs = _runs_by_point(self._experiment)
        self._written = 0  # runs written since all points were compared
        self._judged = False  # whether all points were then judged together
        self._trials = 0  # in the ledger

    @property
    def experiment_id(self) -> str:
        """Of the sweep's experiment in MLflow."""
        return self._experiment.experiment_id

    @property
    def trials_synced(self) -> int:
        """Trials of the ledger that MLflow shows as they are."""
        return len(self._synced)

    @property
    def behind(self) -> bool:
        """Whether runs lack something although no trial has changed."""
        return self._written > 0 or not self._judged

    def set_tags(self, tags: Mapping[str, str]) -> None:
        """Sets tags of the sweep's experiment."""
        self._experiment.set_tags(tags)

    def sync(
        self,
        table: Rows,
        on_progress: Progress | None = None,
        whole: bool = True,
        answer: RegionFile | None = None,
    ) -> Counter[SyncState]:
        """Writes the points of changed rows; with `whole`, or when it is time, all points.

        Counts points; progress is reported in trials.
        """
        changed = self._synced.changed(table)
        points = self._records.add([trial.row for trial in changed])
        self._trials = table.num_rows
        self._written += len(points)
        if whole or self._written >= len(self._records):
            self._records.compare()
            if whole and answer is not None:
                self._records.answer(answer)
            points, self._written, self._judged = list(self._records), 0, whole
        if points or changed:
            preflight(self._experiment.uri)
        counts: Counter[SyncState] = Counter()
        before = self._trials - len(changed)
        for index, name in enumerate(points, 1):
            counts[self._sync_point(name, self._records.record(name))] += 1
            if on_progress is not None:
                on_progress(before + len(changed) * index // len(points), self._trials)
        for trial in changed:
            self._synced.note(trial)
        return counts

    def _sync_point(self, name: str, record: PointRecord) -> SyncState:
        """Leaves one run for the point, which shows what its record has."""
        runs = self._runs.get(name, [])
        usable = sorted(
            (run for run in runs if run.can_become(record)),
            key=lambda run: not run.is_up_to_date(record),
        )
        keep = usable[0] if usable else None
        self._delete(run for run in runs if run is not keep)
        if keep is not None and keep.is_up_to_date(record):
            sync_state: SyncState = "present" if len(runs) == 1 else "repaired"
        else:
            sync_state = "repaired" if runs else "created"
            keep = keep or self._create(record)
            self._update(keep, record)
        self._runs[name] = [keep]
        return sync_state

    def _delete(self, runs: Iterable[_Run]) -> None:
        for run in runs:
            self._experiment.delete_run(run.run_id)

    def _create(self, record: PointRecord) -> _Run:
        run_id = self._experiment.create_run(record.name, record.started, record.tags)
        return _Run(run_id, "RUNNING", dict(record.tags), {}, {})

    def _update(self, run: _Run, record: PointRecord) -> None:
        """Writes what the run lacks; the tag that says so and the status come last."""
        for key in TRANSIENT_TAGS:
            if key in run.tags and key not in record.tags:
                self._experiment.delete_tag(run.run_id, key)
        # MLflow shows the value of the last step, and of equal steps that of the latest time.
        time = max(run.latest + 1, round(1000 * now())) if run.metrics else record.ended
        points = [
            (MetricPoint(key, value, self._trials), time)
            for key, value in record.metrics.items()
            if run.metrics.get(key) != value
        ]
        points += [
            (MetricPoint(key, math.nan, self._trials), time) for key in run.said_no_more(record)
        ]
        points += [(point, record.ended) for point in record.series if point not in run.series]
        tags = {k: v for k, v in record.tags.items() if run.tags.get(k) != v}
        params = {} if run.params else record.params
        self._experiment.log(run.run_id, points, params, tags | {STATE: record.state})
        if run.status != record.status:
            self._experiment.set_status(run.run_id, record.status, record.ended)
        run.status, run.latest, run.params = record.status, time, record.params
        run.tags = {**record.tags, STATE: record.state}
        run.metrics, run.series = dict(record.metrics), frozenset(record.series)


def _runs_by_point(experiment: Experiment) -> dict[str, list[_Run]]:
    """defence_id → its runs, oldest first; runs of trials are none of them."""
    runs: dict[str, list[_Run]] = {}
    for run in experiment.runs():
        tags = dict(run.data.tags)
        if "defence_id" in tags and "trial_id" not in tags:
            params, metrics = dict(run.data.params), dict(run.data.metrics)
            found = _Run(run.info.run_id, run.info.status, tags, params, metrics)
            runs.setdefault(tags["defence_id"], []).append(found)
    return runs
