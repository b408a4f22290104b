"""Which packs a worker still owes an answer for, whatever Tune thinks of their stint."""

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


class Table:
    """Packs that Tune holds, by the Tune trial id of their stint, until they are answered for.

    may_wait: stints that Tune may hold ready once each worker has had one. Enough that no worker
    waits; few, since they still run after an interrupt, and are chosen before the results of those
    before them are known.
    """

    def __init__(self, feed: Feed, first: Pack | None = None) -> None:
        self.feed, self._first = feed, first
        self.running: dict[str, list[Pack]] = {}
        self._stopped: dict[str, tuple[str, str | None]] = {}
        self._predicted: dict[str, str] = {}
        self._recalled: set[str] = set()
        self._waiting: set[str] = set()
        self._taken, self.may_wait = 0, 1

    def take(self, trial_id: str) -> Chunk | None:
        """The next stint, from now on answered for under `trial_id`."""
        if self._taken >= self.feed.workers and len(self._waiting) >= self.may_wait:
            return None
        if self._first is not None:
            self.feed.requeue(self._first)  # the feed may have been stopped since
            self._first = None
        chunk = self.feed.next_chunk()
        if chunk is not None:
            self.running[trial_id] = list(chunk.packs)
            self._waiting.add(trial_id)
            self._taken += 1
        return chunk

    def began(self, trial_id: str) -> None:
        """Notes that a worker has begun with a stint."""
        self._waiting.discard(trial_id)

    def __reduce__(self) -> Any:
        """Tune pickles all it is given into its state, which nobody reads: as an empty table."""
        return Table, (None,)

    def __deepcopy__(self, memo: Any) -> Table:
        return self

    def pack_of(self, trial_id: str) -> Pack | None:
        """The pack that a worker is training."""
        return next(iter(self.running.get(trial_id, ())), None)

    def limits(self, trial: TrialConfig) -> StoppingLimits | None:
        """Those of a trial by what is known now."""
        return self.feed.limits(trial)

    def stop(self, trial_id: str, why: str, predicted: str | None = None) -> None:
        """Notes that Tune stops a trial: the report it is about to take is its last."""
        self._stopped[trial_id] = why, predicted

    def predict(self, trial_id: str, told: str) -> None:
        """Notes what is foretold of a trial that goes on as a control; the first time counts."""
        self._predicted.setdefault(trial_id, told)

    def cancel(self, trial_id: str, left: int) -> bool:
        """Whether a stint is to end with the report at hand, after which it has `left` packs, which
        are then given back."""
        if not left or not self.feed.should_cancel(left):
            return False
        self._recalled.add(trial_id)
        return True

    def progress(self, trial_id: str, content: bytes) -> None:
        """Takes a report of a trial that is not done; brings its row where it was stopped."""
        reason = self._stopped.pop(trial_id, None)
        if reason is None or not (packs := self.running.pop(trial_id, [])):
            return
        self._bring(packs, content, lambda rows: stopped_rows(rows, *reason))

    def answer(
        self, trial_id: str, content: bytes, reasons: Sequence[str], ends: bool = False
    ) -> None:
        """Brings what a worker reports of the next packs of its stint: the rows of those that it
        has trained, and for each pack why it has not, else "". A second report finds nothing.

        ends: whether the worker gives back the packs that are left."""
        if ends:
            self._recalled.add(trial_id)
        packs = self.running.get(trial_id, [])
        answered, self.running[trial_id] = packs[: len(reasons)], packs[len(reasons) :]
        done = [pack for pack, why in zip(answered, reasons, strict=False) if not why]
        for pack, why in zip(answered, reasons, strict=False):
            if why:
                self.feed.failed(pack, why)
        told = self._predicted.pop(trial_id, None)
        if done and told is not None:
            self._bring(done, content, lambda rows: predicted_rows(rows, told))
        elif done:
            self._bring(done, content)

    def ended(self, trial_id: str) -> None:
        """Takes leave of a stint. What is left of it was not trained: the first pack's worker has
        died of it, unless the stint was recalled."""
        self._waiting.discard(trial_id)
        packs = self.running.pop(trial_id, [])
        if trial_id not in self._recalled and packs:
            self.feed.requeue(*packs[1:])
            self.feed.failed(packs[0], DIED)
        elif packs:
            self.feed.requeue(*packs)
        self._recalled.discard(trial_id)

    def _bring(
        self, packs: Sequence[Pack], content: bytes,
        change: Callable[[Rows], Rows] = lambda rows: rows,
    ) -> None:  # fmt: skip
        try:
            rows = change(decode(content))
        except Exception as error:
            for pack in packs:
                self.feed.failed(pack, f"unreadable report: {describe(error)}")
        else:
            self.feed.finished(packs, rows)
