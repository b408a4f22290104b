"""A lab: hosts with disks, homes, names and addresses of their own, on a switch of its own.

All of it lies in namespaces inside one set of namespaces, disks in memory: nothing of it is seen in
the network of this machine or on its disk, and two labs never meet.
"""

from __future__ import annotations

import contextlib
import os
import shlex
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

import pytest

from cluster_hosts.namespaces import Namespaces, make, reason_against

ROOT = Path(__file__).parents[2]
NETWORK = "10.77.0"
#: Of each host: its disk, what Ray writes, the home of its user, and shared memory.
DISK, RAY, HOME = "/tmp", "/tmp/ray", "/tmp/home"
_HOSTS = "/run/lab/hosts"


@dataclass
class Host:
    """A machine of the lab. environ: what its user's processes start with."""

    name: str
    ip: str
    spaces: Namespaces
    switch: Namespaces
    environ: dict[str, str] = field(default_factory=dict)
    _started: list[subprocess.Popen[str]] = field(default_factory=list)

    def path(self, place: str) -> Path:
        """A file of this host as the test reaches it."""
        return self.spaces.path(place)

    def line(self, *words: str, environ: Mapping[str, str] | None = None) -> list[str]:
        """The command line that runs another one here, as this host's user, in its home."""
        variables = {**self.environ, **(environ or {})}
        pairs = [f"{name}={value}" for name, value in variables.items()]
        return self.spaces.command("env", "-i", "-C", HOME, *pairs, *words)

    def run(
        self, *words: str, environ: Mapping[str, str] | None = None, seconds: float = 120
    ) -> subprocess.CompletedProcess[str]:
        """Runs a command here to its end."""
        line = self.line(*words, environ=environ)
        return subprocess.run(line, capture_output=True, text=True, timeout=seconds, check=False)

    def start(
        self,
        *words: str,
        environ: Mapping[str, str] | None = None,
        stdout: IO[str] | int = subprocess.DEVNULL,
        stderr: IO[str] | int = subprocess.DEVNULL,
    ) -> subprocess.Popen[str]:
        """Starts a command here."""
        line = self.line(*words, environ=environ)
        started = subprocess.Popen(
            line, stdin=subprocess.DEVNULL, stdout=stdout, stderr=stderr, text=True
        )
        self._started.append(started)
        return started

    def shell(self, script: str) -> None:
        """Runs a script of the shell as root here, which must succeed."""
        self.spaces.shell(script)

    def write(self, place: str, content: str) -> None:
        """Makes a file here, with its folders."""
        file = self.path(place)
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(content)

    def power_off(self) -> None:
        """Ends it at once; nobody is told."""
        self.spaces.kill()
        for each in self._started:
            each.wait()

    def cut(self) -> None:
        """Takes its link down: both sides hear nothing more of each other."""
        self.switch.shell(f"ip link set {self.name} down")

    def join(self) -> None:
        """Takes its link up again."""
        self.switch.shell(f"ip link set {self.name} up")

    def make_read_only(self, place: str) -> None:
        """From now on nothing can be written there. place: one of the mounts `DISK`, `RAY`, `HOME`."""
        self.shell(f"mount -o remount,bind,ro {place}")


class Lab:
    """Makes hosts. On `close`, or at the end of the process, everything is gone."""

    def __init__(self) -> None:
        self._switch = make()
        self._addresses = 0
        self.hosts = dict[str, Host]()
        try:
            self._switch.shell(
                "mount -t tmpfs -o mode=755 none /run && mkdir -p /run/lab && "
                f"echo 127.0.0.1 localhost > {_HOSTS} && "
                "ip link set lo up && ip link add switch type bridge && ip link set switch up"
            )
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Ends all hosts."""
        for host in self.hosts.values():
            host.power_off()
        self._switch.kill()

    def host(self, name: str, **environ: str) -> Host:
        """A new host, up and running. name: at most 15 letters, of no host before."""
        self._addresses += 1
        ip = f"{NETWORK}.{self._addresses}"
        host = Host(name, ip, make(self._switch), self._switch, _environ(name) | environ)
        self.hosts[name] = host
        self._switch.shell(
            f"ip link add {name} type veth peer name eth0 netns {_inner_pid(self._switch, host.spaces)} && "
            f"ip link set {name} master switch up && echo {ip} {name} >> {_HOSTS}"
        )
        host.shell(_set_up(name, ip))
        return host


def _inner_pid(outer: Namespaces, inner: Namespaces) -> int:
    """The first process of the inner namespaces as the outer ones number it."""
    status = Path(f"/proc/{inner.pid}/status").read_text()
    (numbers,) = [line.split()[1:] for line in status.splitlines() if line.startswith("NSpid:")]
    return int(numbers[-2])


def _environ(name: str) -> dict[str, str]:
    return {
        "HOME": HOME, "PATH": "/usr/local/bin:/usr/bin:/bin", "LANG": "C.UTF-8", "HOSTNAME": name,
        "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "tests"), *_added_paths()]),
        "PYTHONDONTWRITEBYTECODE": "1",
        "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1",
    }  # fmt: skip


def _added_paths() -> list[str]:
    """Where this process imports from by its own PYTHONPATH."""
    return [os.path.abspath(p) for p in os.environ.get("PYTHONPATH", "").split(os.pathsep) if p]


def _set_up(name: str, ip: str) -> str:
    """The script that makes namespaces a machine: name, address, disk, home."""
    kept = [
        str(p) for p in (ROOT, Path(sys.prefix), Path(sys.base_prefix)) if p.is_relative_to(DISK)
    ]
    new = f"/run/{name}"
    lines = [
        f"echo {name} > /proc/sys/kernel/hostname",
        "ip link set lo up",
        f"ip addr add {ip}/24 dev eth0",
        "ip link set eth0 up",
        "ip route add default dev eth0",
        f"mount --bind {_HOSTS} /etc/hosts",
        f"mkdir {new} && mount -t tmpfs -o mode=1777,size=2g none {new} && mkdir {new}/ray {new}/home",
        *(
            f"mkdir -p {shlex.quote(new + p.removeprefix(DISK))} && "
            f"mount --rbind {shlex.quote(p)} {shlex.quote(new + p.removeprefix(DISK))}"
            for p in kept
        ),
        f"mount --rbind {new} {DISK}",
        f"mount --bind {RAY} {RAY}",
        f"mount --bind {HOME} {HOME}",
        "mount -t tmpfs -o mode=1777,size=512m none /dev/shm",
    ]
    return "\n".join(lines)


@contextlib.contextmanager
def lab() -> Iterator[Lab]:
    """A lab until the end of the block; skips the test where none can be made."""
    if reason := reason_against():
        pytest.skip(reason)
    made = Lab()
    try:
        yield made
    finally:
        made.close()
