"""What every search can be asked and told."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:  # the sampler for plain Optuna studies is imported without torch
    from backdoor.config import TrialConfig
    from sweeps.ledger import Rows


class Search(Protocol):
    """Proposes trials asynchronously.

    workers: how many packs run at once; the feed sets it as soon as it is known.
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
        """Whether nothing more will be proposed, whatever results come."""
        ...

    @property
    def size(self) -> int | None:
        """How many trials an adaptive search proposes at most; None where it does not wait for
        results, so that asking for all of them counts them."""
        ...
