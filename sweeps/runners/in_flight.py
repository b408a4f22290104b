"""Packs that workers have and have not reported, whatever state Tune gives their chunk."""

from __future__ import annotations

import math
import re
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from backdoor.config import TrialConfig
from sweeps.addresses import scrubbed
from sweeps.early_stopping.limits import StoppingLimits
from sweeps.ledger import Rows, decode, joined, predicted_rows, stopped_rows, with_column
from sweeps.packs.chunk import Chunk
from sweeps.packs.pack import Pack
from sweeps.records.failure import MEMORY, PREEMPTED, TIME, Failure
from sweeps.runners.fault import error_line
from sweeps.runners.feed import Feed
from sweeps.runners.supervision.crash import reported_failure
from sweeps.runners.supervision.supervisor import CHECK_WITHIN, REPORT_EVERY

#: Seconds for which no worker but unfit ones may be there before a sweep ends.
PATIENCE = 8.0
#: Seconds that a worker may be late with the report of a pack that it should have killed.
LATE = 120.0
#: Seconds from which a pack without a deadline is asked about.
UNKNOWN_FOR = 600.0
#: Seconds after which a worker that has said nothing since it started has not begun its first pack:
#: it imports, or checks its node.
STARTING = 3 * REPORT_EVERY
#: Times in a row that workers do not start, without a report of any, before a sweep ends.
FAILED_STARTS = 5

#: How Ray says that it ended a worker since its node was short of memory.
_SHORT_OF_MEMORY = re.compile(r"out.?of.?memory|low on memory", re.IGNORECASE)


@dataclass
class _Held:
    """A chunk that Tune holds. packs: those that are not answered for. unfit: what its node lacks,
    None where it works. since: when its worker started, or the first of these packs began; None
    before a worker has started it. begun: whether it is known that a pack began. cancelled: whether
    it ends without these packs. too_long: whether its worker is killed for its first pack."""

    packs: list[Pack]
    deadlines: list[float | None]
    since: float | None = None
    unfit: list[str] | None = None
    node: tuple[str, str] | None = None
    cancelled: bool = False
    stopped: tuple[str, str | None] | None = None
    predicted: str | None = None
    begun: bool = False
    too_long: bool = False
    taken: float = field(init=False)
    alone: bool = field(init=False)

    def __post_init__(self) -> None:
        self.alone, self.taken = len(self.packs) == 1, time.monotonic()

    @property
    def is_starting(self) -> bool:
        """Whether its worker has not started, or is silent for so long that no pack has begun."""
        return self.since is None or (not self.begun and time.monotonic() > self.since + STARTING)

    def failure(self, error: str, cause: str) -> Failure:
        host, node_id = self.node or (None, None)
        return Failure(scrubbed(error), cause, host=host, node_id=node_id)


class InFlight:
    """Packs that Tune holds, by the Tune trial id of their chunk, until they are reported.

    may_wait: chunks that may wait while all workers are busy. Enough that no worker runs out of
    work; few, since they still run after an interrupt, and are chosen before the results of those
    before them are known.
    """

    def __init__(self, feed: Feed) -> None:
        self.feed, self.may_wait = feed, 1
        self.held: dict[str, _Held] = {}
        self._taken = 0
        self._only_unfit: float | None = None  # since when nobody works
        self._failed_starts, self._failed_at = 0, -math.inf  # in a row; when one counted last

    @property
    def finished(self) -> bool:
        """Whether nothing will be left to take, whatever workers report. One that has answered for
        all its packs may still train a reference: what failed there waits for that."""
        halted = self.feed.should_cancel(0)
        reports = any(held.unfit is None for held in self.held.values())
        return self.feed.done and (halted or not reports)

    def take(self, tune_id: str) -> Chunk | None:
        """The next chunk, kept under `tune_id` until it is reported."""
        waiting = sum(held.since is None for held in self.held.values())
        if self._taken >= self.feed.workers and waiting >= self.may_wait:
            return None
        chunk = self.feed.next_chunk()
        if chunk is not None:
            self.held[tune_id] = _Held(list(chunk.packs), [*map(self.feed.deadline, chunk.packs)])
            self._taken += 1
        return chunk

    def deadlines(self, tune_id: str) -> list[float | None]:
        """Seconds for each pack of a chunk."""
        return self.held[tune_id].deadlines

    def started(self, tune_id: str) -> None:
        """Notes that a worker has started a chunk."""
        if (held := self.held.get(tune_id)) is not None:
            held.since, held.begun = time.monotonic(), False

    def __reduce__(self) -> Any:
        """Tune pickles all it is given into its state, which nobody reads: so without content."""
        return InFlight, (None,)

    def __deepcopy__(self, memo: Any) -> InFlight:
        return self

    def pack_of(self, tune_id: str) -> Pack | None:
        """The pack that a worker is training."""
        held = self.held.get(tune_id)
        return held.packs[0] if held is not None and held.packs else None

    def limits(self, trial: TrialConfig) -> StoppingLimits | None:
        """Those of a trial by what is known now."""
        return self.feed.limits(trial)

    # --- decisions of the scheduler -------------------------------------------------------

    def note_stop(self, tune_id: str, why: str, predicted: str | None = None) -> None:
        """Notes that Tune stops a trial: the report that it is about to take is its last."""
        if (held := self.held.get(tune_id)) is not None:
            held.stopped = why, predicted

    def note_prediction(self, tune_id: str, predicted: str) -> None:
        """Notes what is predicted of a holdout trial, which goes on; the first time counts."""
        held = self.held.get(tune_id)
        if held is not None and held.predicted is None:
            held.predicted = predicted

    def cancel(self, tune_id: str, left: int) -> bool:
        """Whether a chunk is to end with the current report. The `left` packs after it are then
        returned to the feed. A worker that waits is released when its node is fit again, or when
        there will be no more work."""
        held = self.held.get(tune_id)
        if held is None:
            return False
        if held.unfit is not None:
            # Where the sweep is to end, its place is needed for chunks that Tune has not started.
            return not held.unfit or self.feed.done or self.feed.should_cancel(0)
        if not left or not self.feed.should_cancel(left):
            return False
        held.cancelled = True
        return True

    # --- reports of workers ---------------------------------------------------------------

    def report(self, tune_id: str, content: dict[str, Any]) -> int:
        """Takes a worker's report, and what Tune need not keep out of it. How many packs it
        answers for."""
        held = self.held.get(tune_id)
        answered = list(content.pop("reasons", ()))
        rows, partial = content.pop("rows", ()), content.pop("partial", None)
        if held is None:
            return len(answered)
        self._failed_starts = 0
        if answered or not held.begun:
            held.since, held.begun, held.too_long = time.monotonic(), True, False
        held.node = str(content.get("host")), str(content.get("node_id"))
        if "unfit" in content:
            self._unfit(held, content.pop("unfit"), content.pop("found_at", None))
        elif content.pop("reference_passed", False):
            self.feed.reference_passed(*held.node)
        elif partial is not None:
            self._progress(held, partial)
        elif answered:
            held.cancelled |= bool(content.pop("ends", False))
            self._answer(held, rows, answered)
        held.begun &= not content.pop("starts", False)
        return len(answered)

    def _progress(self, held: _Held, content: bytes) -> None:
        """An unfinished trial; delivers its row if the trial was stopped."""
        if held.stopped is None or not held.packs:
            return
        reason, packs = held.stopped, held.packs
        held.packs, held.stopped = [], None
        self._deliver(held, packs, [content], lambda rows: stopped_rows(rows, *reason))

    def _answer(
        self, held: _Held, rows: Sequence[bytes], reasons: Sequence[Mapping[str, Any] | None]
    ) -> None:
        packs, count = held.packs, len(reasons)
        answered, held.packs = packs[:count], packs[count:]
        held.deadlines = held.deadlines[count:]
        done = [pack for pack, why in zip(answered, reasons, strict=False) if why is None]
        predicted, held.predicted = held.predicted, None
        if done and predicted is not None:
            self._deliver(held, done, rows, lambda found: predicted_rows(found, predicted))
        elif done:
            self._deliver(held, done, rows)
        for pack, why in zip(answered, reasons, strict=False):
            if why is not None:
                self.feed.failed(pack, reported_failure(why))

    def _unfit(self, held: _Held, lines: Sequence[str], found_at: float | None) -> None:
        """A worker that waits: its packs go back, and its node is named."""
        assert held.node is not None
        lines = [scrubbed(line) for line in lines]
        if lines and held.unfit is None:
            self.feed.requeue(*held.packs)
            held.packs, held.cancelled = [], True
            self.feed.node_unfit(*held.node, lines, found_at)
        elif not lines:
            self.feed.node_fit(*held.node)
        held.unfit = lines

    # --- ends -------------------------------------------------------------------------------

    def ended(self, tune_id: str) -> None:
        """Handles a finished chunk: packs that are left of it were not trained."""
        held = self.held.pop(tune_id, None)
        if held is None or not held.packs:
            return
        if held.cancelled:
            self.feed.requeue(*held.packs)
        else:
            self._lost(held, "its worker ended without a report")

    def died(self, tune_id: str, error: str) -> None:
        """Handles a chunk whose worker, or whose node, was lost, or was ended as overdue."""
        held = self.held.pop(tune_id, None)
        if held is None or not held.packs:
            return
        if held.cancelled:  # none of these has begun
            self.feed.requeue(*held.packs)
        elif held.is_starting:
            self._did_not_start(held, error)
        elif held.too_long:
            self.feed.requeue(*held.packs[1:])
            # The feed knows the limit, and says it.
            self.feed.failed(held.packs[0], replace(held.failure("too long", TIME), died=True))
        else:
            self._lost(held, error)

    def _did_not_start(self, held: _Held, error: str) -> None:
        """Its packs have not begun, so nothing is known of them. Workers that were lost together
        count once: a node may have had many."""
        self.feed.requeue(*held.packs)
        if held.taken < self._failed_at:
            return
        self._failed_starts, self._failed_at = self._failed_starts + 1, time.monotonic()
        if self._failed_starts >= FAILED_STARTS:
            self.feed.nobody_left(f"no worker starts: {scrubbed(error)}")

    def _lost(self, held: _Held, error: str) -> None:
        cause = MEMORY if _SHORT_OF_MEMORY.search(error) else PREEMPTED
        self.feed.lost(held.packs, held.failure(error, cause), held.alone and len(held.packs) == 1)

    def overdue(self) -> list[str]:
        """Chunks whose worker should have ended its pack; it is known by the driver alone that it
        takes too long, or the worker does not answer."""
        return [tune_id for tune_id, held in self.held.items() if self._is_overdue(held)]

    def _is_overdue(self, held: _Held) -> bool:
        held.too_long = False
        if held.since is None or held.unfit is not None:
            return False
        ran = time.monotonic() - held.since
        if not held.begun:
            return ran > CHECK_WITHIN + LATE
        if held.cancelled or not held.packs:  # perhaps it trains a reference, which is read first
            return ran > 2 * CHECK_WITHIN + LATE
        limit = held.deadlines[0]
        if ran > (UNKNOWN_FOR if limit is None else limit + LATE):
            held.too_long = bool(self.feed.overdue(held.packs[0], ran))
        return held.too_long

    def look(self) -> None:
        """Ends the sweep where all workers that are there have been unfit for some time."""
        started = [held for held in self.held.values() if held.since is not None]
        if not started or any(held.unfit is None for held in started):
            self._only_unfit = None
            return
        self._only_unfit = self._only_unfit or time.monotonic()
        if time.monotonic() - self._only_unfit > PATIENCE:
            self.feed.nobody_left()

    def _deliver(
        self,
        held: _Held,
        packs: Sequence[Pack],
        content: Sequence[bytes],
        change: Callable[[Rows], Rows] = lambda rows: rows,
    ) -> None:
        try:
            rows = change(joined([decode(each) for each in content]))
            node = None if held.node is None else held.node[1]
            rows = with_column(rows, "node_id", [node] * rows.num_rows)
        except Exception as error:
            for pack in packs:
                self.feed.failed(pack, Failure(f"unreadable report: {error_line(error)}"))
        else:
            self.feed.finished(packs, rows)
