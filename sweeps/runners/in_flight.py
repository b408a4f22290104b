"""Packs that workers have and have not reported, whatever state Tune gives their chunk."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from backdoor.config import TrialConfig
from sweeps.early_stopping.limits import StoppingLimits
from sweeps.ledger import Rows, decode, predicted_rows, stopped_rows
from sweeps.packs.chunk import Chunk
from sweeps.packs.pack import Pack
from sweeps.runners.feed import Feed
from sweeps.runners.worker import describe

DIED = "the worker died, or ended without a report"


class InFlight:
    """Packs that Tune holds, by the Tune trial id of their chunk, until they are reported.

    may_wait: chunks that may wait while all workers are busy. Enough that no worker runs out of
    work; few, since they still run after an interrupt, and are chosen before the results of those
    before them are known.
    """

    def __init__(self, feed: Feed) -> None:
        self.feed, self.may_wait = feed, 1
        self.running: dict[str, list[Pack]] = {}
        self._stopped: dict[str, tuple[str, str | None]] = {}
        self._predicted: dict[str, str] = {}
        self._cancelled: set[str] = set()
        self._waiting: set[str] = set()
        self._taken = 0

    def take(self, tune_id: str) -> Chunk | None:
        """The next chunk, kept under `tune_id` until it is reported."""
        if self._taken >= self.feed.workers and len(self._waiting) >= self.may_wait:
            return None
        chunk = self.feed.next_chunk()
        if chunk is not None:
            self.running[tune_id] = list(chunk.packs)
            self._waiting.add(tune_id)
            self._taken += 1
        return chunk

    def started(self, tune_id: str) -> None:
        """Notes that a worker has started a chunk."""
        self._waiting.discard(tune_id)

    def __reduce__(self) -> Any:
        """Tune pickles all it is given into its state, which nobody reads: so without content."""
        return InFlight, (None,)

    def __deepcopy__(self, memo: Any) -> InFlight:
        return self

    def pack_of(self, tune_id: str) -> Pack | None:
        """The pack that a worker is training."""
        return next(iter(self.running.get(tune_id, ())), None)

    def limits(self, trial: TrialConfig) -> StoppingLimits | None:
        """Those of a trial by what is known now."""
        return self.feed.limits(trial)

    def note_stop(self, tune_id: str, why: str, predicted: str | None = None) -> None:
        """Notes that Tune stops a trial: the report that it is about to take is its last."""
        self._stopped[tune_id] = why, predicted

    def note_prediction(self, tune_id: str, predicted: str) -> None:
        """Notes what is predicted of a holdout trial, which goes on; the first time counts."""
        self._predicted.setdefault(tune_id, predicted)

    def cancel(self, tune_id: str, left: int) -> bool:
        """Whether a chunk is to end with the current report. The `left` packs after it are then
        returned to the feed."""
        if not left or not self.feed.should_cancel(left):
            return False
        self._cancelled.add(tune_id)
        return True

    def progress(self, tune_id: str, content: bytes) -> None:
        """Takes a report of an unfinished trial; delivers its row if the trial was stopped."""
        reason = self._stopped.pop(tune_id, None)
        if reason is None or not (packs := self.running.pop(tune_id, [])):
            return
        self._deliver(packs, content, lambda rows: stopped_rows(rows, *reason))

    def answer(
        self, tune_id: str, content: bytes, reasons: Sequence[str], ends: bool = False
    ) -> None:
        """Delivers a worker's report on the next packs of its chunk. A second one has no effect.

        content: the rows of the packs that were trained. reasons: for each pack why it was not
        trained, else "". ends: whether the worker returns the packs that are left.
        """
        if ends:
            self._cancelled.add(tune_id)
        packs = self.running.get(tune_id, [])
        answered, self.running[tune_id] = packs[: len(reasons)], packs[len(reasons) :]
        done = [pack for pack, why in zip(answered, reasons, strict=False) if not why]
        for pack, why in zip(answered, reasons, strict=False):
            if why:
                self.feed.failed(pack, why)
        predicted = self._predicted.pop(tune_id, None)
        if done and predicted is not None:
            self._deliver(done, content, lambda rows: predicted_rows(rows, predicted))
        elif done:
            self._deliver(done, content)

    def ended(self, tune_id: str) -> None:
        """Handles a finished chunk. Packs that are left of it were not trained: the worker died
        while it trained the first of them, unless the chunk was cancelled."""
        self._waiting.discard(tune_id)
        packs = self.running.pop(tune_id, [])
        if tune_id not in self._cancelled and packs:
            self.feed.requeue(*packs[1:])
            self.feed.failed(packs[0], DIED)
        elif packs:
            self.feed.requeue(*packs)
        self._cancelled.discard(tune_id)

    def _deliver(
        self,
        packs: Sequence[Pack],
        content: bytes,
        change: Callable[[Rows], Rows] = lambda rows: rows,
    ) -> None:
        try:
            rows = change(decode(content))
        except Exception as error:
            for pack in packs:
                self.feed.failed(pack, f"unreadable report: {describe(error)}")
        else:
            self.feed.finished(packs, rows)
