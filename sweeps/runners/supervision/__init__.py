"""A worker on Ray: a light process that watches another one train.

The process that Ray starts trains nothing. It starts a trainer, hands it one pack after the other,
and knows at every moment which pack it has, whether it lives, and how it ended. So a fault that
ends or blocks the trainer costs the pack that was running, and nothing else; Ray sees no death.

    on_worker.py     the function that Tune runs
    supervisor.py    the packs of a chunk, and the node's health
    suspicion.py     whether it may be the node that fails packs
    trainer_link.py  the trainer as the supervisor sees it: start, ask, watch, kill
    life.py          signs of life of a process, from /proc
    trainer.py       the other process: it trains
    crash.py         what is reported of a pack that failed

The first five are sent to workers as source, and import nothing but the standard library, Ray
and one another: they also run where this package cannot be imported, and say so.
"""
