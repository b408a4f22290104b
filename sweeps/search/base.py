"""What every search can be asked and told."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:  # the sampler for plain Optuna studies is imported without torch
    from backdoor.config import TrialConfig
    from sweeps.ledger import Rows


class Search(Protocol):
    """Proposes trials, asynchronously.

    workers: packs that run at once, which the feed says once it knows.
    """

    workers: int

    def ask(self, limit: int) -> list[TrialConfig]:
        """Up to `limit` trials to run next; empty means wait, or the end if `finished`."""
        ...

    def tell(self, rows: Rows) -> None:
        """Ledger rows that are new to the search."""
        ...

    @property
    def finished(self) -> bool:
        """Whether nothing more will be proposed, whatever is still told."""
        ...

    @property
    def size(self) -> int | None:
        """How many trials an adaptive search proposes at most; None where one can count them by
        asking for all, since the search does not wait for results."""
        ...
