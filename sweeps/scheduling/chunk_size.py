"""How much a worker is handed at once: by the seconds that packs are known to last. Pure.

Large shares first, each a part of what is left, and small ones at the end, so that the workers end
together (guided self-scheduling, Polychronopoulos and Kuck 1987).
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Sequence

from backdoor.engines import engine_of
from sweeps.packs.pack import Pack

#: Seconds that a stint should last: at least while more trials will come, at least where none will
#: before it is done, and at most. What it costs to hand one out is a hundredth of the first.
SHORTEST, LAST, LONGEST = 5.0, 1.0, 60.0
#: A worker is handed its share of what is left, divided by this: the rest evens out the errors.
PARTS = 2


class ChunkSizer:
    """What trials last, learned from those that have ended."""

    def __init__(self) -> None:
        self._seconds: dict[str, float] = {}  # a trial, by the key of its pack
        self._slowest: dict[str, float] = defaultdict(float)  # the most of these, by engine

    def learn(self, packs: Iterable[Pack], seconds: dict[str, float | None]) -> None:
        """Takes the seconds of trials, by id, None where they are not known."""
        for pack in packs:
            known = [s for t in pack.trials if (s := seconds.get(t.trial_id)) is not None]
            if known:
                mean = sum(known) / len(known)
                self._seconds[pack.key] = mean
                name = engine_of(pack.trials[0]).name
                self._slowest[name] = max(mean, self._slowest[name])

    def lasts(self, pack: Pack) -> float | None:
        """Seconds that a pack is going to last; None where nothing like it has ended.

        Of a shape that has not been met, a trial is taken to last as long as the slowest one of
        its engine.
        """
        each = self._seconds.get(pack.key) or self._slowest.get(engine_of(pack.trials[0]).name)
        return None if each is None else each * len(pack.trials)

    def least(self, pack: Pack) -> int:
        """How many trials of the pack last `LAST` seconds, at least 1."""
        lasts = self.lasts(pack)
        return math.ceil(LAST / lasts * len(pack.trials)) if lasts else 1

    def share(self, queue: Sequence[Pack], workers: int, final: bool) -> float:
        """Seconds to hand out at once of the packs in `queue`.

        final: whether no other trials will come, or none before these are done.
        """
        left = sum(self.lasts(pack) or 0.0 for pack in queue)
        return min(LONGEST, max(left / (PARTS * workers), LAST if final else SHORTEST))

    def take(self, queue: Sequence[Pack], workers: int, final: bool) -> int:
        """How many packs of the head of `queue`, which is not empty, make the next stint.

        A pack that nothing is known of goes alone, and so does one whose trial may be stopped.
        """
        room, taken = self.share(queue, workers, final), 0
        for pack in queue:
            lasts = self.lasts(pack)
            if lasts is None or pack.may_stop or lasts > room:
                break
            room -= lasts
            taken += 1
        return max(1, taken)
