"""The trainer: a process that trains the packs it is given, and says which images it makes.

It talks with its supervisor over one connection: a line of JSON and bytes for each message.

    load     the packs of a chunk, and whether to check the node  → what is wrong with it
    train    one of these packs, or the reference trial             → its rows, or the failure
"""

from __future__ import annotations

import faulthandler
import fcntl
import json
import os
import signal
import sys
import threading
from collections.abc import Callable
from contextlib import AbstractContextManager
from multiprocessing.connection import Connection
from typing import Any

from sweeps.runners.processes import ignore_sigterm
from sweeps.runners.supervision.life import stat_of

#: Seconds without a request after which it looks whether its supervisor is stopped, and how often
#: it must see that.
IDLE, LOOKS = 20.0, 3
#: The number from which its connection has its descriptor.
HIGH = 900


def main(descriptor: int) -> None:
    """Serves until the connection ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the driver
    ignore_sigterm()  # processes of users' code must end by it
    faulthandler.enable(sys.stderr)
    if hasattr(faulthandler, "register"):
        faulthandler.register(signal.SIGUSR1, sys.stderr, all_threads=True)
    server = _Server(Connection(_out_of_the_way(descriptor)))
    try:
        while True:
            server.answer(*server.next_request())
    except EOFError:
        os._exit(0)  # the supervisor is gone; threads of libraries are not waited for


def _out_of_the_way(descriptor: int) -> int:
    """The connection under a high number: code of users that closes descriptors, or writes to them,
    uses low ones."""
    try:
        high = fcntl.fcntl(descriptor, fcntl.F_DUPFD_CLOEXEC, HIGH)
    except OSError:
        return descriptor
    os.close(descriptor)
    return high


class _Stopped(BaseException):
    """The trial was stopped by what it reported. No handler of errors is to take it for one."""


class _Server:
    def __init__(self, pipe: Connection) -> None:
        self.pipe = pipe
        self._work: Callable[..., Any] | None = None
        self._packs: list[Any] = []
        self._reference: Any = None
        self._lock, self._own = threading.Lock(), os.getpid()

    def _leave_if_forked(self) -> None:
        """A fork by code of users that comes back here must not answer as well."""
        if os.getpid() != self._own:
            os._exit(1)

    def next_request(self) -> tuple[dict[str, Any], bytes]:
        self._leave_if_forked()
        seen = 0
        while not self.pipe.poll(IDLE):
            seen = seen + 1 if _is_stopped(os.getppid()) else 0
            if seen >= LOOKS:  # Ray would wait for it for ever
                os.kill(os.getppid(), signal.SIGKILL)
        return json.loads(self.pipe.recv_bytes()), self.pipe.recv_bytes()

    def send(self, message: dict[str, Any], content: bytes = b"") -> None:
        self._leave_if_forked()
        with self._lock:
            self.pipe.send_bytes(json.dumps(message).encode())
            self.pipe.send_bytes(content)

    def answer(self, request: dict[str, Any], content: bytes) -> None:
        if request["do"] == "work":
            from ray import cloudpickle

            self._work = cloudpickle.loads(content)
            self.send({"done": True})
        elif request["do"] == "load":
            self.send({"done": True, "unfit": self._load(request, content.decode())})
        else:
            self._train(request)

    def _load(self, request: dict[str, Any], text: str) -> list[str]:
        """Reads a chunk; lines that say what this node lacks for it."""
        from sweeps.packs.chunk import Chunk
        from sweeps.runners.node_check import check_chunk_text

        unfit: list[str] = []
        if request["check"]:
            chunk, unfit = check_chunk_text(text, request.get("data"))
            if chunk is None:
                return unfit
        else:
            chunk = Chunk.from_json(text)
        if request["reference"]:
            (self._reference,) = chunk.packs
        else:
            self._packs = list(chunk.packs)
        return unfit

    def _train(self, request: dict[str, Any]) -> None:
        from sweeps.ledger import encode
        from sweeps.runners.fault import failure_of
        from sweeps.runners.worker import attempt, train_pack

        pack = self._reference if request["reference"] else self._packs[request["pack"]]
        hooks = self._hooks(pack) if pack.may_stop and not request["reference"] else {}
        try:
            with self._saying_where():
                rows, failure = attempt(self._work or train_pack, pack, **hooks)
            content = b"" if rows is None else encode(rows)
            if rows is None and failure is None:
                raise TypeError("the training returned no rows")
        except _Stopped:
            self.send({"done": True, "stopped": True})  # what it reported last is recorded
            return
        except BaseException as error:  # such as KeyboardInterrupt, which nobody types here
            content, failure = b"", failure_of(error)
        told = {} if failure is None else {"failure": failure.plain()}
        self.send({"done": True} | told, content)

    def _saying_where(self) -> AbstractContextManager[Any]:
        from backdoor.working_on import listening

        measures: list[str] = []

        def measuring(measure_ids: tuple[str, ...]) -> None:
            measures[:] = measure_ids

        def working(trial_ids: tuple[str, ...]) -> None:
            self.send({"at": list(trial_ids), "measures": measures})

        return listening(working, measuring)

    def _hooks(self, pack: Any) -> dict[str, Any]:
        """The keyword arguments of `work` for a trial that may be stopped."""
        from sweeps.early_stopping.rules import partial_metrics
        from sweeps.ledger import encode, partial_rows

        def report(partial: Any) -> None:
            settings = pack.settings
            rows = partial_rows([partial], pack.pack_id, settings.cpu, settings.gpu)
            metrics = {"epoch": partial.epochs_run, **partial_metrics(partial)}
            self.send({"partial": metrics}, encode(rows))
            reply, _ = self.next_request()
            if not reply["go"]:
                raise _Stopped

        return {"on_progress": report}


def _is_stopped(pid: int) -> bool:
    """Whether a process was stopped by a signal."""
    fields = stat_of(pid)
    return fields is not None and fields[0] == b"T"
