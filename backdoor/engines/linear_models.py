"""The linear models of a pack, in blocks of equal width that are evaluated together.

A model has one column for each class; with two classes only that of the second, since that of the
first is its negative. A block has models of one training set and is padded with zeros: its products
then always have the same shape, so that a model's scores have the same bits whichever models share
its block.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from backdoor.engines.base import Floats, Ids, classes_of
from backdoor.engines.whole import Pixels
from backdoor.image_store.store import ImageStore

WIDTH, EVALUATION_BATCH = 64, 1000


def columns_of(classes: int) -> int:
    """Number of columns of a model with so many classes."""
    return 1 if classes == 2 else classes


def targets(labels: Ids, columns: int) -> Floats:
    """+1 if an image is of the class of the column, else -1: (n, columns)."""
    numbers = np.arange(columns) if columns > 1 else np.array([1])
    return np.where(labels[:, None] == numbers, 1.0, -1.0)


class LinearModels:
    """Coefficients and intercepts of all members, float64."""

    def __init__(self, store: ImageStore, classes: int, width: int = WIDTH) -> None:
        """width: the least number of columns of a block, a multiple of 16."""
        self.store, self.classes, self.columns = store, classes, columns_of(classes)
        self.width = max(width, -(-self.columns // 16) * 16)
        self._blocks: list[tuple[Floats, Floats]] = []
        self._place: dict[int, tuple[int, int]] = {}
        self._predictions: dict[bytes, Ids] = {}
        self._predicted_block = -1
        self._scored: tuple[tuple[int, bytes], torch.Tensor] | None = None

    def blocks(self, members: Sequence[int]) -> list[Sequence[int]]:
        """These members in parts, each of which fits into a block."""
        most = self.width // self.columns
        return [members[i : i + most] for i in range(0, len(members), most)]

    def add(self, members: Sequence[int], coefficients: Floats, intercepts: Floats) -> None:
        """Adds a block: (inputs, width) and (width,), with the columns of the members in order."""
        for position, member in enumerate(members):
            self._place[member] = len(self._blocks), position
        self._blocks.append((coefficients, intercepts))

    def fill(self, members: Sequence[int], solutions: Sequence[tuple[Floats, Floats]]) -> None:
        """Adds a block of solutions (inputs, classes) and (classes,), one for each member."""
        inputs = len(solutions[0][0])
        coefficients, intercepts = np.zeros((inputs, self.width)), np.zeros(self.width)
        for position, (weights, biases) in enumerate(solutions):
            own = slice(position * self.columns, (position + 1) * self.columns)
            both = np.vstack([weights, biases])
            if self.classes == 2:
                both = (both[:, 1:] - both[:, :1]) / 2
            coefficients[:, own], intercepts[own] = both[:-1], both[-1]
        self.add(members, coefficients, intercepts)

    def predict(self, member: int, rows: Ids) -> Ids:
        block, position = self._place[member]
        if block != self._predicted_block:
            self._predicted_block, self._predictions = block, {}
        key = rows.tobytes()
        if key not in self._predictions:
            starts = range(0, max(len(rows), 1), EVALUATION_BATCH)
            parts = [self._predict(block, rows[i : i + EVALUATION_BATCH]) for i in starts]
            self._predictions[key] = np.concatenate(parts)
        return self._predictions[key][:, position]

    def scores(self, member: int, rows: Ids) -> torch.Tensor:
        block, position = self._place[member]
        key = block, rows.tobytes()
        if self._scored is None or self._scored[0] != key:
            starts = range(0, max(len(rows), 1), EVALUATION_BATCH)
            parts = [self._scores(block, rows[i : i + EVALUATION_BATCH]) for i in starts]
            self._scored = key, torch.cat(parts)
        return self._scored[1][:, position]

    def _predict(self, block: int, rows: Ids) -> Ids:
        """Predictions of all models of a block, (m, models)."""
        scores = self._scores(block, rows)
        return classes_of(scores.flatten(0, 1)).reshape(scores.shape[:2])

    def _scores(self, block: int, rows: Ids) -> torch.Tensor:
        """Scores of all models of a block, (m, models, classes)."""
        coefficients, intercepts = self._blocks[block]
        raw = Pixels.of(self.store, rows).inputs() @ coefficients + intercepts
        most = self.width // self.columns
        scores = torch.from_numpy(raw[:, : most * self.columns]).reshape(len(rows), most, -1)
        return torch.cat([-scores, scores], 2) if self.classes == 2 else scores

    def state(self, member: int) -> dict[str, torch.Tensor]:
        block, position = self._place[member]
        own = slice(position * self.columns, (position + 1) * self.columns)
        coefficients, intercepts = (part[..., own] for part in self._blocks[block])
        if self.classes == 2:
            coefficients = np.concatenate([-coefficients, coefficients], -1)
            intercepts = np.concatenate([-intercepts, intercepts], -1)
        weight = torch.from_numpy(np.ascontiguousarray(coefficients.T))
        return {"1.weight": weight, "1.bias": torch.from_numpy(intercepts.copy())}
