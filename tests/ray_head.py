"""A real Ray head on loopback with a token, on free ports, stopped with all its processes at the end."""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class RayHead:
    """folder: all it writes, `home` (of the user who runs it) and `token` among them. address: of
    Ray itself, as RAY_ADDRESS has it; url: of its Jobs API."""

    url: str
    folder: Path
    address: str

    @property
    def token(self) -> Path:
        return self.folder / "token"

    @property
    def home(self) -> Path:
        return self.folder / "home"


def free_ports(count: int) -> list[int]:
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]


@contextlib.contextmanager
def ray_head(cpus: int = 2, **more: str) -> Iterator[RayHead]:
    """more: variables of its environment."""
    # Ray's sockets need a short path; our Python is not on the PATH, as for many users.
    folder = Path(tempfile.mkdtemp(prefix="bs-head-", dir="/tmp"))
    gcs, dashboard, client, agent = free_ports(4)
    head = RayHead(f"http://127.0.0.1:{dashboard}", folder, f"127.0.0.1:{gcs}")
    head.home.mkdir()
    head.token.touch(mode=0o600)
    head.token.write_text(secrets.token_hex(32))
    environ = {
        "HOME": str(head.home), "PATH": "/usr/bin:/bin", "RAY_AUTH_MODE": "token",
        "RAY_AUTH_TOKEN_PATH": str(head.token), "RAY_USAGE_STATS_ENABLED": "0",
        "BACKDOOR_CACHE": os.environ["BACKDOOR_CACHE"], **more,
    }  # fmt: skip
    line = [
        str(Path(sys.executable).with_name("ray")), "start", "--head", "--node-ip-address=127.0.0.1",
        f"--port={gcs}", "--dashboard-host=127.0.0.1", f"--dashboard-port={dashboard}",
        f"--ray-client-server-port={client}", f"--dashboard-agent-listen-port={agent}",
        f"--num-cpus={cpus}", "--object-store-memory=100000000", f"--temp-dir={folder}/ray",
    ]  # fmt: skip
    try:
        done = subprocess.run(line, env=environ, cwd=folder, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr
        yield head
    finally:
        while pids := processes_of(folder):
            for pid in pids:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            time.sleep(0.05)
        shutil.rmtree(folder, ignore_errors=True)


def processes_of(folder: Path) -> list[int]:
    """Running processes that name the folder in their command line, or hold a file in it."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if process.joinpath("stat").read_text().rpartition(")")[2].split()[0] == "Z":
                continue
            held = [
                os.readlink(process / "cwd"),
                process.joinpath("cmdline").read_text(errors="replace"),
            ]
            for handle in process.joinpath("fd").iterdir():
                with contextlib.suppress(OSError):
                    held.append(os.readlink(handle))
            if int(process.name) != os.getpid() and any(str(folder) in text for text in held):
                found.append(int(process.name))
    return found
