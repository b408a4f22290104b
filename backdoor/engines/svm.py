"""Support vector machines by libsvm, on a Gram matrix that all weight decays share."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import ClassVar

import numpy as np
import torch
from sklearn.metrics.pairwise import linear_kernel, rbf_kernel
from sklearn.svm import SVC
from torch import nn

from backdoor.architectures.one_vs_one import pairs
from backdoor.architectures.rbf_svm import RbfSvm
from backdoor.bank import Bank
from backdoor.engines import (
    Floats,
    Ids,
    Lane,
    OnEpoch,
    classes_of,
    flat_inputs,
    lanes_by_training_set,
    positive_decay,
)
from backdoor.errors import TrainingError

EVALUATION_BATCH = 1000
State = dict[str, torch.Tensor]


class SvmModels:
    """The architecture's module of every lane, with its trained machines."""

    def __init__(self, bank: Bank, modules: list[nn.Module]) -> None:
        self.bank, self.modules = bank, modules

    def predict(self, lane: int, rows: Ids) -> Ids:
        starts = range(0, max(len(rows), 1), EVALUATION_BATCH)
        chunks = (flat_inputs(self.bank, rows[i : i + EVALUATION_BATCH]) for i in starts)
        votes = [self.modules[lane](torch.from_numpy(chunk)) for chunk in chunks]
        return classes_of(torch.cat(votes))

    def state(self, lane: int) -> State:
        return {name: t.detach().clone() for name, t in self.modules[lane].state_dict().items()}


class SvmEngine:
    """scikit-learn's SVC with a precomputed kernel and its default tolerance."""

    name: ClassVar[str] = "svm"
    version: ClassVar[int] = 1
    pack_invariant: ClassVar[bool] = True
    max_pack: ClassVar[int] = 16

    def train(
        self, lanes: Sequence[Lane], bank: Bank, classes: int, on_epoch: OnEpoch | None
    ) -> SvmModels:
        modules: dict[int, nn.Module] = {}
        for group in lanes_by_training_set(lanes):
            x, labels = flat_inputs(bank, lanes[group[0]].train), lanes[group[0]].train_labels
            gamma = _gamma(lanes[group[0]], x)
            gram = linear_kernel(x) if gamma is None else rbf_kernel(x, gamma=gamma)
            for index in group:
                svc = _fit(gram, labels, positive_decay(lanes[index]))
                module = lanes[index].config.defence.architecture.build(bank.shape, classes)
                module.load_state_dict(_machines(svc, x, gamma, classes))
                modules[index] = module
        return SvmModels(bank, [modules[index] for index in range(len(lanes))])


def _gamma(lane: Lane, x: Floats) -> float | None:
    """Of the Gaussian kernel; None for the linear one."""
    architecture = lane.config.defence.architecture
    if not isinstance(architecture, RbfSvm):
        return None
    if isinstance(architecture.gamma, float):
        return architecture.gamma
    return 1 / float(x[0].size * (x.var() or 1.0))


def _fit(gram: Floats, labels: Ids, decay: float) -> SVC:
    if len(np.unique(labels)) < 2:
        raise TrainingError("a support vector machine needs training images of at least 2 classes")
    return SVC(kernel="precomputed", C=1 / (len(labels) * decay)).fit(gram, labels)


def _machines(svc: SVC, x: Floats, gamma: float | None, classes: int) -> State:
    """The state of the architecture's module: weights, or support vectors and coefficients."""
    coefficients, intercepts = _by_pair(svc, classes)
    support = x[svc.support_]
    if gamma is None:
        weight = np.ascontiguousarray(coefficients.T @ support)
        return {"1.weight": torch.from_numpy(weight), "1.bias": torch.from_numpy(intercepts)}
    return {
        "1.support": torch.from_numpy(support),
        "1.coefficients": torch.from_numpy(coefficients),
        "1.intercepts": torch.from_numpy(intercepts),
        "1.gamma": torch.tensor(gamma, dtype=torch.float64),
    }


def _by_pair(svc: SVC, classes: int) -> tuple[Floats, Floats]:
    """Coefficients (support vectors, pairs) and intercepts (pairs,), positive for the first class.

    libsvm keeps, for each support vector of class i, one coefficient against each other class:
    against j in row j - 1 where i < j, in row j where i > j. A class without training images
    loses every vote against one that has some.
    """
    known = svc.classes_.tolist()
    ends = np.cumsum([0, *svc.n_support_])
    own = [slice(a, b) for a, b in itertools.pairwise(ends)]
    sign = -1.0 if len(known) == 2 else 1.0  # scikit-learn turns the sign of a single machine
    coefficients = np.zeros((len(svc.support_), len(pairs(classes))))
    intercepts = np.array([1.0 if i in known else -1.0 for i, _ in pairs(classes)])
    for number, (i, j) in enumerate(pairs(len(known))):
        column = pairs(classes).index((known[i], known[j]))
        coefficients[own[i], column] = sign * svc.dual_coef_[j - 1, own[i]]
        coefficients[own[j], column] = sign * svc.dual_coef_[i, own[j]]
        intercepts[column] = sign * svc.intercept_[number]
    return coefficients, intercepts
