"""The Ray that a sweep starts for itself: out of reach of signals that are meant for the sweep, on
loopback, and without the parts that a sweep does not use.

`ray.init` has no options for these, so they are set around it. How this works with Ray 2.60:

- `services.ConsolePopen` starts every process of a head. Each gets a session of its own, since
  `timeout` and the terminal signal the process group of the sweep, and SIGTERM blocked, since
  systemd and Slurm signal every process they find. Workers inherit both from the raylet. Ray asks
  the kernel to kill each process with its parent; that still holds.
- Where `ENABLE_RAY_CLUSTER` is false, as on macOS, a node's address is that of loopback, and all
  processes listen there only. Agents read the environment variable for the same.
- The monitor serves autoscaling and the API server counts usage; both listen as well. Metrics are
  served without a token, so they are off.
"""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Callable, Iterator
from typing import Any
from unittest import mock

from ray._private import node, ray_constants, services

#: What processes of the head read from the environment.
HEAD_ENVIRONMENT = {
    "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",  # addresses are those of loopback
    "RAY_enable_metrics_collection": "0",  # metrics are served to everybody
}


class _OwnSession(services.ConsolePopen):  # type: ignore[misc]  # ray has no types
    """A process of Ray in a session of its own, which SIGTERM does not reach."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        prepare: Callable[[], None] = options.pop("preexec_fn", None) or (lambda: None)

        def prepared() -> None:
            prepare()
            signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})

        super().__init__(*arguments, **options, preexec_fn=prepared, start_new_session=True)


@contextlib.contextmanager
def as_local_head() -> Iterator[None]:
    """Within: `ray.init(address="local")` starts a head as described above."""
    unused = lambda self, *arguments, **options: None  # noqa: E731
    with contextlib.ExitStack() as changed:
        changed.enter_context(mock.patch.dict(os.environ, HEAD_ENVIRONMENT))
        changed.enter_context(mock.patch.object(ray_constants, "ENABLE_RAY_CLUSTER", False))
        changed.enter_context(mock.patch.object(services, "ConsolePopen", _OwnSession))
        changed.enter_context(mock.patch.object(node.Node, "start_monitor", unused))
        changed.enter_context(mock.patch.object(node.Node, "start_api_server", unused))
        yield
