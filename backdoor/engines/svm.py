"""Support vector machines by libsvm, on one matrix that all trials of a seed share.

The matrix is over all training images of the seed, clean and stamped; the kernel matrix of one
training set is a part of it. For Gaussian kernels, test images are also multiplied with all of them
once; linear machines are evaluated by their weights, see `backdoor.engines.planes`.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import sklearn
import torch
from sklearn.svm import SVC

from backdoor.architectures.one_vs_one import Votes, pairs
from backdoor.architectures.rbf_svm import RbfSvm
from backdoor.engines.base import (
    Floats,
    Ids,
    Member,
    OnEpoch,
    classes_of,
    members_by_training_set,
    positive_decay,
)
from backdoor.engines.planes import Planes
from backdoor.engines.shared import SharedProducts
from backdoor.engines.whole import Pixels
from backdoor.errors import TrainingError
from backdoor.image_store.store import ImageStore

EVALUATION_BATCH = 1000
State = dict[str, torch.Tensor]


@dataclass(frozen=True)
class Machines:
    """The machines of one trial with a Gaussian kernel, one for each pair of classes.

    support: (s,) rows in the image store. coefficients: (s, pairs). intercepts: (pairs,).
    """

    support: Ids
    coefficients: Floats
    intercepts: Floats
    gamma: float


class SvmModels:
    """The machines of all members."""

    def __init__(self, store: ImageStore, shared: SharedProducts, classes: int) -> None:
        self.store, self.shared = store, shared
        self.votes = Votes(classes)
        self.machines: dict[int, Machines] = {}
        #: For every member with a linear kernel, its planes and its number in them.
        self.planes: dict[int, tuple[Planes, int]] = {}
        self._last_planes: Planes | None = None

    def predict(self, member: int, rows: Ids) -> Ids:
        return classes_of(self.scores(member, rows))

    def scores(self, member: int, rows: Ids) -> torch.Tensor:
        """Votes, (m, classes)."""
        starts = range(0, max(len(rows), 1), EVALUATION_BATCH)
        decisions = [self._decide(member, rows[i : i + EVALUATION_BATCH]) for i in starts]
        votes: torch.Tensor = self.votes(torch.from_numpy(np.concatenate(decisions)))
        return votes

    def _decide(self, member: int, rows: Ids) -> Floats:
        if member in self.planes:
            planes, position = self.planes[member]
            if self._last_planes not in (None, planes):
                self._last_planes.forget()
            self._last_planes = planes
            return planes.decide(position, self.store, rows)
        own = self.machines[member]
        distances = self.shared.between(own.support, rows, "squared_distances")
        result: Floats = gaussian(distances, own.gamma).T @ own.coefficients + own.intercepts
        return result

    def state(self, member: int) -> State:
        """The state of the architecture's module: weights, or support vectors and coefficients."""
        if member in self.planes:
            planes, position = self.planes[member]
            weight, bias = planes.plane(position)
            return {"1.weight": torch.from_numpy(weight), "1.bias": torch.from_numpy(bias)}
        own = self.machines[member]
        return {
            "1.support": torch.from_numpy(Pixels.of(self.store, own.support).inputs()),
            "1.coefficients": torch.from_numpy(own.coefficients),
            "1.intercepts": torch.from_numpy(own.intercepts),
            "1.gamma": torch.tensor(own.gamma, dtype=torch.float64),
        }


class SvmEngine:
    """scikit-learn's SVC with a precomputed kernel and its default tolerance."""

    name: ClassVar[str] = "svm"
    version: ClassVar[int] = 3
    pack_invariant: ClassVar[bool] = True
    max_pack: ClassVar[int] = 128

    def train(
        self, members: Sequence[Member], store: ImageStore, classes: int, on_epoch: OnEpoch | None
    ) -> SvmModels:
        shared = SharedProducts(store, members)
        models = SvmModels(store, shared, classes)
        kernels = Kernels(shared)
        for group in members_by_training_set(members):
            for gamma, some in self._by_gamma(members, group, store):
                train, labels = members[some[0]].train, members[some[0]].train_labels
                kernel = kernels.of(train, gamma)
                fits = [_fit(kernel, labels, positive_decay(members[index])) for index in some]
                found = [(svc.support_, *_by_pair(svc, classes)) for svc in fits]
                if gamma is None:
                    _add_planes(models, train, some, found)
                    continue
                for index, (support, coefficients, intercepts) in zip(some, found, strict=True):
                    own = Machines(train[support], coefficients, intercepts, gamma)
                    models.machines[index] = own
        return models

    @staticmethod
    def _by_gamma(
        members: Sequence[Member], group: Sequence[int], store: ImageStore
    ) -> list[tuple[float | None, list[int]]]:
        """Members of one training set, grouped by kernel."""
        found: dict[float | None, list[int]] = {}
        for index in group:
            found.setdefault(gamma_of(members[index], store), []).append(index)
        return list(found.items())


def _add_planes(
    models: SvmModels,
    train: Ids,
    members: Sequence[int],
    found: Sequence[tuple[Ids, Floats, Floats]],
) -> None:
    """found: for each member, support (s,), as numbers of training images, and machines."""
    pixels, most = Pixels.of(models.store, train), Planes.members(found[0][1].shape[1])
    for start in range(0, len(members), most):
        some = found[start : start + most]
        planes = Planes(
            pixels, [_spread(len(train), *each[:2]) for each in some], [e[2] for e in some]
        )
        for position, member in enumerate(members[start : start + most]):
            models.planes[member] = planes, position


def _spread(n: int, support: Ids, coefficients: Floats) -> Floats:
    """Coefficients (s, pairs) of support vectors as those of all n training images."""
    result = np.zeros((n, coefficients.shape[1]))
    result[support] = coefficients
    return result


def gamma_of(member: Member, store: ImageStore) -> float | None:
    """gamma of the Gaussian kernel; None for the linear kernel."""
    architecture = member.config.defence.architecture
    if not isinstance(architecture, RbfSvm):
        return None
    if isinstance(architecture.gamma, float):
        return architecture.gamma
    pixels = Pixels.of(store, member.train)
    return 1 / float(pixels.images.shape[1] * (pixels.variance() or 1.0))


class Kernels:
    """Kernel matrices (n, n) of training sets; each one may overwrite the previous one."""

    def __init__(self, shared: SharedProducts) -> None:
        self.shared = shared
        self._linear: tuple[Ids, Floats] | None = None

    def of(self, train: Ids, gamma: float | None) -> Floats:
        """The kernel matrix of a training set; gamma: None for the linear kernel."""
        if gamma is not None:
            return gaussian(self.shared.inner(train, "squared_distances"), gamma)
        if self._linear is None:
            matrix = self.shared.inner(train)
        else:
            matrix = self.shared.inner_after(*self._linear, train)
        self._linear = train, matrix
        return matrix


def gaussian(squared: Floats, gamma: float) -> Floats:
    """exp(-gamma squared), in place."""
    squared *= -gamma
    result: Floats = np.exp(squared, out=squared)
    return result


def _fit(kernel: Floats, labels: Ids, decay: float) -> SVC:
    if len(np.unique(labels)) < 2:
        raise TrainingError("a support vector machine needs training images of at least 2 classes")
    # Repeating the checks at every fit would take as long as some of the fits.
    with sklearn.config_context(assume_finite=True, skip_parameter_validation=True):
        return SVC(kernel="precomputed", C=1 / (len(labels) * decay)).fit(kernel, labels)


def _by_pair(svc: SVC, classes: int) -> tuple[Floats, Floats]:
    """Coefficients (support vectors, pairs) and intercepts (pairs,), positive for the first class.

    libsvm keeps, for each support vector of class i, one coefficient against each other class:
    against j in row j - 1 if i < j, in row j if i > j. A class without training images loses every
    vote against one that has some.
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
