"""Exit codes, and what is said on stderr."""

from __future__ import annotations

import sys

#: Exit codes: fine; failed trials or checks; wrong spec or usage; interrupted.
FINE, FAILURES, WRONG, INTERRUPTED = 0, 1, 2, 130


def say(text: str) -> None:
    """Progress and remarks, on stderr."""
    print(text, file=sys.stderr, flush=True)
