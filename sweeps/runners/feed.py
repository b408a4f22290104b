"""What every runner is given: the feed that hands out packs and takes their rows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from backdoor.config import TrialConfig
from sweeps.early_stopping.limits import StoppingLimits
from sweeps.ledger import Rows
from sweeps.packs.chunk import Chunk
from sweeps.packs.pack import Pack
from sweeps.records.failure import Failure


class Feed(Protocol):
    """Where a runner gets packs and delivers their rows. None of its methods raises.

    workers: packs that run at once; the runner sets it once it is known. data_fingerprint: of the
    data that every node must have; None where it is not known.
    """

    workers: int
    data_fingerprint: str | None

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

    def failed(self, pack: Pack, reason: Failure | str) -> None:
        """Reports that a pack could not be trained. The feed may hand it out again, or in parts;
        where memory was too small, other packs like it in parts too."""
        ...

    # --- what a runner with several workers tells and asks as well -------------------------

    def deadline(self, pack: Pack) -> float | None:
        """Seconds that a pack may take; None where nobody knows yet."""
        ...

    def overdue(self, pack: Pack, ran: float) -> bool:
        """Whether a pack that has been running for so many seconds is to be ended; `failed` says
        why."""
        ...

    def references(self) -> Sequence[tuple[str, Pack]]:
        """Packs of one trial that have succeeded, with the node where: what fails on another node
        is compared with them."""
        ...

    def believed(self, pack: Pack) -> Sequence[str] | None:
        """Nodes on which a failure of this pack needs no such comparison; None where only several
        failures in a row do."""
        ...

    def reference_passed(self, host: str, node_id: str) -> None:
        """Reports that such a pack succeeded on this node too."""
        ...

    def lost(self, packs: Sequence[Pack], failure: Failure, alone: bool) -> None:
        """Reports that a worker or its node was lost with these packs, of which the first was
        perhaps running. alone: whether the worker had no other pack."""
        ...

    def node_unfit(
        self, host: str, node_id: str, lines: Sequence[str], found_at: float | None = None
    ) -> None:
        """Reports what a node lacks: one of its workers gets no packs any more. found_at: when that
        was found, in seconds since 1970 by the node's clock."""
        ...

    def node_fit(self, host: str, node_id: str) -> None:
        """Reports that such a worker has passed its check."""
        ...

    def nobody_left(self, why: str = "") -> None:
        """Reports that no worker is there but unfit ones, or why there is none at all."""
        ...


class Runner(Protocol):
    """Trains the packs of a feed somewhere."""

    def run(self, feed: Feed) -> None:
        """Returns when the feed is done. An exception never loses rows that were delivered."""
        ...
