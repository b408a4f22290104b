"""One pack after the other in this process: for tests, the debugger and a first look."""

from __future__ import annotations

from sweeps.runners.feed import Feed
from sweeps.runners.worker import Work, attempt, train_pack


class SerialRunner:
    """Runs packs one after the other. work: trains a pack; tests replace it by something faster."""

    def __init__(self, work: Work = train_pack) -> None:
        self.work = work

    def run(self, feed: Feed) -> None:
        while (pack := feed.next_pack()) is not None:
            rows, failure = attempt(self.work, pack)
            if failure is not None:
                feed.failed(pack, failure)
            elif rows is not None:
                feed.finished([pack], rows)
