"""How much a worker is handed at once, by the seconds that packs are known to take. Pure.

Large chunks first, each a share of what is left, and small ones at the end, so that all workers
end at about the same time (guided self-scheduling, Polychronopoulos and Kuck 1987).
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Sequence

from backdoor.engines import engine_of
from sweeps.packs.pack import Pack

#: Seconds that a chunk should last: at least, while more trials will come; at least, where none
#: will come before it is done; at most. Handing one out costs a hundredth of the first.
SHORTEST, LAST, LONGEST = 5.0, 1.0, 60.0
#: A worker is handed its share of what is left divided by this; the rest evens out the errors.
PARTS = 2


class ChunkSizer:
    """Chooses the size of chunks by the seconds of trials that have ended."""

    def __init__(self) -> None:
        self._seconds: dict[str, float] = {}  # of a trial, by the key of its pack
        self._slowest: dict[str, float] = defaultdict(float)  # the largest of these, by engine

    def learn(self, packs: Iterable[Pack], seconds: dict[str, float | None]) -> None:
        """Learns from the seconds of trials, by id; None where they are not known."""
        for pack in packs:
            known = [s for t in pack.trials if (s := seconds.get(t.trial_id)) is not None]
            if known:
                mean = sum(known) / len(known)
                self._seconds[pack.key] = mean
                name = engine_of(pack.trials[0]).name
                self._slowest[name] = max(mean, self._slowest[name])

    def duration(self, pack: Pack) -> float | None:
        """Seconds that a pack is expected to take; None where nothing like it has ended.

        A trial of a shape that has not been seen is expected to take as long as the slowest one
        of its engine.
        """
        each = self._seconds.get(pack.key) or self._slowest.get(engine_of(pack.trials[0]).name)
        return None if each is None else each * len(pack.trials)

    def fewest(self, pack: Pack) -> int:
        """How many trials of the pack take `LAST` seconds together, at least 1."""
        seconds = self.duration(pack)
        return math.ceil(LAST / seconds * len(pack.trials)) if seconds else 1

    def share(self, queue: Sequence[Pack], workers: int, final: bool) -> float:
        """How many seconds of the packs in `queue` to hand out at once.

        final: whether no other trials will come, or none before these are done.
        """
        left = sum(self.duration(pack) or 0.0 for pack in queue)
        return min(LONGEST, max(left / (PARTS * workers), LAST if final else SHORTEST))

    def take(self, queue: Sequence[Pack], workers: int, final: bool) -> int:
        """How many packs at the head of `queue`, which is not empty, make the next chunk.

        A pack of unknown duration is a chunk by itself, and so is one whose trial may be stopped.
        """
        room, taken = self.share(queue, workers, final), 0
        for pack in queue:
            seconds = self.duration(pack)
            if seconds is None or pack.may_stop or seconds > room:
                break
            room -= seconds
            taken += 1
        return max(1, taken)
