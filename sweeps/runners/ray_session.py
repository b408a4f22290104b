"""Ray for as long as a sweep needs it: connected, or started in this process."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import ray
from ray._private import utils

from backdoor.errors import Mistake, UserError
from backdoor.reading.cache_files import cache_folder
from sweeps.runners.local_head import LocalHead, on_loopback
from sweeps.runners.ray_address import (
    no_cluster,
    only_on_loopback,
    ray_address,
    refuse_dead_address,
)
from sweeps.runners.sent_code import job_config, note_not_sent
from sweeps.runners.sockets import warn_once


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
    """Keeps the handler of SIGTERM: Ray's own would end the process, a sweep lets its running
    packs end first."""
    before = signal.getsignal(signal.SIGTERM)
    own = getattr(utils, "set_sigterm_handler", None)
    utils.set_sigterm_handler = lambda handler: None
    try:
        yield
    finally:
        if own is not None:
            utils.set_sigterm_handler = own
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, before)


@contextlib.contextmanager
def ray_session(workers: int | None = None, kinds: Sequence[str] = ()) -> Iterator[None]:
    """Ray: the one of this process, else one that is connected or started until the end.

    kinds: of users, `module:Class`, that workers have to be able to import.
    """
    if is_connected():
        if (note := note_not_sent(kinds)) is not None:
            print(f"note: {note}", file=sys.stderr, flush=True)
        yield
        return
    if address := ray_address():
        _connect(address, kinds)
        end: Callable[[], object] = ray.shutdown
    else:
        end = _start(workers, kinds).end
    try:
        yield
    finally:
        end()


def _connect(address: str, kinds: Sequence[str]) -> None:
    refuse_dead_address(address)
    try:
        with on_loopback() if only_on_loopback(address) else contextlib.nullcontext():
            _init(kinds, address=address)
    except ValueError as error:
        rule = "must be an address that Ray understands"
        remedy = f"For example HOST:6379, or unset it ({error})."
        raise UserError(Mistake("RAY_ADDRESS", rule, address, remedy)) from None
    except (ConnectionError, RuntimeError) as error:
        raise no_cluster(address, " ".join(str(error).split())) from None


def _start(workers: int | None, kinds: Sequence[str]) -> LocalHead:
    head = LocalHead()
    try:
        with head.starting():
            _init(
                kinds,
                address="local",
                num_cpus=workers,
                include_dashboard=False,
                object_store_memory=256 * 2**20,
            )
        if (warning := warn_once([os.getpid(), *head.processes()], cache_folder())) is not None:
            print(f"warning: {warning}", file=sys.stderr, flush=True)
    except BaseException:
        head.end()
        raise
    return head


def _init(kinds: Sequence[str], **options: Any) -> None:
    """`ray.init` with what both kinds of Ray are asked for."""
    address = None if options["address"] == "local" else options["address"]
    # Ray writes its authentication token readable for everybody unless the mask forbids it.
    mask = os.umask(0o077)
    try:
        with _sigterm_kept(), job_config(kinds, address, _on_path(os.getcwd())) as job:
            ray.init(log_to_driver=False, logging_level="error", job_config=job, **options)
    finally:
        os.umask(mask)
