"""Packs on Ray Tune: Tune places, retries and scales; the ledger keeps the results.

Tune's own state is disposable. It goes to a scratch folder and is never restored: a killed sweep
resumes in a new Tuner with all trials that the ledger lacks. How this works with Ray 2.60:

- A Tune trial is a chunk, that is packs for some seconds, under a short id; actors are reused.
- A worker is a supervisor, whose trainer is a process of its own (`sweeps.runners.supervision`).
- A worker reports rows from time to time, as Arrow IPC bytes, which the driver's callback takes out
  of the result before Tune stores it. Only the driver writes the ledger.
- Whatever ends a trainer is reported, not raised. Tune retries nothing: a worker that is lost, with
  its node, loses its chunk, whose packs the feed hands out again.
- A trial that may be stopped has a pack to itself and reports after every point of its curve. Each
  report has the row that is recorded if the trial is stopped then. `tune.report` waits for the
  scheduler's decision.
- None of our code raises inside Tune's loop. A pack that ends without rows has failed, whatever
  state Tune gives it; that `fit` returned proves nothing.
"""

from __future__ import annotations

import contextlib
import logging
import os
import re
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import ray
from ray import cloudpickle, tune
from ray.tune.search import Searcher

from backdoor.errors import Mistake, UserError, shortened
from sweeps.ledger import Rows
from sweeps.packs.chunk import Chunk
from sweeps.runners.feed import Feed
from sweeps.runners.in_flight import InFlight
from sweeps.runners.ray_address import ray_address
from sweeps.runners.ray_session import ray_session
from sweeps.runners.scratch import scratch_folder
from sweeps.runners.supervision import life, on_worker, supervisor, suspicion, trainer_link
from sweeps.runners.tune_schedulers import (
    CancellingScheduler,
    CertainScheduler,
    StoppingScheduler,
)
from sweeps.runners.worker import Work, train_pack
from sweeps.spec.sections import StoppingSettings

#: Seconds without a sign of life after which a trainer is killed.
HANG_AFTER = 120.0
#: Seconds between two looks of the driver at what workers have not said.
LOOK_EVERY = 1.0
#: What is sent to workers as source, so that it runs where this package cannot be imported.
_BY_VALUE = (life, trainer_link, suspicion, supervisor, on_worker)
#: Loggers of Ray's that write a traceback for every worker that dies.
_NOISY = ("ray.tune", "ray.train", "ray.air", "ray.exceptions")

#: What Ray writes of every lost actor, in lines or in one.
_DETAILS = re.compile(
    r"\bThe actor died unexpectedly before finishing this task\.?|"
    r"\b(?:class_name|actor_id|pid|name|namespace|ip|repr): *(?!\w+: )\S*"
)
#: Characters of what is said of a lost worker.
LONGEST = 500

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
    past: rows of the ledger, from which the rule learns first. hang_after: seconds without a sign
    of life after which a training is ended. kinds: of users, `module:Class`, whose code a cluster's
    workers are sent.
    """

    def __init__(
        self,
        cpu: int = 1,
        gpu: float = 0,
        workers: int | None = None,
        work: Work = train_pack,
        stopping: StoppingSettings | None = None,
        past: Rows | None = None,
        hang_after: float = HANG_AFTER,
        kinds: Sequence[str] = (),
    ) -> None:
        self.cpu, self.gpu, self.workers, self.work = cpu, gpu, workers, work
        self.stopping, self.past, self.hang_after = stopping, past, hang_after
        self.kinds = kinds

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
            tune.with_resources(self._trainable(), {"cpu": self.cpu, "gpu": self.gpu}),
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
                failure_config=tune.FailureConfig(max_failures=0),
                callbacks=[_Collector(in_flight)],
            ),
        )
        with _silenced():
            tuner.fit()
        if scheduler.error is not None:
            raise scheduler.error

    def _trainable(self) -> Any:
        for module in _BY_VALUE:
            cloudpickle.register_pickle_by_value(module)
        # The trainer gets it as it is: another process may have another version of it.
        work = None if self.work is train_pack else cloudpickle.dumps(self.work)
        sent = cloudpickle.dumps(on_worker.trainable(work, self.hang_after))
        return on_worker.unpacked(sent)

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


@contextlib.contextmanager
def _silenced() -> Iterator[None]:
    """Without what Ray logs of workers that die: the feed says it in a line."""
    loggers = [logging.getLogger(name) for name in _NOISY]
    before = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        for logger, level in zip(loggers, before, strict=True):
            logger.setLevel(level)


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
            return Searcher.FINISHED if self.in_flight.finished else None
        feed = self.in_flight.feed
        return {
            "chunk": chunk.chunk_id,
            "payload": chunk.to_json(),
            "packs": [pack.pack_id for pack in chunk.packs],
            "deadlines": self.in_flight.deadlines(trial_id),
            "believed": [feed.believed(pack) for pack in chunk.packs],
            "references": [[node, Chunk((pack,)).to_json()] for node, pack in feed.references()],
            "data": feed.data_fingerprint,
        }

    def on_trial_complete(
        self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False
    ) -> None:
        if not error:  # else `_Collector` is told why
            self.in_flight.ended(trial_id)

    def save(self, checkpoint_path: str) -> None:
        """Nothing: the search is rebuilt from the ledger."""

    def restore(self, checkpoint_path: str) -> None:
        """Nothing, for the same reason."""


class _Collector(tune.Callback):  # type: ignore[misc]
    """Takes reports out of results before Tune keeps them for the rest of the experiment, and looks
    after workers that do not report."""

    def __init__(self, in_flight: InFlight) -> None:
        self.in_flight = in_flight
        self._looked = 0.0

    def on_trial_start(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        self.in_flight.started(trial.trial_id)

    def on_trial_result(
        self, iteration: int, trials: list[Any], trial: Any, result: dict[str, Any], **info: Any
    ) -> None:
        self.in_flight.report(trial.trial_id, result)

    def on_trial_error(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        self.in_flight.died(trial.trial_id, _last_words(trial))
        trial.config.pop("payload", None)

    def on_trial_complete(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        trial.config.pop("payload", None)  # Tune keeps every trial it ever had

    def on_step_end(self, iteration: int, trials: list[Any], **info: Any) -> None:
        if time.monotonic() - self._looked < LOOK_EVERY:
            return
        self._looked = time.monotonic()
        self.in_flight.look()
        if overdue := set(self.in_flight.overdue()):
            _kill([trial for trial in trials if trial.trial_id in overdue])


def _last_words(trial: Any) -> str:
    """Why a worker was lost, in a line. Tune has not yet copied the file to where its `get_error`
    looks for it."""
    try:
        text = Path(trial.error_file).read_text(errors="replace")
    except (OSError, TypeError):
        text = ""
    lines = text.rpartition("Failure #")[2].splitlines()[1:]
    last = " ".join(" ".join(lines).split())
    found = re.search(r"\bip: *([\w.:]*\w)", last)
    place = f" at {found[1]}" if found else ""
    why = _DETAILS.sub("", last).partition(" Some common causes")[0]
    why = shortened(" ".join(why.split()), LONGEST)
    return f"the worker{place} was lost" + (f": {why}" if why else "")


def _kill(trials: Sequence[Any]) -> None:
    """Ends workers that do not even say that their training takes too long."""
    for trial in trials:
        actor = trial.temporary_state.ray_actor
        if actor is not None:
            with contextlib.suppress(Exception):  # it is lost already, or Ray is
                ray.kill(actor)
