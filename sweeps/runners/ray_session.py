"""Ray for as long as a sweep needs it: connected, or started in this process."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
from collections.abc import Iterator, Sequence
from typing import Any

import ray
from ray._private import utils, worker

from backdoor.errors import Mistake, UserError
from sweeps.runners.processes import descendants, kill
from sweeps.runners.ray_address import no_cluster, ray_address, refuse_dead_address
from sweeps.runners.sent_code import job_config, note_not_sent


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
    _start(workers, kinds)
    try:
        yield
    except KeyboardInterrupt:
        _end_at_once()
        raise
    finally:
        ray.shutdown()


def _start(workers: int | None, kinds: Sequence[str] = ()) -> None:
    address = ray_address()
    if address:
        refuse_dead_address(address)
    options: dict[str, Any] = {"address": address}
    if not address:
        options = {
            "address": "local",
            "num_cpus": workers,
            "include_dashboard": False,
            "object_store_memory": 256 * 2**20,
        }
    # Ray writes its authentication token readable for everybody unless the mask forbids it.
    mask, before = os.umask(0o077), descendants(os.getpid())
    try:
        with _sigterm_kept(), job_config(kinds, address, _on_path(os.getcwd())) as job:
            ray.init(log_to_driver=False, logging_level="error", job_config=job, **options)
    except ValueError as error:
        rule = "must be an address that Ray understands"
        remedy = f"For example HOST:6379, or unset it ({error})."
        raise UserError(Mistake("RAY_ADDRESS", rule, address, remedy)) from None
    except (ConnectionError, RuntimeError) as error:
        if not address:
            raise
        raise no_cluster(address, " ".join(str(error).split())) from None
    except KeyboardInterrupt:
        # Ray does not know yet all that it has started.
        kill(set(descendants(os.getpid())) - set(before))
        raise
    finally:
        os.umask(mask)


def _end_at_once() -> None:
    """Disconnects, and kills what was started here: Ray itself waits a second for each process."""
    node, pids = getattr(worker, "_global_node", None), set[int]()
    for processes in getattr(node, "all_processes", {}).values():
        started = {each.process.pid for each in processes}
        pids |= started.union(*map(descendants, started))
    worker._global_node = None  # `shutdown` leaves the processes alone then
    try:
        ray.shutdown()
    finally:
        kill(pids)
        if node is not None:
            node.kill_all_processes(check_alive=False, allow_graceful=False)
