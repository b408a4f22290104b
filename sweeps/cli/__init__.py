"""The command `sweeps`: the composition root, the only place that may import everything.

Imports stand inside the handlers, so that `sweeps --help` answers at once, without torch, Ray or
MLflow. stdout carries answers, stderr progress and errors. `commands` is the table of commands,
`arguments` what they accept, `main` runs them.
"""

from sweeps.cli.console import FAILURES, FINE, INTERRUPTED, WRONG

__all__ = ["FAILURES", "FINE", "INTERRUPTED", "WRONG"]
