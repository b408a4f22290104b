"""Closed forms. Ridge: one decomposition serves every weight decay on the same training set."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import scipy.linalg
import torch

from backdoor.bank import Bank
from backdoor.engines import (
    Floats,
    Ids,
    Lane,
    OnEpoch,
    classes_of,
    flat_inputs,
    lanes_by_training_set,
)


@dataclass(frozen=True)
class _Solved:
    """Everything about a training set that does not depend on the weight decay.

    The solution at alpha is left @ ((right) / (spectrum + alpha)).
    """

    left: Floats
    spectrum: Floats
    right: Floats
    mean_x: Floats
    mean_y: Floats

    def at(self, alpha: float) -> tuple[Floats, Floats]:
        """Coefficients (inputs, classes) and intercepts (classes,) of the ridge solution."""
        # Directions without data carry nothing at alpha = 0: the pseudo-inverse leaves them out.
        floor = self.spectrum.max() * len(self.spectrum) * np.finfo(np.float64).eps
        shifted = self.spectrum + alpha
        inverse = np.divide(1.0, shifted, out=np.zeros_like(shifted), where=shifted > floor)
        coefficients = self.left @ (inverse[:, None] * self.right)
        return coefficients, self.mean_y - self.mean_x @ coefficients


def solve_path(x: Floats, labels: Ids, classes: int) -> _Solved:
    """Prepares the ridge path of x (n, d), labels (n,), in the smaller of primal and dual."""
    y = np.full((len(x), classes), -1.0)
    y[np.arange(len(x)), labels] = 1.0
    mean_x, mean_y = x.mean(0), y.mean(0)
    x, y = x - mean_x, y - mean_y
    if len(x) >= x.shape[1]:
        spectrum, vectors = scipy.linalg.eigh(x.T @ x)
        return _Solved(vectors, spectrum, vectors.T @ (x.T @ y), mean_x, mean_y)
    spectrum, vectors = scipy.linalg.eigh(x @ x.T)
    return _Solved(x.T @ vectors, spectrum, vectors.T @ y, mean_x, mean_y)


class LinearModels:
    """Coefficients (inputs, classes) and intercepts (classes,) of every lane, float64."""

    def __init__(self, bank: Bank, solutions: list[tuple[Floats, Floats]]) -> None:
        self.bank, self.solutions = bank, solutions

    def predict(self, lane: int, rows: Ids) -> Ids:
        coefficients, intercepts = self.solutions[lane]
        logits = flat_inputs(self.bank, rows) @ coefficients + intercepts
        return classes_of(torch.from_numpy(logits))

    def state(self, lane: int) -> dict[str, torch.Tensor]:
        coefficients, intercepts = self.solutions[lane]
        weight = torch.from_numpy(np.ascontiguousarray(coefficients.T))
        return {"1.weight": weight, "1.bias": torch.from_numpy(intercepts)}


class Convex:
    """Exact solutions in float64."""

    name: ClassVar[str] = "convex"
    version: ClassVar[int] = 1
    pack_invariant: ClassVar[bool] = True
    max_pack: ClassVar[int] = 64

    def train(
        self, lanes: Sequence[Lane], bank: Bank, classes: int, on_epoch: OnEpoch | None
    ) -> LinearModels:
        solutions: dict[int, tuple[Floats, Floats]] = {}
        for group in lanes_by_training_set(lanes):
            lane = lanes[group[0]]
            solved = solve_path(flat_inputs(bank, lane.train), lane.train_labels, classes)
            for index in group:
                decay = lanes[index].config.defence.weight_decay
                solutions[index] = solved.at(len(lane.train) * decay / 2)
        return LinearModels(bank, [solutions[index] for index in range(len(lanes))])
