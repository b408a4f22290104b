"""Voting of two-class machines, and the modules of support vector machines built on it."""

from __future__ import annotations

import itertools
from typing import Any

import torch
from torch import nn


def pairs(classes: int) -> list[tuple[int, int]]:
    """All (i, j) with i < j, in the order of scikit-learn and libsvm."""
    return list(itertools.combinations(range(classes), 2))


class Votes(nn.Module):
    """Decisions (n, pairs) to votes (n, classes): a positive one is a vote for i, others for j.

    The first class with the most votes wins, as in libsvm.
    """

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.classes = classes

    def forward(self, decisions: torch.Tensor) -> torch.Tensor:
        first, second = torch.tensor(pairs(self.classes), device=decisions.device).T
        winners = torch.where(decisions > 0, first, second)
        votes = decisions.new_zeros(decisions.shape[0], self.classes)
        return votes.scatter_add_(1, winners, torch.ones_like(decisions))


class GaussianMachines(nn.Module):
    """sum_s coefficient[s] exp(-gamma ||x - support[s]||^2) + intercept, for every pair.

    support: (s, inputs). coefficients: (s, pairs). intercepts: (pairs,). gamma: one number. A
    trained state can have any number s of support vectors; an untrained module has one.
    """

    def __init__(self, inputs: int, classes: int) -> None:
        super().__init__()
        count = len(pairs(classes))
        self.support = nn.Parameter(torch.randn(1, inputs))
        self.coefficients = nn.Parameter(torch.randn(1, count))
        self.intercepts = nn.Parameter(torch.zeros(count))
        self.register_buffer("gamma", torch.ones(()))
        self.gamma: torch.Tensor

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        squared = x.square().sum(1)[:, None] + self.support.square().sum(1) - 2 * x @ self.support.T
        return torch.exp(-self.gamma * squared) @ self.coefficients + self.intercepts

    def _load_from_state_dict(self, state: dict[str, Any], prefix: str, *rest: Any) -> None:
        for name in ("support", "coefficients"):
            if (found := state.get(prefix + name)) is not None:
                parameter = getattr(self, name)
                parameter.data = parameter.new_empty((len(found), parameter.shape[1]))
        super()._load_from_state_dict(state, prefix, *rest)
