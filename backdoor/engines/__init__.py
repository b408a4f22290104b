"""Engines: how a pack of trials is computed. An architecture names the engine that trains it.

The engine follows from the trial alone, never from the size of its pack, and each engine says
whether a trial's result is bitwise the same in every pack (`pack_invariant`). `version` is part
of every row; raise it when the engine's golden test changes, and rows of different versions will
not be mixed in silence.
"""

from backdoor.engines.base import (
    Engine,
    Fitted,
    Ids,
    Lane,
    Member,
    Triggered,
    classes_of,
    init_state,
    layer_noise,
    learning_rate_factor,
    split_evenly,
    threads,
)
from backdoor.engines.known import engine_of, engines, pack_key

__all__ = [
    "Engine",
    "Fitted",
    "Ids",
    "Lane",
    "Member",
    "Triggered",
    "classes_of",
    "engine_of",
    "engines",
    "init_state",
    "layer_noise",
    "learning_rate_factor",
    "pack_key",
    "split_evenly",
    "threads",
]
