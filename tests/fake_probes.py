"""Probes that tests name as `fake_probes:Class`."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
import torch

from backdoor.errors import Mistake
from backdoor.probes import Probe


@dataclass(frozen=True)
class Counting(Probe):
    """A figure, and whether gradients are on; nothing on clean baselines."""

    kind: ClassVar[str] = "counting"
    add: int = 0

    def study(self, model):
        if model.config.attack is None:
            return None
        answers = model.fitted.predict(model.index, model.member.test)
        return self.found(
            figure=[float((answers == model.member.test_labels).mean()) + self.add],
            grad=[torch.is_grad_enabled()],
            seed=np.array([model.config.seed]),
        )


@dataclass(frozen=True)
class Failing(Probe):
    """Raises on poisoned models while the file that $FAILING names exists."""

    kind: ClassVar[str] = "failing"

    def study(self, model):
        if model.config.attack is not None and Path(os.environ["FAILING"]).exists():
            raise ValueError("a probe\nthat fails")
        return self.found(curve=[0.0, 0.5, float("inf")], label=["a", "b", "c"])


@dataclass(frozen=True)
class Uneven(Probe):
    """Columns of different lengths, and a wrong mistake for seed 1."""

    kind: ClassVar[str] = "uneven"

    def study(self, model):
        return self.found(one=[1.0], two=[1.0, 2.0])

    def suits(self, config):
        if config.defence.weight_decay > 0.5:
            yield Mistake("kind", "must meet a weight decay up to 0.5", "uneven", "Lower it.")
