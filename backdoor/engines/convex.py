"""Closed forms. Ridge: one decomposition serves every weight decay on the same training set.

The matrix of second moments (or, with fewer images than inputs, of inner products) is exact, see
`backdoor.engines.whole`. So the matrix of the next poison rate follows from that of the last one by
the images that differ. An orthogonal transformation makes it tridiagonal; then the system of one
weight decay is solved in linear time, and no eigenvector is needed.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import ClassVar

import numpy as np
import scipy.linalg
from scipy.linalg import lapack

from backdoor.engines.base import Floats, Ids, Member, OnEpoch, members_by_training_set
from backdoor.engines.linear_models import LinearModels, columns_of, targets
from backdoor.engines.shared import SharedProducts
from backdoor.engines.whole import Pixels
from backdoor.errors import TrainingError
from backdoor.image_store.store import ImageStore


class Convex:
    """Exact solutions in float64."""

    name: ClassVar[str] = "convex"
    version: ClassVar[int] = 2
    pack_invariant: ClassVar[bool] = True
    max_pack: ClassVar[int] = 512

    def train(
        self, members: Sequence[Member], store: ImageStore, classes: int, on_epoch: OnEpoch | None
    ) -> LinearModels:
        models = LinearModels(store, classes)
        shared = SharedProducts(store, members)
        for group in members_by_training_set(members):
            member = members[group[0]]
            path = RidgePath(shared, member.train, member.train_labels, columns_of(classes))
            for some in models.blocks(group):
                alphas = [_alpha(members[index]) for index in some]
                models.add(some, *path.at(alphas, models.width))
        return models


def _alpha(member: Member) -> float:
    return len(member.train) * member.config.defence.weight_decay / 2


class RidgePath:
    """All ridge solutions on one training set, in the primal or the dual, whichever is smaller."""

    def __init__(self, shared: SharedProducts, train: Ids, labels: Ids, columns: int) -> None:
        self.pixels = Pixels.of(shared.store, train)
        self.scale, shift = self.pixels.wide()
        self.sums = self.pixels.images.sum(0, dtype=np.int64).astype(np.float64)
        self.mean_x = self.sums / len(train) * self.scale - shift
        y = targets(labels, columns)
        self.mean_y = y.mean(0)
        y -= self.mean_y
        self.primal = len(train) >= self.pixels.images.shape[1]
        if self.primal:
            matrix = shared.moments(train) - self.sums[:, None] * (self.sums / len(train))
            matrix *= self.scale
            matrix *= self.scale[:, None]
            y = self._back(y)
        else:
            matrix = centred(shared.inner(train))
        self.tridiagonal = Tridiagonal(matrix)
        self.right = self.tridiagonal.rotate(y)

    def at(self, alphas: Sequence[float], width: int) -> tuple[Floats, Floats]:
        """Coefficients (inputs, width) and intercepts (width,), the columns of each alpha in order.

        The remaining columns are zeros: products of equal shape give a column the same bits,
        whatever the other columns are. During the computation they are ones, as LAPACK skips zeros
        at the end if there are few inputs, which changes the shape.
        """
        columns = self.right.shape[1]
        solved = np.ones((len(self.right), width), order="F")
        for index, alpha in enumerate(alphas):
            own = slice(index * columns, (index + 1) * columns)
            solved[:, own] = self.tridiagonal.solve(alpha, self.right)
        coefficients = self.tridiagonal.rotate(solved, back=True)
        coefficients[:, len(alphas) * columns :] = 0
        coefficients = coefficients if self.primal else self._back(coefficients)
        mean_y = np.resize(self.mean_y, width)
        return coefficients, mean_y - self.mean_x @ coefficients

    def _back(self, y: Floats) -> Floats:
        """The transpose of the centred inputs times y (n, m): (inputs, m)."""
        wide = self.pixels.images.T.astype(np.float64) @ y
        result: Floats = self.scale[:, None] * (wide - self.sums[:, None] * (y.sum(0) / len(y)))
        return result


def centred(inner: Floats) -> Floats:
    """Inner products of centred images, from those of the images; in place."""
    means = inner.mean(1)
    inner -= means[:, None]
    inner -= means - means.mean()
    return inner


class Tridiagonal:
    """A symmetric matrix as Q T Q^T with T tridiagonal, by LAPACK, which overwrites the matrix."""

    def __init__(self, matrix: Floats) -> None:
        n = len(matrix)
        space = int(lapack.dsytrd_lwork(n, lower=1)[0])
        reduced, self.main, self.beside, self.tau, info = lapack.dsytrd(
            matrix.T, lower=1, lwork=space, overwrite_a=1
        )
        if info:
            raise TrainingError(f"LAPACK's dsytrd failed with {info}")
        self.reflectors = np.asfortranarray(reduced[1:, :-1])

    @functools.cached_property
    def floor(self) -> float:
        """Smaller values cannot be distinguished from zero."""
        sides = np.abs(np.append(self.beside, 0)) + np.abs(np.append(0, self.beside))
        largest = float((np.abs(self.main) + sides).max())
        return largest * len(self.main) * float(np.finfo(np.float64).eps)

    def solve(self, alpha: float, right: Floats) -> Floats:
        """(T + alpha)^-1 right (n, m)."""
        # LAPACK's wrapper cannot handle a single row.
        if alpha > self.floor and len(right) > 1:
            *_, solved, info = lapack.dptsv(self.main + alpha, self.beside, right)
            if not info:
                result: Floats = solved
                return result
        return self._pseudo_inverse(alpha, right)

    def _pseudo_inverse(self, alpha: float, right: Floats) -> Floats:
        """Directions without data have no part in the solution at alpha = 0."""
        spectrum, vectors = self._eigen
        shifted = spectrum + alpha
        inverse = np.divide(1, shifted, out=np.zeros_like(shifted), where=shifted > self.floor)
        result: Floats = vectors @ (inverse[:, None] * (vectors.T @ right))
        return result

    @functools.cached_property
    def _eigen(self) -> tuple[Floats, Floats]:
        if len(self.main) == 1:
            return self.main, np.ones((1, 1))
        spectrum, vectors = scipy.linalg.eigh_tridiagonal(self.main, self.beside)
        return spectrum, vectors

    def rotate(self, right: Floats, back: bool = False) -> Floats:
        """Q^T right, or Q right if `back`; right: (n, m)."""
        result = np.array(right, order="F")
        if len(right) > 1:
            how = "L", "N" if back else "T", self.reflectors, self.tau, result[1:]
            space = int(lapack.dormqr(*how, -1)[1][0])
            result[1:], _, info = lapack.dormqr(*how, space)
            if info:
                raise TrainingError(f"LAPACK's dormqr failed with {info}")
        return result
