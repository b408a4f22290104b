"""The mirror as a process of its own beside a running sweep, which it can neither stop nor slow.

The sweep holds one end of a pipe. A line on it says that there are new rows; its end says that
the sweep has ended, or was killed. The process writes what it does to `mirror.log`. If it is killed
itself, for instance where memory is short, it is started again.
"""

from __future__ import annotations

import contextlib
import math
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from sweeps.addresses import secrets_of
from sweeps.mirror.tracking_store import UNUSABLE, elsewhere
from sweeps.storage.files import new_private
from sweeps.storage.paths import SweepPaths
from sweeps.storage.shell import command
from sweeps.storage.tracking_uri import VARIABLE

#: The priority number of the process, the last there is: Ray gives its workers 15.
NICENESS = 19
#: Seconds between two checks of the process while it is awaited.
LOOK_EVERY = 0.1
#: How often a process is started again that was killed.
RESTARTS = 3
#: How the last line of the log begins where the process itself could not go on.
FAILED = "not mirrored: "


class MirrorProcess:
    """Mirrors a sweep to MLflow while it runs. No method raises for a fault of the mirror.

    stall: seconds without a new line in the log after which `finish` gives the process up.
    uri: the address of the store as the spec has it, if it does: with the secret that sweep.json
    lacks. The process gets it in its environment, which nobody else can read.
    """

    def __init__(self, paths: SweepPaths, stall: float = 60.0, uri: str | None = None) -> None:
        self.paths, self.stall, self.uri = paths, stall, uri
        self._process: subprocess.Popen[bytes] | None = None
        self._fault = "it was not started"
        self._again = 0
        #: Whether it was asked to start.
        self.required = False
        #: Trials that MLflow has, and of all, as far as the process has said so.
        self.reached: tuple[int, int] | None = None

    def start(self) -> None:
        """Starts the process in a session of its own, out of reach of Ctrl-C in the terminal."""
        self.required = True
        try:
            new_private(self.paths.mirror_log).close()
        except OSError as error:
            self._fault = f"it did not start: {error}"
        else:
            self._launch()

    def _launch(self) -> None:
        line = [sys.executable, "-m", "sweeps.mirror.follower", str(self.paths.root.resolve())]
        try:
            with self.paths.mirror_log.open("ab") as log:
                self._process = subprocess.Popen(
                    line,
                    stdin=subprocess.PIPE,
                    stdout=log,
                    stderr=log,
                    bufsize=0,
                    env=_environment(self.uri),
                    start_new_session=True,
                )
            assert self._process.stdin is not None
            os.set_blocking(self._process.stdin.fileno(), False)
            os.setpriority(os.PRIO_PROCESS, self._process.pid, NICENESS)
        except OSError as error:
            self._fault = f"it did not start: {error}"

    def _launch_again(self) -> bool:
        """Starts the process again that was killed; False where that was tried often enough. The
        new one finds what the old one wrote, and writes the rest."""
        if self._again >= RESTARTS:
            return False
        self._again += 1
        self._close()
        self._launch()
        return True

    @property
    def pid(self) -> int | None:
        """Of the process; None before `start`."""
        return None if self._process is None else self._process.pid

    def notify(self) -> None:
        """Reports that there are new rows, without waiting for a full pipe. A process that was
        killed is started again."""
        if self._process is None:
            return
        if self._process.poll() is not None and not self._launch_again():
            return
        if self._process.stdin is not None:
            with contextlib.suppress(OSError, ValueError):
                self._process.stdin.write(b"\n")

    def end(self) -> None:
        """Reports that there will be no more rows: the process writes what is left, and ends."""
        if self._process is not None and self._process.poll() is not None:
            self._launch_again()
        self._close()

    def stop(self) -> None:
        """Ends the process at once. What MLflow lacks can be sent later."""
        if self._process is not None:
            self._close()
            self._process.kill()
            self._process.wait()

    def _close(self) -> None:
        if self._process is not None and self._process.stdin is not None:
            with contextlib.suppress(OSError):
                self._process.stdin.close()

    def finish(
        self,
        on_wait: Callable[[int, int], None] | None = None,
        within: float = math.inf,
    ) -> str | None:
        """Waits until all is mirrored; a warning in one line where that fails.

        `on_wait(done, total)` is called with the number of trials that MLflow has, and of all,
        whenever the first grows. within: seconds after which the process is ended, all the same
        whether it makes progress.
        """
        self._close()
        deadline = time.monotonic() + within
        while self._process is not None:
            if not self._wait(self._process, on_wait or (lambda done, total: None), deadline):
                self.stop()
                stalled = time.monotonic() < deadline
                return self._warning(
                    f"no progress for {self.stall:g} s" if stalled else "it was ended"
                )
            code, line = self._process.returncode, self._last_line()
            if code == 0:
                return None
            if code > 0 and line.startswith(FAILED):
                return self._warning(line)
            if not self._launch_again():
                return self._warning(f"it ended with {code}{': ' * (code > 0)}{line * (code > 0)}")
            self._close()
        return self._warning(self._fault)

    def _wait(
        self,
        process: subprocess.Popen[bytes],
        on_wait: Callable[[int, int], None],
        deadline: float,
    ) -> bool:
        """True when the process has ended, False when it has stalled or the time is over."""
        line, since = self._last_line(), time.monotonic()
        self._note(line, lambda done, total: None)  # `total` was that of an earlier moment
        while time.monotonic() < min(since + self.stall, deadline):
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(LOOK_EVERY)
                return True
            if (now := self._last_line()) != line:
                line, since = now, time.monotonic()
                self._note(line, on_wait)
        return process.poll() is not None

    def _note(self, line: str, on_wait: Callable[[int, int], None]) -> None:
        """Reads a count from the log. A process that was started again, or lost its connection,
        counts from the beginning: what MLflow had before, it still has."""
        if found := re.match(r"mirrored (\d+)/(\d+)", line):
            done, total = int(found[1]), int(found[2])
            if self.reached is None or done > self.reached[0]:
                self.reached = done, total
                on_wait(done, total)

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
        reason = reason.removeprefix(FAILED).rstrip(".")
        # The process knows the folder by its whole path.
        reason = reason.replace(repr(str(self.paths.root.resolve())), repr(str(self.paths.root)))
        missing = f"Some results are not in MLflow yet: {reason}."
        if all(words in reason for words in UNUSABLE):
            return (
                f"{missing} Nothing is lost. The first run fixed this address: start the store or "
                f"repair it, then use: {again}   or send them elsewhere: {elsewhere(self.paths)}"
            )
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
