"""The feed of a sweep: packs of trials that the ledger lacks, and the record of what comes back."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Protocol

from backdoor.config import TrialConfig, build_trial
from backdoor.errors import TrainingError
from backdoor.wording import counted
from sweeps.early_stopping.limits import StoppingLimits, in_words
from sweeps.early_stopping.predictor import OutcomePredictor
from sweeps.ledger import STOPPED, Ledger, Rows, failed_rows, with_column
from sweeps.packs.chunk import Chunk
from sweeps.packs.pack import Pack, PackSettings, make_packs
from sweeps.packs.without_measures import without
from sweeps.records.failure import MEMORY, TIME, Failure
from sweeps.records.failure_text import common_cause
from sweeps.scheduling.deadlines import UNKNOWN, Deadlines, Predicted
from sweeps.scheduling.failure_judge import Verdict
from sweeps.scheduling.pack_queue import PackQueue
from sweeps.scheduling.references import References
from sweeps.scheduling.retries import Retries
from sweeps.scheduling.reuse import TrialPool
from sweeps.search import Search

#: Trials asked for at once: enough to fill packs of every shape, few enough to stay adaptive.
ASK = 4096


class Observer(Protocol):
    """Watches a sweep. What it does must not keep the loop waiting."""

    def recorded(self, rows: Rows) -> None:
        """Rows that have just become durable."""
        ...


class SweepFeed:
    """Hands out packs of trials that the ledger lacks, and records what comes back.

    It never raises into a runner: the first error is kept, no more packs are handed out, and
    `run_search` raises it when the runner has returned.
    """

    def __init__(
        self,
        search: Search,
        ledger: Ledger,
        settings: PackSettings,
        observers: Sequence[Observer] = (),
        predictor: OutcomePredictor | None = None,
        files: Mapping[str, str] | None = None,
        pool: TrialPool | None = None,
        retries: Retries | None = None,
        data_fingerprint: str | None = None,
        predicted: Predicted | None = None,
    ) -> None:
        """files: digest → path of files named by recorded configurations, see
        `backdoor.settings.user_file`. pool: finished trials of other sweeps. retries: what becomes
        of packs that fail. data_fingerprint: of the sweep's data, which every node must have.
        predicted: see `Deadlines`."""
        self.search, self.ledger, self.settings = search, ledger, settings
        self.observers, self._predictor, self._pool = observers, predictor, pool
        self.error: Exception | None = None
        self.stopping = threading.Event()
        self.retries = retries or Retries(declared=settings.time_limit is not None)
        self.data_fingerprint = data_fingerprint
        self.deadlines = Deadlines(settings.time_limit, predicted)
        self._references = References(ledger, settings, files)
        self._queue = PackQueue(search)
        self._planned: set[str] = set()
        self._running: dict[str, int] = {}  # trials of each pack, by its id
        self._starving = False  # a pack was asked for, and there was none
        self._exhausted = False  # nothing is left but what waits for a success
        with self._keeping_errors():
            if predictor is not None:
                predictor.learn(ledger.table())
            self.deadlines.learn_rows(ledger.table())
            # A probe that was added later, or failed: these are trained again for it only.
            lacking = ledger.unprobed(settings.probes)
            again = [build_trial(config, settings.data_root, files) for config in lacking]
            self._queue.add(make_packs(again, settings))
            self._planned |= {trial.trial_id for trial in again}

    @property
    def workers(self) -> int:
        return self.search.workers

    @workers.setter
    def workers(self, count: int) -> None:
        self.search.workers = count

    @property
    def done(self) -> bool:
        if self._running:
            return False
        if self._halted:
            return True
        waiting = self._queue or self.retries.late
        return not waiting and (self.search.finished or self._exhausted)

    @property
    def _halted(self) -> bool:
        return self.stopping.is_set() or self.error is not None

    def has_work(self) -> bool:
        self._fill_queue()
        return not self._halted and not self._holding and bool(self._queue)

    def _fill_queue(self) -> None:
        """Asks the search for trials where no pack is waiting."""
        with self._keeping_errors():
            while not self._queue and not self._halted:
                asked = self.search.ask(ASK)
                new = self._not_taken_over(self._new(asked))
                self._queue.add(make_packs(new, self.settings))
                if not asked and not self._fill_with_failed():
                    break

    def _fill_with_failed(self) -> bool:
        """What failed comes last: as long as nothing has succeeded, when nothing else runs. Where
        nothing but failed trials is left, one that succeeded before shows whether the machine is
        at fault. Whether trials were recorded instead, of which the search may learn."""
        if self.retries.late:
            if self._running and not self.retries.judge.succeeded_anywhere:
                return False
            pack, verdict = self.retries.next_late()
            if verdict is not None:
                self._apply(verdict)
                return True
            self._queue.add([pack])
        elif self.retries.parked and not self._running:
            reference = self._references.once()
            self._exhausted = reference is None
            self._queue.add([] if reference is None else [reference])
        return False

    @property
    def _holding(self) -> bool:
        """Whether nothing has ever succeeded and so much failed that nothing new is begun before
        what is running has ended: it is the last hope."""
        return bool(self._running and self._hopeless())

    def next_pack(self) -> Pack | None:
        self._fill_queue()
        self._starving = not self._queue
        if self._halted or self._holding or not self._queue:
            return None
        pack = self._queue.take(sum(self._running.values()))
        self._running[pack.pack_id] = len(pack.trials)
        self._exhausted = False  # what waits may be released by it
        return self._limited(pack)

    def next_chunk(self) -> Chunk | None:
        first = self.next_pack()
        if first is None:
            return None
        # A pack that was lost with its worker is the only one of the next: else nobody would know.
        more = self._queue.more(first, lambda pack: pack.pack_id in self.retries.alone)
        self._running |= {pack.pack_id: len(pack.trials) for pack in more}
        return Chunk((first, *map(self._limited, more)))

    def _limited(self, pack: Pack) -> Pack:
        """The pack with limits by what is known now, where certain verdicts end trials, and without
        measures that are known to fail."""
        if self.retries.judge.broken_measures:
            pack = without(pack, self.retries.judge.broken_measures)
        if self._predictor is None:
            return pack
        return replace(pack, limits=tuple(map(self.limits, pack.trials)))

    def limits(self, trial: TrialConfig) -> StoppingLimits | None:
        """Those of a trial by what is known now; None where it runs to its end, as one does that is
        trained again for its probes."""
        found: StoppingLimits | None = None
        with self._keeping_errors():
            if self._predictor is not None and trial.trial_id not in self.ledger.finished:
                found = self._predictor.limits(trial)
        return found

    def _new(self, trials: Sequence[TrialConfig]) -> list[TrialConfig]:
        """Trials that are neither recorded nor planned yet; they count as planned from now on."""
        known = self.ledger.ended | self._planned
        new = [trial for trial in trials if trial.trial_id not in known]
        self._planned |= {trial.trial_id for trial in new}
        return new

    def _not_taken_over(self, trials: list[TrialConfig]) -> list[TrialConfig]:
        """Trials that must be trained; what other sweeps know of the others is recorded."""
        rows = None if self._pool is None or not trials else self._pool.take(trials)
        if rows is None:
            return trials
        self._record(rows)
        known = set(rows["trial_id"].to_pylist())
        return [trial for trial in trials if trial.trial_id not in known]

    def should_cancel(self, left: int) -> bool:
        return self._halted or (left > 1 and self._starving)

    def requeue(self, *packs: Pack) -> None:
        self._starving = False
        self._no_longer_running(packs)
        self._queue.put_first(packs)

    def _no_longer_running(self, packs: Iterable[Pack]) -> None:
        for pack in packs:
            self._running.pop(pack.pack_id, None)

    def finished(self, packs: Sequence[Pack], rows: Rows) -> None:
        self._no_longer_running(packs)
        with self._keeping_errors():
            self._record(rows)
            columns = rows["trial_id"].to_pylist(), rows["seconds"].to_pylist()
            seconds: dict[str, float | None] = dict(zip(*columns, strict=True))
            self._queue.learn(packs, seconds)
            ends = rows["trial_id"].to_pylist(), rows["status"].to_pylist()
            stopped = {trial for trial, status in zip(*ends, strict=True) if status == STOPPED}
            self.deadlines.learn(packs, seconds, stopped)
            node = next(iter(rows["node_id"].to_pylist()), None)
            self._references.add(packs, node, seconds)
            for verdict in self.retries.succeeded(packs, node):
                self._apply(verdict)
            for pack in packs:
                missing = [trial for trial in pack.trials if trial.trial_id not in seconds]
                if missing:
                    self._record(failed_rows(missing, pack.pack_id, "the worker returned no row"))

    def failed(self, pack: Pack, reason: Failure | str) -> None:
        self._no_longer_running([pack])
        failure = Failure.of(reason)
        with self._keeping_errors():
            if failure.cause == TIME:
                failure = replace(failure, error=f"it took longer than {self.deadlines.why(pack)}")
            if failure.cause == MEMORY and len(pack.trials) > 1:
                self._queue.too_large(pack)
            self._apply(self.retries.failed(pack, failure))
            self._end_if_hopeless()

    def _apply(self, verdict: Verdict) -> None:
        if (pack := verdict.guilty) is not None and verdict.recorded is not None:
            self._record(failed_rows(pack.trials, pack.pack_id, verdict.recorded))
        self._queue.put_first(verdict.again)

    def _end_if_hopeless(self) -> None:
        """Ends a sweep in which nothing works: the cause is not in the trials. A reference trial of
        an earlier run, if there is one, is the last hope."""
        failures = self._hopeless()
        if not failures or self._running:
            return
        if (reference := self._references.once()) is not None:
            self._queue.put_first([reference])
        else:
            raise self._stopped(
                f"{counted(len(failures), 'configuration')} failed, each alone, and none succeeded"
                f" anywhere: {common_cause(failures)}"
            )

    def _hopeless(self) -> list[Failure]:
        """The failures for which nothing new is begun, unless trials wait that have been divided
        from those at fault: they were not tried without them."""
        failures = self.retries.judge.hopeless()
        if failures and any(self.retries.is_divided(pack) for pack in self._queue):
            return []
        return failures

    def _stopped(self, why: str) -> TrainingError:
        """The end of a sweep in which nothing works, with all its trials open."""
        self.retries.note_end(why)
        return TrainingError(
            f"{why.rstrip('.')}. None of these is recorded as failed; `sweeps status` says more. "
            "Correct the cause, then use `sweeps resume`."
        )

    def _record(self, rows: Rows) -> None:
        fresh = self.ledger.append(self._with_thresholds(rows))
        if fresh.num_rows:
            if self._predictor is not None:
                self._predictor.learn(fresh)
            self.search.tell(fresh)
            for observer in self.observers:
                observer.recorded(fresh)

    def _with_thresholds(self, rows: Rows) -> Rows:
        """Rows with the thresholds that their predicted verdicts are about."""
        verdicts = rows["foretold"].to_pylist()
        if self._predictor is None or not any(verdicts):
            return rows
        about = in_words(self._predictor.thresholds)
        return with_column(rows, "thresholds", [about if v else None for v in verdicts])

    # --- what a cluster tells ---------------------------------------------------------------

    def deadline(self, pack: Pack) -> float | None:
        seconds = UNKNOWN
        with self._keeping_errors():
            seconds = self.deadlines.seconds(pack)
        return None if seconds >= UNKNOWN and not self.deadlines.is_declared else seconds

    def overdue(self, pack: Pack, ran: float) -> bool:
        late = False
        with self._keeping_errors():
            late = ran > self.deadlines.seconds(pack, ran)
        return late

    def references(self) -> list[tuple[str, Pack]]:
        found = list[tuple[str, Pack]]()
        with self._keeping_errors():
            if self.retries.latest:  # else none is needed, and the ledger may be large
                found = self._references.of_nodes()
        return found

    def believed(self, pack: Pack) -> list[str] | None:
        if len(pack.trials) > 1:
            return None
        return self.retries.judge.believed(pack.trials[0].trial_id)

    def reference_passed(self, host: str, node_id: str) -> None:
        with self._keeping_errors():
            for verdict in self.retries.reference_passed(node_id):
                self._apply(verdict)

    def lost(self, packs: Sequence[Pack], failure: Failure, alone: bool) -> None:
        self._no_longer_running(packs)
        with self._keeping_errors():
            self.retries.note_lost(packs, failure)
            if failure.cause == MEMORY and alone:
                self._apply(self.retries.failed(packs[0], failure))
                return
            for pack in reversed(packs):
                self._apply(self.retries.lost(pack, failure, alone))

    def node_unfit(
        self, host: str, node_id: str, lines: Sequence[str], found_at: float | None = None
    ) -> None:
        with self._keeping_errors():
            self.retries.node_unfit(host, node_id, lines, found_at)

    def node_fit(self, host: str, node_id: str) -> None:
        with self._keeping_errors():
            self.retries.node_fit(host, node_id)

    def nobody_left(self, why: str = "") -> None:
        with self._keeping_errors():
            if not self._halted:
                raise self._stopped(why or f"no node can train: {self.retries.unfit_cause()}")

    @contextlib.contextmanager
    def _keeping_errors(self) -> Iterator[None]:
        try:
            yield
        except Exception as error:
            self.error = self.error or error
