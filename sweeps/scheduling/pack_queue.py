"""Packs that wait for a worker: in which order, how large, and how many at once."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

from sweeps.packs.pack import Pack
from sweeps.scheduling.chunk_size import ChunkSizer
from sweeps.search import Search

#: Seconds from which a pack is split in two where workers would otherwise be idle.
SPLIT_FROM = 10.0


class PackQueue:
    """Packs in the order in which they are handed out. search: what proposes them."""

    def __init__(self, search: Search) -> None:
        self._search = search
        self._sizer = ChunkSizer()
        self._packs: deque[Pack] = deque()
        self._most: dict[str, int] = {}  # trials of a pack that fit into memory, by its key

    def __len__(self) -> int:
        return len(self._packs)

    def __iter__(self) -> Iterator[Pack]:
        return iter(self._packs)

    def add(self, packs: Iterable[Pack]) -> None:
        """Makes these packs the last ones."""
        self._packs.extend(self._fitting(packs))

    def put_first(self, packs: Sequence[Pack]) -> None:
        """Makes these packs the next ones."""
        self._packs.extendleft(reversed(self._fitting(packs)))

    def too_large(self, pack: Pack) -> None:
        """Packs like this one, and those that wait, have at most half of its trials from now on."""
        self._most[pack.key] = -(-len(pack.trials) // 2)
        self._packs = deque(self._fitting(self._packs))

    def _fitting(self, packs: Iterable[Pack]) -> list[Pack]:
        """The packs, split where packs like them did not fit into memory."""
        most = ((pack, self._most.get(pack.key, len(pack.trials))) for pack in packs)
        return [part for pack, largest in most for part in pack.parts(largest)]

    def learn(self, packs: Iterable[Pack], seconds: Mapping[str, float | None]) -> None:
        """Learns from the seconds of trials, by id; None where they are not known."""
        self._sizer.learn(packs, dict(seconds))

    def take(self, running: int) -> Pack:
        """The next pack, or its first part where workers would otherwise be idle.

        Where the search waits for results, the part is a worker's share of all that it asked for.
        Otherwise it is the first half, at the end of the sweep. running: trials that workers have.
        """
        pack = self._packs.popleft()
        if self._search.size is not None:
            waiting = sum(len(each.trials) for each in (pack, *self._packs))
            asked, count = waiting + running, len(pack.trials)
            share = round(count * self._search.workers / asked)
            share = min(share, count // self._sizer.fewest(pack))
            first, *others = pack.into(max(1, share))
            self._packs.extendleft(reversed(others))
            return first
        if not self._search.finished or len(self._packs) + 1 >= self._search.workers:
            return pack
        if (self._sizer.duration(pack) or 0.0) < SPLIT_FROM or len(pack.trials) < 2:
            return pack
        first, second = pack.halves()
        self._packs.appendleft(second)
        return first

    def more(self, first: Pack, is_alone: Callable[[Pack], bool]) -> list[Pack]:
        """The packs that a worker is handed with `first`, which was taken just now. is_alone: of a
        pack that is to be a worker's only one."""
        queue = [first, *self._packs]
        # A search that learns has no more trials until it is told results of these.
        final = self._search.finished or self._search.size is not None
        count = self._sizer.take(queue, self._search.workers, final)
        alone = next((i for i, pack in enumerate(queue) if is_alone(pack)), count)
        return [self._packs.popleft() for _ in range(min(count, max(1, alone)) - 1)]
