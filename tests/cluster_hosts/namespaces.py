"""Namespaces of Linux: those in which a process lives, commands in them, whether they can be made.

The first process of each set only waits. When it is killed, the kernel kills all others in there
and takes its network and its mounts away, so nothing needs to be cleaned up; and it is killed when
the process ends that made it.
"""

from __future__ import annotations

import contextlib
import functools
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

#: Of util-linux and iproute2.
TOOLS = ("unshare", "nsenter", "setpriv", "mount", "ip")
#: The first process: it reaps children that lost their parent, and waits.
_FIRST = (
    "import signal, time\n"
    "signal.signal(signal.SIGCHLD, signal.SIG_IGN)\n"
    "print('here', flush=True)\n"
    "while True: time.sleep(3600)\n"
)
_ALL = ("--mount", "--net", "--uts", "--ipc", "--pid")


@dataclass(frozen=True)
class Namespaces:
    """A set of its own of every kind but users and control groups. pid: of its first process, as
    this machine numbers it."""

    pid: int
    keeper: subprocess.Popen[str]

    def command(self, *line: str) -> list[str]:
        """The command line that runs another one in there."""
        return ["nsenter", f"--target={self.pid}", *_ALL, "--", *line]

    def shell(self, script: str) -> None:
        """Runs a script of the shell in there, which must succeed."""
        done = subprocess.run(
            self.command("sh", "-ec", script), capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, f"{script}\n{done.stdout}{done.stderr}"

    def path(self, place: str) -> Path:
        """A file of theirs as this process reaches it."""
        return Path(f"/proc/{self.pid}/root") / place.lstrip("/")

    def kill(self) -> None:
        """Ends every process in there at once, as a power cut does."""
        if self.keeper.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGKILL)
        self.keeper.communicate()


def make(inside: Namespaces | None = None) -> Namespaces:
    """New namespaces; inside: those whose end ends these too."""
    line = [
        "unshare",
        *_ALL,
        "--fork",
        "--kill-child=KILL",
        "--mount-proc",
        "--propagation=private",
    ]
    line = ["setpriv", "--pdeathsig=KILL", *line, sys.executable, "-S", "-c", _FIRST]
    keeper = subprocess.Popen(
        line if inside is None else inside.command(*line),
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert keeper.stdout is not None and keeper.stderr is not None
    if keeper.stdout.readline() != "here\n":
        keeper.kill()
        raise OSError(keeper.communicate()[1].strip() or "namespaces cannot be made")
    return Namespaces(_last_child(keeper.pid), keeper)


def _last_child(pid: int) -> int:
    """The process at the end of a line of only children."""
    while children := Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
        pid = int(children[0])
    return pid


@functools.cache
def reason_against() -> str:
    """Why this machine cannot make the hosts; "" where it can."""
    if not sys.platform.startswith("linux") or os.geteuid() != 0:
        return "needs root on Linux"
    if missing := [tool for tool in TOOLS if shutil.which(tool) is None]:
        return f"needs {', '.join(missing)}"
    try:
        made = make()
    except OSError as error:
        return f"needs namespaces: {error}"
    try:
        made.shell("ip link add switch type bridge && ip link add one type veth peer name two")
        made.shell("mount -t tmpfs none /mnt")
    except AssertionError as error:
        return f"needs a bridge, veth and tmpfs in namespaces: {' '.join(str(error).split())}"
    finally:
        made.kill()
    return ""


def wait_for(what: str, seen: Callable[[], object], seconds: float, every: float = 0.1) -> float:
    """Waits until `seen()` is true; seconds that it took. what: named where it never is."""
    begun = time.monotonic()
    while not seen():
        passed = time.monotonic() - begun
        assert passed < seconds, f"not within {seconds} s: {what}"
        time.sleep(every)
    return time.monotonic() - begun
