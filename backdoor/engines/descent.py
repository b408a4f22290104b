"""Two-class logistic regression by conjugate gradients, to a certified share of its value.

Each centred image, times its label +1 or -1, is a row of one float32 matrix, whose last column is
the label, for the intercept. A step costs two products with the matrix; everything else is as long
as a row or a column. Directions are those of Polak and Ribiere (1969), restarted if they are not
descent directions, with a line search along each.

The result is certified. The residuals of any point are feasible in the dual problem if their sum is
zero, and the difference of the weights and those that the residuals imply is the gradient divided
by the decay: so the value is at most |gradient|^2 / (2 decay) above the optimum. The part of the
intercept is estimated from its gradient and curvature.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from backdoor.engines.base import Floats, Ids
from backdoor.engines.whole import Pixels

Single = npt.NDArray[np.float32]

#: The largest gap between a value and the optimum, as a share of the value.
GAP = 1e-4
#: The number of columns is a multiple of this, a cache line: products take an eighth less time.
ALIGNED = 16
#: Maximum number of directions; if they do not suffice, the problem is ill-conditioned.
DIRECTIONS = 400
#: A line search ends if the slope is this share of its initial value, or after so many steps.
SLOPE_SHARE, SEARCH = 0.1, 30


@dataclass(frozen=True)
class SignedImages:
    """Centred images times their labels.

    rows: (n, width) float32: the inputs that vary over the images, minus `centre`, then zeros, then
    1, all times the label. varying: (used,) numbers of those inputs. centre: (used,). inputs:
    number of all inputs.
    """

    rows: Single
    varying: Ids
    centre: Floats
    inputs: int

    @staticmethod
    def of(pixels: Pixels, second: npt.NDArray[np.bool_]) -> SignedImages:
        """second: (n,), which images are of the second class."""
        images = pixels.images
        varying = np.flatnonzero(images.max(0) != images.min(0))
        scale, shift = (each[varying] for each in pixels.wide())
        middle = images.mean(0)[varying]
        # For whole numbers up to 255 and their mean, float32 is exact enough.
        dtype = np.dtype(np.float32 if images.dtype == np.uint8 else np.float64)
        used = images.take(varying, 1).astype(dtype)
        used -= middle.astype(dtype)
        used *= scale.astype(dtype)
        sign = np.where(second, 1, -1).astype(np.float32)
        rows = np.zeros((len(images), -(-(len(varying) + 1) // ALIGNED) * ALIGNED), np.float32)
        np.multiply(used, sign[:, None], out=rows[:, : len(varying)], casting="same_kind")
        rows[:, -1] = sign
        return SignedImages(rows, varying, middle * scale - shift, images.shape[1])

    def model(self, point: Single) -> tuple[Floats, float]:
        """Weights (inputs,) and intercept of the second class, from a point of `Descent`."""
        weights, used = np.zeros(self.inputs), point[: len(self.varying)].astype(np.float64)
        weights[self.varying] = used
        return weights, float(point[-1] - self.centre @ used)


def descend(images: SignedImages, decay: float) -> Single | None:
    """A point (width,) whose value is certified; None if the directions do not suffice."""
    with np.errstate(over="ignore"):  # exp(large) is inf, and 1 / (1 + inf) is correctly 0
        return Descent(images.rows, decay).minimise()


class Descent:
    """Descent for one decay. Values are sums over images: n times the objective, with its decay.

    point, gradient, direction: (width,). margins; wrong, the probability of the other class;
    curvature, the second derivative of the loss by the margin; along, the margins of the direction:
    (n,).
    """

    def __init__(self, rows: Single, decay: float) -> None:
        self.rows, self.n = rows, len(rows)
        self.ridge = self.n * decay
        self.penalty = np.full(rows.shape[1], self.ridge, np.float32)
        self.penalty[-1] = 0
        self.point, self.direction = np.zeros((2, rows.shape[1]), np.float32)
        self.margins, self.along = np.zeros((2, self.n), np.float32)
        self.wrong = np.full(self.n, 0.5, np.float32)
        self.curvature = np.full(self.n, 0.25, np.float32)
        self.lowest = self.n * float(np.log(2))

    def minimise(self) -> Single | None:
        """A point (width,) whose value is certified; None if the directions do not suffice."""
        before, size = np.zeros_like(self.point), 1.0
        for _ in range(DIRECTIONS):
            gradient = self.penalty * self.point
            gradient -= np.dot(self.wrong, self.rows)
            squares = float(np.dot(gradient, gradient))
            if self._certified(squares, float(gradient[-1])):
                return self.point
            keep = max(0.0, (squares - float(np.dot(gradient, before))) / size)
            self.direction *= np.float32(keep)
            self.direction -= gradient
            slope = float(np.dot(gradient, self.direction))
            if slope >= 0:
                self.direction, slope = -gradient, -squares
            self._move(slope)
            before, size = gradient, squares
        return None

    def _certified(self, squares: float, by_bias: float) -> bool:
        """Whether the value is near the optimum; squares: of the gradient's entries, with that of
        the intercept, `by_bias`."""
        own = by_bias * by_bias
        gap = (squares - own) / (2 * self.ridge)
        if gap > GAP * self.lowest:  # as earlier values are larger
            return False
        gap += own / (2 * max(float(self.curvature.sum()), 1e-30))
        weights = self.penalty * self.point
        losses = np.logaddexp(0, -self.margins, dtype=np.float64)
        self.lowest = float(losses.sum()) + float(np.dot(weights, self.point)) / 2
        return gap <= GAP * self.lowest

    def _move(self, slope: float) -> None:
        """Line search: Newton's steps within a bracket, until the slope is nearly zero."""
        along = np.dot(self.rows, self.direction, out=self.along)
        decayed = self.penalty * self.direction
        own, mixed = float(np.dot(decayed, self.direction)), float(np.dot(decayed, self.point))
        enough, start = -SLOPE_SHARE * slope, self.margins
        length, low, high = 0.0, 0.0, np.inf
        for _ in range(SEARCH):
            self.curvature *= along
            step = length - slope / max(float(np.dot(self.curvature, along)) + own, 1e-30)
            if not low < step < high:
                step = (low + high) / 2 if high < np.inf else 2 * low
            length = step
            self.margins = start + np.float32(length) * along
            self._shares()
            slope = mixed + length * own - float(np.dot(self.wrong, along))
            if abs(slope) <= enough:
                break
            low, high = (length, high) if slope < 0 else (low, length)
        self.point += np.float32(length) * self.direction

    def _shares(self) -> None:
        """Updates `wrong` and `curvature` for the margins."""
        wrong = np.exp(self.margins, out=self.wrong)
        wrong += 1
        np.reciprocal(wrong, out=wrong)
        np.multiply(wrong, wrong, out=self.curvature)
        np.subtract(wrong, self.curvature, out=self.curvature)
