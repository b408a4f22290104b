"""Where packs are trained: in this process, on Ray Tune, or looked up in a recorded table.

A runner takes packs from a `Feed` and gives rows back. It decides nothing else: what is new,
what is recorded and when the sweep ends is the feed's business.
"""

from sweeps.runners.feed import Feed, Runner
from sweeps.runners.worker import TOO_LARGE, attempt, train_pack

__all__ = ["TOO_LARGE", "Feed", "Runner", "attempt", "train_pack"]
