"""Regularizers: terms that the defender adds to the training loss. One file, one kind.

The loss of a batch is mean cross-entropy + `strength` x `unit_penalty`. Keeping the strength
outside lets one pack train trials of many strengths at once.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch

from backdoor.registry import Kind


@dataclass(frozen=True)
class Regularizer(Kind):
    """A penalty on what the network answers; weight decay is a factor of its own."""

    @property
    def weight(self) -> float:
        """The factor in front of `unit_penalty`; 0 switches the regularizer off."""
        return float(getattr(self, "strength", 0.0))

    def unit_penalty(self, logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        """The penalty at strength 1.

        Args:
            logits: (..., b, k) float, any number of leading pack dimensions.
            labels: (..., b) int64, the classes trained for, poisoned ones included.

        Returns:
            (...) float, the mean over the b images of the batch; differentiable.
        """
        raise NotImplementedError
