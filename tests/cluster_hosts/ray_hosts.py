"""A Ray cluster of hosts of a lab: a head without CPUs that asks for a token, workers with one."""

from __future__ import annotations

import secrets
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from cluster_hosts.lab import HOME, RAY, Host, Lab
from cluster_hosts.namespaces import wait_for

PORT, DASHBOARD = 6379, 8265
#: Seconds after which something of Ray's that takes a few has failed.
LIMIT = 180.0
#: How often `ray start` is tried: Ray gives up after 30 seconds, which a busy machine may need.
ATTEMPTS = 4
_RAY = str(Path(sys.executable).with_name("ray"))
_TOKEN = f"{HOME}/.ray/auth_token"


class RayCluster:
    """Ray on hosts of a lab. Its users have the token in their homes."""

    def __init__(self, lab: Lab) -> None:
        self.lab = lab
        self._token = secrets.token_hex(32)
        self.head = self._host("head")
        self.address = f"{self.head.ip}:{PORT}"
        self.jobs = f"http://{self.head.ip}:{DASHBOARD}"
        words = ["--head", f"--port={PORT}", "--num-cpus=0", "--dashboard-host=0.0.0.0"]
        self._start([self.head], *words, f"--dashboard-port={DASHBOARD}")

    def client(self, name: str = "client") -> Host:
        """A host that only holds a driver: a node without CPUs."""
        (client,) = self.add(name, cpus=0)
        return client

    def worker(self, name: str, cpus: int = 1) -> Host:
        """A host with Ray, when the cluster knows it."""
        (worker,) = self.add(name, cpus=cpus)
        return worker

    def add(self, *names: str, cpus: int = 1) -> list[Host]:
        """Hosts with Ray, when the cluster knows them."""
        hosts = [self._host(name) for name in names]
        self.start(*hosts, cpus=cpus)
        return hosts

    def bare(self, name: str) -> Host:
        """A host with the token and without Ray, to be spoiled before `start`."""
        return self._host(name)

    def start(self, *hosts: Host, cpus: int = 1) -> None:
        """Starts Ray on hosts, all at once, and waits until the cluster knows them."""
        self._start(hosts, f"--address={self.address}", f"--num-cpus={cpus}")

    def _start(self, hosts: Sequence[Host], *words: str) -> None:
        """`ray start` with these words on all hosts at once, until it has succeeded on each."""
        for attempt in range(1, ATTEMPTS + 1):
            begun = [(host, _ray_start(host, *words)) for host in hosts]
            for host, process in begun:
                wait_for(f"ray start on {host.name}", lambda p=process: p.poll() is not None, LIMIT)
            hosts = [host for host, process in begun if process.returncode]
            if not hosts:
                return
            logs = [_log(host).read_text(errors="replace") for host in hosts]
            assert attempt < ATTEMPTS, "\n".join(logs)
            for host in hosts:  # Ray leaves what it had started; -1 is all processes of the host
                host.run("sh", "-c", "kill -KILL -1")

    def _host(self, name: str) -> Host:
        host = self.lab.host(name, RAY_AUTH_MODE="token", RAY_USAGE_STATS_ENABLED="0")
        host.write(_TOKEN, self._token)
        host.path(_TOKEN).chmod(0o600)
        return host


def _ray_start(host: Host, *words: str) -> subprocess.Popen[str]:
    # To a file: daemons would hold a pipe open. Its folder is Ray's, as the disk may be read-only.
    with _log(host).open("w") as log:
        return host.start(
            _RAY, "start", *words, f"--node-ip-address={host.ip}", f"--temp-dir={RAY}",
            "--object-store-memory=100000000", "--disable-usage-stats",
            stdout=log, stderr=subprocess.STDOUT,
        )  # fmt: skip


def _log(host: Host) -> Path:
    return host.path(f"{RAY}/start.log")
