"""What a running sweep says."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass

from backdoor.datasets.summary import DataSummary
from backdoor.errors import escaped

#: What a first Ctrl-C does.
STOPPING = (
    "\nStopping when the running trials have ended. Ctrl-C again stops at once: "
    "then these trials are lost, recorded ones are not."
)


@dataclass(frozen=True)
class Messages:
    """Messages on stderr. quiet: warnings only, and no progress."""

    quiet: bool = False

    def say(self, text: str) -> None:
        """Progress and remarks."""
        if not self.quiet:
            self.warn(text)

    def say_data(self, read: DataSummary) -> None:
        """What was read of the data, and what makes results on them doubtful."""
        for line in read.lines():
            self.say(f"data: {line}")
        for warning in read.warnings:
            self.warn(f"warning: data: {warning}")

    def say_added(self, added: Sequence[str], spec: str) -> None:
        """What an extension asks more. spec: the file that has the whole question now."""
        for each in added:
            self.say(f"changed: {each}")
        self.say(f"{escaped(spec)} has the whole spec now")

    def say_outdated(self, count: int) -> None:
        """How many trials are trained again after an extension."""
        if count:
            trials = "1 trial is" if count == 1 else f"{count} trials are"
            self.say(
                f"{trials} trained again: clean baselines that lack a trigger, "
                "or trials that were stopped by other thresholds"
            )

    def warn(self, text: str) -> None:
        """What nobody should miss."""
        print(text, file=sys.stderr, flush=True)
