"""Support vector machines as functions of the weights of their training images. Pure: arrays only.

A machine separates two classes; K classes have one for each pair. Each minimises, over the images
of its two classes, with y = +1 for the first,

    (1/n) sum_i s_i max(0, 1 - y_i f(x_i)) + (decay/2) ||w||^2,

n being the number of all training images. In the dual, w = sum_i a_i y_i phi(x_i) with
0 <= a_i <= C s_i and C = 1 / (n decay). Images with y f < 1 are at their bound C s_i; those
strictly between 0 and the bound are on the margin, y f = 1. If the weight of image j changes, a_j
follows its bound if y_j f_j < 1, and otherwise nothing changes; the margin stays the margin
(Cauwenberghs and Poggio 2000):

    df(x)/ds_j = C y_j ( K(x, j) - [K(x, M), 1] B^-1 [K(M, j); 1] ),   B = [[K(M, M), 1], [1', 0]].

This is the exact derivative while no image enters or leaves the margin. Without an image on the
margin the intercept is not unique and no derivative exists: NaN.
"""

from __future__ import annotations

import functools
from typing import ClassVar

import numpy as np
import numpy.typing as npt
import scipy.linalg
import sklearn
import torch
from sklearn.svm import SVC

from backdoor.architectures.one_vs_one import Votes, pairs
from backdoor.engines import classes_of
from backdoor.probes.convex_models import Floats, Ids, Learner

#: Tolerance of libsvm; with its default of 1e-3 coefficients are too inexact for derivatives.
TOLERANCE = 1e-8
#: A coefficient nearer to its bound than this share of it is at the bound.
AT_BOUND = 1e-7
#: If a solution has a larger residual, it is replaced by the least-squares solution.
RESIDUAL = 1e-6

Mask = npt.NDArray[np.bool_]


class MachineLearner(Learner):
    """Features are kernel values with the n training images, and 1: d = n + 1; columns are pairs.

    The loss of an image is the sum over the machines of its class: for two classes, of the only
    one.
    """

    loss: ClassVar[str] = "hinge max(0, 1 - y f), summed over the machines of the image's class"

    @property
    def kernel(self) -> Floats:
        """The kernel matrix of the training images, (n, n)."""
        return self.features[:, :-1]

    def fit(self, weights: Floats, start: Floats | None = None) -> Floats:
        signs = self._signs(self.labels)
        columns = [self._machine(weights, signs[:, c]) for c in range(signs.shape[1])]
        return np.stack(columns, 1)

    def losses(self, scores: Floats, labels: Ids) -> Floats:
        signs = self._signs(labels)
        result: Floats = (np.maximum(0, 1 - signs * scores) * (signs != 0)).sum(1)
        return result

    def score_gradients(self, scores: Floats, labels: Ids) -> Floats:
        signs = self._signs(labels)
        result: Floats = np.where(signs * scores < 1, -signs, 0.0)
        return result

    def answers(self, scores: Floats) -> Ids:
        return classes_of(Votes(self.classes)(torch.from_numpy(scores)))

    def shares(self, theta: Floats, weights: Floats, gradients: Floats) -> Floats:
        total = np.zeros((len(gradients), len(self.labels)))
        for column in range(theta.shape[1]):
            total += self._shares(column, theta[:, column], weights, gradients[:, :, column])
        return total

    def product(self, one: Floats, other: Floats) -> float:
        return float((one[:-1] * (self.kernel @ other[:-1])).sum())

    def margin(self, theta: Floats, weights: Floats) -> list[Mask]:
        """Which images are on the margin of each machine, (n,) each."""
        columns = range(theta.shape[1])
        return [self._partition(column, theta[:, column], weights)[0] for column in columns]

    def _signs(self, labels: Ids) -> Floats:
        """+1 for the first class of a pair, -1 for the second, 0 for any other, (m, pairs)."""
        first, second = np.array(pairs(self.classes)).T
        result: Floats = (labels[:, None] == first).astype(float) - (labels[:, None] == second)
        return result

    @functools.cached_property
    def _bound(self) -> float:
        """C, the bound of the coefficients of images of weight 1."""
        return 1 / (len(self.labels) * self.decay)

    def _machine(self, weights: Floats, signs: Floats) -> Floats:
        """One column of theta. A class without images loses every vote."""
        theta, own = np.zeros(len(signs) + 1), np.flatnonzero((signs != 0) & (weights > 0))
        if len(np.unique(signs[own])) < 2:
            theta[-1] = -1.0 if (signs[own] < 0).any() else 1.0
            return theta
        svc = SVC(kernel="precomputed", C=self._bound, tol=TOLERANCE)
        with sklearn.config_context(assume_finite=True):
            svc.fit(self.kernel[np.ix_(own, own)], signs[own], sample_weight=weights[own])
        theta[own[svc.support_]], theta[-1] = svc.dual_coef_[0], svc.intercept_[0]
        return theta

    def _partition(self, column: int, theta: Floats, weights: Floats) -> tuple[Mask, Mask]:
        """Images on the margin of a machine, and images on its wrong side, (n,) bool each."""
        signs = self._signs(self.labels)[:, column]
        alphas, bound = signs * theta[:-1], weights * self._bound
        inside = (alphas > AT_BOUND * bound) & (alphas < (1 - AT_BOUND) * bound)
        wrong = signs * (self.features @ theta) < 1
        # For images with weight, coefficients decide more exactly than scores.
        wrong = np.where(weights > 0, alphas >= (1 - AT_BOUND) * bound, wrong)
        return inside & (signs != 0), wrong & (signs != 0)

    def _shares(self, column: int, theta: Floats, weights: Floats, gradients: Floats) -> Floats:
        """The part of one machine in the shares, (q, n); gradients: (q, d)."""
        on, wrong = self._partition(column, theta, weights)
        if not on.any():
            return np.full((len(gradients), len(on)), np.nan)
        border = np.ones((on.sum() + 1, on.sum() + 1))
        border[:-1, :-1], border[-1, -1] = self.kernel[np.ix_(on, on)], 0
        right = np.vstack([self.kernel[np.ix_(on, wrong)], np.ones(wrong.sum())])
        known = np.column_stack([gradients[:, :-1][:, on], gradients[:, -1]])
        change = gradients[:, :-1][:, wrong] - known @ _solve(border, right)
        found = np.zeros((len(gradients), len(on)))
        found[:, wrong] = self._bound * self._signs(self.labels)[wrong, column] * change
        return found


def _solve(border: Floats, right: Floats) -> Floats:
    """border^-1 right; if images on the margin depend on each other, by least squares."""
    try:
        found: Floats = np.linalg.solve(border, right).astype(np.float64)
        residual = np.abs(border @ found - right).max(initial=0)
        if residual <= RESIDUAL * max(1.0, np.abs(right).max(initial=0)):
            return found
    except np.linalg.LinAlgError:
        pass
    shortest: Floats = scipy.linalg.lstsq(border, right)[0]
    return shortest
