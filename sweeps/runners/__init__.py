"""Where packs are trained: in this process, on Ray Tune, or looked up in a recorded table.

A runner takes packs from a `Feed` and delivers rows to it. It decides nothing else: which trials
are new, what is recorded and when the sweep ends is up to the feed.

    feed.py             the contract: `Feed`, `Runner`
    worker.py           what a worker does with a pack
    serial.py           one pack after the other in this process; running_note.py: which one
    tune.py             Ray Tune, with in_flight.py and tune_schedulers.py; scratch.py for its files
    supervision/        a worker on Ray, and the trainer that it watches
    node_check.py       what a worker's machine must have: node_checks.py, in node_lines.py
    fault.py            an exception as a record
    ray_session.py      the Ray that is used: ray_address.py, or a local one: local_head.py with
                        watcher.py, processes.py, sockets.py; sent_code.py: users' code for it
    replay.py           recorded trainings on a simulated clock, from CSV with recorded_grid.py
"""

from sweeps.records.failure import TOO_LARGE
from sweeps.runners.feed import Feed, Runner
from sweeps.runners.worker import attempt, train_pack

__all__ = ["TOO_LARGE", "Feed", "Runner", "attempt", "train_pack"]
