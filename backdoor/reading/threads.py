"""Decodes images on all cores, with few of them in memory at a time, and shows how far it is."""

from __future__ import annotations

import os
import sys
import time
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from typing import TypeVar

from tqdm import tqdm

from backdoor.reading.contents import Ids, Images, Item
from backdoor.reading.opening import QUIET
from backdoor.reading.pixels import UNREADABLE, Decoded

#: Images that one task decodes; a few tasks wait, so that no core does.
AT_ONCE = 16
#: Seconds for one image up to which threads only wait for each other.
SMALL_SECONDS = 4e-4
#: Seconds after which progress is shown, and between two lines of it where there is no terminal.
PATIENCE, LINES_EVERY = 2.0, 15.0

T = TypeVar("T")


def in_threads(
    images: Images, ids: Ids, work: Callable[[int, Decoded], T]
) -> Iterator[tuple[str, T | Exception]]:
    """Decodes images by number and does `work` on each, on all cores.

    Yields:
        The name of each image, and what `work` returned, or one of `UNREADABLE`; in order.
    """

    def task(some: list[tuple[int, Item]]) -> list[tuple[str, T | Exception]]:
        return [(name, _attempt(number, decode, work)) for number, (name, decode) in some]

    items = zip(ids.tolist(), images.items(ids), strict=True)
    waiting: deque[Future[list[tuple[str, T | Exception]]]] = deque()
    with QUIET, _progress(len(ids)) as shown:
        begin = time.perf_counter()
        yield from _shown(task(list(islice(items, AT_ONCE))), shown)
        seconds = (time.perf_counter() - begin) / AT_ONCE
        if seconds < SMALL_SECONDS:
            while some := list(islice(items, AT_ONCE)):
                yield from _shown(task(some), shown)
            return
        cores = _cores()
        with ThreadPoolExecutor(cores) as threads:
            try:
                while some := list(islice(items, AT_ONCE)):
                    waiting.append(threads.submit(task, some))
                    while len(waiting) > 2 * cores:
                        yield from _shown(waiting.popleft().result(), shown)
                while waiting:
                    yield from _shown(waiting.popleft().result(), shown)
            finally:
                threads.shutdown(cancel_futures=True)


def _attempt(
    number: int, decode: Callable[[], Decoded], work: Callable[[int, Decoded], T]
) -> T | Exception:
    try:
        decoded = decode()
    except UNREADABLE as error:
        return error
    return work(number, decoded)


def _cores() -> int:
    """Cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _shown(
    found: list[tuple[str, T | Exception]], shown: _Progress
) -> Iterator[tuple[str, T | Exception]]:
    shown.update(len(found))
    yield from found


def _progress(images: int) -> _Progress:
    terminal = sys.stderr.isatty()
    return _Progress(
        total=images,
        desc="Decoding images",
        unit=" images",
        delay=PATIENCE,
        mininterval=0.1 if terminal else LINES_EVERY,
        leave=False,
        file=None if terminal else _Lines(),
    )


class _Progress(tqdm):  # type: ignore[misc]
    """A bar that is drawn only when images are ready, not by a thread that watches it."""

    monitor_interval = 0


class _Lines:
    """Standard error that is no terminal: each state of the progress is a line of its own."""

    def write(self, text: str) -> None:
        if shown := text.strip("\r\n "):
            sys.stderr.write(shown + "\n")

    def flush(self) -> None:
        sys.stderr.flush()
