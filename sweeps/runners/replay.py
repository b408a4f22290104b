"""Recorded rows answer instead of trainings, on a simulated clock with any number of workers.

Searches and the region are developed on it without training anything.
"""

from __future__ import annotations

import heapq
import itertools

from sweeps.ledger import Ledger, Rows
from sweeps.plan import Pack
from sweeps.runners import Feed


class ReplayRunner:
    """Looks trials up in a recorded ledger by `trial_id`.

    A pack takes the sum of its trials' recorded seconds; `clock` is the simulated time in seconds
    since the start. Packs come back in the order in which `workers` workers would end them.
    """

    def __init__(self, recorded: Ledger, workers: int = 1) -> None:
        self.workers, self.clock = workers, 0.0
        self._table = recorded.studies.attach(recorded.table())
        ids = self._table["trial_id"].to_pylist()
        self._row = {trial_id: index for index, trial_id in enumerate(ids)}
        self._seconds = self._table["seconds"].to_pylist()

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
        known = [self._row[t.trial_id] for t in pack.trials if t.trial_id in self._row]
        return sum(self._seconds[index] or 0.0 for index in known)

    def _answer(self, feed: Feed, pack: Pack) -> None:
        missing = [t.trial_id for t in pack.trials if t.trial_id not in self._row]
        if missing:
            feed.failed(pack, f"not in the recorded table: {', '.join(missing)}")
        else:
            feed.finished([pack], self._rows(pack))

    def _rows(self, pack: Pack) -> Rows:
        return self._table.take([self._row[trial.trial_id] for trial in pack.trials])
