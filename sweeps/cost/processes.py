"""Processes that measure at the same time: cores share caches, memory and cooling, and each is
slower beside the others than alone."""

from __future__ import annotations

import multiprocessing
import os
import statistics
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from types import TracebackType
from typing import Self, TypeVar

#: Most processes that measure at the same time; with more the result would hardly differ.
MOST_AT_ONCE = 16
#: From so many parts for each process on, the parts are dealt out to the processes.
MANY = 4

T = TypeVar("T")
R = TypeVar("R")


class Measurers:
    """Processes that load libraries while the caller does something else.

    count: how many; by default one for each core that this process may use.
    """

    def __init__(self, count: int | None = None) -> None:
        cores = len(os.sched_getaffinity(0)) if count is None else count
        self._count = min(cores, MOST_AT_ONCE)
        self._pool: ProcessPoolExecutor | None = None
        self._loading: list[Future[None]] = []
        if self._count > 1:
            spawn = multiprocessing.get_context("spawn")
            self._pool = ProcessPoolExecutor(self._count, spawn)
            self._loading = [self._pool.submit(_load) for _ in range(self._count)]

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)

    def shares(
        self, each: Callable[[Sequence[T]], R], parts: Sequence[T], workers: int
    ) -> list[tuple[Sequence[int], R]]:
        """What `each` finds at the same time in as many processes as there are workers, at most
        all of these; with the numbers of its parts.

        Few parts are given to every process. Many are dealt out, since any of them loads the
        machine. A single worker is this process.
        """
        count = min(workers, self._count)
        numbers = range(len(parts))
        if count == 1 or self._pool is None:
            return [(numbers, each(parts))]
        for future in self._loading:
            future.result()
        dealt = [
            numbers[i::count] if is_dealt(len(parts), count) else numbers for i in range(count)
        ]
        found = self._pool.map(each, [[parts[n] for n in own] for own in dealt])
        return list(zip(dealt, found, strict=True))

    def seconds(
        self, each: Callable[[Sequence[T]], list[float]], parts: Sequence[T], workers: int
    ) -> list[float]:
        """The mean over the processes of the seconds that `each` finds for each part."""
        found: list[list[float]] = [[] for _ in parts]
        for numbers, seconds in self.shares(each, parts, workers):
            for number, value in zip(numbers, seconds, strict=True):
                found[number].append(value)
        return [statistics.mean(values) for values in found]


def is_dealt(parts: int, processes: int) -> bool:
    """Whether so many parts are dealt out."""
    return parts >= MANY * processes


def _load() -> None:
    """Loads what measuring takes."""
    import sweeps.cost.pack_cost
    import sweeps.cost.probe_cost  # noqa: F401
