"""Packs on Ray Tune: Tune places, retries and scales; the ledger keeps the results.

Tune's own state is disposable. It goes to a scratch folder and is never restored: a killed sweep
resumes in a new Tuner with all trials that the ledger lacks. How this works with Ray 2.60:

- A Tune trial is a chunk, that is packs for some seconds, under a short id; actors are reused.
- A worker reports rows from time to time, as Arrow IPC bytes, which the driver's callback takes out
  of the result before Tune stores it. Only the driver writes the ledger.
- An exception in a worker is reported, not raised, so that Tune does not train the pack again;
  Tune's retries are for workers that die.
- A trial that may be stopped has a pack to itself and reports after every point of its curve. Each
  report has the row that is recorded if the trial is stopped then. `tune.report` waits for the
  scheduler's decision.
- None of our code raises inside Tune's loop. A pack that ends without rows has failed, whatever
  state Tune gives it; that `fit` returned proves nothing.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Sequence
from typing import Any, TypedDict

import ray
from ray import tune
from ray.tune.search import Searcher

from backdoor.engines import engines
from backdoor.errors import Mistake, UserError
from backdoor.result import PartialResult
from sweeps.early_stopping.rules import partial_metrics
from sweeps.ledger import Rows, encode, joined, partial_rows
from sweeps.packs.chunk import Chunk
from sweeps.packs.pack import Pack
from sweeps.runners.feed import Feed
from sweeps.runners.in_flight import InFlight
from sweeps.runners.ray_address import ray_address
from sweeps.runners.ray_session import ray_session
from sweeps.runners.scratch import scratch_folder
from sweeps.runners.tune_schedulers import (
    EPOCH,
    LEFT,
    CancellingScheduler,
    CertainScheduler,
    StoppingScheduler,
)
from sweeps.runners.worker import TOO_LARGE, Work, attempt, train_pack
from sweeps.spec.sections import StoppingSettings

#: How often a chunk is started again whose worker died.
RETRIES = 2
#: Seconds between two reports of a worker: the work that is lost if it is killed.
REPORT_EVERY = 5.0

#: What Tune reads from the environment, in this process and in the workers that Ray starts.
ENVIRONMENT = {
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",  # no result files: the ledger has the results
    "TUNE_GLOBAL_CHECKPOINT_S": "1000000",  # no snapshots while it runs: they are never read
    "TUNE_DISABLE_SIGINT_HANDLER": "1",  # Tune's makes an interrupted sweep look finished
    "TUNE_WARN_EXCESSIVE_EXPERIMENT_CHECKPOINT_SYNC_THRESHOLD_S": "0",
    "RAY_CHDIR_TO_TRIAL_DIR": "0",  # relative paths stay what they were
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    "RAY_DISABLE_FAILURE_SIGNAL_HANDLER": "1",  # it would abort a driver that gets SIGTERM
}


class TuneRunner:
    """Runs packs on the cluster at $RAY_ADDRESS, else on one started for the sweep.

    cpu, gpu: cores and GPUs of one pack. workers: CPUs of a cluster started here; None takes them
    all. work: what a worker does with a pack. stopping: the rule that ends trials early, if any;
    past: rows of the ledger, from which the rule learns first. kinds: of users, `module:Class`,
    whose code a cluster's workers are sent.
    """

    def __init__(
        self,
        cpu: int = 1,
        gpu: float = 0,
        workers: int | None = None,
        work: Work = train_pack,
        stopping: StoppingSettings | None = None,
        past: Rows | None = None,
        kinds: Sequence[str] = (),
    ) -> None:
        self.cpu, self.gpu, self.workers, self.work = cpu, gpu, workers, work
        self.stopping, self.past, self.kinds = stopping, past, kinds

    def run(self, feed: Feed) -> None:
        """Runs until the feed is done; starts Ray only if there is work."""
        if not feed.has_work() and feed.done:
            return
        for name, value in ENVIRONMENT.items():
            os.environ.setdefault(name, value)
        # Tune prints a banner to stdout even when told to be silent; stdout is for answers.
        with (
            scratch_folder() as scratch,
            open(os.devnull, "w") as nowhere,
            contextlib.redirect_stdout(nowhere),
            ray_session(self.workers, self.kinds),
        ):
            self._fit(InFlight(feed), str(scratch))

    def _fit(self, in_flight: InFlight, scratch: str) -> None:
        self._refuse_packs_that_never_fit()
        at_once = self._at_once()
        in_flight.feed.workers = at_once
        in_flight.may_wait = max(1, at_once // 8)
        # All workers start at once, since each imports for seconds. `InFlight` limits what follows.
        os.environ["TUNE_MAX_PENDING_TRIALS_PG"] = str(at_once)
        scheduler = self._scheduler(in_flight)
        tuner = tune.Tuner(
            tune.with_resources(_trainable(self.work), {"cpu": self.cpu, "gpu": self.gpu}),
            tune_config=tune.TuneConfig(
                search_alg=_FeedSearcher(in_flight),
                scheduler=scheduler,
                num_samples=-1,
                reuse_actors=True,
                trial_name_creator=_chunk_name,
                trial_dirname_creator=_chunk_name,
            ),
            run_config=tune.RunConfig(
                name="chunks",
                storage_path=scratch,
                log_to_file=False,
                verbose=0,
                failure_config=tune.FailureConfig(max_failures=RETRIES),
                callbacks=[_Collector(in_flight)],
            ),
        )
        tuner.fit()
        if scheduler.error is not None:
            raise scheduler.error

    def _scheduler(self, packs: InFlight) -> CancellingScheduler:
        if self.stopping is None:
            return CancellingScheduler(packs.cancel)
        if self.stopping.kind == "certain":
            noted = packs.note_stop, packs.note_prediction
            return CertainScheduler(packs.pack_of, packs.limits, *noted, packs.cancel)
        stopping, stop = self.stopping, packs.note_stop
        return StoppingScheduler(stopping, packs.pack_of, stop, self.past, packs.cancel)

    def _refuse_packs_that_never_fit(self) -> None:
        """A pack larger than the cluster would wait for ever, unless the cluster can grow."""
        if ray_address():
            return
        have = ray.cluster_resources()
        for name, needed in (("CPU", self.cpu), ("GPU", self.gpu)):
            if needed > have.get(name, 0):
                rule = f"must not exceed the {have.get(name, 0):g} {name}s of this machine"
                remedy = "Ask for less, or set RAY_ADDRESS to a cluster that has them."
                raise UserError(Mistake(f"resources.{name.lower()}", rule, needed, remedy))

    def _at_once(self) -> int:
        """Packs that the cluster can run at once as it is now."""
        have = ray.cluster_resources()
        at_once = have.get("CPU", 1) // self.cpu
        return max(1, int(min(at_once, have.get("GPU", 0) / self.gpu) if self.gpu else at_once))


class ChunkReport(TypedDict):
    """What a worker reports of the packs of its chunk that it has answered for since the last time.

    rows: of those that were trained, as Arrow IPC bytes, empty where none was. reasons: for each
    pack why it was not trained, else "". left: packs of the chunk after these. ends: whether the
    worker returns the packs that are left.
    """

    rows: bytes
    reasons: list[str]
    left: int
    ends: bool


def _trainable(work: Work) -> Any:
    def train(config: dict[str, Any]) -> None:
        engines()  # so that the time of imports is not counted as the first trial's
        packs = Chunk.from_json(config["payload"]).packs[config["answered"] :]
        tables, reasons, reported = list[Rows](), list[str](), time.monotonic()
        for left, pack in zip(range(len(packs) - 1, -1, -1), packs, strict=True):
            rows, reason = attempt(work, pack, **_hooks(pack))
            reasons.append(reason)
            tables += [] if rows is None else [rows]
            too_large = reason.startswith(TOO_LARGE)  # as the next pack might be
            if left == 0 or too_large or time.monotonic() - reported > REPORT_EVERY:
                content = encode(joined(tables)) if tables else b""
                report: ChunkReport = {
                    "rows": content,
                    "reasons": reasons,
                    LEFT: left,
                    "ends": too_large,
                }
                tune.report(report)
                if too_large:
                    return
                tables, reasons, reported = [], [], time.monotonic()

    return train


def _hooks(pack: Pack) -> dict[str, Any]:
    """The keyword arguments of `work`."""

    def report(partial: PartialResult) -> None:
        # Where Tune has stopped the trial, this raises SystemExit.
        settings = pack.settings
        content = encode(partial_rows([partial], pack.pack_id, settings.cpu, settings.gpu))
        tune.report({EPOCH: partial.epochs_run, **partial_metrics(partial), "partial": content})

    return {"on_progress": report} if pack.may_stop else {}


def _chunk_name(trial: Any) -> str:
    return f"chunk-{trial.config['chunk']}"


class _FeedSearcher(Searcher):  # type: ignore[misc]  # ray has no types
    """Hands packs to Tune. Its methods are called by keyword and must not raise."""

    def __init__(self, in_flight: InFlight) -> None:
        super().__init__()
        self.in_flight = in_flight

    def suggest(self, trial_id: str) -> Any:
        chunk = self.in_flight.take(trial_id)
        if chunk is None:
            return Searcher.FINISHED if self.in_flight.feed.done else None
        return {"chunk": chunk.chunk_id, "payload": chunk.to_json(), "answered": 0}

    def on_trial_complete(
        self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False
    ) -> None:
        self.in_flight.ended(trial_id)

    def save(self, checkpoint_path: str) -> None:
        """Nothing: the search is rebuilt from the ledger."""

    def restore(self, checkpoint_path: str) -> None:
        """Nothing, for the same reason."""


class _Collector(tune.Callback):  # type: ignore[misc]
    """Takes the rows out of a result before Tune keeps it for the rest of the experiment."""

    def __init__(self, in_flight: InFlight) -> None:
        self.in_flight = in_flight

    def on_trial_start(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        self.in_flight.started(trial.trial_id)

    def on_trial_result(
        self, iteration: int, trials: list[Any], trial: Any, result: dict[str, Any], **info: Any
    ) -> None:
        if reasons := result.pop("reasons", []):
            rows, ends = result.pop("rows"), result.pop("ends")
            self.in_flight.answer(trial.trial_id, rows, reasons, ends)
            trial.config["answered"] += len(reasons)  # not again if the worker dies
        elif partial := result.pop("partial", b""):
            self.in_flight.progress(trial.trial_id, partial)

    def on_trial_complete(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        trial.config.pop("payload", None)  # Tune keeps every trial it ever had
