"""A run a trial: written once, when the trial is recorded, and again when its row has changed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TypedDict

from sweeps.ledger import ProbeResults, Rows
from sweeps.mirror.experiment import Experiment
from sweeps.mirror.run_record import BASELINE, RunRecord, RunRecords, data_tags
from sweeps.mirror.tracking_store import preflight
from sweeps.mirror.view import ChangedTrial, Progress, SyncedTrials, SyncState
from sweeps.records.region_file import RegionFile
from sweeps.records.sweep_file import SweepFile


@dataclass(frozen=True)
class _Run:
    """A run as MLflow has it: what tells whether it must be written again."""

    run_id: str
    status: str
    probes: str
    stopped_by: str | None
    baselines: int  # attack successes that it shows of a clean model

    @property
    def content(self) -> tuple[str, str, str | None, int]:
        """What can change."""
        return self.status, self.probes, self.stopped_by, self.baselines


class RunView:
    """The experiment of one sweep, a run a trial.

    sweep: the content of sweep.json. probe_results: those of its trials.
    """

    #: Runs change with their trials only.
    behind = False

    def __init__(self, sweep: SweepFile, uri: str, probe_results: ProbeResults) -> None:
        self._records = RunRecords(sweep)
        self._synced = SyncedTrials(probe_results)
        self._experiment = Experiment(uri, sweep["name"], sweep["sweep_id"], data_tags(sweep))
        self._runs = _runs_by_trial(self._experiment)

    @property
    def experiment_id(self) -> str:
        """Of the sweep's experiment in MLflow."""
        return self._experiment.experiment_id

    @property
    def trials_synced(self) -> int:
        """Trials of the ledger that MLflow shows as they are."""
        return len(self._synced)

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
        """Writes every trial that is new or has changed; counts trials by what was done."""
        counts: Counter[SyncState] = Counter()
        changed = self._synced.changed(table)
        if changed:
            preflight(self._experiment.uri)
        # Those that MLflow has come first, in no time, and the count goes on from there.
        changed.sort(key=lambda trial: trial.row.trial_id not in self._runs)
        for number, trial in enumerate(changed, 1):
            state = self._sync_trial(trial)
            counts[state] += 1
            self._synced.note(trial)
            if on_progress is not None and (state != "present" or number == len(changed)):
                on_progress(len(self._synced), table.num_rows)
        return counts

    def _sync_trial(self, trial: ChangedTrial) -> SyncState:
        """Leaves one run for the trial, which shows what the ledger has."""
        name = trial.row.trial_id
        runs = self._runs.get(name, [])
        record = self._records.record(trial)
        keys = [point.key for point in record.points]
        expected = _Run("", record.status, **_shown(record.tags, keys)).content
        keep = next((run for run in runs if run.content == expected), None)
        for run in runs:
            if run is not keep:
                self._experiment.delete_run(run.run_id)
        if keep is None:
            self._runs[name] = [self._write(record)]
            return "repaired" if runs else "created"
        self._runs[name] = [keep]
        return "present" if len(runs) == 1 else "repaired"

    def _write(self, record: RunRecord) -> _Run:
        """Three calls; the run counts after the last one."""
        run_id = self._experiment.create_run(record.name, record.started, record.tags)
        points = [(point, record.ended) for point in record.points]
        self._experiment.log(run_id, points, record.params)
        self._experiment.set_status(run_id, record.status, record.ended)
        keys = [point.key for point in record.points]
        return _Run(run_id, record.status, **_shown(record.tags, keys))


class _Shown(TypedDict):
    probes: str
    stopped_by: str | None
    baselines: int


def _shown(tags: Mapping[str, str], metrics: Iterable[str]) -> _Shown:
    """What a run with these tags and metrics shows."""
    return {
        "probes": tags.get("probes", ""),
        "stopped_by": tags.get("stopped_by"),
        "baselines": sum(key.startswith(BASELINE) for key in metrics),
    }


def _runs_by_trial(experiment: Experiment) -> dict[str, list[_Run]]:
    """trial_id → its runs, oldest first."""
    runs: dict[str, list[_Run]] = {}
    for run in experiment.runs():
        tags = run.data.tags
        if trial_id := tags.get("trial_id"):
            shown = _shown(tags, run.data.metrics)
            found = _Run(run.info.run_id, run.info.status, **shown)
            runs.setdefault(trial_id, []).append(found)
    return runs
