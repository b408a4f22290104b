"""Where packs are trained: in this process, on Ray Tune, or looked up in a recorded table.

A runner takes packs from a `Feed` and delivers rows to it. It decides nothing else: which trials
are new, what is recorded and when the sweep ends is up to the feed.

    feed.py             the contract: `Feed`, `Runner`
    worker.py           what a worker does with a pack
    serial.py           one pack after the other in this process
    tune.py             Ray Tune, with in_flight.py, tune_schedulers.py, ray_session.py,
                        scratch.py for its files and processes.py for what it started
    replay.py           recorded trainings on a simulated clock, from CSV with recorded_grid.py
"""

from sweeps.runners.feed import Feed, Runner
from sweeps.runners.worker import TOO_LARGE, attempt, train_pack

__all__ = ["TOO_LARGE", "Feed", "Runner", "attempt", "train_pack"]
