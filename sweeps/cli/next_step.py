"""What to type next, as the last line after an answer: the advice of `sweeps status`."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from sweeps.storage.paths import SweepPaths

if TYPE_CHECKING:
    from sweeps.cli.status_next import Next
    from sweeps.ledger import Ledger


def next_line(paths: SweepPaths) -> str:
    """`Next: sweeps verify results/digits (tries to prove the region with fresh seeds)`."""
    from sweeps.cli.status import status_answer
    from sweeps.cli.status_subject import SweepSubject

    answer = status_answer(SweepSubject(paths), time.time())
    return _line((answer["next"], answer["next_why"]))


def next_line_at_the_end(paths: SweepPaths, ledger: Ledger, again: int) -> str:
    """The same by the run that has just trained everything, and still holds the folder's lock.
    again: trials and probes that failed."""
    from sweeps.cli.status_subject import SweepSubject

    subject = SweepSubject(paths)
    found = subject.verification(ledger)
    return _line(subject.next("finished", again, ledger.trials(), found))


def _line(found: Next) -> str:
    command, why = found
    return f"Next: {why}" if command is None else f"Next: {command} ({why})"
