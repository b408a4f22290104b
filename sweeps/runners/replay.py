"""Recorded trainings answer instead of new ones, on a simulated clock with any number of workers.

Searches and the region are developed with it without training anything.
"""

from __future__ import annotations

import heapq
import itertools
from pathlib import Path
from typing import Protocol

from backdoor.config import TrialConfig
from backdoor.errors import Mistake, UserError
from sweeps.ledger import Ledger, Rows
from sweeps.packs.pack import Pack
from sweeps.runners.feed import Feed
from sweeps.storage.paths import open_results


class Recorded(Protocol):
    """Trainings that were recorded."""

    def has(self, trial: TrialConfig) -> bool: ...

    def seconds(self, trial: TrialConfig) -> float:
        """Seconds that a trial took which `has` finds."""
        ...

    def rows(self, pack: Pack) -> Rows:
        """The rows of a pack whose trials `has` finds."""
        ...


class ReplayRunner:
    """Looks trials up by `trial_id` in a results folder or its open ledger, by their factors in a
    CSV file (`RecordedGrid`), or in any other `Recorded`.

    Example:
        runner = ReplayRunner("results/digits", workers=64)
        run_sweep(spec, "results/replayed", runner), runner.clock

    A pack takes the sum of its trials' recorded seconds; `clock` is the simulated time in seconds
    since the start. Packs are finished in the order in which `workers` workers would end them.

    Raises:
        UserError: there is no such folder, or an argument is of a wrong kind.
    """

    def __init__(self, recorded: Path | str | Ledger | Recorded, workers: int = 1) -> None:
        if isinstance(workers, bool) or not isinstance(workers, int) or workers < 1:
            rule = "must be a whole number from 1 on"
            raise UserError(Mistake("workers", rule, workers, "For example 64."))
        self.workers, self.clock = workers, 0.0
        if isinstance(recorded, (str, Path)):
            recorded = Ledger(open_results(recorded).ledger)
        if not isinstance(recorded, Ledger) and not hasattr(recorded, "rows"):
            rule = "must be a results folder, its ledger, or recorded trainings"
            remedy = "For example a RecordedGrid."
            raise UserError(Mistake("recorded", rule, repr(recorded), remedy))
        self._table = _LedgerTable(recorded) if isinstance(recorded, Ledger) else recorded

    def run(self, feed: Feed) -> None:
        feed.workers = self.workers
        running: list[tuple[float, int, Pack]] = []
        order = itertools.count()
        while True:
            while len(running) < self.workers and (pack := feed.next_pack()) is not None:
                heapq.heappush(running, (self.clock + self._duration(pack), next(order), pack))
            if not running:
                return
            self.clock, _, pack = heapq.heappop(running)
            self._answer(feed, pack)

    def _duration(self, pack: Pack) -> float:
        return sum(self._table.seconds(t) for t in pack.trials if self._table.has(t))

    def _answer(self, feed: Feed, pack: Pack) -> None:
        missing = [t.trial_id for t in pack.trials if not self._table.has(t)]
        if missing:
            feed.failed(pack, f"not in the recorded table: {', '.join(missing)}")
        else:
            feed.finished([pack], self._table.rows(pack))


class _LedgerTable:
    """The rows of a ledger, with the results of probes."""

    def __init__(self, ledger: Ledger) -> None:
        self._table = ledger.probe_results.attach(ledger.table())
        ids = self._table["trial_id"].to_pylist()
        self._row = {trial_id: index for index, trial_id in enumerate(ids)}
        self._seconds = self._table["seconds"].to_pylist()

    def has(self, trial: TrialConfig) -> bool:
        return trial.trial_id in self._row

    def seconds(self, trial: TrialConfig) -> float:
        return self._seconds[self._row[trial.trial_id]] or 0.0

    def rows(self, pack: Pack) -> Rows:
        return self._table.take([self._row[trial.trial_id] for trial in pack.trials])
