"""Two-class logistic regression by conjugate gradients, to a certified share of its value.

Each image, less the mean image and times its label +1 or -1, is a row of one float32 matrix, whose
last column is the label and stands for the intercept. A step costs two products with it; of the
rest nothing is longer than a row or a column. Directions are those of Polak and Ribiere (1969),
started again where they would not descend; along each the lowest point is sought.

The end is certified. The residuals of any point are feasible in the dual problem, once their sum is
zero, and weights less those that they imply are the gradient divided by the decay: so the value is
at most |gradient|^2 / (2 decay) above the optimum. What the intercept's gradient adds is told from
its curvature.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from backdoor.engines.base import Floats, Ids
from backdoor.engines.whole import Pixels

Single = npt.NDArray[np.float32]

#: The most that a value may be above the optimum, as a share of itself.
GAP = 1e-4
#: Columns are a multiple of a cache line, which products take an eighth less time for.
ALIGNED = 16
#: Most directions; where they do not suffice, the problem is ill-conditioned.
DIRECTIONS = 400
#: Along a direction: until the slope is this share of what it was, in at most so many steps.
LEVEL, SEARCH = 0.1, 30


@dataclass(frozen=True)
class SignedImages:
    """rows: (n, width) float32, the inputs that are not the same on all images less `centre`, then
    zeros, then 1, all times the label. live: (used,) numbers of those inputs. centre: (used,).
    inputs: how many there are in all."""

    rows: Single
    live: Ids
    centre: Floats
    inputs: int

    @staticmethod
    def of(pixels: Pixels, second: npt.NDArray[np.bool_]) -> SignedImages:
        """second: (n,), which images are of the second class."""
        images = pixels.images
        live = np.flatnonzero(images.max(0) != images.min(0))
        scale, shift = (each[live] for each in pixels.wide())
        middle = images.mean(0)[live]
        # Whole numbers up to 255 and their mean lose nothing that matters in float32.
        kind = np.dtype(np.float32 if images.dtype == np.uint8 else np.float64)
        used = images.take(live, 1).astype(kind)
        used -= middle.astype(kind)
        used *= scale.astype(kind)
        sign = np.where(second, 1, -1).astype(np.float32)
        rows = np.zeros((len(images), -(-(len(live) + 1) // ALIGNED) * ALIGNED), np.float32)
        np.multiply(used, sign[:, None], out=rows[:, : len(live)], casting="same_kind")
        rows[:, -1] = sign
        return SignedImages(rows, live, middle * scale - shift, images.shape[1])

    def model(self, point: Single) -> tuple[Floats, float]:
        """Weights (inputs,) and intercept of the second class, from a point of `Descent`."""
        weights, used = np.zeros(self.inputs), point[: len(self.live)].astype(np.float64)
        weights[self.live] = used
        return weights, float(point[-1] - self.centre @ used)


def descend(images: SignedImages, decay: float) -> Single | None:
    """A point (width,) whose value is certified; None where the directions do not suffice."""
    with np.errstate(over="ignore"):  # exp(large) is inf, whose share 1 / (1 + inf) is 0, as it is
        return Descent(images.rows, decay).minimise()


class Descent:
    """One decay. Values are sums over images: n times the objective, n decay / 2 |w|^2 with it.

    point, gradient, direction: (width,). margins, wrong (share of the other class), bend (second
    derivative of the loss by the margin), along (direction's margins): (n,).
    """

    def __init__(self, rows: Single, decay: float) -> None:
        self.rows, self.n = rows, len(rows)
        self.ridge = self.n * decay
        self.penalty = np.full(rows.shape[1], self.ridge, np.float32)
        self.penalty[-1] = 0
        self.point, self.direction = np.zeros((2, rows.shape[1]), np.float32)
        self.margins, self.along = np.zeros((2, self.n), np.float32)
        self.wrong = np.full(self.n, 0.5, np.float32)
        self.bend = np.full(self.n, 0.25, np.float32)
        self.lowest = self.n * float(np.log(2))

    def minimise(self) -> Single | None:
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
        own = by_bias * by_bias
        gap = (squares - own) / (2 * self.ridge)
        if gap > GAP * self.lowest:  # as an earlier value is the larger
            return False
        gap += own / (2 * max(float(self.bend.sum()), 1e-30))
        weights = self.penalty * self.point
        losses = np.logaddexp(0, -self.margins, dtype=np.float64)
        self.lowest = float(losses.sum()) + float(np.dot(weights, self.point)) / 2
        return gap <= GAP * self.lowest

    def _move(self, slope: float) -> None:
        """To where the slope along the direction has all but gone: Newton's steps, in a bracket."""
        along = np.dot(self.rows, self.direction, out=self.along)
        decayed = self.penalty * self.direction
        own, mixed = float(np.dot(decayed, self.direction)), float(np.dot(decayed, self.point))
        enough, start = -LEVEL * slope, self.margins
        length, low, high = 0.0, 0.0, np.inf
        for _ in range(SEARCH):
            self.bend *= along
            step = length - slope / max(float(np.dot(self.bend, along)) + own, 1e-30)
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
        wrong = np.exp(self.margins, out=self.wrong)
        wrong += 1
        np.reciprocal(wrong, out=wrong)
        np.multiply(wrong, wrong, out=self.bend)
        np.subtract(wrong, self.bend, out=self.bend)
