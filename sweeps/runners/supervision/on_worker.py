"""The function that Tune calls on a worker for each chunk, and how it gets there.

Only the standard library and Ray: see the package's docstring.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sweeps.runners.supervision.supervisor import Supervisor


def trainable(work: bytes | None, hang_after: float) -> Callable[[dict[str, Any]], None]:
    """The function that Tune calls on a worker for each chunk. Its supervisor stays."""
    kept: list[Supervisor] = []

    def train(config: dict[str, Any]) -> None:
        from ray import tune

        if not kept:
            kept.append(Supervisor(work, hang_after, tune.report))
        kept[0].serve(config)

    return train


def unpacked(sent: bytes) -> Callable[[dict[str, Any]], None]:
    """The same of its bytes, which only workers read: where they are read in the process that wrote
    them, as Tune does with what it is given, they would change the classes of that process."""
    kept: list[Callable[[dict[str, Any]], None]] = []

    def train(config: dict[str, Any]) -> None:
        from ray import cloudpickle

        if not kept:
            kept.append(cloudpickle.loads(sent))
        kept[0](config)

    return train
