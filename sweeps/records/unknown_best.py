"""Why no best accuracy is known, in words."""

from __future__ import annotations

from collections.abc import Sequence

from backdoor.wording import counted, noun_for
from sweeps.records.region_file import LeftOutEntry


def unknown_best(entries: Sequence[LeftOutEntry]) -> str | None:
    """Why no best accuracy is known where broken models are the reason; None where they are not."""
    if not entries or any(entry["reference"] for entry in entries):
        return None
    return (
        f"the best accuracy is not known: {counted(len(entries), 'defence point')} "
        f"{noun_for(len(entries), 'has', 'have')} ended, and no seed is left where no model "
        "collapsed or diverged."
    )
