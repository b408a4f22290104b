"""Exit codes, and what is said on stderr."""

from __future__ import annotations

import sys

#: Exit codes: fine; failed trials or checks; wrong spec or usage; interrupted.
FINE, FAILURES, WRONG, INTERRUPTED = 0, 1, 2, 130


def say(text: str) -> None:
    """Progress and remarks, on stderr."""
    print(text, file=sys.stderr, flush=True)


def duration(seconds: float) -> str:
    """`2.5 hours`, `12.0 minutes`, `40.0 seconds`."""
    for size, unit in ((86400, "days"), (3600, "hours"), (60, "minutes")):
        if seconds >= 2 * size:
            return f"{seconds / size:.1f} {unit}"
    return f"{seconds:.1f} seconds"
