"""What every runner is given, and how a pack is trained."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any, Protocol

from backdoor.config import TrialConfig
from backdoor.memory import cap_memory, out_of_memory, release_memory, return_freed
from backdoor.result import PartialResult
from backdoor.trial import OnProgress, run_pack
from sweeps.early_stopping.limits import StoppingLimits, Watch, because
from sweeps.ledger import Rows, attached, finished_rows, joined, partial_rows, stopped_rows
from sweeps.packs.chunk import Chunk
from sweeps.packs.pack import Pack

#: What a worker does with a pack. Where its trial may be stopped, it is given `on_progress` as
#: well, as `train_pack` takes it.
Work = Callable[..., Rows]

#: How the reason begins for which a pack failed that the memory was too small for.
TOO_LARGE = "out of memory: "


#: Seconds of a pack after which it is worth its time to return what was freed.
LONG = 2.0


class Feed(Protocol):
    """Where a runner gets packs and brings rows. None of its methods raises.

    workers: packs that run at once, which a runner says once it knows.
    """

    workers: int

    @property
    def done(self) -> bool:
        """Whether no pack will ever come again, not even from one that is still running."""
        ...

    def next_pack(self) -> Pack | None:
        """The next pack, or None: wait for running packs if not `done`."""
        ...

    def next_chunk(self) -> Chunk | None:
        """As many packs as a worker should be handed at once; None as `next_pack` has it."""
        ...

    def should_cancel(self, left: int) -> bool:
        """Whether a stint that has `left` packs still to begin should end and give them back."""
        ...

    def requeue(self, *packs: Pack) -> None:
        """Returns packs that were not begun; they are the next ones, if there are next ones."""
        ...

    def finished(self, packs: Sequence[Pack], rows: Rows) -> None:
        """Brings the rows of packs, or that of a trial that was stopped; twice is once."""
        ...

    def limits(self, trial: TrialConfig) -> StoppingLimits | None:
        """Where the verdict of a trial is certain, by what is known now; None where it is not
        asked for."""
        ...

    def failed(self, pack: Pack, reason: str) -> None:
        """Says that a pack could not be trained; the feed may hand it out again in halves, and
        those like it if the reason begins with TOO_LARGE."""
        ...


class Runner(Protocol):
    """Trains the packs of a feed somewhere."""

    def run(self, feed: Feed) -> None:
        """Returns when the feed is done. Rows already brought are never lost by an exception."""
        ...


def train_pack(pack: Pack, on_progress: OnProgress | None = None) -> Rows:
    """Trains a pack on this machine; `on_progress` hears of every point of a curve.

    Without it, trials whose verdict is certain by the pack's limits are dropped.
    """
    job, started = pack.job, time.perf_counter()
    device = "cuda" if job.gpu > 0 else "cpu"
    if 0 < job.gpu < 1:
        cap_memory(job.gpu)
    watch = Watch.over([trial.trial_id for trial in pack.trials], pack.limits)
    results = run_pack(
        pack.trials, job.measures, curve_every=job.curve_every, device=device, threads=job.cpu,
        on_progress=on_progress or watch, probes=job.probes,
    )  # fmt: skip
    if time.perf_counter() - started > LONG:
        return_freed()
    controls, stopped = (watch.controls, watch.stopped) if watch else ({}, [])
    rows = finished_rows(results, pack.pack_id, job.cpu, job.gpu, controls)
    return joined([attached(rows, results), *(_dropped(pack, *pair) for pair in stopped)])


def _dropped(pack: Pack, partial: PartialResult, told: str) -> Rows:
    """The row of a trial whose verdict was certain."""
    rows = partial_rows([partial], pack.pack_id, pack.job.cpu, pack.job.gpu)
    return stopped_rows(rows, because(told), told)


def attempt(work: Work, pack: Pack, **hooks: Any) -> tuple[Rows | None, str]:
    """The rows of a pack and "", or None and why there are none. Where memory was too small, the
    failed trial's is free again when it returns."""
    try:
        return work(pack, **hooks), ""
    except Exception as error:
        reason = TOO_LARGE * out_of_memory(error) + describe(error)
    if reason.startswith(TOO_LARGE):
        release_memory()
    return None, reason


def describe(error: BaseException) -> str:
    """An exception as the one line that the ledger keeps."""
    text = " ".join(str(error).split())
    # A badly encoded file name in a message is no reason to lose the row.
    line = f"{type(error).__name__}: {text}"[:2000]
    return line.encode("utf-8", "replace").decode()
