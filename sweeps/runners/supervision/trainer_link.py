"""The trainer as the supervisor sees it: a child process that is asked, watched and killed.

Only the standard library: see the package's docstring.
"""

from __future__ import annotations

import contextlib
import json
import math
import os
import signal
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from multiprocessing.connection import Connection
from typing import Any

from sweeps.runners.supervision.life import Watch

#: The first words of the trainer: it dies with this process, also while it imports.
START = (
    "import ctypes, os, sys; "
    "getattr(ctypes.CDLL(None), 'prctl', lambda *none: 0)(1, 9); "
    "os.getppid() == int(sys.argv[2]) or os._exit(1); "
    "from sweeps.runners.supervision.trainer import main; main(int(sys.argv[1]))"
)
#: Seconds between two looks at a trainer that works, and that it has to name where it hangs.
LOOK_EVERY, DUMP_WITHIN = 1.0, 2.0
#: Seconds in which a message that has begun must come to its end, and the bytes that it may have.
WHOLE_WITHIN, LARGEST = 20.0, 2**30
#: Bytes of a trainer's output that are kept, the last ones, and that it may grow to.
TAIL, MOST_OUTPUT = 16_384, 64 * 2**20


class TrainerGone(Exception):  # noqa: N818  (it has ended, for whatever reason)
    """The trainer ended, or was killed.

    how: in words. cause: `open`, `time`, `hang` or `memory`, as failures have it. log: the last
    lines of its output, with the traceback of a crash.
    """

    def __init__(self, how: str, cause: str, log: str) -> None:
        super().__init__(how)
        self.how, self.cause, self.log = how, cause, log


class _Late(Exception):  # noqa: N818
    """The time of a request is over."""


class Trainer:
    """A trainer, from its start to its end.

    hang_after: seconds without a sign of life after which it is killed.
    """

    def __init__(self, hang_after: float, spawner: ThreadPoolExecutor) -> None:
        """spawner: one thread that lives as long as this process: the system ends a child with the
        thread that started it."""
        self.hang_after = hang_after
        _killed_for_memory()  # those before this one do not count
        #: Trials whose images it makes, and measures that they are for, if it has said so.
        self.at: list[str] = []
        self.measures: list[str] = []
        self._watch: Watch | None = None
        self._looked = 0.0
        self._log = os.memfd_create("trainer-output") if hasattr(os, "memfd_create") else -1
        try:
            self._pipe, self._process = self._started(spawner)
        except BaseException:
            self._close_log()
            raise

    def _started(self, spawner: ThreadPoolExecutor) -> tuple[Connection, subprocess.Popen[bytes]]:
        """The new process, and the connection with it. Where it cannot be started, nothing stays
        open: it is tried again and again."""
        mine, its = socket.socketpair()
        with its:
            try:
                # One that is stopped in the middle of a message must not stop this process too.
                for option, seconds in (
                    (socket.SO_SNDTIMEO, self.hang_after),
                    (socket.SO_RCVTIMEO, min(self.hang_after, WHOLE_WITHIN)),
                ):
                    patience = struct.pack("ll", int(seconds) + 1, 0)
                    mine.setsockopt(socket.SOL_SOCKET, option, patience)
                process = spawner.submit(self._start, its.fileno()).result()
            except BaseException:
                mine.close()
                raise
        return Connection(mine.detach()), process

    def _start(self, descriptor: int) -> subprocess.Popen[bytes]:
        output = self._log if self._log >= 0 else subprocess.DEVNULL
        path = os.pathsep.join(filter(None, sys.path))
        return subprocess.Popen(
            [sys.executable, "-P", "-u", "-c", START, str(descriptor), str(os.getpid())],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            env=os.environ | {"PYTHONPATH": path},
            pass_fds=[descriptor],
            start_new_session=True,
        )

    @property
    def pid(self) -> int:
        return int(self._process.pid)

    def ask(
        self,
        request: dict[str, Any],
        content: bytes = b"",
        within: float | None = None,
        on_message: Callable[[dict[str, Any], bytes], dict[str, Any] | None] = lambda *_: None,
        on_wait: Callable[[], None] = lambda: None,
    ) -> tuple[dict[str, Any], bytes]:
        """Sends a request; the answer, a dictionary with the key `done`, and its content.

        within: seconds. on_message: gets what comes before the answer; what it returns is sent.
        on_wait: called about every `LOOK_EVERY` seconds.

        Raises:
            TrainerGone: the trainer ended, hung, or took too long; it does not run any more.
        """
        ends = math.inf if within is None else time.monotonic() + within
        self.at, self.measures, self._watch = [], [], None
        self._looked = time.monotonic()
        try:
            self._send(request, content)
            while True:
                message, blob = self._receive(ends, on_wait)
                if "done" in message:
                    return message, blob
                if "at" in message:
                    self.at, self.measures = message["at"], message["measures"]
                elif (reply := on_message(message, blob)) is not None:
                    self._send(reply)
                if time.monotonic() > ends:
                    raise _Late
                self._look(on_wait)
        except _Late:
            raise self._killed(f"it took longer than {within:.0f} s", "time") from None
        except TrainerGone:
            raise
        except BaseException:
            self.kill()  # its answer would be taken for that of the next request
            raise

    @property
    def alive(self) -> bool:
        """Whether it can be asked."""
        return self._process.poll() is None

    @contextlib.contextmanager
    def _connected(self) -> Iterator[None]:
        """Inside, what the connection raises is said as the end of the trainer."""
        try:
            yield
        except BlockingIOError:  # in the middle of a message
            raise (self._silent() if self.alive else self._ended()) from None
        except (EOFError, OSError):
            raise self._ended() from None

    def _send(self, message: dict[str, Any], content: bytes = b"") -> None:
        with self._connected():
            self._pipe.send_bytes(json.dumps(message).encode())
            self._pipe.send_bytes(content)

    def _receive(self, ends: float, on_wait: Callable[[], None]) -> tuple[dict[str, Any], bytes]:
        while not self._has_message(min(LOOK_EVERY, max(0.0, ends - time.monotonic()))):
            if time.monotonic() > ends:
                raise _Late
            self._look(on_wait)
        with self._connected():
            text, content = self._pipe.recv_bytes(LARGEST), self._pipe.recv_bytes(LARGEST)
        try:
            return dict(json.loads(text)), content
        except (TypeError, ValueError):
            self.kill()
            how = "it sent what is no message: code of users has written to its connection"
            raise TrainerGone(how, "open", self.output()) from None

    def _has_message(self, seconds: float) -> bool:
        """Waits so long for one."""
        with self._connected():
            if self._pipe.poll(seconds):
                return True
            if self.alive:
                return False
            if self._pipe.poll():
                return True
            raise EOFError  # what it has started may keep its end of the connection open

    def _look(self, on_wait: Callable[[], None]) -> None:
        """Every `LOOK_EVERY` seconds, also while it says much."""
        if time.monotonic() - self._looked < LOOK_EVERY:
            return
        self._looked = time.monotonic()
        # Not from the start: most packs are trained before a first look has come to its end.
        self._watch = self._watch or Watch(self.pid, self.hang_after)
        if self._watch.hung():
            raise self._silent()
        self._shorten()
        on_wait()

    def _silent(self) -> TrainerGone:
        how = f"no sign of life for {self.hang_after:.0f} s: no processor time, no input or output"
        return self._killed(how, "hang")

    def _killed(self, how: str, cause: str) -> TrainerGone:
        """Kills the trainer, which says before where it is, if it still can."""
        with contextlib.suppress(OSError):
            os.kill(self.pid, signal.SIGUSR1)
        limit, size = time.monotonic() + DUMP_WITHIN, self._size()
        while time.monotonic() < limit and self._size() == size:
            time.sleep(0.05)
        time.sleep(0.1)  # the dump is written in several pieces
        self.kill()
        return TrainerGone(how, cause, self.output())

    def _ended(self) -> TrainerGone:
        """The trainer has closed its end of the pipe: how it ended."""
        try:
            code = self._process.wait(5)
        except subprocess.TimeoutExpired:
            self.kill()
            return TrainerGone("it does not answer any more", "open", self.output())
        return TrainerGone(*_how_it_ended(code), self.output())

    def kill(self) -> None:
        """Ends it and all that it started, at once."""
        with contextlib.suppress(OSError):
            os.killpg(self.pid, signal.SIGKILL)  # it leads a session of its own
        with contextlib.suppress(OSError):
            self._process.kill()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(5)
        with contextlib.suppress(OSError):
            self._pipe.close()

    # --- its output -------------------------------------------------------------------------

    def output(self) -> str:
        """The last lines that it printed since `forget_output`."""
        if self._log < 0:
            return ""
        size = self._size()
        text = os.pread(self._log, TAIL, max(0, size - TAIL)).decode("utf-8", "replace")
        return text if size <= TAIL else f"... ({size - TAIL} bytes before this)\n{text}"

    def forget_output(self) -> None:
        """What it prints from now on belongs to another pack."""
        if self._log >= 0:
            os.ftruncate(self._log, 0)
            os.lseek(self._log, 0, os.SEEK_SET)  # the offset is shared with the trainer

    def _size(self) -> int:
        return os.fstat(self._log).st_size if self._log >= 0 else 0

    def _shorten(self) -> None:
        """Output is kept in memory: one that prints all the time must not fill it."""
        if self._size() > MOST_OUTPUT:
            self.forget_output()

    def close(self) -> None:
        """Ends it, and frees what it held."""
        self.kill()
        self._close_log()

    def _close_log(self) -> None:
        if self._log >= 0:
            os.close(self._log)
            self._log = -1


def _how_it_ended(code: int) -> tuple[str, str]:
    """The end of a process in words, and the cause as failures have it."""
    if code >= 0:
        return f"the process ended with exit code {code}, without a result", "open"
    try:
        name = signal.Signals(-code).name
    except ValueError:
        name = f"signal {-code}"
    if -code == signal.SIGKILL and _killed_for_memory():
        return "the system killed the process, since memory was short", "memory"
    return f"the process was ended by {name}", "open"


#: Processes that the system had killed for lack of memory when this one started to look.
_before = [0]


def _killed_for_memory() -> bool:
    """Whether the system has killed a process for lack of memory since the last look."""
    count = 0
    with contextlib.suppress(OSError, ValueError), open("/proc/vmstat", "rb") as stream:
        for line in stream:
            if line.startswith(b"oom_kill "):
                count = int(line.split()[1])
    found, _before[0] = count > _before[0], count
    return found
