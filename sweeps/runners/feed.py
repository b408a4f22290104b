"""What every runner is given: the feed that hands out packs and takes their rows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from backdoor.config import TrialConfig
from sweeps.early_stopping.limits import StoppingLimits
from sweeps.ledger import Rows
from sweeps.packs.chunk import Chunk
from sweeps.packs.pack import Pack


class Feed(Protocol):
    """Where a runner gets packs and delivers their rows. None of its methods raises.

    workers: packs that run at once; the runner sets it once it is known.
    """

    workers: int

    @property
    def done(self) -> bool:
        """Whether there will be no more packs, not even after those that are running."""
        ...

    def has_work(self) -> bool:
        """Whether `next_pack` would return a pack now."""
        ...

    def next_pack(self) -> Pack | None:
        """The next pack, or None: wait for running packs if not `done`."""
        ...

    def next_chunk(self) -> Chunk | None:
        """As many packs as a worker should be handed at once; None as in `next_pack`."""
        ...

    def should_cancel(self, left: int) -> bool:
        """Whether a chunk with `left` packs not yet started should end and return them."""
        ...

    def requeue(self, *packs: Pack) -> None:
        """Returns packs that were not started; they are handed out again first."""
        ...

    def finished(self, packs: Sequence[Pack], rows: Rows) -> None:
        """Delivers the rows of packs, or of one stopped trial. A repeated row counts once."""
        ...

    def limits(self, trial: TrialConfig) -> StoppingLimits | None:
        """Where the verdict of a trial is certain, by what is known now; None where trials are not
        stopped for that."""
        ...

    def failed(self, pack: Pack, reason: str) -> None:
        """Reports that a pack could not be trained. The feed may hand it out again in halves, and
        other packs like it too if the reason begins with TOO_LARGE."""
        ...


class Runner(Protocol):
    """Trains the packs of a feed somewhere."""

    def run(self, feed: Feed) -> None:
        """Returns when the feed is done. An exception never loses rows that were delivered."""
        ...
