"""What a running sweep says."""

from __future__ import annotations

import sys
from dataclasses import dataclass

#: What a first Ctrl-C does.
STOPPING = "\nStopping: running packs end first. Ctrl-C again stops at once."


@dataclass(frozen=True)
class Messages:
    """Messages on stderr. quiet: warnings only, and no progress."""

    quiet: bool = False

    def say(self, text: str) -> None:
        """Progress and remarks."""
        if not self.quiet:
            self.warn(text)

    def warn(self, text: str) -> None:
        """What nobody should miss."""
        print(text, file=sys.stderr, flush=True)
