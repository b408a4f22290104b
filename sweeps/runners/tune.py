"""Packs on Ray Tune: it places, retries and scales; the ledger remembers.

Tune's own state is disposable. It goes to a scratch folder and is never restored: a killed sweep
resumes as the plan minus the ledger, in a new Tuner. What that takes, on Ray 2.60:

- A Tune trial is a stint, packs for some seconds, known to Tune by its short id; actors are reused.
- A worker reports rows now and then, as Arrow IPC bytes, which the driver's callback takes out of
  the result before Tune stores it. Only the driver writes the ledger.
- An exception in a worker is reported, not raised, so that Tune does not train the pack again;
  Tune's retries are for workers that die.
- A trial that may be stopped has a pack to itself and reports after every point of its curve, each
  report with the row that it would leave behind. `tune.report` waits for the scheduler's verdict.
- Nothing of ours raises inside Tune's loop. A pack that ends without rows has failed, whatever
  Tune thinks; that `fit` returned says nothing at all.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import tempfile
import threading
import time
from collections.abc import Iterator
from typing import Any

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
from sweeps.runners.base import TOO_LARGE, Feed, Work, attempt, train_pack
from sweeps.runners.in_flight import Table
from sweeps.runners.tune_schedulers import (
    EPOCH,
    LEFT,
    CancellingScheduler,
    CertainScheduler,
    StoppingScheduler,
)
from sweeps.spec.sections import StoppingSettings

#: Starts of a pack whose worker dies: one and two retries.
RETRIES = 2
#: Seconds between two reports of a worker: what it loses if it is killed.
REPORT_EVERY = 5.0
#: Seconds to wait for a Ray head to accept a connection.
CONNECT_SECONDS = 5.0

#: What Tune reads from the environment, in this process and in the workers that Ray starts.
ENVIRONMENT = {
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",  # no result files: the ledger has the results
    "TUNE_GLOBAL_CHECKPOINT_S": "1000000",  # no snapshots while it runs: they are never read
    "TUNE_DISABLE_SIGINT_HANDLER": "1",  # Tune's makes an interrupted sweep look finished
    "TUNE_WARN_EXCESSIVE_EXPERIMENT_CHECKPOINT_SYNC_THRESHOLD_S": "0",
    "RAY_CHDIR_TO_TRIAL_DIR": "0",  # relative paths stay what they were
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
}  # fmt: skip


class TuneRunner:
    """Runs packs on the cluster at $RAY_ADDRESS, else on one started for the sweep.

    cpu, gpu: what one pack takes. workers: CPUs of a cluster started here; None takes them all.
    work: what a worker does with a pack. stopping: the rule that ends trials early, if any; past:
    rows of the ledger, which it begins with.
    """

    def __init__(
        self, cpu: int = 1, gpu: float = 0, workers: int | None = None, work: Work = train_pack,
        stopping: StoppingSettings | None = None, past: Rows | None = None,
    ) -> None:  # fmt: skip
        self.cpu, self.gpu, self.workers, self.work = cpu, gpu, workers, work
        self.stopping, self.past = stopping, past

    def run(self, feed: Feed) -> None:
        """Runs until the feed is done; Ray is not started for nothing."""
        first = feed.next_pack()
        if first is None and feed.done:
            return
        for name, value in ENVIRONMENT.items():
            os.environ.setdefault(name, value)
        scratch = tempfile.mkdtemp(prefix="backdoor-sweeps-tune-")
        try:
            # Tune prints a banner to stdout even when told to be silent; stdout is for answers.
            with (
                open(os.devnull, "w") as nowhere,
                contextlib.redirect_stdout(nowhere),
                ray_session(self.workers),
            ):
                self._fit(Table(feed, first), scratch)
        finally:
            shutil.rmtree(scratch, ignore_errors=True)

    def _fit(self, table: Table, scratch: str) -> None:
        self._refuse_what_never_fits()
        at_once = self._at_once()
        table.feed.workers = at_once
        table.may_wait = max(1, at_once // 8)
        # All workers are started at once: they import for seconds. `Table` holds back what follows.
        os.environ["TUNE_MAX_PENDING_TRIALS_PG"] = str(at_once)
        scheduler = self._scheduler(table)
        tuner = tune.Tuner(
            tune.with_resources(_trainable(self.work), {"cpu": self.cpu, "gpu": self.gpu}),
            tune_config=tune.TuneConfig(
                search_alg=_FeedSearcher(table),
                scheduler=scheduler,
                num_samples=-1,
                reuse_actors=True,
                trial_name_creator=_chunk_name,
                trial_dirname_creator=_chunk_name,
            ),
            run_config=tune.RunConfig(
                name="stints",
                storage_path=scratch,
                log_to_file=False,
                verbose=0,
                failure_config=tune.FailureConfig(max_failures=RETRIES),
                callbacks=[_Collector(table)],
            ),
        )
        tuner.fit()
        if scheduler.error is not None:
            raise scheduler.error

    def _scheduler(self, table: Table) -> CancellingScheduler:
        if self.stopping is None:
            return CancellingScheduler(table.cancel)
        if self.stopping.kind == "certain":
            told = table.stop, table.predict
            return CertainScheduler(table.pack_of, table.limits, *told, table.cancel)
        return StoppingScheduler(self.stopping, table.pack_of, table.stop, self.past, table.cancel)

    def _refuse_what_never_fits(self) -> None:
        """A pack larger than the cluster would wait for ever, unless the cluster can grow."""
        if os.environ.get("RAY_ADDRESS"):
            return
        have = ray.cluster_resources()
        for name, wanted in (("CPU", self.cpu), ("GPU", self.gpu)):
            if wanted > have.get(name, 0):
                rule = f"must not exceed the {have.get(name, 0):g} {name}s of this machine"
                remedy = "Ask for less, or set RAY_ADDRESS to a cluster that has them."
                raise UserError(Mistake(f"resources.{name.lower()}", rule, wanted, remedy))

    def _at_once(self) -> int:
        """Packs that the cluster, as it is now, runs at once."""
        have = ray.cluster_resources()
        at_once = have.get("CPU", 1) // self.cpu
        return max(1, int(min(at_once, have.get("GPU", 0) / self.gpu) if self.gpu else at_once))


def _trainable(work: Work) -> Any:
    def train(config: dict[str, Any]) -> None:
        engines()  # imports are no part of what the first trial takes
        packs = Chunk.from_json(config["payload"]).packs[config["answered"] :]
        tables, reasons, reported = list[Rows](), list[str](), time.monotonic()
        for left, pack in zip(range(len(packs) - 1, -1, -1), packs, strict=True):
            rows, reason = attempt(work, pack, **_hooks(pack))
            reasons.append(reason)
            tables += [] if rows is None else [rows]
            full = reason.startswith(TOO_LARGE)  # and so might be the next pack
            if left == 0 or full or time.monotonic() - reported > REPORT_EVERY:
                content = encode(joined(tables)) if tables else b""
                tune.report({"rows": content, "reasons": reasons, LEFT: left, "ends": full})
                if full:
                    return
                tables, reasons, reported = [], [], time.monotonic()

    return train


def _hooks(pack: Pack) -> dict[str, Any]:
    """What `work` takes besides the pack."""

    def report(partial: PartialResult) -> None:
        # Where Tune has stopped the trial, this raises SystemExit.
        content = encode(partial_rows([partial], pack.pack_id, pack.job.cpu, pack.job.gpu))
        tune.report({EPOCH: partial.epochs_run, **partial_metrics(partial), "partial": content})

    return {"on_progress": report} if pack.may_stop else {}


def _chunk_name(trial: Any) -> str:
    return f"stint-{trial.config['stint']}"


class _FeedSearcher(Searcher):  # type: ignore[misc]  # ray has no types
    """Hands packs to Tune. Its methods are called by keyword and must not raise."""

    def __init__(self, table: Table) -> None:
        super().__init__()
        self.table = table

    def suggest(self, trial_id: str) -> Any:
        chunk = self.table.take(trial_id)
        if chunk is None:
            return Searcher.FINISHED if self.table.feed.done else None
        return {"stint": chunk.chunk_id, "payload": chunk.to_json(), "answered": 0}

    def on_trial_complete(
        self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False
    ) -> None:
        self.table.ended(trial_id)

    def save(self, checkpoint_path: str) -> None:
        """Nothing: the search is rebuilt from the ledger."""

    def restore(self, checkpoint_path: str) -> None:
        """Nothing, likewise."""


class _Collector(tune.Callback):  # type: ignore[misc]
    """Takes the rows out of a result before Tune keeps it for the rest of the experiment."""

    def __init__(self, table: Table) -> None:
        self.table = table

    def on_trial_start(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        self.table.began(trial.trial_id)

    def on_trial_result(
        self, iteration: int, trials: list[Any], trial: Any, result: dict[str, Any], **info: Any
    ) -> None:
        if reasons := result.pop("reasons", []):
            self.table.answer(trial.trial_id, result.pop("rows"), reasons, result.pop("ends"))
            trial.config["answered"] += len(reasons)  # not again, should the worker die
        elif partial := result.pop("partial", b""):
            self.table.progress(trial.trial_id, partial)

    def on_trial_complete(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        trial.config.pop("payload", None)  # Tune keeps every trial it ever had


def _reachable(address: str) -> None:
    """Ray itself tries an address for minutes; one that refuses connections is told at once."""
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if not host or not port.isdigit():
        return  # `auto`, `local` and the like: Ray resolves them
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=CONNECT_SECONDS).close()
    except OSError as error:
        rule = "must be the address of a running Ray cluster"
        remedy = f"Start it, or unset RAY_ADDRESS to run on this machine ({error})."
        raise UserError(Mistake("RAY_ADDRESS", rule, address, remedy)) from None


@contextlib.contextmanager
def _sigterm_kept() -> Iterator[None]:
    """Ray takes SIGTERM for itself and ends the process on it; a sweep has packs to let end."""
    before = signal.getsignal(signal.SIGTERM)
    try:
        yield
    finally:
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, before)


@contextlib.contextmanager
def ray_session(workers: int | None = None) -> Iterator[None]:
    """Ray, as it is if it is running in this process, else connected or started until the end."""
    if ray.is_initialized():
        yield
        return
    address = os.environ.get("RAY_ADDRESS")
    if address:
        _reachable(address)
    options: dict[str, Any] = {"address": address} if address else {
        "address": "local", "num_cpus": workers, "include_dashboard": False,
        "object_store_memory": 256 * 2**20,
    }  # fmt: skip
    # Ray writes its authentication token readable for everybody unless the mask forbids it.
    mask = os.umask(0o077)
    try:
        with _sigterm_kept():
            ray.init(log_to_driver=False, logging_level="error", **options)
    except ValueError as error:
        rule = "must be an address that Ray understands"
        remedy = f"For example HOST:6379, or unset it ({error})."
        raise UserError(Mistake("RAY_ADDRESS", rule, address, remedy)) from None
    finally:
        os.umask(mask)
    try:
        yield
    finally:
        ray.shutdown()
