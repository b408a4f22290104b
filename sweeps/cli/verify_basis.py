"""Which points a verification draws from, where the answer claims something of fewer of them."""

from __future__ import annotations

import contextlib

from backdoor.errors import UserError
from backdoor.wording import noun_for
from sweeps.cli.status_next import BASES, claim_of
from sweeps.storage.paths import SweepPaths, read_region

#: What the answer claims, and the key of its count.
CLAIMED = {"certain": ("certainly IN", "certainly_in"), "likely": ("likely IN", "likely_in")}


def basis_note(paths: SweepPaths, basis: str | None) -> str | None:
    """A note where nobody said a basis, so that points IN by means are drawn, and region.json
    claims something surer; None elsewhere, and without a region.json."""
    with contextlib.suppress(UserError, OSError):
        region = read_region(paths.root)
        claim = claim_of(region)
        if basis is not None or "model" in region or claim not in CLAIMED:
            return None
        words, key = CLAIMED[claim]
        counts = region["verdicts"]["points"]
        count: int = counts[key]  # type: ignore[literal-required]
        return (
            f"note: draws are of the {counts['in_by_means']:,} points IN by means; the answer "
            f"claims more of the {count:,} {noun_for(count, 'point')} {words}, which "
            f"`{' '.join(BASES[claim])}` verifies"
        )
    return None
