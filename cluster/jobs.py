"""Sweeps as jobs of a Ray cluster, through Ray's Jobs API and over its one port.

A job's metadata say what it is: a sweep, with its name and its results folder on the cluster, or a
request, whose answer comes back through its log in an envelope. Ray forgets jobs when the head
ends; the results folder stays.
"""

from __future__ import annotations

import asyncio
import contextlib
import datetime
import json
import logging
import os
import re
import secrets
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from backdoor.errors import Mistake, UserError
from cluster.envelope import read_envelope
from cluster.head import ClusterError, Head
from cluster.payload import Payload, Remote, entrypoint

#: The key of a job's metadata, and its values.
KIND, SWEEP, REQUEST = "backdoor_sweeps", "sweep", "request"
#: Ray's states of a job that has ended.
ENDED = ("SUCCEEDED", "FAILED", "STOPPED")
#: Seconds from a stop, which is SIGTERM, until Ray kills the job: a sweep ends within 15.
GRACE = 60
#: Seconds between two looks at a job, and the most that a request may take.
LOOK_EVERY, ANSWER_WITHIN = 0.25, 600.0
_NOISY_LOGGERS = (
    "ray.dashboard.modules.dashboard_sdk",
    "ray.dashboard.modules.job.sdk",
    "ray._private.runtime_env.packaging",
)


@dataclass(frozen=True)
class Job:
    """A job of Ray's Jobs API.

    state: Ray's word (PENDING, RUNNING, ...). results: the folder on the cluster, "" for requests.
    """

    job_id: str
    sweep: str
    state: str
    started: datetime.datetime | None
    results: str
    message: str
    exit_code: int | None

    @property
    def ended(self) -> bool:
        return self.state in ENDED

    @property
    def sort_key(self) -> str:
        return self.job_id if self.started is None else self.started.isoformat()


def new_job_id(name: str) -> str:
    """A readable id, which is a file name as well: NAME-DATE-TIME-RANDOM."""
    now = datetime.datetime.now(datetime.UTC)
    return f"{name}-{now:%Y%m%d-%H%M%S}-{secrets.token_hex(2)}"


class Jobs:
    """The jobs of the cluster at `head`."""

    def __init__(self, head: Head) -> None:
        self.head = head
        try:
            # It loads aiohttp and requests, which come with ray[default] only.
            from ray.job_submission import JobSubmissionClient

            for name in _NOISY_LOGGERS:
                logging.getLogger(name).setLevel(logging.WARNING)
            with _unset("RAY_ADDRESS", "RAY_API_SERVER_ADDRESS"), self._ray_errors():
                # Ray would let either variable overrule the address that is asked for.
                self._client = JobSubmissionClient(head.url, headers=head.headers)
        except (ImportError, ClusterError) as error:
            if isinstance(error, ClusterError) and "ray[default]" not in str(error):
                raise
            raise UserError(missing_extra(error)) from None

    def submit(self, job_id: str, payload: Payload, line: str, metadata: dict[str, str]) -> None:
        """Sends the payload and starts the shell line on the cluster."""
        with (
            tempfile.TemporaryDirectory(prefix="backdoor-sweeps-payload-") as folder,
            self._ray_errors(),
        ):
            self._client.submit_job(
                entrypoint=line,
                submission_id=job_id,
                metadata=metadata,
                runtime_env={
                    "working_dir": str(payload.write(Path(folder))),
                    "env_vars": {"RAY_JOB_STOP_WAIT_TIME_S": str(GRACE)},
                },
            )

    def run_sweep(self, name: str, payload: Payload, storage: Remote) -> Job:
        """Starts the payload's spec as a sweep in a new folder under `storage`."""
        job_id = new_job_id(name)
        results = storage / job_id
        line = entrypoint("sweeps.cli", "run", "spec.yaml", "--out", results)
        self.submit(job_id, payload, line, {KIND: SWEEP, "sweep": name, "results": str(results)})
        return self.find(job_id)

    def resume_sweep(self, name: str, payload: Payload, results: Remote, *options: str) -> Job:
        """Continues the sweep in a results folder on the cluster. options: more of `resume`'s."""
        job_id = new_job_id(name)
        line = entrypoint("sweeps.cli", "resume", results, "--trust-code", *options)
        self.submit(job_id, payload, line, {KIND: SWEEP, "sweep": name, "results": str(results)})
        return self.find(job_id)

    def sweeps(self) -> list[Job]:
        """Jobs that are sweeps, the latest first."""
        with self._ray_errors():
            found = self._client.list_jobs()
        jobs = [_job(details) for details in found if (details.metadata or {}).get(KIND) == SWEEP]
        return sorted(jobs, key=lambda job: job.sort_key, reverse=True)

    def find(self, job_id: str) -> Job:
        """One job, whoever submitted it; `UserError` where there is none."""
        try:
            with self._ray_errors():
                return _job(self._client.get_job_info(job_id))
        except ClusterError as error:
            if "404" not in str(error):
                raise
            rule = f"must be a job of the cluster at {self.head.url}"
            remedy = "`sweeps job list` names them; a head that was restarted has forgotten them."
            raise UserError(Mistake("JOB", rule, job_id, remedy)) from None

    def log(self, job_id: str) -> str:
        """All that a job has written so far."""
        with self._ray_errors():
            text: str = self._client.get_job_logs(job_id)
        return text

    def follow(self, job_id: str, write: Callable[[str], None]) -> None:
        """Passes on what a job writes, until it ends."""

        async def tail() -> None:
            async for lines in self._client.tail_job_logs(job_id):
                write(lines)

        with self._ray_errors():
            asyncio.run(tail())

    def progress(self, job_id: str) -> str:
        """The last `done/planned` in a job's log, or ""."""
        found = re.findall(r"\b(\d+/\d+) trials", self.log(job_id))
        return found[-1] if found else ""

    def stop(self, job_id: str) -> bool:
        """Asks a job to stop: SIGTERM, and seconds for its running packs. False if it had ended."""
        with self._ray_errors():
            asked: bool = self._client.stop_job(job_id)
        return asked

    def wait(self, job_id: str, seconds: float) -> Job:
        """The job when it has ended; `ClusterError` where it takes longer."""
        limit = time.monotonic() + seconds
        while not (job := self.find(job_id)).ended:
            if time.monotonic() > limit:
                raise ClusterError(f"job {job_id} is still {job.state} after {seconds:g} s")
            time.sleep(LOOK_EVERY)
        return job

    def ask(self, payload: Payload, *arguments: str | Remote) -> bytes:
        """Runs `cluster.on_head` on the cluster as a job; the bytes of the envelope in its log."""
        job_id = new_job_id("request")
        line = entrypoint("cluster.on_head", *arguments)
        self.submit(job_id, payload, line, {KIND: REQUEST})
        try:
            job = self.wait(job_id, ANSWER_WITHIN)
            log = self.log(job_id)
        except BaseException:
            with contextlib.suppress(ClusterError):
                self.stop(job_id)
            raise
        if job.state != "SUCCEEDED":
            raise ClusterError(_complaint(log) or f"{job_id} {job.state}: {job.message}")
        content = read_envelope(log)
        if content is None:
            raise ClusterError(f"the answer of {job_id} was damaged on its way; try again")
        with self._ray_errors():
            self._client.delete_job(job_id)
        return content

    def lacks(self, payload: Payload, modules: Sequence[str]) -> list[str]:
        """Those of these top-level modules that Python on the head does not find, not in the
        payload either."""
        found: list[str] = json.loads(self.ask(payload, "lacks", json.dumps(list(modules))))
        return found

    @contextlib.contextmanager
    def _ray_errors(self) -> Iterator[None]:
        """Raises Ray's errors as `ClusterError`, in one line."""
        import ray.exceptions

        try:
            yield
        except (RuntimeError, OSError, ray.exceptions.RayError) as error:
            text = " ".join(str(error).split())[:500]
            raise ClusterError(f"the cluster at {self.head.url}: {text}") from None


def missing_extra(error: object) -> Mistake:
    """What to say where `ray[default]` is not installed."""
    remedy = "Install it: pip install 'backdoor-sweeps[cluster]', or pip install 'ray[default]'."
    return Mistake("ray", "must be installed with its extra `default`", str(error), remedy)


def _job(details: Any) -> Job:
    metadata = details.metadata or {}
    started = details.start_time
    since = datetime.datetime.fromtimestamp(started / 1000, datetime.UTC) if started else None
    return Job(
        job_id=details.submission_id or details.job_id,
        sweep=metadata.get("sweep", ""),
        state=str(getattr(details.status, "value", details.status)),
        started=since,
        results=metadata.get("results", ""),
        message=" ".join((details.message or "").split()),
        exit_code=details.driver_exit_code,
    )


def _complaint(log: str) -> str:
    """What `cluster.on_head` prints when it cannot answer; "" where it printed nothing."""
    found = re.findall(r"^cannot: (.*)$", log, re.M)
    return found[-1] if found else ""


@contextlib.contextmanager
def _unset(*names: str) -> Iterator[None]:
    kept = {name: os.environ.pop(name) for name in names if name in os.environ}
    try:
        yield
    finally:
        os.environ.update(kept)
