"""The command `sweeps`: the composition root, the only place that may import everything.

Imports stand inside the handlers, so that `sweeps --help` answers at once, without torch, Ray or
MLflow. stdout carries answers, stderr progress and errors. `main` holds the table of commands.
"""

from __future__ import annotations

import sys

#: Exit codes: fine; failed trials or checks; wrong spec or usage; interrupted.
FINE, FAILURES, WRONG, INTERRUPTED = 0, 1, 2, 130


def say(text: str) -> None:
    """Progress and remarks, on stderr."""
    print(text, file=sys.stderr, flush=True)
