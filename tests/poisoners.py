"""The documented scheme of streams, written again for those who check what is drawn from it."""

import hashlib

import numpy as np


def their_generator(*parts: str | int) -> np.random.Generator:
    """A generator from the name of a draw and its key; shares no code with ours."""
    text = "\x1f".join([str(parts[0]), *(f"{type(p).__name__}:{p}" for p in parts[1:])])
    number = int(hashlib.sha256(text.encode()).hexdigest()[:16], 16) // 2
    return np.random.Generator(np.random.PCG64(number))
