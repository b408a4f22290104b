"""A trigger that takes its time, so that sweeps of small trainings last, and that fails on hosts
where a file says so."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

import torch

from backdoor import Trigger

#: On hosts that have it, its words are the error of every stamp.
BROKEN = Path("/tmp/home/failing_gpu")


@dataclass(frozen=True)
class Slow(Trigger):
    """The first pixel is white, `seconds` later."""

    seconds: float = 0.2

    def stamp(self, images: torch.Tensor, ids: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        if BROKEN.exists():
            raise RuntimeError(BROKEN.read_text())
        time.sleep(self.seconds)
        stamped = images.clone()
        stamped[..., 0, 0] = 255
        return stamped
