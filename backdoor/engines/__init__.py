"""Engines: how a pack of trials is trained. An architecture names its engine.

The engine depends on the trial only, never on the size of its pack. `pack_invariant` says whether
an engine gives a trial bitwise the same result in every pack. `version` is part of every row: raise
it when the golden test of the engine changes, so that rows of different versions are never mixed
unnoticed.
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
