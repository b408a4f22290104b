"""Logistic regression: its optimum by Newton's method, or a value certified to be near it.

With two classes and at least as many images as inputs, a descent ends within a share of 1e-4 of the
optimum's value, see `backdoor.engines.descent`; on digits of 784 inputs it takes a tenth of the
time of Newton's method. Everything else, and problems that a descent does not solve, is solved to
1e-10.

Newton's method: weights are sums of centred training images, w = x.T @ a, so that only the inner
products K of the images are needed: logits are K a + b, |w|^2 is a.K.a, and a Hessian times a
direction costs one product with K. All weight decays of one training set take their steps at the
same time, as columns of one matrix of fixed width: the bits of a column do not depend on the
others. Intermediate products are float32; values, gradients and results are float64.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import numpy.typing as npt
from scipy.special import expit, log_softmax

from backdoor.engines.base import (
    Floats,
    Ids,
    Member,
    OnEpoch,
    members_by_training_set,
    positive_decay,
)
from backdoor.engines.convex import centred
from backdoor.engines.descent import SignedImages, descend
from backdoor.engines.linear_models import WIDTH as BLOCK
from backdoor.engines.linear_models import LinearModels
from backdoor.engines.shared import SharedProducts
from backdoor.engines.subspace import Subspace, subspace
from backdoor.engines.whole import Pixels
from backdoor.errors import TrainingError
from backdoor.image_store.store import ImageStore

#: The end: the decrease predicted for the next step is below this share of the objective.
TOLERANCE = 1e-10
NEWTON_STEPS, CONJUGATE_STEPS, HALVINGS = 200, 2000, 40
#: The residual of a step, relative to the initial one, in the norm of the preconditioner. In
#: measurements, more exact steps, in float32, cost more than they saved.
ACCURACY = 0.25
#: The intercept of a class without training images, in place of minus infinity.
NEVER = -1e9
#: Columns of all products, or the number of classes if that is larger.
WIDTH = 16


class LogisticEngine:
    """The optimum of mean cross-entropy and weight decay, of two classes to 1e-4 of its value."""

    name: ClassVar[str] = "logistic"
    version: ClassVar[int] = 3
    pack_invariant: ClassVar[bool] = True
    max_pack: ClassVar[int] = 128

    def train(
        self, members: Sequence[Member], store: ImageStore, classes: int, on_epoch: OnEpoch | None
    ) -> LinearModels:
        # Few weight decays share a training set here: for two classes, a narrow block is enough.
        models = LinearModels(store, classes, WIDTH if classes == 2 else BLOCK)
        shared = SharedProducts(store, members)
        for group in members_by_training_set(members):
            train, labels = members[group[0]].train, members[group[0]].train_labels
            decays = [positive_decay(members[i]) for i in group]
            solutions = optima(shared, train, labels, classes, decays)
            for some in models.blocks(range(len(group))):
                models.fill([group[i] for i in some], [solutions[i] for i in some])
        return models


def optima(
    shared: SharedProducts, train: Ids, labels: Ids, classes: int, decays: Sequence[float]
) -> list[tuple[Floats, Floats]]:
    """Like `solve`, but for two classes, certified descents are tried first."""
    pixels = Pixels.of(shared.store, train)
    found = _descents(pixels, labels, classes, decays)
    rest = [i for i, solution in enumerate(found) if solution is None]
    if rest:
        images = Images.of(pixels, shared.inner(train) if narrow(pixels) else None)
        exact = solve(images, labels, classes, [decays[i] for i in rest])
        for i, solution in zip(rest, exact, strict=True):
            found[i] = solution
    return [solution for solution in found if solution is not None]


def _descents(
    pixels: Pixels, labels: Ids, classes: int, decays: Sequence[float]
) -> list[tuple[Floats, Floats] | None]:
    """None without exactly two classes, with few images, and if a descent does not succeed.

    With fewer images than inputs, one product with the matrix of inner products costs less than two
    products with the images.
    """
    known, (n, inputs) = np.unique(labels), pixels.images.shape
    if len(known) != 2 or n < inputs:
        return [None for _ in decays]
    images = SignedImages.of(pixels, labels == known[1])
    points = [descend(images, decay) for decay in decays]
    return [None if p is None else _of_two(*images.model(p), known, classes) for p in points]


def _of_two(weights: Floats, bias: float, known: Ids, classes: int) -> tuple[Floats, Floats]:
    """One weight vector as -w/2 and w/2 of the two known classes."""
    coefficients, intercepts = np.zeros((len(weights), classes)), np.full(classes, NEVER)
    coefficients[:, known] = weights[:, None] * (-0.5, 0.5)
    intercepts[known] = -bias / 2, bias / 2
    return coefficients, intercepts


def narrow(pixels: Pixels) -> bool:
    """Whether there are at most twice as many images as inputs."""
    n, inputs = pixels.images.shape
    return bool(n <= 2 * inputs)


@dataclass(frozen=True)
class Images:
    """Centred inputs (n, inputs), their mean, and factors whose product is K, (n, n).

    The only factor is K itself if it is small; else the factors are x and x.T, as K = x @ x.T.
    """

    x: Floats
    mean: Floats
    factors: tuple[Floats, ...]
    coarse: tuple[npt.NDArray[np.float32], ...]
    lengths: Floats
    axes: Subspace

    @staticmethod
    def of(pixels: Pixels, inner: Floats | None = None) -> Images:
        x = pixels.inputs()
        return Images.centre(x, inner)

    @staticmethod
    def centre(x: Floats, inner: Floats | None = None) -> Images:
        mean = x.mean(0)
        x = x - mean
        factors: tuple[Floats, ...] = (x, x.T) if inner is None else (centred(inner),)
        coarse = tuple(factor.astype(np.float32) for factor in factors)
        lengths = np.einsum("ij,ij->i", x, x)
        axes = subspace(lambda v: _multiply(coarse, v), lambda v: _multiply(factors, v), len(x))
        return Images(x, mean, factors, coarse, lengths, axes)

    def exact(self, v: Floats) -> Floats:
        """K v, v (n, members, classes)."""
        return _multiply(self.factors, v)

    def quick(self, v: Floats) -> Floats:
        """K v in float32."""
        return _multiply(self.coarse, v)


def _multiply(factors: Sequence[npt.NDArray[np.floating]], v: Floats) -> Floats:
    flat = v.reshape(len(v), -1).astype(factors[0].dtype)
    for factor in reversed(factors):
        flat = factor @ flat
    return flat.astype(np.float64).reshape(v.shape)


def solve(
    images: Images, labels: Ids, classes: int, decays: Sequence[float]
) -> list[tuple[Floats, Floats]]:
    """Coefficients (inputs, classes) and intercepts (classes,) of the optimum of each decay."""
    known, numbered = np.unique(labels, return_inverse=True)
    if len(known) == 1:
        bias = np.where(np.arange(classes) == known[0], 0.0, NEVER)
        return [(np.zeros((images.x.shape[1], classes)), bias) for _ in decays]
    # Two classes share one weight vector w, which becomes -w/2 and w/2 at the end.
    columns = 1 if len(known) == 2 else len(known)
    most = max(1, WIDTH // columns)
    found: list[tuple[Floats, Floats]] = []
    for start in range(0, len(decays), most):
        some = decays[start : start + most]
        one_hot = np.eye(len(known))[numbered][:, -columns:]
        sums, biases = Newton(images, one_hot, some, most).minimise()
        for member in range(len(some)):
            found.append(_spread(images, sums[member], biases[member], known, classes))
    return found


def _spread(
    images: Images, weights: Floats, biases: Floats, known: Ids, classes: int
) -> tuple[Floats, Floats]:
    """From weights (inputs, columns) for centred inputs to weights and intercepts of all
    classes."""
    if len(known) == 2:
        weights, biases = (np.concatenate([-v / 2, v / 2], -1) for v in (weights, biases))
    coefficients, intercepts = np.zeros((len(weights), classes)), np.full(classes, NEVER)
    coefficients[:, known] = weights
    intercepts[known] = biases - images.mean @ weights
    return coefficients, intercepts


class Newton:
    """Newton's method for several weight decays at once.

    Arrays are (n, members, columns) and (members, columns), with one column for two classes;
    members beyond the given decays stay at zero.
    """

    def __init__(
        self, images: Images, one_hot: Floats, decays: Sequence[float], members: int
    ) -> None:
        self.images, self.one_hot = images, one_hot[:, None, :]
        self.n, self.columns = one_hot.shape
        self.active = np.arange(members) < len(decays)
        self.decay = np.ones(members)
        self.decay[: len(decays)] = decays
        self.sums = np.zeros((self.n, members, self.columns))
        self.biases = np.zeros((members, self.columns))

    def minimise(self) -> tuple[Floats, Floats]:
        """Weights (members, inputs, columns) and intercepts (members, columns). It starts at zero,
        as the start must not depend on the rest of a pack."""
        for _ in range(NEWTON_STEPS):
            curved = self.images.exact(self.sums)
            logits = curved + self.biases
            value, p = self._value(logits, _dots(self.sums, curved)), self._p(logits)
            gap = (p - self.one_hot) / self.n
            step = self._step(p, gap + self._decayed(self.sums), gap.sum(0))
            slope = _dots(gap + self._decayed(self.sums), step.curved)
            slope += (gap.sum(0) * step.biases).sum(1)
            self.active &= -slope > TOLERANCE * value
            if not self.active.any():
                return self._weights(), self.biases
            self._move(logits, curved, value, step, slope)
        raise TrainingError(f"logistic regression did not converge in {NEWTON_STEPS} Newton steps")

    def _weights(self) -> Floats:
        flat: Floats = self.images.x.T @ self.sums.reshape(self.n, -1)
        return flat.reshape(-1, *self.sums.shape[1:]).transpose(1, 0, 2)

    def _decayed(self, v: Floats) -> Floats:
        return self.decay[:, None] * v

    def _p(self, logits: Floats) -> Floats:
        p = expit(logits) if self.columns == 1 else np.exp(log_softmax(logits, axis=2))
        result: Floats = p
        return result

    def _value(self, logits: Floats, squares: Floats) -> Floats:
        """Mean cross-entropy + decay/2 |w|^2 of each member, given |w|^2."""
        if self.columns == 1:
            losses = (np.logaddexp(0, logits) - self.one_hot * logits)[..., 0]
        else:
            losses = -(log_softmax(logits, axis=2) * self.one_hot).sum(2)
        result: Floats = losses.mean(0) + self.decay / 2 * squares
        return result

    def _curve(self, p: Floats, v: Floats) -> Floats:
        """Second derivative of the mean cross-entropy by the logits, times v."""
        moved = p * v
        if self.columns == 1:
            moved -= p * moved
            moved /= self.n
            return moved
        result: Floats = (moved - p * moved.sum(2, keepdims=True)) / self.n
        return result

    def _step(self, p: Floats, gradient: Floats, by_bias: Floats) -> _Update:
        """-H^-1 gradient by conjugate gradients."""
        precondition = self._preconditioner(p)
        residual, left = _centre(-gradient), -by_bias
        step = _Update.zeros(residual)
        direction = precondition(residual, left)
        norm = _dots(residual, direction.curved) + (left * direction.biases).sum(1)
        enough = norm * ACCURACY**2
        for _ in range(CONJUGATE_STEPS):
            alive = self.active & (norm > enough)
            if not alive.any():
                break
            bent = self._curve(p, direction.curved + direction.biases)
            along, by = bent + self._decayed(direction.sums), bent.sum(0)
            curvature = _dots(along, direction.curved) + (by * direction.biases).sum(1)
            alive &= curvature > 0
            length = np.where(alive, norm, 0) / np.where(alive, curvature, 1)
            step.add(length, direction)
            residual = _centre(residual - length[:, None] * along)
            left = left - length[:, None] * by
            fresh = precondition(residual, left)
            now = _dots(residual, fresh.curved) + (left * fresh.biases).sum(1)
            fresh.add(np.where(alive, now, 0) / np.where(alive, norm, 1), direction)
            direction, norm = fresh, np.where(alive, now, 0)
        return step

    def _preconditioner(self, p: Floats) -> _Preconditioner:
        curvature = p * (1 - p) / self.n
        return _Preconditioner(self.images, curvature, self.decay, self.active)

    def _move(
        self, logits: Floats, curved: Floats, value: Floats, step: _Update, slope: Floats
    ) -> None:
        """Takes the steps, halved until the objective decreases enough, up to rounding."""
        squares, mixed = _dots(self.sums, curved), _dots(step.sums, curved)
        own = _dots(step.sums, step.curved)
        length = np.where(self.active, 1.0, 0.0)
        for _ in range(HALVINGS):
            moved = logits + length[:, None] * (step.curved + step.biases)
            after = self._value(moved, squares + length * (2 * mixed + length * own))
            high = after > value + 1e-4 * length * slope + 1e-14 * np.abs(value)
            if not (high & self.active).any():
                break
            length = np.where(high, length / 2, length)
        self.sums += length[:, None] * step.sums
        self.biases += length[:, None] * step.biases


@dataclass
class _Update:
    """Weights as sums of images (n, members, columns), K times them, biases (members, columns)."""

    sums: Floats
    curved: Floats
    biases: Floats

    @staticmethod
    def zeros(like: Floats) -> _Update:
        return _Update(np.zeros_like(like), np.zeros_like(like), np.zeros(like.shape[1:]))

    def add(self, length: Floats, other: _Update) -> None:
        """Adds other * length; length: (members,)."""
        each = length[:, None]
        self.sums += each * other.sums
        self.curved += each * other.curved
        self.biases += each * other.biases


class _Preconditioner:
    """The inverse of the Hessian on the leading axes of the images, and one factor on the
    others."""

    def __init__(
        self, images: Images, curvature: Floats, decay: Floats, active: npt.NDArray[np.bool_]
    ) -> None:
        self.images, axes = images, images.axes
        n, members, columns = curvature.shape
        size = axes.sums.shape[1] + 1
        self.inverse = np.tile(np.eye(size), (members, columns, 1, 1))
        self.inverse[:, :, -1, -1] = 1 / np.maximum(curvature.sum(0), 1e-12)
        scores = np.column_stack([axes.curved, np.ones(n)])
        for member in np.flatnonzero(active):
            ridge = np.diag(np.append(np.full(size - 1, decay[member]), 1e-12))
            for column in range(columns):
                block = scores.T @ (scores * curvature[:, member, column, None]) + ridge
                self.inverse[member, column] = np.linalg.inv(block)
        rest = np.maximum(images.lengths - np.square(axes.curved).sum(1), 0)
        dimensions = max(1, min(images.x.shape) - size + 1)
        self.tail = decay[:, None] + np.einsum("n,nlc->lc", rest, curvature) / dimensions

    def __call__(self, residual: Floats, left: Floats) -> _Update:
        axes, shape = self.images.axes, residual.shape
        inside = axes.curved.T @ residual.reshape(shape[0], -1)
        flat = axes.sums @ inside
        both = np.concatenate([inside.reshape(-1, *shape[1:]), left[None]])
        solved = np.einsum("lcij,jlc->ilc", self.inverse, both)
        size = len(inside)
        sums = (axes.sums @ solved[:-1].reshape(size, -1)).reshape(shape)
        sums += (residual - flat.reshape(shape)) / self.tail
        return _Update(sums, self.images.quick(sums), solved[-1])


def _dots(a: Floats, b: Floats) -> Floats:
    """Inner products of each member, (members,)."""
    result: Floats = (a * b).sum(0).sum(1)
    return result


def _centre(v: Floats) -> Floats:
    """v minus its mean over the images, which has no effect on sums of centred images."""
    result: Floats = v - v.mean(0)
    return result
