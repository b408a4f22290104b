"""A small process that ends what a killed sweep has left of its Ray.

The kernel ends Ray's GCS and raylet with the process that started them. What the raylet started
notices by itself: workers within seconds, Ray's agents after a minute in which they try to report
it, and a process that a pack has started never.

This file is the program as well: it is run by its path, without the packages of an environment, so
that it starts in milliseconds and needs little memory.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Collection
from pathlib import Path

#: Seconds for which what starts while others are ended is looked for.
LOOK_FOR = 5.0
#: Seconds between two looks at the sweep where the kernel does not tell that it has ended.
LOOK_EVERY = 1.0
#: Signals that are meant for the sweep, and that this process outlives.
_OTHERS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


#: Process ids of the watchers that this process has started. Whoever ends its children leaves
#: these out: they end what it leaves behind.
watching: set[int] = set()


class Watcher:
    """Ends sessions of processes when this process is gone, however it ended.

    mark: NAME=VALUE of an environment variable; processes that began with it end as well, for
    instance one with a session of its own.
    """

    def __init__(self, mark: str) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-I", "-S", __file__, str(os.getpid()), mark],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            bufsize=0,
            start_new_session=True,
            cwd="/",
            preexec_fn=_blocked,
        )
        watching.add(self._process.pid)

    @property
    def pid(self) -> int:
        return self._process.pid

    def add(self, session: int) -> None:
        """Takes charge of a session."""
        assert self._process.stdin is not None
        with contextlib.suppress(OSError):
            self._process.stdin.write(f"{session}\n".encode())

    def close(self) -> None:
        """Ends the process: the sessions are gone."""
        watching.discard(self._process.pid)
        self._process.kill()
        self._process.wait()
        assert self._process.stdin is not None
        self._process.stdin.close()


def _blocked() -> None:
    signal.pthread_sigmask(signal.SIG_BLOCK, _OTHERS)


def members(sessions: Collection[int], mark: str) -> list[int]:
    """Processes that run, and are of these sessions or began with this environment variable."""
    found, marked = list[int](), b"\0" + mark.encode() + b"\0"
    for entry in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError, ValueError, IndexError):
            # The name in parentheses may hold spaces; the fields are counted from its end.
            fields = entry.read_text(errors="replace").rpartition(")")[2].split()
            belongs = int(fields[3]) in sessions or marked in _environment(entry.parent)
            if belongs and fields[0] not in "ZX":
                found.append(int(entry.parent.name))
    return found


def _environment(process: Path) -> bytes:
    """Variables that a process began with, each between two null bytes; those of others, and of a
    process that has written its title over them, are unknown."""
    with contextlib.suppress(OSError):
        return b"\0" + (process / "environ").read_bytes()
    return b""


def _sessions_named(source: int, watched: int) -> set[int]:
    """The sessions that were named until the watched process has ended."""
    content, at = b"", [source]
    with contextlib.suppress(AttributeError, OSError):  # an old kernel: only the pipe tells
        at.append(os.pidfd_open(watched))
    # A fork of the sweep may hold the pipe, so its end is not all that counts.
    while os.getppid() == watched:
        ready, _, _ = select.select(at, [], [], None if len(at) == 2 else LOOK_EVERY)
        read = os.read(source, 65536) if source in ready else b""
        content += read
        if ready and not read:
            break
    return {int(line) for line in (content + _rest(source)).split(b"\n")[:-1]}


def _rest(source: int) -> bytes:
    os.set_blocking(source, False)
    try:
        return os.read(source, 65536)
    except OSError:
        return b""


def end_members(sessions: Collection[int], mark: str, look_for: float = LOOK_FOR) -> None:
    """Kills the members until there are none, or for so many seconds."""
    until = time.monotonic() + look_for
    while (left := members(sessions, mark)) and time.monotonic() < until:
        for each in left:
            with contextlib.suppress(OSError):
                os.kill(each, signal.SIGKILL)
        time.sleep(0.02)


if __name__ == "__main__":
    end_members(_sessions_named(sys.stdin.fileno(), int(sys.argv[1])), sys.argv[2])
