"""What a worker does with a pack, and what it reports where that fails."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from backdoor.memory import cap_memory, release_memory, return_freed
from backdoor.result import PartialResult
from backdoor.trial import OnProgress, run_pack
from backdoor.working_on import measures_of, suspects_of
from sweeps.early_stopping.limits import Watch, because
from sweeps.ledger import (
    Rows,
    attached,
    finished_rows,
    joined,
    partial_rows,
    stopped_rows,
    with_left_out,
)
from sweeps.packs.pack import Pack
from sweeps.packs.without_measures import left_out_text, measures_of_pack
from sweeps.records.failure import MEMORY, TOO_LARGE, Failure
from sweeps.runners.fault import failure_of

#: What a worker does with a pack. Where its trial may be stopped, it is given `on_progress` as
#: well, as `train_pack` takes it.
Work = Callable[..., Rows]

#: Seconds of a pack after which returning freed memory to the system is worth its time.
RETURN_MEMORY_AFTER = 2.0


def train_pack(pack: Pack, on_progress: OnProgress | None = None) -> Rows:
    """Trains a pack on this machine; `on_progress` is called with every point of a curve.

    Without it, trials whose verdict is certain by the pack's limits are stopped.
    """
    settings, started = pack.settings, time.perf_counter()
    if 0 < settings.gpu < 1:
        cap_memory(settings.gpu)
    watch = Watch.over([trial.trial_id for trial in pack.trials], pack.limits)
    results = run_pack(
        pack.trials,
        measures_of_pack(pack),
        curve_every=settings.curve_every,
        device="cuda" if settings.gpu > 0 else "cpu",
        threads=settings.cpu,
        on_progress=on_progress or watch,
        probes=settings.probes,
    )
    if time.perf_counter() - started > RETURN_MEMORY_AFTER:
        return_freed()
    holdouts, stopped = (watch.holdouts, watch.stopped) if watch else ({}, [])
    rows = finished_rows(results, pack.pack_id, settings.cpu, settings.gpu, holdouts)
    rows = with_left_out(rows, left_out_text(pack))
    return joined([attached(rows, results), *(_stopped(pack, *pair) for pair in stopped)])


def _stopped(pack: Pack, partial: PartialResult, predicted: str) -> Rows:
    """The row of a trial whose verdict was certain."""
    rows = partial_rows([partial], pack.pack_id, pack.settings.cpu, pack.settings.gpu)
    return stopped_rows(rows, because(predicted), predicted)


def attempt(work: Work, pack: Pack, **hooks: Any) -> tuple[Rows | None, Failure | None]:
    """The rows of a pack, or why there are none. Where memory was too small, what the failed pack
    held is free again when this returns."""
    try:
        return work(pack, **hooks), None
    except (Exception, SystemExit) as error:
        suspects, measures = suspects_of(error), measures_of(error)
        failure = replace(failure_of(error), suspects=suspects, measures=measures)
    if failure.cause == MEMORY:
        release_memory()
        failure = replace(failure, error=TOO_LARGE + failure.error)
    return None, failure
