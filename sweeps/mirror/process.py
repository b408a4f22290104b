"""The mirror as a process of its own beside a running sweep, which it can neither stop nor slow.

The sweep holds one end of a pipe. A line on it says that there are new rows; its end says that
the sweep has ended, or was killed. The process writes what it does to `mirror.log`.
"""

from __future__ import annotations

import contextlib
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from sweeps.storage.addresses import secrets_of
from sweeps.storage.files import new_private
from sweeps.storage.paths import SweepPaths
from sweeps.storage.shell import command
from sweeps.storage.tracking_uri import VARIABLE

#: The priority number of the process, the last there is: Ray gives its workers 15.
NICENESS = 19
#: Seconds between two checks of the process while it is awaited.
LOOK_EVERY = 0.1


class MirrorProcess:
    """Mirrors a sweep to MLflow while it runs. No method raises for a fault of the mirror.

    stall: seconds without a new line in the log after which `finish` gives the process up.
    uri: the address of the store as the spec has it, if it does: with the secret that sweep.json
    lacks. The process gets it in its environment, which nobody else can read.
    """

    def __init__(self, paths: SweepPaths, stall: float = 60.0, uri: str | None = None) -> None:
        self.paths, self.stall, self._uri = paths, stall, uri
        self._process: subprocess.Popen[bytes] | None = None
        self._fault = "it was not started"

    def start(self) -> None:
        """Starts the process in a session of its own, out of reach of Ctrl-C in the terminal."""
        line = [sys.executable, "-m", "sweeps.mirror.follower", str(self.paths.root.resolve())]
        try:
            with new_private(self.paths.mirror_log) as log:
                self._process = subprocess.Popen(
                    line,
                    stdin=subprocess.PIPE,
                    stdout=log,
                    stderr=log,
                    bufsize=0,
                    env=_environment(self._uri),
                    start_new_session=True,
                )
            assert self._process.stdin is not None
            os.set_blocking(self._process.stdin.fileno(), False)
            os.setpriority(os.PRIO_PROCESS, self._process.pid, NICENESS)
        except OSError as error:
            self._fault = f"it did not start: {error}"

    @property
    def pid(self) -> int | None:
        """Of the process; None before `start`."""
        return None if self._process is None else self._process.pid

    def notify(self) -> None:
        """Reports that there are new rows, without waiting for a full pipe or a dead process."""
        if self._process is not None and self._process.stdin is not None:
            with contextlib.suppress(OSError, ValueError):
                self._process.stdin.write(b"\n")

    def finish(self, on_wait: Callable[[int, int], None] | None = None) -> str | None:
        """Waits until all is mirrored; a warning in one line where that fails.

        `on_wait(done, total)` is called with the number of trials that MLflow has, and of all,
        whenever the first changes.
        """
        if self._process is None:
            return self._warning(self._fault)
        if self._process.stdin is not None:
            with contextlib.suppress(OSError):
                self._process.stdin.close()
        if not self._wait(self._process, on_wait or (lambda done, total: None)):
            self._process.kill()
            self._process.wait()
            return self._warning(f"no progress for {self.stall:g} s")
        if self._process.returncode == 0:
            return None
        return self._warning(self._last_line() or f"it ended with {self._process.returncode}")

    def _wait(self, process: subprocess.Popen[bytes], on_wait: Callable[[int, int], None]) -> bool:
        """True when the process has ended, False when it has stalled."""
        line, since = self._last_line(), time.monotonic()
        while time.monotonic() - since < self.stall:
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(LOOK_EVERY)
                return True
            if (now := self._last_line()) != line:
                line, since = now, time.monotonic()
                if found := re.match(r"mirrored (\d+)/(\d+)", line):
                    on_wait(int(found[1]), int(found[2]))
        return False

    def _last_line(self) -> str:
        """Of the log, without what could move a terminal's cursor."""
        try:
            with self.paths.mirror_log.open("rb") as log:
                log.seek(max(0, log.seek(0, os.SEEK_END) - 4096))
                lines = log.read().decode(errors="replace").split("\n")
        except OSError:
            return ""
        lines = ["".join(c for c in line if c.isprintable()).strip() for line in lines]
        return next((line for line in reversed(lines) if line), "")

    def _warning(self, reason: str) -> str:
        again = command("sweeps", "mirror", self.paths.root)
        reason = reason.removeprefix("not mirrored: ").rstrip(".")
        missing = f"Some results are not in MLflow yet: {reason}."
        return f"{missing} Nothing is lost. Send them with: {again}"


def _environment(uri: str | None) -> dict[str, str]:
    """That of this process, changed so that the other one imports our packages, and no file of the
    same name in the working directory."""
    root = str(Path(__file__).resolve().parents[2])
    others = [p for p in os.environ.get("PYTHONPATH", "").split(os.pathsep) if p]
    path = os.pathsep.join([root, *others])
    changed = {"PYTHONPATH": path, "PYTHONSAFEPATH": "1", "PYTHONUNBUFFERED": "1"}
    if uri is not None and secrets_of(uri):
        changed[VARIABLE] = uri
    return {**os.environ, **changed}
