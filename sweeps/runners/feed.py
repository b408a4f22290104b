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
    """Where a runner gets packs and brings rows. None of its methods raises.

    workers: packs that run at once, which a runner says once it knows.
    """

    workers: int

    @property
    def done(self) -> bool:
        """Whether no pack will ever come again, not even from one that is still running."""
        ...

    def next_pack(self) -> Pack | None:
        """The next pack, or None: wait for running packs if not `done`."""
        ...

    def next_chunk(self) -> Chunk | None:
        """As many packs as a worker should be handed at once; None as `next_pack` has it."""
        ...

    def should_cancel(self, left: int) -> bool:
        """Whether a stint that has `left` packs still to begin should end and give them back."""
        ...

    def requeue(self, *packs: Pack) -> None:
        """Returns packs that were not begun; they are the next ones, if there are next ones."""
        ...

    def finished(self, packs: Sequence[Pack], rows: Rows) -> None:
        """Brings the rows of packs, or that of a trial that was stopped; twice is once."""
        ...

    def limits(self, trial: TrialConfig) -> StoppingLimits | None:
        """Where the verdict of a trial is certain, by what is known now; None where it is not
        asked for."""
        ...

    def failed(self, pack: Pack, reason: str) -> None:
        """Says that a pack could not be trained; the feed may hand it out again in halves, and
        those like it if the reason begins with TOO_LARGE."""
        ...


class Runner(Protocol):
    """Trains the packs of a feed somewhere."""

    def run(self, feed: Feed) -> None:
        """Returns when the feed is done. Rows already brought are never lost by an exception."""
        ...
