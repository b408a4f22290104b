"""The Ray that a sweep starts for itself: out of reach of signals that are meant for the sweep, on
loopback, without the parts that a sweep does not use, and gone when the sweep is.

`ray.init` has no options for these, so they are set around it. How this works with Ray 2.60:

- `services.ConsolePopen` starts every process of a head. Each gets a session of its own, since
  `timeout` and the terminal signal the process group of the sweep, and SIGTERM blocked, since
  systemd and Slurm signal every process they find. Workers inherit both from the raylet. Ray asks
  the kernel to kill each process with its parent; that still holds.
- Where `ENABLE_RAY_CLUSTER` is false, as on macOS, a node's address is that of loopback, and all
  processes listen there only. Agents read the environment variable for the same.
- The monitor serves autoscaling and the API server counts usage; both listen as well. Metrics are
  served without a token, so they are off.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import signal
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import ray
from ray._private import node, ray_constants, services, worker

from sweeps.runners.processes import kill
from sweeps.runners.watcher import Watcher, end_members, members

#: The name of a variable by which the processes of one head are known.
MARK = "BACKDOOR_SWEEPS_HEAD"
#: What processes of the head read from the environment.
HEAD_ENVIRONMENT = {
    "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",  # addresses are those of loopback
    "RAY_enable_metrics_collection": "0",  # metrics are served to everybody
}


class LocalHead:
    """The processes of one local Ray, from `starting` to `end`."""

    def __init__(self) -> None:
        #: The environment variable that all its processes begin with.
        self.mark = f"{MARK}={os.getpid()}-{secrets.token_hex(4)}"
        self._watcher = Watcher(self.mark)
        #: Sessions of the head's processes, those of their children too.
        self.sessions: set[int] = set()

    @contextlib.contextmanager
    def starting(self) -> Iterator[None]:
        """Within: `ray.init(address="local")` starts a head as described above."""
        with contextlib.ExitStack() as changed:
            variables = HEAD_ENVIRONMENT | dict([self.mark.split("=")])
            changed.enter_context(_with_variables(variables))
            changed.enter_context(on_loopback())
            for where, name, other in (
                (services, "ConsolePopen", self._popen()),
                (node.Node, "start_monitor", _unused),
                (node.Node, "start_api_server", _unused),
            ):
                changed.enter_context(_replaced(where, name, other))
            yield

    def _popen(self) -> type:
        """What starts a process of the head."""
        add = self._add

        class OwnSession(services.ConsolePopen):  # type: ignore[misc]  # ray has no types
            def __init__(self, *arguments: Any, **options: Any) -> None:
                prepare: Callable[[], None] = options.pop("preexec_fn", None) or _nothing

                def prepared() -> None:
                    prepare()
                    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})

                options |= {"preexec_fn": prepared, "start_new_session": True}
                super().__init__(*arguments, **options)
                add(self.pid)

        return OwnSession

    def _add(self, session: int) -> None:
        self.sessions.add(session)
        self._watcher.add(session)

    def processes(self) -> list[int]:
        """Processes that run: those of Ray, and what packs have started."""
        return members(self.sessions, self.mark)

    def end(self) -> None:
        """Disconnects, and kills what was started. Ray itself would wait a second for each
        process, and leave what packs have started."""
        # Without a process of ours, the node of this process is somebody else's.
        own = getattr(worker, "_global_node", None) if self.sessions else None
        if own is not None:
            worker._global_node = None  # `shutdown` leaves the processes alone then
        try:
            ray.shutdown()
        finally:
            kill(self.processes())
            if own is not None:
                own.kill_all_processes(check_alive=False, allow_graceful=False)
            end_members(self.sessions, self.mark)
            self._watcher.close()


def _unused(self: Any, *arguments: Any, **options: Any) -> None:
    """In place of the start of a process that a sweep does not need."""


def _nothing() -> None:
    """Nothing is done before a process starts."""


@contextlib.contextmanager
def on_loopback() -> Iterator[None]:
    """Within: Ray takes 127.0.0.1 for this machine's address, as on macOS."""
    with _replaced(ray_constants, "ENABLE_RAY_CLUSTER", False):
        yield


@contextlib.contextmanager
def _replaced(where: Any, name: str, other: Any) -> Iterator[None]:
    """Within: an attribute has another value."""
    before = getattr(where, name)
    setattr(where, name, other)
    try:
        yield
    finally:
        setattr(where, name, before)


@contextlib.contextmanager
def _with_variables(variables: Mapping[str, str]) -> Iterator[None]:
    """Within: the environment has these."""
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
