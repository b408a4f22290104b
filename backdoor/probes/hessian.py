"""Influence in networks by Hessian-vector products and conjugate gradients.

Koh and Liang 2017 (arXiv 1703.04730), for the incremental objective of *Backdoor Learning Curves*
(arXiv 2106.07214), of n training samples of which some are poisoned:

    J(w, b) = (1/n) (sum over clean l_i(w) + b * sum over poisoned l_i(w)) + (decay/2) |weights|^2

At its optimum w(b), dw/db = -H^-1 g with g = (1/n) sum over poisoned grad l_i and H the Hessian of
J, at b = 0 that of the clean objective. So the derivative of the mean test loss L is

    dL/db = -s . g,   s = (H + damping)^-1 grad L,

and the share of each poisoned sample is -s . grad l_i / n. A network that was trained for some
steps is not at an optimum, and its Hessian need not be positive definite. A large enough `damping`
(in units of the curvature of J) makes it so; `Solved.least_curvature` shows whether it was enough.
Everything here is pure and independent of trials.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import torch
from torch import nn
from torch.nn import functional

Tensor = torch.Tensor
#: Each call iterates over inputs (b, c, h, w) of a network and labels (b,) int64.
Batches = Callable[[], Iterable[tuple[Tensor, Tensor]]]
#: A linear map of vectors (p,).
Product = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class Objective:
    """(1/divisor) sum of cross-entropies + (decay/2) |weights|^2 of a module in evaluation mode.

    Vectors (p,) are over all its parameters in their order. Parameters of more than one dimension
    are decayed, as in training. Sums are computed batch by batch.
    """

    module: nn.Module
    batches: Batches
    divisor: float
    decay: float = 0.0

    @property
    def parameters(self) -> list[nn.Parameter]:
        """All parameters of the module."""
        return list(self.module.parameters())

    def losses(self, images: Tensor, labels: Tensor) -> Tensor:
        """Cross-entropy of each sample, (b,)."""
        return functional.cross_entropy(self.module(images), labels, reduction="none")

    def value(self) -> float:
        """The value of the objective."""
        with torch.no_grad():
            summed = sum(float(self.losses(*batch).sum()) for batch in self.batches())
        weights = self._decayed(_flat(self.parameters))
        return summed / self.divisor + 0.5 * float(weights @ _flat(self.parameters))

    def gradient(self) -> Tensor:
        """The gradient of the objective, (p,)."""
        total = self._decayed(_flat(self.parameters))
        for batch in self.batches():
            summed = self.losses(*batch).sum() / self.divisor
            total += _flat(torch.autograd.grad(summed, self.parameters))
        return total

    def product(self, vector: Tensor) -> Tensor:
        """The Hessian times a vector, (p,) to (p,), without damping."""
        total = self._decayed(vector)
        for batch in self.batches():
            summed = self.losses(*batch).sum() / self.divisor
            gradients = torch.autograd.grad(summed, self.parameters, create_graph=True)
            along = torch.cat([g.reshape(-1) for g in gradients]) @ vector
            total += _flat(_zeros_for_none(along, self.parameters))
        return total

    def along(self, vector: Tensor) -> Tensor:
        """The gradient of each sample's loss times a vector, (n,), without divisor and decay.

        The gradient of sum(u_i l_i) is linear in u, and its derivative by u_i is grad l_i, so that
        the gradients of single samples are never stored.
        """
        found = []
        for images, labels in self.batches():
            losses = self.losses(images, labels)
            u = torch.zeros_like(losses, requires_grad=True)
            gradients = torch.autograd.grad(losses @ u, self.parameters, create_graph=True)
            flat = torch.cat([g.reshape(-1) for g in gradients])
            (each,) = torch.autograd.grad(flat @ vector, u)
            found.append(each)
        return torch.cat(found)

    def _decayed(self, vector: Tensor) -> Tensor:
        """decay times the entries of decayed weights, 0 for the others."""
        parts = torch.split(vector, [p.numel() for p in self.parameters])
        kept = [
            part * (self.decay if p.ndim > 1 else 0.0)
            for part, p in zip(parts, self.parameters, strict=True)
        ]
        return torch.cat(kept)


def _flat(tensors: Iterable[Tensor]) -> Tensor:
    return torch.cat([t.detach().reshape(-1) for t in tensors])


def _zeros_for_none(value: Tensor, parameters: Sequence[Tensor]) -> list[Tensor]:
    """Gradients of `value`; zeros for parameters that it does not depend on."""
    if not value.requires_grad:
        return [torch.zeros_like(p) for p in parameters]
    found = torch.autograd.grad(value, parameters, allow_unused=True)
    pairs = zip(found, parameters, strict=True)
    return [torch.zeros_like(p) if gradient is None else gradient for gradient, p in pairs]


# --- solving -----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Solved:
    """x (p,) with (A + damping) x = b up to `residual`, |b - (A + damping) x| / |b|.

    least_curvature: the smallest d.(A + damping) d / d.d along the directions d of the search. If
    it is not above 0, the matrix is not positive definite, and x is not a solution.
    """

    x: Tensor
    damping: float
    iterations: int
    residual: float
    least_curvature: float

    @property
    def solved(self) -> bool:
        """Whether x is a solution."""
        return self.least_curvature > 0


def conjugate_gradients(
    product: Product, b: Tensor, damping: float = 0.0, tolerance: float = 1e-6, most: int = 200
) -> Solved:
    """Solves (A + damping I) x = b for a symmetric A, given by its products with vectors.

    Hestenes and Stiefel 1952. Ends at a residual of `tolerance`, after `most` products, or at a
    direction along which the matrix is not positive.
    """
    x, residual = torch.zeros_like(b), b.clone()
    direction, size, norm = residual.clone(), float(residual @ residual), float(b.norm())
    least, done = math.inf, 0
    while done < most and math.sqrt(size) > tolerance * norm:
        pushed = product(direction) + damping * direction
        curvature = float(direction @ pushed)
        least = min(least, curvature / float(direction @ direction))
        if not least > 0:
            break
        step = size / curvature
        x = x + step * direction
        residual = residual - step * pushed
        before, size = size, float(residual @ residual)
        direction = residual + (size / before) * direction
        done += 1
    return Solved(x, damping, done, math.sqrt(size) / norm if norm else 0.0, least)


# --- influence ---------------------------------------------------------------------------------


@dataclass(frozen=True)
class LossInfluence:
    """Influence of the poisoned samples on a mean test loss, at b = 0.

    derivative: dL/db. shares: the part of each poisoned sample, (m,); the derivative is their sum.
    """

    derivative: float
    shares: Tensor
    solved: Solved

    @property
    def theta(self) -> float:
        """-(2/pi) arctan(dL/db), in [-1, 1]: 1 where the backdoor is learned at once."""
        return theta_of(self.derivative)


def theta_of(derivative: float) -> float:
    """The slope of *Backdoor Learning Curves* from a derivative, or a secant, of the loss."""
    return -2 / math.pi * math.atan(derivative)


def loss_influence(
    clean: Objective,
    poisoned: Objective,
    test: Objective,
    damping: float = 0.0,
    tolerance: float = 1e-6,
    most: int = 200,
) -> LossInfluence:
    """dL/db at b = 0 of the loss `test` for a network that has been trained on `clean`.

    clean: divided by n, the number of all training samples, with the decay. poisoned: divided by n,
    without decay. test: divided by its own number of samples. All of the same module. NaN if the
    damped Hessian is not positive definite.
    """
    found = conjugate_gradients(clean.product, test.gradient(), damping, tolerance, most)
    shares = -poisoned.along(found.x) / poisoned.divisor
    if not found.solved:
        shares = torch.full_like(shares, math.nan)
    return LossInfluence(float(shares.sum()), shares, found)
