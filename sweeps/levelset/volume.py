"""How much of a space is inside, with an interval from joint posterior draws.

Notation: s joint draws of n points under w attacks; margins are logits, above 0 inside.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from scipy.special import ndtr, ndtri

from sweeps.levelset.columns import Bools, Floats
from sweeps.levelset.membership import probability
from sweeps.levelset.model import Model, Panel

#: How many points times attacks are drawn jointly at most, and in how many draws.
LARGEST, DRAWS = 1800, 256


@dataclass(frozen=True)
class Volume:
    """A fraction of the space, with a 90 % interval over what the posterior holds possible."""

    fraction: float
    lower: float
    upper: float


def shifts(model: Model) -> tuple[float, float]:
    """How far inside the median seed must be, in logits of clean accuracy and of attack success,
    so that as many seeds are inside as the thresholds ask for; 0 where that is one half."""
    clean, attack = np.sqrt(model.noise) * ndtri(model.thresholds.seed_share)
    return float(clean), float(attack)


@dataclass(frozen=True)
class Draws:
    """Margins, less `shifts`, in joint posterior draws: clean (s, n), attacks (s, n, w)."""

    clean: Floats
    attack: Floats

    def inside(self, attacks: Bools) -> Bools:
        """Whether clean accuracy holds and these attacks fail, (s, n); attacks: (w,) bool."""
        return np.asarray((self.clean > 0) & (self.attack[:, :, attacks] > 0).all(axis=2))


def most_points(width: int) -> int:
    """How many points are drawn jointly at most, under so many attacks."""
    return max(16, LARGEST // width)


def joint_draws(
    model: Model, points: Floats, rng: np.random.Generator, count: int = DRAWS
) -> Draws:
    """`count` draws at the first points (n, d), as many of them as are drawn jointly."""
    width = len(model.panel)
    points = points[: most_points(width)]
    normal = rng.standard_normal
    clean = model.clean.at(points)
    root = _root(model.clean.variance_inflation * clean.covariance(clean))
    paths = clean.mean + (root @ normal((len(points), count))).T
    attack = model.attack.at(model.crossed(points))
    crossed = _root(model.attack.variance_inflation * attack.covariance(attack)) @ normal(
        (len(points) * width, count)
    )
    margins = -(attack.mean[:, None] + crossed).T.reshape(count, len(points), width)
    more = shifts(model)
    thresholds = _accuracy_thresholds(model, points, paths, root, rng)
    return Draws(paths - thresholds - more[0], margins - more[1])


def _root(covariance: Floats) -> Floats:
    diagonal = np.diag_indices(len(covariance))
    covariance[diagonal] += 1e-5 * (1 + covariance[diagonal])
    return np.asarray(np.linalg.cholesky(covariance), dtype=np.float64)


def _accuracy_thresholds(
    model: Model, points: Floats, paths: Floats, root: Floats, rng: np.random.Generator
) -> Floats:
    """The accuracy asked for in each draw, (s, 1): where it depends on the best one, it rises and
    falls with the accuracy that the draw has there."""
    threshold, clean = model.accuracy_threshold, model.clean
    if threshold.best is None:
        return np.full((len(paths), 1), threshold.mean)
    where, (likely, slopes) = clean.at(points), threshold.best
    best = clean.at(likely)
    half = np.linalg.solve(root, clean.variance_inflation * threshold.covariance(clean, where))
    # How the draw moves the threshold, given its accuracy at all points.
    given = (np.linalg.solve(root, (paths - where.mean).T)).T @ half
    linear = float(slopes @ best.covariance(best) @ slopes)
    left = max(clean.variance_inflation * linear - float(half @ half), 0.0)
    rest = max(threshold.variance - linear, 0.0)
    moved = given + np.sqrt(left + rest) * rng.standard_normal(len(paths))
    return np.asarray((threshold.mean + moved)[:, None], dtype=np.float64)


def volume(inside: Bools, fraction: float) -> Volume:
    """The volume whose mean is `fraction`, known from many points, and whose spread is that of the
    draws `inside` (s, n). Where no point was drawn, anything is possible: with many categories and
    attacks some categories have none."""
    if not inside.shape[1]:
        return Volume(fraction, 0.0, 1.0)
    moved = inside.mean(axis=1) - inside.mean()
    lower, upper = np.quantile(moved, [0.05, 0.95])
    return Volume(
        fraction, float(np.clip(fraction + lower, 0, 1)), float(np.clip(fraction + upper, 0, 1))
    )


def passing(model: Model, points: Floats) -> tuple[Floats, Floats]:
    """P(clean accuracy holds), (n,), and P(each attack fails), (n, w), each for as many seeds as
    the thresholds ask for."""
    margins, more = model.margins(points), shifts(model)
    mean, covariance = margins.attack
    spread = np.sqrt(np.diagonal(covariance, axis1=1, axis2=2))
    clean = ndtr((margins.clean[0] - more[0]) / np.sqrt(margins.clean[1]))
    attack = ndtr((mean - more[1]) / spread)
    return np.asarray(clean, dtype=np.float64), np.asarray(attack, dtype=np.float64)


def probability_of(model: Model, points: Floats, attacks: Bools) -> Floats:
    """P(inside) for a panel of these attacks only, (n,)."""
    return probability(_against(model, attacks), points)


def _against(model: Model, attacks: Bools) -> Model:
    """The model, and its alternatives, with these attacks only."""
    panel = Panel(model.panel.columns, model.panel.points[attacks])
    others = tuple((weight, _against(other, attacks)) for weight, other in model.others)
    return replace(model, panel=panel, others=others)
