"""One pack after the other in this process: for tests, the debugger and a first look."""

from __future__ import annotations

from sweeps.runners import Feed, Work, describe, train_pack


class SerialRunner:
    """`work` trains a pack; tests put something quicker in its place."""

    def __init__(self, work: Work = train_pack) -> None:
        self.work = work

    def run(self, feed: Feed) -> None:
        while (pack := feed.next_pack()) is not None:
            try:
                rows = self.work(pack)
            except Exception as error:
                feed.failed(pack, describe(error))
            else:
                feed.finished([pack], rows)
