"""From posteriors to answers: the probability that a point is inside, labels, F1, volume."""

from __future__ import annotations

import functools
from dataclasses import dataclass

import numpy as np
from scipy.special import log_ndtr, ndtr, ndtri
from scipy.stats import qmc

from sweeps.levelset.columns import Floats, Ints
from sweeps.levelset.surrogate import HALF, Margins, Model

OUT, UNDECIDED, IN = -1, 0, 1


@functools.cache
def _uniform(axes: int, count: int) -> Floats:
    """Scrambled Sobol points strictly inside the unit cube, (count, axes); always the same."""
    drawn = qmc.Sobol(axes, scramble=True, rng=np.random.default_rng(0)).random(count)
    return np.asarray(np.clip(drawn, 1e-6, 1 - 1e-6), dtype=np.float64)


def probability(model: Model, points: Floats, chunk: int = 4096) -> Floats:
    """P(inside) at (n, d) points: clean accuracy holds and all attacks of the panel fail, (n,)."""
    parts = [points[i : i + chunk] for i in range(0, len(points), chunk)]
    return np.concatenate([_probability(model, part) for part in parts] or [np.zeros(0)])


def _probability(model: Model, points: Floats) -> Floats:
    margins = model.margins(points)
    found = (1 - sum(weight for weight, _ in model.others)) * joint_probability(margins)
    for weight, other in model.others:
        found += weight * joint_probability(other.margins(points))
    if model.goal.seeds == HALF:
        return np.asarray(found, dtype=np.float64)
    # Where so many seeds pass, so does the median seed: it is never the surer of the two.
    return np.minimum(found, share_probability(margins, model.noise, model.goal.seeds))


def joint_probability(margins: Margins) -> Floats:
    """P(all margins above 0), (n,)."""
    mean, variance = margins.clean
    return np.asarray(ndtr(mean / np.sqrt(variance)) * orthant(*margins.attack), dtype=np.float64)


def orthant(mean: Floats, covariance: Floats, count: int = 64) -> Floats:
    """P(all of a Gaussian's entries above 0): means (n, w), covariances (n, w, w) to (n,).

    Sequential conditioning with Sobol points (Genz 1992).
    """
    width = mean.shape[1]
    diagonal = np.arange(width)
    safe = covariance.copy()
    safe[:, diagonal, diagonal] += 1e-6
    root = np.linalg.cholesky(safe)
    uniform = _uniform(max(1, width - 1), count)
    found = np.ones((len(mean), count))
    drawn = np.zeros((len(mean), count, width))
    for index in range(width):
        shifted = mean[:, index, None] + np.einsum(
            "nsv,nv->ns", drawn[:, :, :index], root[:, index, :index]
        )
        passing = ndtr(shifted / root[:, index, index, None])
        found *= passing
        if index < width - 1:
            level = 1 - passing * uniform[None, :, index]
            drawn[:, :, index] = ndtri(np.clip(level, 1e-12, 1 - 1e-12))
    return np.asarray(found.mean(axis=1), dtype=np.float64)


def share_probability(
    margins: Margins, noise: tuple[float, float], share: float, count: int = 256
) -> Floats:
    """P(at least `share` of the seeds pass all metrics), seeds' noise being independent between
    metrics, which is the cautious assumption."""
    clean, (mean, covariance) = margins.clean, margins.attack
    width = mean.shape[1]
    normal = ndtri(_uniform(width + 1, count))
    safe = covariance.copy()
    safe[:, np.arange(width), np.arange(width)] += 1e-6
    attack = mean[:, None, :] + np.einsum("nvw,sw->nsv", np.linalg.cholesky(safe), normal[:, 1:])
    first = clean[0][:, None] + np.sqrt(clean[1])[:, None] * normal[None, :, 0]
    passing = log_ndtr(first / np.sqrt(noise[0])) + log_ndtr(attack / np.sqrt(noise[1])).sum(2)
    return np.asarray((passing >= np.log(share)).mean(axis=1), dtype=np.float64)


def labels(inside: Floats, confidence: float) -> Ints:
    """IN, OUT or UNDECIDED for probabilities, (n,)."""
    found = np.full(len(inside), UNDECIDED, dtype=np.int64)
    found[inside >= confidence] = IN
    found[inside <= 1 - confidence] = OUT
    return found


@dataclass(frozen=True)
class Summary:
    """Of evenly drawn points: fractions of the space, and the F1 that the plug-in set expects."""

    inside: float
    undecided: float
    expected: float
    expected_f1: float


def summary(inside: Floats, confidence: float) -> Summary:
    """What probabilities at evenly drawn points say of the whole space."""
    found = labels(inside, confidence)
    chosen = inside >= 0.5
    mass = inside.sum()
    f1 = 2 * inside[chosen].sum() / (chosen.sum() + mass) if chosen.any() else 0.0
    return Summary(
        float((found == IN).mean()), float((found == UNDECIDED).mean()),
        float(mass / len(inside)), float(f1),
    )  # fmt: skip
