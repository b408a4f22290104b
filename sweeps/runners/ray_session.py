"""Ray for as long as a sweep needs it: connected, or started in this process."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import sys
import threading
from collections.abc import Iterator
from typing import Any

import ray
from ray.job_config import JobConfig

from backdoor.errors import Mistake, UserError

#: Seconds to wait for a Ray head to accept a connection.
CONNECT_SECONDS = 5.0


def _refuse_dead_address(address: str) -> None:
    """Ray itself tries an address for minutes; this reports a refused connection at once."""
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if not host or not port.isdigit():
        return  # `auto`, `local` and the like: Ray resolves them
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=CONNECT_SECONDS).close()
    except OSError as error:
        rule = "must be the address of a running Ray cluster"
        remedy = f"Start it, or unset RAY_ADDRESS to run on this machine ({error})."
        raise UserError(Mistake("RAY_ADDRESS", rule, address, remedy)) from None


def is_connected() -> bool:
    """Whether this process uses a Ray already."""
    return bool(ray.is_initialized())


def _on_path(folder: str) -> bool:
    """Whether this process imports modules from a folder.

    Ray would put the current folder first on the path of its workers, before installed packages;
    it does not for jobs of its client. They are to import what this process does.
    """
    return any(os.path.realpath(place) == os.path.realpath(folder) for place in sys.path)


@contextlib.contextmanager
def _sigterm_kept() -> Iterator[None]:
    """Restores the handler of SIGTERM: Ray's own would end the process, a sweep lets its running
    packs end first."""
    before = signal.getsignal(signal.SIGTERM)
    try:
        yield
    finally:
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, before)


@contextlib.contextmanager
def ray_session(workers: int | None = None) -> Iterator[None]:
    """Ray: the one of this process, else one that is connected or started until the end."""
    if is_connected():
        yield
        return
    address = os.environ.get("RAY_ADDRESS")
    if address:
        _refuse_dead_address(address)
    options: dict[str, Any] = {"address": address}
    if not address:
        options = {
            "address": "local",
            "num_cpus": workers,
            "include_dashboard": False,
            "object_store_memory": 256 * 2**20,
        }
    options["job_config"] = JobConfig(_client_job=not _on_path(os.getcwd()))
    # Ray writes its authentication token readable for everybody unless the mask forbids it.
    mask = os.umask(0o077)
    try:
        with _sigterm_kept():
            ray.init(log_to_driver=False, logging_level="error", **options)
    except ValueError as error:
        rule = "must be an address that Ray understands"
        remedy = f"For example HOST:6379, or unset it ({error})."
        raise UserError(Mistake("RAY_ADDRESS", rule, address, remedy)) from None
    finally:
        os.umask(mask)
    try:
        yield
    finally:
        ray.shutdown()
