"""What `sweeps status` says of running.json: what one process trains now, or was training when it
ended."""

from __future__ import annotations

import time
from collections.abc import Iterator

from sweeps.driver.was_running import ended_words, running_words, was_running
from sweeps.ledger import Ledger
from sweeps.storage.files import lock_holder
from sweeps.storage.paths import SweepPaths

#: Seconds of training from which it is said of a process that still works.
LONG = 60.0


def running_notes(paths: SweepPaths, now: float | None = None) -> Iterator[str]:
    """At most one sentence. now: seconds since 1970, by default the present."""
    present = time.time() if now is None else now
    found = was_running(paths, Ledger(paths.ledger)) if paths.running.exists() else None
    if found is None:
        return
    if lock_holder(paths.lock) is None:
        yield ended_words(found)
    elif present - found.since >= LONG:
        yield running_words(found, present)
