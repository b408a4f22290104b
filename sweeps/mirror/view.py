"""What the mirror keeps up to date: a sweep's runs in MLflow, whether they are trials or points."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal, Protocol

from sweeps.ledger import ProbeResults, Rows, trial_rows
from sweeps.ledger.row_reader import TrialState, trial_states
from sweeps.records.probe_row import ProbeRow
from sweeps.records.region_file import RegionFile
from sweeps.records.trial_row import TrialRow

#: Called with the number of trials that MLflow has, and of all.
Progress = Callable[[int, int], None]
#: A run that MLflow lacked, had as it should be, or had in another state.
SyncState = Literal["created", "present", "repaired"]


class View(Protocol):
    """The runs of one sweep."""

    @property
    def experiment_id(self) -> str:
        """Of the sweep's experiment in MLflow."""
        ...

    @property
    def trials_synced(self) -> int:
        """Trials of the ledger that MLflow shows as they are."""
        ...

    @property
    def behind(self) -> bool:
        """Whether runs lack something although no trial has changed."""
        ...

    def set_tags(self, tags: Mapping[str, str]) -> None:
        """Sets tags of the sweep's experiment."""
        ...

    def sync(
        self,
        table: Rows,
        on_progress: Progress | None = None,
        whole: bool = True,
        answer: RegionFile | None = None,
    ) -> Counter[SyncState]:
        """Writes what is new in the ledger's table; counts runs by what was done.

        whole: also writes runs that are only `behind`. answer: with `whole`, region.json as it
        says now what runs of points show of it.
        """
        ...


@dataclass(frozen=True)
class ChangedTrial:
    """A trial that MLflow does not show as it is. probes: the ids, by commas, of those that found
    something on its model; found: what they found."""

    row: TrialRow
    probes: str = ""
    found: tuple[ProbeRow, ...] = ()


class SyncedTrials:
    """Remembers which trials MLflow shows as the ledger has them.

    probe_results: those of the sweep, where runs show them.
    """

    def __init__(self, probe_results: ProbeResults | None = None) -> None:
        self._probe_results = probe_results
        self._shown: dict[str, tuple[TrialState, str]] = {}  # trial id → state and probes

    def __len__(self) -> int:
        return len(self._shown)

    def note(self, trial: ChangedTrial) -> None:
        """The run of this trial has been written."""
        row = trial.row
        state = row.status, row.stopped_by, len(row.measurements)
        self._shown[row.trial_id] = state, trial.probes

    def changed(self, table: Rows) -> list[ChangedTrial]:
        """The trials that have another state, or other probes, than when they were noted."""
        ids = table["trial_id"].to_pylist()
        probes = {} if self._probe_results is None else self._probe_results.found()
        changed = [
            index
            for index, (trial_id, state) in enumerate(zip(ids, trial_states(table), strict=True))
            if self._shown.get(trial_id) != (state, probes.get(trial_id, ""))
        ]
        if not changed:
            return []
        found: Mapping[str, list[ProbeRow]] = {}
        if self._probe_results is not None and probes:
            found = self._probe_results.of(ids[index] for index in changed)
        return [
            ChangedTrial(row, probes.get(row.trial_id, ""), tuple(found.get(row.trial_id, ())))
            for row in trial_rows(table.take(changed))
        ]
